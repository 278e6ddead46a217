//! The checker that ends every flow: is each noticed change reflected, exactly once?
//!
//! It looks at the two simulated systems and at the ledger, and computes what should be there by itself: nothing here comes
//! from the bridge's own mapping.

use crate::world::{Known, World, contact, customer, pre_invoice};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::str::FromStr;
use tandem_bridges::siagh::{CONTACT, CUSTOMER, PRE_INVOICE, mapping};
use tandem_core::text::normalize;
use tandem_core::{DestId, LedgerRow, State};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::{Contact, Document};
use uuid::Uuid;

/// Everything there is, read once.
struct Scene {
    rows: Vec<LedgerRow>,
    contacts: BTreeMap<i64, Contact>,
    documents: Vec<Document>,
    goods: BTreeMap<String, String>,
    units: BTreeMap<String, String>,
    rial_per_unit: Decimal,
    by_account_party: bool,
}

impl World {
    /// # Panics
    /// With everything that is wrong.
    pub async fn check(&self) {
        let wrong = self.findings().await;
        assert!(wrong.is_empty(), "the systems do not agree:\n{}", wrong.join("\n"));
    }

    /// What is wrong, one sentence each.
    pub async fn findings(&self) -> Vec<String> {
        let scene = self.scene().await;
        let mut wrong = self.compared(&scene);
        let left = self.store.leftovers(self.now()).await.expect("the ledger answers");
        wrong.extend(left.into_iter().map(|line| format!("left over: {line}")));
        wrong
    }

    fn compared(&self, scene: &Scene) -> Vec<String> {
        let known = self.known();
        let mut wrong = Vec::new();
        for identity in self.crm.identities() {
            let id = id_of(&identity, "crmId");
            wrong.extend(scene.customer(id, self.kind_of(id), &identity, &known));
            if !known.identities.contains(&id) {
                wrong.extend(scene.made_identity(id));
            }
        }
        wrong.extend(
            scene
                .contacts
                .keys()
                .filter(|code| !known.contacts.contains(code))
                .filter_map(|code| scene.made_contact(*code)),
        );
        wrong.extend(scene.numbers(&self.crm.identities()));
        for quote in [self.crm.quotes(), self.crm.all(Kind::Invoice)].concat() {
            wrong.extend(scene.quote(&quote, &known));
        }
        wrong.extend(scene.strays(&known));
        wrong
    }

    fn kind_of(&self, id: Uuid) -> Kind {
        self.crm.object(id).map_or(Kind::Person, |(kind, _)| kind)
    }

    async fn scene(&self) -> Scene {
        let bridge = crate::siagh_id();
        let known = self.store.mappings(&bridge, None).await.expect("the ledger answers");
        let table = |typ: &str| {
            known
                .iter()
                .filter(|m| m.typ == typ)
                .map(|m| (normalize(&m.source), m.target.clone()))
                .collect::<BTreeMap<_, _>>()
        };
        Scene {
            rows: self.rows().await,
            contacts: self.finance.contacts().into_iter().map(|c| (c.code, c)).collect(),
            documents: self.finance.documents(),
            goods: table(mapping::GOODS),
            units: table(mapping::UNIT),
            rial_per_unit: Decimal::from(self.settings.rial_per_unit),
            by_account_party: self.names_account_party(),
        }
    }
}

impl Scene {
    fn row(&self, kind: &str, id: &str) -> Option<&LedgerRow> {
        self.rows.iter().find(|row| row.key.kind.as_str() == kind && row.key.source_id.as_str() == id)
    }

