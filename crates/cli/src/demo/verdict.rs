//! Do both simulated systems agree? Judged from the systems themselves, not from our ledger.

use super::stage::Stage;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::HashMap;
use tandem_core::text::{digits, normalize};
use tandem_simulators::siagh::{Contact, Document};

/// What does not agree, one line each; empty if all does.
pub fn disagreements(stage: &Stage) -> Vec<String> {
    let contacts = stage.finance.contacts();
    let mut lines: Vec<String> =
        stage.crm.identities().iter().filter_map(|identity| customer(identity, &contacts)).collect();
    lines.extend(pre_invoices(&stage.crm.quotes(), &stage.finance.documents()));
    lines
}

/// Each customer of the CRM is exactly one contact, and bears its values.
fn customer(identity: &Value, contacts: &[Contact]) -> Option<String> {
    let name = normalize(identity["nickName"].as_str().unwrap_or_default());
    let phones = identity["phoneContacts"].as_array().cloned().unwrap_or_default();
    let phone = phones.first().and_then(|phone| phone["phoneNumber"].as_str()).map(digits);
    let same = |contact: &&Contact| {
        let numbers = [&contact.mobile_no, &contact.tel_no].into_iter().flatten().map(|number| digits(number));
        normalize(&contact.name) == name
            && phone.as_ref().is_none_or(|phone| numbers.into_iter().any(|number| number == *phone))
    };
    let found: Vec<&Contact> = contacts.iter().filter(same).collect();
    let (id, text) = (
        identity["crmId"].as_str().unwrap_or_default(),
        identity["description"].as_str().map(normalize).filter(|text| !text.is_empty()),
    );
    match found.as_slice() {
        [] => Some(format!("customer {id} is not in finance")),
        // Two contacts without a number may share a name, as two people do.
        several if several.len() > 1 && phone.is_some() => {
            Some(format!("customer {id} is {} contacts in finance", several.len()))
        }
        several => {
            let holds =
                several.iter().any(|contact| text.is_none() || contact.description.as_deref().map(normalize) == text);
            let imported = text.as_deref().is_some_and(|text| text.starts_with("imported from Siagh"));
            (!holds && !imported).then(|| format!("customer {id} has another description in finance"))
        }
    }
}

fn amount(number: &Value) -> Decimal {
    number.to_string().parse().unwrap_or_default()
}

/// Each numbered quote is exactly one pre-invoice over the same sum, and there are no others.
fn pre_invoices(quotes: &[Value], documents: &[Document]) -> Vec<String> {
    let mut of_quote: HashMap<String, Vec<&Document>> = HashMap::new();
    for document in documents {
        let mark = document.control("tozihat").rsplit("CRM:").next().unwrap_or_default().to_owned();
        of_quote.entry(mark).or_default().push(document);
    }
    let mut lines = Vec::new();
    for quote in quotes.iter().filter(|quote| quote["number"].as_str().is_some_and(|number| !number.is_empty())) {
        let id = quote["crmId"].as_str().unwrap_or_default();
        match of_quote.remove(&id.replace('-', "")[..8]).as_deref() {
            None => lines.push(format!("quote {id} has no pre-invoice")),
            Some([document]) => {
                let sum = amount(&quote["totalValue"]) - amount(&quote["discount"]);
                if document.sum != sum {
                    lines.push(format!("quote {id} is over {sum} and its pre-invoice over {}", document.sum));
                }
            }
            Some(several) => lines.push(format!("quote {id} has {} pre-invoices", several.len())),
        }
    }
    lines.extend(
        of_quote.values().flatten().map(|document| format!("pre-invoice {} belongs to no quote", document.number)),
    );
    lines
}
