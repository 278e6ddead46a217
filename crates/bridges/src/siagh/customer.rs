//! A CRM identity in the terms that are synced, and what Siagh shall hold of it (siagh sheet §5.2). Pure.

use super::import::is_remark;
use super::phone;
use super::settings::SiaghSettings;
use payamgostar::{Address, Identity, IdentityKind};
use tandem_core::Fields;
use tandem_core::text::{digits, non_blank, normalize};

/// What of an identity is synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    pub kind: IdentityKind,
    pub number: Option<String>,
    /// Required by Siagh; `None` if the CRM has no name at all.
    pub name: Option<String>,
    pub mobile: Option<String>,
    pub telephone: Option<String>,
    pub national_code: Option<String>,
    pub email: Option<String>,
    pub website: Option<String>,
    pub address: Option<String>,
    pub postal_code: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub country: Option<String>,
    pub description: Option<String>,
}

impl Customer {
    pub fn of(identity: &Identity) -> Self {
        let text = |value: &Option<String>| value.as_deref().and_then(non_blank).map(str::to_owned);
        let (mobile, telephone) = phone::pick(&identity.phones);
        let home = address(&identity.addresses);
        let at = |part: fn(&Address) -> &Option<String>| home.and_then(|a| text(part(a)));
        Self {
            kind: identity.kind,
            number: text(&identity.customer_number),
            name: text(&identity.nick_name).or_else(|| full_name(identity)),
            mobile,
            telephone,
            national_code: identity.national_code.as_deref().map(digits).filter(|d| !d.is_empty()),
            email: text(&identity.email),
            website: text(&identity.website),
            address: at(|a| &a.address),
            postal_code: at(|a| &a.zip_code),
            city: at(|a| &a.city),
            state: at(|a| &a.state),
            country: at(|a| &a.country),
            description: text(&identity.description).filter(|description| !is_remark(description)),
        }
    }

    pub fn is_organization(&self) -> bool {
        self.kind == IdentityKind::Organization
    }

    /// The mapped fields, for checksum and difference.
    pub fn fields(&self) -> Fields {
        Fields::new()
            .flag("organization", self.is_organization())
            .text("number", self.number.as_deref())
            .text("name", self.name.as_deref())
            .text("mobile", self.mobile.as_deref())
            .text("telephone", self.telephone.as_deref())
            .text("national_code", self.national_code.as_deref())
            .text("email", self.email.as_deref())
            .text("website", self.website.as_deref())
            .text("address", self.address.as_deref())
            .text("postal_code", self.postal_code.as_deref())
            .text("city", self.city.as_deref())
            .text("state", self.state.as_deref())
            .text("country", self.country.as_deref())
            .text("description", self.description.as_deref())
    }
}

fn address(addresses: &[Address]) -> Option<&Address> {
    addresses.iter().find(|a| a.default).or_else(|| addresses.first())
}

fn full_name(identity: &Identity) -> Option<String> {
    let parts: Vec<&str> = [&identity.first_name, &identity.last_name]
        .into_iter()
        .filter_map(|p| p.as_deref().and_then(non_blank))
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The value of the extended property that carries our transaction id, if one is configured.
pub fn stamp(identity: &Identity, settings: &SiaghSettings) -> Option<String> {
    let key = settings.stamp_property.as_deref()?;
    identity.extended.iter().find(|p| p.user_key.as_deref() == Some(key))?.value.clone()
}

/// Whether two names may be those of one customer: alike once spelling is set aside, or all words of the shorter one
/// (at least two of them) stand in the longer one.
pub fn names_agree(one: &str, other: &str) -> bool {
    let (one, other) = (normalize(one).to_lowercase(), normalize(other).to_lowercase());
    let bare = |name: &str| name.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    if bare(&one).is_empty() || bare(&other).is_empty() {
        return false;
    }
    if bare(&one) == bare(&other) {
        return true;
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (one.split(' ').collect(), other.split(' ').collect());
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short.len() >= 2 && short.iter().all(|word| long.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn identity(kind: IdentityKind, mut body: serde_json::Value) -> Identity {
        body["crmId"] = json!("7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001");
        Identity::from_json(kind, body).unwrap()
    }

    #[test]
    fn a_person_without_nickname_is_called_by_first_and_last_name() {
        let person = identity(IdentityKind::Person, json!({"firstName":"نام","lastName":" نمونه "}));
        assert_eq!(Customer::of(&person).name.as_deref(), Some("نام نمونه"));
        assert_eq!(Customer::of(&identity(IdentityKind::Person, json!({"nickName":" "}))).name, None);
    }

    #[test]
    fn the_remark_of_the_import_is_no_description() {
        let described =
            |text: &str| Customer::of(&identity(IdentityKind::Person, json!({"description": text}))).description;
        assert_eq!(described("imported from Siagh (code 42)"), None);
        assert_eq!(
            described("imported from Siagh (code 42), VIP").as_deref(),
            Some("imported from Siagh (code 42), VIP")
        );
    }

    #[test]
    fn the_default_address_counts_and_else_the_first() {
        let body = json!({"addressContacts":[{"address":"الف","city":"تهران"},{"address":"ب","default":true}]});
        let customer = Customer::of(&identity(IdentityKind::Person, body));
        assert_eq!((customer.address.as_deref(), customer.city), (Some("ب"), None));
    }

    #[test]
    fn members_that_are_not_mapped_do_not_change_the_checksum() {
        let one =
            identity(IdentityKind::Person, json!({"nickName":"الف","colorId":1,"modifyDate":"2026-02-01T10:00:00"}));
        let two =
            identity(IdentityKind::Person, json!({"nickName":"الف","colorId":2,"modifyDate":"2026-02-02T10:00:00"}));
        assert_eq!(Customer::of(&one).fields().checksum(), Customer::of(&two).fields().checksum());
    }

    #[test]
    fn a_change_of_kind_changes_the_checksum() {
        let body = json!({"nickName":"الف"});
        let (person, org) = (identity(IdentityKind::Person, body.clone()), identity(IdentityKind::Organization, body));
        assert_ne!(Customer::of(&person).fields().checksum(), Customer::of(&org).fields().checksum());
    }

    #[test]
    fn names_agree_over_spelling_and_extra_words_but_not_over_one_shared_word() {
        assert!(names_agree("شركت نمونه", "شرکت  نمونه"));
        assert!(names_agree("علی نمونه", "آقای علی نمونه"));
        assert!(names_agree("نمونه‌الف", "نمونه الف"));
        assert!(!names_agree("نمونه", "علی نمونه"));
        assert!(!names_agree("شرکت الف", "شرکت ب"));
        assert!(!names_agree("", ""));
    }
}