    /// A customer of the CRM: paired with one contact that holds its values, or stopped with a reason.
    fn customer(&self, id: Uuid, kind: Kind, identity: &Value, known: &Known) -> Vec<String> {
        let key = customer(id);
        let Some(row) = self.row(CUSTOMER, &id.to_string()) else {
            return known
                .noticed
                .contains(&key)
                .then(|| format!("{key} was noticed and is not in the ledger"))
                .into_iter()
                .collect();
        };
        if !row.state.is_in_step() {
            return stopped(row);
        }
        let paired = row.dest_id.as_ref().and_then(|code| code.as_str().parse().ok());
        let Some(contact) = paired.and_then(|code: i64| self.contacts.get(&code)) else {
            return vec![format!("{key} is {} with no contact behind it ({})", row.state, row.reason)];
        };
        if known.excused.contains(&key) {
            return Vec::new();
        }
        differences(kind, identity, contact)
            .into_iter()
            .map(|what| format!("{key} and contact {}: {what}", contact.code))
            .collect()
    }

    /// An identity that no user made: the import made it, once.
    fn made_identity(&self, id: Uuid) -> Vec<String> {
        let imported: Vec<&LedgerRow> = self
            .rows
            .iter()
            .filter(|row| {
                row.key.kind.as_str() == CONTACT
                    && row.dest_id.as_ref().is_some_and(|dest| dest.as_str() == id.to_string())
            })
            .collect();
        let [from] = imported[..] else {
            return vec![format!("CRM identity {id} was made for {} contacts", imported.len())];
        };
        let paired = self.row(CUSTOMER, &id.to_string()).and_then(|row| row.dest_id.clone());
        if paired == Some(DestId::new(from.key.source_id.as_str())) {
            return Vec::new();
        }
        vec![format!("CRM identity {id} was made for contact {} but is paired with {paired:?}", from.key.source_id)]
    }

    /// A contact that was not there before: exactly one customer is paired with it.
    fn made_contact(&self, code: i64) -> Option<String> {
        let owners = self
            .rows
            .iter()
            .filter(|row| {
                row.key.kind.as_str() == CUSTOMER
                    && row.dest_id.as_ref().is_some_and(|dest| dest.as_str() == code.to_string())
            })
            .count();
        (owners != 1).then(|| format!("{} was made and belongs to {owners} customers", contact(code)))
    }

    /// No two identities of the CRM have one number.
    fn numbers(&self, identities: &[Value]) -> Vec<String> {
        let mut seen: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for identity in identities {
            if let (Some(typ), Some(number)) = (text(identity, "crmObjectTypeCode"), text(identity, "customerNumber")) {
                *seen.entry((typ, number)).or_default() += 1;
            }
        }
        seen.into_iter()
            .filter(|(_, times)| *times > 1)
            .map(|((_, number), times)| format!("{times} CRM identities have the number {number}"))
            .collect()
    }

    fn documents_of(&self, quote: Uuid) -> Vec<&Document> {
        self.documents.iter().filter(|document| document.control("tozihat").ends_with(&reference(quote))).collect()
    }

    /// A quote of the CRM: one document with its rows and amounts, or none and a reason.
    fn quote(&self, quote: &Value, known: &Known) -> Vec<String> {
        let id = id_of(quote, "crmId");
        let key = pre_invoice(id);
        let documents = self.documents_of(id);
        if documents.len() > 1 {
            return vec![format!("{key} was sent {} times", documents.len())];
        }
        let Some(row) = self.row(PRE_INVOICE, &id.to_string()) else {
            let lost = known.noticed.contains(&key) || !documents.is_empty();
            return lost.then(|| format!("{key} is not in the ledger")).into_iter().collect();
        };
        let sent = row.dest_id.is_some() || row.refs.contains_key("number");
        match (documents.first(), row.state.is_in_step()) {
            (None, true) if !sent && row.reason.starts_with("not sent: ") => Vec::new(),
            (None, true) => vec![format!("{key} is {} without a document: {}", row.state, row.reason)],
            (None, false) if sent => vec![format!("{key} says that it was sent, and there is no document")],
            (Some(_), false) if row.state != State::NeedsReview => {
                vec![format!("{key} has a document and is {}: {}", row.state, row.reason)]
            }
            (_, false) => stopped(row),
            (Some(document), true) if known.excused.contains(&key) => named(row, document),
            (Some(document), true) => [named(row, document), self.amounts(quote, row, document)].concat(),
        }
    }

