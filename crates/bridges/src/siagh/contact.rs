//! From a customer to a Siagh contact (siagh sheet §5.2): merge, difference, agreement. Pure.

use super::customer::{Customer, names_agree};
use super::phone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use siagh::{Constants, Contact, ContactForm, PartyKind};
use tandem_core::Change;
use tandem_core::text::{digits, normalize};

/// The contact form as our journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Payload {
    /// `None` creates.
    pub code: Option<i64>,
    pub name: String,
    pub active: bool,
    pub organization: bool,
    pub mobile: String,
    pub telephone: String,
    pub national_code: String,
    pub email: String,
    pub website: String,
    pub address: String,
    pub postal_code: String,
    pub city_code: String,
    pub state_code: String,
    pub country_code: String,
    pub description: String,
    pub tmpid: String,
    pub gender: String,
}

/// The codes that stand for the CRM's place names, as far as the operator's tables have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    pub city: Option<String>,
    pub state: Option<String>,
    pub country: Option<String>,
}

impl Payload {
    /// A contact that does not exist yet.
    pub fn new(customer: &Customer, places: &Places, tmpid: String) -> Self {
        let nothing = Self { active: true, ..Self::default() };
        Self { tmpid, ..merge(customer, places, nothing, false) }
    }

    /// An existing contact with the CRM's values over it. Saving the form blanks what it leaves out (siagh sheet §2.4), so
    /// Siagh's value stays where the CRM has none, unless `blank_overwrites`.
    pub fn over(
        customer: &Customer,
        places: &Places,
        contact: &Contact,
        tmpid: String,
        blank_overwrites: bool,
    ) -> Self {
        Self { tmpid, ..merge(customer, places, Self::of(contact), blank_overwrites) }
    }

    /// The texts as Siagh will keep them: harmless (`|`, line breaks) and cut to length. Without that, a value that does not
    /// fit would differ from the stored one for ever. What is cut is noted, by field.
    pub fn storable(mut self, constants: &Constants, notes: &mut Vec<String>) -> Self {
        let c = constants;
        for (field, text, short, longest) in [
            ("name", &mut self.name, false, c.longest_name),
            ("address", &mut self.address, false, c.longest_address),
            ("description", &mut self.description, false, c.longest_notes),
            ("website", &mut self.website, false, c.longest_other),
            ("email", &mut self.email, true, c.longest_other),
            ("postal_code", &mut self.postal_code, true, c.longest_other),
            ("national_code", &mut self.national_code, true, c.longest_other),
        ] {
            let (kept, cut) = siagh::sanitize(text, short, longest);
            *text = kept;
            notes.extend(cut.map(|cut| format!("{field} {cut}")));
        }
        self
    }

    /// What Siagh holds now.
    pub fn of(contact: &Contact) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Self {
            code: Some(contact.code),
            name: text(&contact.name),
            active: contact.is_active,
            organization: contact.kind == Some(PartyKind::Organization),
            mobile: text(&contact.mobile_no),
            telephone: text(&contact.tel_no),
            national_code: text(&contact.national_code),
            email: text(&contact.email),
            website: text(&contact.web_site_address),
            address: text(&contact.address),
            postal_code: text(&contact.postal_code),
            city_code: text(&contact.city_code),
            // That `codeostan` is shown as `GeographicCode` is an assumption: the sheet names both (§2.2, §2.4) and joins them
            // nowhere. Were it wrong, each update would write the one into the other.
            state_code: text(&contact.geographic_code),
            country_code: text(&contact.country_code),
            description: text(&contact.description),
            tmpid: String::new(),
            gender: text(&contact.gender),
        }
    }

    /// What this payload would change of what Siagh holds. The outside id can't be read back, so it is not compared.
    pub fn changes_from(&self, now: &Self) -> Vec<Change> {
        let flags = [("organization", now.organization, self.organization), ("active", now.active, self.active)];
        let flags =
            flags.into_iter().filter(|(_, old, new)| old != new).map(|(field, old, new)| change(field, old, new));
        let texts = self.texts().into_iter().zip(now.texts()).filter(|((field, new), (_, old))| !same(field, old, new));
        flags.chain(texts.map(|((field, new), (_, old))| change(field, old, new))).collect()
    }

    fn texts(&self) -> [(&'static str, &str); 13] {
        [
            ("name", &self.name),
            ("mobile", &self.mobile),
            ("telephone", &self.telephone),
            ("national_code", &self.national_code),
            ("email", &self.email),
            ("website", &self.website),
            ("address", &self.address),
            ("postal_code", &self.postal_code),
            ("city_code", &self.city_code),
            ("state_code", &self.state_code),
            ("country_code", &self.country_code),
            ("description", &self.description),
            ("gender", &self.gender),
        ]
    }

    pub fn form(&self) -> ContactForm {
        ContactForm {
            full_name: self.name.clone(),
            active: self.active,
            kind: if self.organization { PartyKind::Organization } else { PartyKind::Person },
            mobile: self.mobile.clone(),
            tel: self.telephone.clone(),
            national_code: self.national_code.clone(),
            email: self.email.clone(),
            website: self.website.clone(),
            address: self.address.clone(),
            postal_code: self.postal_code.clone(),
            city_code: self.city_code.clone(),
            province_code: self.state_code.clone(),
            country_code: self.country_code.clone(),
            description: self.description.clone(),
            tmpid: self.tmpid.clone(),
            gender: self.gender.clone(),
        }
    }
}

