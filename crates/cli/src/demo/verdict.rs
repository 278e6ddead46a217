//! Do both simulated systems agree, in both directions? Judged from what they hold, not from our ledger.

use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tandem_core::text::{digits, normalize};
use tandem_simulators::siagh::{Contact, Document};
use tandem_simulators::{payamgostar, siagh};

/// What both systems hold.
pub struct Held {
    pub identities: Vec<Value>,
    pub quotes: Vec<Value>,
    pub contacts: Vec<Contact>,
    pub documents: Vec<Document>,
}

impl Held {
    /// As it is now.
    pub fn by(crm: &payamgostar::Admin, finance: &siagh::Admin) -> Self {
        Self {
            identities: crm.identities(),
            quotes: crm.quotes(),
            contacts: finance.contacts(),
            documents: finance.documents(),
        }
    }
}

/// What does not agree, one line each; empty if all does.
pub fn disagreements(held: &Held) -> Vec<String> {
    let mut lines = customers(held);
    lines.extend(pre_invoices(held));
    lines
}

/// Who somebody is in both systems: the name, and every number. Codes can't tell: a customer that was new in the CRM has
/// a number that leads to no contact.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Who {
    name: String,
    numbers: BTreeSet<String>,
}

impl Who {
    fn in_crm(identity: &Value) -> Self {
        let phones = identity["phoneContacts"].as_array().into_iter().flatten();
        let numbers = phones.filter_map(|phone| phone["phoneNumber"].as_str()).map(digits);
        Self { name: text(&identity["nickName"]), numbers: numbers.collect() }
    }

    fn in_finance(contact: &Contact) -> Self {
        let numbers = [&contact.mobile_no, &contact.mobile_no2, &contact.tel_no, &contact.tel_no2];
        let numbers = numbers.into_iter().flatten().map(|number| digits(number)).filter(|number| !number.is_empty());
        Self { name: normalize(&contact.name), numbers: numbers.collect() }
    }
}

/// Each customer of the CRM is exactly one contact and each contact exactly one customer, administrators apart, and
/// both hold the same values.
fn customers(held: &Held) -> Vec<String> {
    let mut people: BTreeMap<Who, (Vec<&Value>, Vec<&Contact>)> = BTreeMap::new();
    for identity in &held.identities {
        people.entry(Who::in_crm(identity)).or_default().0.push(identity);
    }
    for contact in held.contacts.iter().filter(|contact| !contact.is_admin_user) {
        people.entry(Who::in_finance(contact)).or_default().1.push(contact);
    }
    people.iter().flat_map(|(who, (crm, finance))| one_to_one(who, crm, finance)).collect()
}

fn one_to_one(who: &Who, crm: &[&Value], finance: &[&Contact]) -> Vec<String> {
    match (crm, finance) {
        ([], lost) => lost.iter().map(|contact| format!("contact {} is not in the CRM", contact.code)).collect(),
        (lost, []) => lost.iter().map(|identity| format!("customer {} is not in finance", id(identity))).collect(),
        ([identity], several @ [_, _, ..]) => {
            vec![format!("customer {} is {} contacts in finance", id(identity), several.len())]
        }
        (several @ [_, _, ..], [contact]) => {
            vec![format!("contact {} is {} customers in the CRM", contact.code, several.len())]
        }
        (crm, finance) if crm.len() != finance.len() || (crm.len() > 1 && !who.numbers.is_empty()) => {
            let (first, of_crm, of_finance) = (id(crm[0]), crm.len(), finance.len());
            vec![format!("customer {first} is {of_crm} customers in the CRM and {of_finance} contacts in finance")]
        }
        (crm, finance) => differences(crm, finance),
    }
}

/// Namesakes without a number, as many here as there, or one and one: each customer has a contact that holds its values.
fn differences(crm: &[&Value], finance: &[&Contact]) -> Vec<String> {
    let mut free = finance.to_vec();
    let mut unmatched = Vec::new();
    for identity in crm {
        match free.iter().position(|contact| differing(identity, contact).is_empty()) {
            Some(at) => drop(free.swap_remove(at)),
            None => unmatched.push(identity),
        }
    }
    let pairs = unmatched.into_iter().zip(free);
    pairs
        .map(|(identity, contact)| {
            let fields = differing(identity, contact).join(", ");
            format!("customer {} and contact {} differ in {fields}", id(identity), contact.code)
        })
        .collect()
}