    fn amounts(&self, quote: &Value, row: &LedgerRow, document: &Document) -> Vec<String> {
        let mut wrong = Vec::new();
        let lines: Vec<&Value> = quote["details"].as_array().into_iter().flatten().collect();
        if lines.len() != document.rows.len() {
            return vec![format!("{}: {} lines became {} rows", row.key, lines.len(), document.rows.len())];
        }
        let mut sum = Decimal::ZERO;
        for (at, (line, found)) in lines.iter().zip(&document.rows).enumerate() {
            let money = |name: &str| decimal(line, name) * self.rial_per_unit;
            let good =
                self.goods.get(&normalize(text(line, "productCode").unwrap_or_default())).cloned().unwrap_or_default();
            let unit = normalize(text(line, "productUnitTypeName").unwrap_or("عدد"));
            let unit = self.units.get(&unit).map_or(unit, |unit| normalize(unit));
            let expected = (good, unit, decimal(line, "count"), money("baseUnitPrice"), money("totalDiscount"));
            let is = (found.good.clone(), normalize(&found.unit), found.quantity, found.price, found.discount);
            if expected != is || found.line != (at + 1).to_string() {
                wrong.push(format!("{}: row {} is {is:?} and should be {expected:?}", row.key, at + 1));
            }
            sum += expected.2 * expected.3 - expected.4;
        }
        if document.sum != sum {
            wrong.push(format!("{}: the sum is {} and should be {sum}", row.key, document.sum));
        }
        wrong.extend(self.addressee(quote, row, document));
        wrong
    }

    /// The document is for the contact that the quote's customer is paired with.
    fn addressee(&self, quote: &Value, row: &LedgerRow, document: &Document) -> Option<String> {
        let id = id_of(quote, "identityId").to_string();
        let paired = self
            .row(CUSTOMER, &id)
            .and_then(|customer| customer.dest_id.as_ref())
            .and_then(|code| code.as_str().parse::<i64>().ok());
        let paired = paired.and_then(|code| self.contacts.get(&code));
        let named = paired.map(|contact| {
            if self.by_account_party { contact.account_party_code.unwrap_or_default() } else { contact.code }
        });
        let is_right = paired.is_some_and(|contact| contact.code == document.contact)
            && named.is_some_and(|code| code.to_string() == document.control("codemoshtari"));
        (!is_right).then(|| {
            format!(
                "{}: the document is for contact {}, its customer is {:?}",
                row.key,
                document.contact,
                paired.map(|c| c.code)
            )
        })
    }

    /// Documents that belong to no quote that anybody wrote.
    fn strays(&self, known: &Known) -> Vec<String> {
        let belongs = |document: &&Document| {
            known.quotes.iter().any(|quote| document.control("tozihat").ends_with(&reference(*quote)))
        };
        self.documents
            .iter()
            .filter(|document| !belongs(document))
            .map(|document| format!("document {} belongs to no quote", document.number))
            .collect()
    }
}

/// A record that is not in step has to be at rest and has to say why.
fn stopped(row: &LedgerRow) -> Vec<String> {
    let rests = matches!(
        row.state,
        State::NeedsReview | State::NeedsMapping | State::Waiting | State::Dead | State::Ignored | State::Duplicate
    );
    match (rests, row.reason.trim().is_empty()) {
        (false, _) => vec![format!("{} is {}: {}", row.key, row.state, row.reason)],
        (true, true) => vec![format!("{} is {} and does not say why", row.key, row.state)],
        (true, false) => Vec::new(),
    }
}

/// The ledger knows the document that there is.
fn named(row: &LedgerRow, document: &Document) -> Vec<String> {
    let by_code = row.dest_id.as_ref().is_some_and(|code| code.as_str() == document.return_code);
    let by_number = row.refs.get("number").and_then(Value::as_str) == Some(&document.number.to_string());
    if by_code || (row.dest_id.is_none() && by_number) {
        return Vec::new();
    }
    vec![format!(
        "{} is paired with {:?}, its document is {} (number {})",
        row.key, row.dest_id, document.return_code, document.number
    )]
}

