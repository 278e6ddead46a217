//! At first contact: is this CRM customer in Siagh already? (siagh sheet §4.2, §5.1, §5.2)
//!
//! Found by the code that its number was made from, by national code, by mobile and by telephone. One candidate that
//! surely is the same customer is linked; anything less is a person's decision; only when nobody is found a contact is
//! created.

use super::contact::{Agreement, agreement, shares_phone};
use super::customer::Customer;
use super::directory::By;
use super::{CUSTOMER, SiaghBridge};
use siagh::Contact;
use std::collections::BTreeMap;
use tandem_core::bridge::PlanContext;
use tandem_core::plan::Candidate;
use tandem_core::text::digits;
use tandem_core::{DestId, Fault, Plan};

/// What the search came to.
pub enum Search {
    Nobody,
    Same(Box<Contact>),
    Decide(Plan),
}

/// How a candidate was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Number,
    NationalCode,
    Phone,
}

impl SiaghBridge {
    pub(super) async fn search(&self, customer: &Customer, context: &PlanContext<'_>) -> Result<Search, Fault> {
        let mut same = Vec::new();
        let mut unsure = Vec::new();
        for (code, found) in self.candidates(customer, context).await? {
            let Some(contact) = self.contacts.contact(code).await? else { continue };
            // The index may be a minute old and keeps what was given up.
            if !still_fits(found, customer, &contact) {
                continue;
            }
            // The users of Siagh itself are nobody's customers, so a number that points at one was not made from it.
            if contact.is_admin_user && found == Found::Number {
                continue;
            }
            let dest = DestId::new(code.to_string());
            let paired = context.lookups.paired_with(&context.row.key.bridge, &CUSTOMER.into(), &dest).await?;
            if let Some(other) = paired.filter(|other| other.key != context.row.key) {
                // The number proves nothing: the contact it points at belongs to somebody else. A shared phone or national
                // code, though, Siagh would refuse or people would wonder about.
                if found != Found::Number {
                    unsure.push((contact, format!("already paired with CRM customer {}", other.key.source_id)));
                }
                continue;
            }
            match agreement(customer, &contact, found == Found::Phone) {
                Agreement::Agrees => same.push(contact),
                Agreement::Differs(why) => unsure.push((contact, why.to_owned())),
            }
        }
        Ok(match (same.len(), unsure.is_empty()) {
            (0, true) => Search::Nobody,
            (1, true) => Search::Same(Box::new(same.remove(0))),
            _ => Search::Decide(undecided(&same, &unsure)),
        })
    }

    /// Codes of contacts that may be this customer, each with the strongest way in which it was found.
    async fn candidates(&self, customer: &Customer, context: &PlanContext<'_>) -> Result<BTreeMap<i64, Found>, Fault> {
        let mut found = BTreeMap::new();
        let asked = [
            (By::Mobile, &customer.mobile, Found::Phone),
            (By::Telephone, &customer.telephone, Found::Phone),
            (By::NationalCode, &customer.national_code, Found::NationalCode),
        ];
        for (by, value, how) in asked {
            if let Some(value) = value {
                let codes = self.contacts.codes(by, value, context.now).await?;
                found.extend(codes.into_iter().map(|code| (code, how)));
            }
        }
        if let Some(code) = customer.number.as_deref().and_then(|number| self.settings.numbering.code_of(number)) {
            found.entry(code).or_insert(Found::Number);
        }
        Ok(found)
    }
}

/// Whether a contact, read just now, bears that by which it was found.
fn still_fits(found: Found, customer: &Customer, contact: &Contact) -> bool {
    match found {
        Found::Number => true,
        Found::Phone => shares_phone(customer, contact),
        Found::NationalCode => contact.national_code.as_deref().map(digits) == customer.national_code,
    }
}

fn undecided(same: &[Contact], unsure: &[(Contact, String)]) -> Plan {
    let named = |contact: &Contact, what: &str| Candidate {
        dest_id: contact.code.to_string().into(),
        what: format!("{} ({what})", contact.name.as_deref().unwrap_or("without a name")),
    };
    let mut candidates: Vec<Candidate> = same.iter().map(|contact| named(contact, "seems to be the same")).collect();
    candidates.extend(unsure.iter().map(|(contact, why)| named(contact, why)));
    let codes = candidates.iter().map(|c| c.dest_id.as_str()).collect::<Vec<_>>().join(", ");
    let why = unsure
        .first()
        .map_or_else(|| "more than one fits".to_owned(), |(contact, why)| format!("contact {}: {why}", contact.code));
    Plan::Review {
        reason: format!("may be contact {codes} of Siagh, but it is not sure: {why}"),
        candidates,
        changes: vec![],
    }
}
