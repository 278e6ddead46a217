//! The checker: is each change reflected, exactly once? Judged from the two systems, with the ledger only asked for who
//! belongs to whom and what is left over.

use crate::house::{Doubt, Ground, House, quote};
use chrono::Utc;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tandem_bridges::siagh::{CUSTOMER, PRE_INVOICE};
use tandem_core::text::{digits, normalize};
use tandem_core::{LedgerRow, State};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::{Contact, Document};
use tandem_store::RowFilter;

/// What is wrong, one sentence each.
pub async fn findings(house: &House, doubt: Doubt) -> Vec<String> {
    if house.crm.pending_deliveries() > 0 {
        return vec!["a webhook is on its way".to_owned()];
    }
    let filter = RowFilter { limit: 100_000, ..RowFilter::default() };
    let (rows, left) = match (house.store.rows(&filter).await, house.store.leftovers(Utc::now()).await) {
        (Ok(rows), Ok(left)) => (rows, left),
        (Err(error), _) | (_, Err(error)) => return vec![format!("the ledger does not answer: {error}")],
    };
    let scene = Scene { rows: &rows, contacts: house.finance.contacts(), documents: house.finance.documents(), doubt };
    let (identities, quotes) = (house.crm.identities(), house.crm.quotes());
    let mut wrong: Vec<String> = identities.iter().filter_map(|identity| scene.customer(identity)).collect();
    wrong.extend(scene.contacts.iter().filter_map(|contact| scene.owned_once(contact)));
    wrong.extend(numbered_twice(&identities));
    wrong.extend(quotes.iter().filter_map(|quote| scene.quote(quote)));
    wrong.extend(scene.strays(&quotes));
    wrong.extend(left.into_iter().map(|what| format!("left over: {what}")));
    wrong
}

struct Scene<'a> {
    rows: &'a [LedgerRow],
    contacts: Vec<Contact>,
    documents: Vec<Document>,
    doubt: Doubt,
}

impl Scene<'_> {
    fn row(&self, kind: &str, id: &str) -> Option<&LedgerRow> {
        self.rows.iter().find(|row| row.key.kind.as_str() == kind && row.key.source_id.as_str() == id)
    }

    /// Paired with one contact that holds its values.
    fn customer(&self, identity: &Value) -> Option<String> {
        let id = text(identity, "crmId");
        let Some(row) = self.row(CUSTOMER, id) else { return Some(format!("customer {id} was never noticed")) };
        if !row.state.is_in_step() {
            return Some(format!("{} is {}: {}", row.key, row.state, row.reason));
        }
        let code = row.dest_id.as_ref().map_or("", |code| code.as_str());
        let Some(contact) = self.contacts.iter().find(|contact| contact.code.to_string() == code) else {
            return Some(format!("{} is paired with {code:?}, which is no contact", row.key));
        };
        let mobile = identity["phoneContacts"][0]["phoneNumber"].as_str().map(digits);
        let remark = Some(text(identity, "description")).filter(|text| !text.starts_with("imported from Siagh"));
        let (name, description) = (normalize(&contact.name), contact.description.as_deref().map(normalize));
        let same = name == normalize(text(identity, "nickName"))
            && mobile.is_none_or(|mobile| contact.mobile_no.as_deref().map(digits) == Some(mobile))
            && remark.map(normalize).is_none_or(|text| text.is_empty() || description == Some(text));
        (!same).then(|| format!("{} and contact {code} differ: {identity} {contact:?}", row.key))
    }

    /// A contact belongs to exactly one customer.
    fn owned_once(&self, contact: &Contact) -> Option<String> {
        let code = contact.code.to_string();
        let is_owner = |row: &&LedgerRow| {
            row.key.kind.as_str() == CUSTOMER && row.dest_id.as_ref().is_some_and(|dest| dest.as_str() == code)
        };
        let owners = self.rows.iter().filter(is_owner).count();
        (owners != 1).then(|| format!("contact {code} belongs to {owners} customers"))
    }

    fn quote(&self, quote: &Value) -> Option<String> {
        let id = text(quote, "crmId");
        if text(quote, "number").is_empty() {
            return None;
        }
        let sent: Vec<&Document> = self.documents.iter().filter(|document| is_of(document, id)).collect();
        let Some(row) = self.row(PRE_INVOICE, id) else { return Some(format!("quote {id} was never noticed")) };
        let doubtful = row.state == State::NeedsReview && row.reason.contains("the answer was lost");
        match sent[..] {
            [] if doubtful && self.doubt == Doubt::Documents => None,
            [document] if doubtful && self.doubt == Doubt::Documents => self.sum(quote, document),
            [document] if row.state.is_in_step() => self.sum(quote, document),
            _ => Some(format!("{} is {} with {} documents: {}", row.key, row.state, sent.len(), row.reason)),
        }
    }

    fn sum(&self, quote: &Value, document: &Document) -> Option<String> {
        let line = &quote["details"][0];
        let amount = |name: &str| line[name].to_string().parse::<Decimal>().unwrap_or_default();
        let expected = amount("count") * amount("baseUnitPrice");
        (document.sum != expected)
            .then(|| format!("document {} is over {} and its quote over {expected}", document.number, document.sum))
    }

    fn strays(&self, quotes: &[Value]) -> Vec<String> {
        let stray = |document: &&Document| !quotes.iter().any(|quote| is_of(document, text(quote, "crmId")));
        let strays = self.documents.iter().filter(stray);
        strays.map(|document| format!("document {} belongs to no quote", document.number)).collect()
    }
}

/// No two identities of the CRM have one number.
fn numbered_twice(identities: &[Value]) -> Vec<String> {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for number in identities.iter().map(|identity| text(identity, "customerNumber")).filter(|text| !text.is_empty()) {
        *seen.entry(number).or_default() += 1;
    }
    let twice = seen.into_iter().filter(|(_, times)| *times > 1);
    twice.map(|(number, times)| format!("{times} customers have the number {number}")).collect()
}

/// Whether a document was made for a quote: its notes end in the beginning of the quote's id.
pub fn is_of(document: &Document, quote: &str) -> bool {
    let short: String = quote.chars().filter(|c| *c != '-').take(8).collect();
    document.control("tozihat").ends_with(&format!("CRM:{short}"))
}

fn text<'v>(object: &'v Value, name: &str) -> &'v str {
    object[name].as_str().map(str::trim).unwrap_or_default()
}

#[test]
fn the_checker_sees_what_is_lost_what_is_stale_and_what_is_doubled() {
    let house = House::new(Ground::One);
    house.stock();
    let id = house.seed_person("علی نمونه", "09000000001");
    let quote = house.crm.seed(Kind::Quote, &quote(id, 2)).unwrap();
    house.crm.number(quote).unwrap();
    house.run(&["run", "siagh", "--wait"]).ok();
    house.agrees(Doubt::None);
    let sees = |what: &str| {
        let found = house.block_on(findings(&house, Doubt::Documents));
        assert!(found.iter().any(|line| line.contains(what)), "{what:?} is not in {found:?}");
    };
    house.crm.edit(id, &json!({ "description": "نوشته تازه" })).unwrap();
    sees("differ");
    house.finance.seed_contact(Contact::person("علی نمونه"));
    sees("belongs to 0 customers");
    house.seed_person("زهرا نمونه", "09000000002");
    sees("was never noticed");
    house.crm.delete(quote).unwrap();
    sees("belongs to no quote");
}