fn reference(quote: Uuid) -> String {
    format!("CRM:{}", &quote.simple().to_string()[..8])
}

/// Where a contact does not hold what the CRM says. What the CRM leaves blank is not asked.
fn differences(kind: Kind, identity: &Value, contact: &Contact) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, expected: Option<String>, found: Option<String>| {
        if let Some(expected) = expected
            && found.as_ref() != Some(&expected)
        {
            wrong.push(format!("{what} is {found:?} and should be {expected:?}"));
        }
    };
    let first_and_last =
        [text(identity, "firstName"), text(identity, "lastName")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let name = text(identity, "nickName").unwrap_or(&first_and_last);
    compare("the name", Some(stored(name, 200)), Some(normalize(&contact.name)));
    let is_organization = |is: bool| if is { "organization" } else { "person" }.to_owned();
    compare("the kind", Some(is_organization(kind == Kind::Organization)), contact.toward_type.map(is_organization));
    let numbers = numbers(identity);
    compare("the mobile", numbers.iter().find(|n| is_mobile(n)).cloned(), contact.mobile_no.as_deref().map(subscriber));
    compare(
        "the telephone",
        numbers.iter().find(|n| !is_mobile(n)).cloned(),
        contact.tel_no.as_deref().map(subscriber),
    );
    compare(
        "the national code",
        text(identity, "nationalCode").map(subscriber),
        contact.national_code.as_deref().map(subscriber),
    );
    let home = identity["addressContacts"].as_array().into_iter().flatten().find(|a| a["default"] == true);
    let home = home.or(identity["addressContacts"].get(0)).unwrap_or(&Value::Null);
    for (what, expected, found) in [
        ("the e-mail", text(identity, "email"), &contact.email),
        ("the website", text(identity, "website"), &contact.web_site_address),
        (
            "the description",
            text(identity, "description").filter(|d| !d.starts_with("imported from Siagh")),
            &contact.description,
        ),
        ("the address", text(home, "address"), &contact.address),
        ("the postal code", text(home, "zipCode"), &contact.postal_code),
    ] {
        compare(what, expected.map(|text| stored(text, 500)), found.as_deref().map(normalize));
    }
    wrong
}

/// The numbers of an identity in the order of their weight.
fn numbers(identity: &Value) -> Vec<String> {
    let mut rows: Vec<&Value> = identity["phoneContacts"].as_array().into_iter().flatten().collect();
    rows.sort_by_key(|row| row["default"] != true);
    rows.iter().filter_map(|row| text(row, "phoneNumber")).map(subscriber).filter(|n| !n.is_empty()).collect()
}

/// Digits without country code and leading zeros, whatever script they are in.
fn subscriber(number: &str) -> String {
    let digits: String = normalize(number).chars().filter(char::is_ascii_digit).collect();
    let bare = digits.trim_start_matches('0');
    let bare = if bare.len() > 10 { bare.strip_prefix("98").unwrap_or(bare) } else { bare };
    bare.trim_start_matches('0').to_owned()
}

fn is_mobile(subscriber: &str) -> bool {
    subscriber.len() == 10 && subscriber.starts_with('9')
}

/// What is left of a text in Siagh: no pipes, no line breaks, not longer than the control.
fn stored(value: &str, longest: usize) -> String {
    let harmless: String =
        value.replace('|', "/").chars().map(|c| if c.is_control() { ' ' } else { c }).take(longest).collect();
    normalize(&harmless)
}

fn text<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    object[name].as_str().map(str::trim).filter(|text| !text.is_empty())
}

fn decimal(object: &Value, name: &str) -> Decimal {
    Decimal::from_str(&object[name].to_string()).map_or(Decimal::ZERO, |amount| amount)
}

fn id_of(object: &Value, name: &str) -> Uuid {
    object[name].as_str().and_then(|id| Uuid::parse_str(id).ok()).unwrap_or_default()
}