fn merge(customer: &Customer, places: &Places, base: Payload, blank_overwrites: bool) -> Payload {
    let pick = |ours: &Option<String>, theirs: &String| match ours {
        Some(value) => value.clone(),
        None if blank_overwrites => String::new(),
        None => theirs.clone(),
    };
    // A place that the tables don't know is not a blank: Siagh keeps its code.
    let place = |named: &Option<String>, code: &Option<String>, theirs: &String| match (named, code) {
        (Some(_), Some(code)) => code.clone(),
        (Some(_), None) => theirs.clone(),
        (None, _) => pick(&None, theirs),
    };
    Payload {
        code: base.code,
        name: pick(&customer.name, &base.name),
        active: base.active,
        organization: customer.is_organization(),
        mobile: pick(&customer.mobile, &base.mobile),
        telephone: pick(&customer.telephone, &base.telephone),
        national_code: pick(&customer.national_code, &base.national_code),
        email: pick(&customer.email, &base.email),
        website: pick(&customer.website, &base.website),
        address: pick(&customer.address, &base.address),
        postal_code: pick(&customer.postal_code, &base.postal_code),
        city_code: place(&customer.city, &places.city, &base.city_code),
        state_code: place(&customer.state, &places.state, &base.state_code),
        country_code: place(&customer.country, &places.country, &base.country_code),
        description: pick(&customer.description, &base.description),
        tmpid: base.tmpid,
        gender: base.gender,
    }
}

fn change(field: &str, old: impl Into<Value>, new: impl Into<Value>) -> Change {
    Change { field: field.to_owned(), old: old.into(), new: new.into() }
}

fn same(field: &str, old: &str, new: &str) -> bool {
    let number = |text: &str| phone::mobile(text).or_else(|| phone::telephone(text)).unwrap_or_else(|| digits(text));
    match field {
        "mobile" | "telephone" => number(old) == number(new),
        "national_code" => digits(old) == digits(new),
        _ => normalize(old) == normalize(new),
    }
}

/// How well a contact fits a customer whom it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// The same kind, and a compatible name, national code or phone.
    Agrees,
    /// What speaks against it.
    Differs(&'static str),
}

/// Whether a customer and a contact that were brought together by number, phone or code are surely one. Demands the same
/// kind and a compatible name, national code or phone; `by_phone` says that a phone brought them together, which then
/// proves nothing by itself.
pub fn agreement(customer: &Customer, contact: &Contact, by_phone: bool) -> Agreement {
    if contact.is_admin_user {
        return Agreement::Differs("it is a user of Siagh itself");
    }
    match contact.kind {
        None => return Agreement::Differs("Siagh does not say whether it is a person or an organization"),
        Some(kind) if (kind == PartyKind::Organization) != customer.is_organization() => {
            return Agreement::Differs("one is a person and the other an organization");
        }
        Some(_) => {}
    }
    let theirs = contact.national_code.as_deref().map(digits).filter(|code| !code.is_empty());
    let national = match (&customer.national_code, &theirs) {
        (Some(ours), Some(theirs)) if ours == theirs => true,
        (Some(_), Some(_)) => return Agreement::Differs("their national codes differ"),
        _ => false,
    };
    let name = match (&customer.name, &contact.name) {
        (Some(ours), Some(theirs)) => names_agree(ours, theirs),
        _ => false,
    };
    if national || name || (!by_phone && shares_phone(customer, contact)) {
        Agreement::Agrees
    } else {
        Agreement::Differs("neither name nor national code agree")
    }
}

/// Whether they have a number in common.
pub fn shares_phone(customer: &Customer, contact: &Contact) -> bool {
    let number = |text: &str| phone::mobile(text).or_else(|| phone::telephone(text));
    let ours: Vec<String> =
        [&customer.mobile, &customer.telephone].into_iter().flatten().filter_map(|n| number(n)).collect();
    [&contact.mobile_no, &contact.mobile_no2, &contact.tel_no, &contact.tel_no2]
        .into_iter()
        .flatten()
        .filter_map(|n| number(n))
        .any(|theirs| ours.contains(&theirs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use payamgostar::{Identity, IdentityKind};
    use serde_json::json;

    fn contact(row: Value) -> Contact {
        serde_json::from_value(row).unwrap()
    }

    fn customer(mut body: Value) -> Customer {
        body["crmId"] = json!("7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001");
        Customer::of(&Identity::from_json(IdentityKind::Person, body).unwrap())
    }

    #[test]
    fn only_a_contact_of_the_same_and_known_kind_agrees() {
        let same = customer(json!({"nickName": "علی نمونه", "nationalCode": "0012345678"}));
        let row = |kind: Value| {
            contact(json!({"Code": 42, "Name": "علی نمونه", "NationalCode": "0012345678", "TowardType": kind}))
        };
        assert_eq!(agreement(&same, &row(json!(false)), true), Agreement::Agrees);
        assert!(
            matches!(agreement(&same, &row(json!(true)), true), Agreement::Differs(why) if why.contains("organization"))
        );
        assert!(
            matches!(agreement(&same, &row(Value::Null), true), Agreement::Differs(why) if why.contains("does not say"))
        );
    }

    #[test]
    fn a_phone_proves_nothing_where_a_phone_brought_them_together() {
        let ours = customer(json!({"nickName": "علی نمونه", "phoneContacts": [{"phoneNumber": "09120000001"}]}));
        let theirs = contact(json!({"Code": 42, "Name": "زهرا خیالی", "TowardType": false, "MobileNo": "09120000001"}));
        assert!(matches!(agreement(&ours, &theirs, true), Agreement::Differs(_)));
        assert_eq!(agreement(&ours, &theirs, false), Agreement::Agrees);
    }
}