/// The fields in which a customer and a contact differ.
fn differing(identity: &Value, contact: &Contact) -> Vec<&'static str> {
    let address = &identity["addressContacts"][0];
    // The remark of the import stands in the CRM alone.
    let description = Some(text(&identity["description"])).filter(|text| !text.starts_with("imported from Siagh"));
    let values = [
        ("website", text(&identity["website"]), &contact.web_site_address),
        ("description", description.unwrap_or_default(), &contact.description),
        ("email", text(&identity["email"]), &contact.email),
        ("address", text(&address["address"]), &contact.address),
        ("postal code", text(&address["zipCode"]), &contact.postal_code),
        ("national code", text(&identity["nationalCode"]), &contact.national_code),
    ];
    let differ = values.into_iter().filter(|(_, crm, finance)| *crm != normalize(finance.as_deref().unwrap_or("")));
    differ.map(|(field, _, _)| field).collect()
}

/// Each numbered quote is exactly one pre-invoice, for the same customer and over the same sum, and there are no others.
fn pre_invoices(held: &Held) -> Vec<String> {
    let mut of_quote: HashMap<String, Vec<&Document>> = HashMap::new();
    for document in &held.documents {
        let mark = document.control("tozihat").rsplit("CRM:").next().unwrap_or_default().to_owned();
        of_quote.entry(mark).or_default().push(document);
    }
    let mut lines = Vec::new();
    for quote in held.quotes.iter().filter(|quote| quote["number"].as_str().is_some_and(|number| !number.is_empty())) {
        let id = id(quote);
        match of_quote.remove(&id.replace('-', "")[..8]).as_deref() {
            None => lines.push(format!("quote {id} has no pre-invoice")),
            Some([document]) => lines.extend(wrong_pre_invoice(held, quote, document)),
            Some(several) => lines.push(format!("quote {id} has {} pre-invoices", several.len())),
        }
    }
    lines.extend(
        of_quote.values().flatten().map(|document| format!("pre-invoice {} belongs to no quote", document.number)),
    );
    lines
}

fn wrong_pre_invoice(held: &Held, quote: &Value, document: &Document) -> Option<String> {
    let sum = amount(&quote["totalValue"]) - amount(&quote["discount"]);
    if document.sum != sum {
        return Some(format!("quote {} is over {sum} and its pre-invoice over {}", id(quote), document.sum));
    }
    let customer = held.identities.iter().find(|identity| identity["crmId"] == quote["identityId"]).map(Who::in_crm);
    let contact = held.contacts.iter().find(|contact| contact.code == document.contact).map(Who::in_finance);
    (customer != contact)
        .then(|| format!("quote {} and its pre-invoice {} are for different customers", id(quote), document.number))
}

fn id(object: &Value) -> &str {
    object["crmId"].as_str().unwrap_or_default()
}

fn text(value: &Value) -> String {
    normalize(value.as_str().unwrap_or_default())
}

fn amount(number: &Value) -> Decimal {
    number.to_string().parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDateTime;
    use serde_json::json;
    use tandem_simulators::company::{Company, identity};
    use uuid::Uuid;

    /// A company that both systems agree about: everybody is there and there, and each quote is one pre-invoice.
    fn agreeing() -> Held {
        let company = Company::generate(7, 100);
        let crm_id = |code: i64| Uuid::from_u128((code as u128) << 96).to_string();
        let in_crm = |contact: &Contact| {
            let (_, mut fields) = identity(contact);
            fields["crmId"] = crm_id(contact.code).into();
            fields
        };
        let identities: Vec<Value> = company.contacts.iter().skip(1).map(in_crm).collect();
        let quotes: Vec<Value> = company
            .quotes
            .iter()
            .map(|material| {
                let mut quote = material.fields(crm_id(material.customer).parse().unwrap());
                quote["crmId"] = crm_id(material.customer + 1000).into();
                quote["number"] = "17".into();
                quote
            })
            .collect();
        let documents = quotes.iter().zip(&company.quotes).zip(2500..);
        let documents = documents.map(|((quote, material), number)| document(quote, material.customer, number));
        Held { identities, documents: documents.collect(), quotes, contacts: company.contacts }
    }

    fn document(quote: &Value, contact: i64, number: u64) -> Document {
        let mark = format!("CRM:{}", &id(quote)[..8]);
        Document {
            number,
            year: 1404,
            return_code: number.to_string(),
            return_params: String::new(),
            suid: String::new(),
            contact,
            header: vec![("sl_sanad.tozihat".to_owned(), mark)],
            rows: vec![],
            sum: amount(&quote["totalValue"]) - amount(&quote["discount"]),
            vat: Decimal::ZERO,
            registered_at: NaiveDateTime::default(),
        }
    }

    /// What the verdict says of the agreeing company after `harm` was done to it: one line, and that is it.
    #[track_caller]
    fn sees(harm: impl FnOnce(&mut Held), what: &str) {
        let mut held = agreeing();
        harm(&mut held);
        let found = disagreements(&held);
        assert!(matches!(&found[..], [line] if line.contains(what)), "{what:?} is not what is said: {found:?}");
    }

    #[test]
    fn two_systems_that_agree_are_found_to_agree() {
        assert_eq!(disagreements(&agreeing()), Vec::<String>::new());
    }

    #[test]
    fn whoever_is_in_one_system_only_is_seen() {
        sees(|held| drop(held.identities.remove(21)), "contact 23 is not in the CRM");
        sees(|held| drop(held.contacts.remove(50)), "is not in finance");
    }

    #[test]
    fn whoever_is_there_twice_is_seen() {
        let doubled = |list: &mut Vec<Contact>| {
            let contact = list.iter().find(|c| !c.is_admin_user && c.mobile_no.is_some()).unwrap().clone();
            list.push(Contact { code: 777, ..contact });
        };
        sees(|held| doubled(&mut held.contacts), "is 2 contacts in finance");
        sees(|held| held.identities.push(held.identities[30].clone()), "contact 32 is 2 customers in the CRM");
    }

    #[test]
    fn a_stale_value_is_seen_whichever_field_it_is() {
        for (member, field) in [
            ("website", "website"),
            ("description", "description"),
            ("email", "email"),
            ("nationalCode", "national code"),
        ] {
            let what = format!("and contact 12 differ in {field}");
            sees(|held| held.identities[10][member] = json!("https://example.test/new"), &what);
        }
        sees(|held| held.contacts[11].web_site_address = Some("https://example.test".to_owned()), "differ in website");
    }

    #[test]
    fn namesakes_without_a_number_are_told_apart_by_their_values() {
        let mut held = agreeing();
        for (code, email) in [(901, "a@example.test"), (902, "b@example.test")] {
            let contact = Contact { code, email: Some(email.to_owned()), ..Contact::person("علی نمونه") };
            let mut fields = identity(&contact).1;
            fields["crmId"] = code.to_string().into();
            held.contacts.insert(1, contact);
            held.identities.push(fields);
        }
        assert_eq!(disagreements(&held), Vec::<String>::new());
        held.identities.last_mut().unwrap()["email"] = "c@example.test".into();
        assert_eq!(disagreements(&held), ["customer 902 and contact 902 differ in email"]);
    }

    #[test]
    fn a_document_that_is_missing_doubled_nobodys_or_wrong_is_seen() {
        sees(|held| drop(held.documents.remove(3)), "has no pre-invoice");
        sees(|held| held.documents.push(held.documents[3].clone()), "has 2 pre-invoices");
        sees(|held| drop(held.quotes.remove(3)), "belongs to no quote");
        sees(|held| held.documents[3].sum += Decimal::ONE, "and its pre-invoice over");
        sees(|held| held.documents[3].contact = held.documents[4].contact, "are for different customers");
    }
}
