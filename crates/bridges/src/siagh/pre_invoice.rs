//! From a quote to a Siagh pre-invoice (siagh sheet §5.3): what is needed is gathered, then decided purely.
//!
//! A pre-invoice is sent once in its life. Siagh can neither edit nor show one (§2.6, §2.9), so a later change of the
//! quote is told to a person, and a send whose answer was lost is too.

use super::quote::{self, Line, Quote};
use super::settings::{CustomerCodeSource, SiaghSettings};
use super::{CUSTOMER, goods, mapping};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use siagh::{PreInvoiceHeader, PreInvoiceRow, Suid};
use std::collections::BTreeMap;
use tandem_core::bridge::{Lookups, PlanContext};
use tandem_core::jalali::JalaliDate;
use tandem_core::text::normalize;
use tandem_core::{BridgeId, Change, Fault, Fields, LedgerRow, Plan, RecordKey, State, Step, Verb};

pub const CREATE: &str = "create_pre_invoice";

/// What a plan needs to know beside the quote.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The paired contact's code, and its account-party code if Siagh has one for it.
    pub contact_code: i64,
    pub account_party_code: Option<i64>,
    pub fiscal_year: i32,
    /// How many characters the notes of a document may have.
    pub longest_notes: usize,
    /// The operator's tables: (type, source) -> target, as far as this quote asks them.
    pub tables: BTreeMap<(&'static str, String), String>,
}

/// What the one step sends: stored in the journal, so it is data of our own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    pub customer_code: String,
    pub contact_code: String,
    pub sale_model: String,
    pub sales_centre: String,
    pub document_name: String,
    pub fiscal_year: i32,
    pub notes: String,
    pub intermediary: String,
    pub document_type: String,
    pub payment_kind: String,
    pub sale_kind: String,
    pub document_state: String,
    pub rows: Vec<Row>,
    pub suid: String,
    /// The sum of the lines before VAT, to compare with Siagh's.
    pub net: Decimal,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub goods_code: String,
    pub unit: String,
    pub quantity: Decimal,
    pub price: Decimal,
    pub discount: Decimal,
}

impl Payload {
    pub fn header(&self) -> PreInvoiceHeader {
        PreInvoiceHeader {
            document_state: self.document_state.clone(),
            document_type: self.document_type.clone(),
            sale_model: self.sale_model.clone(),
            fiscal_year: self.fiscal_year,
            payment_kind: self.payment_kind.clone(),
            sales_centre: self.sales_centre.clone(),
            contact_code: self.contact_code.clone(),
            customer_code: self.customer_code.clone(),
            sale_kind: self.sale_kind.clone(),
            intermediary: self.intermediary.clone(),
            notes: self.notes.clone(),
            type_name: self.document_name.clone(),
        }
    }

    pub fn lines(&self) -> Vec<PreInvoiceRow> {
        self.rows
            .iter()
            .map(|row| PreInvoiceRow {
                goods_code: row.goods_code.clone(),
                unit: row.unit.clone(),
                quantity: row.quantity,
                price: row.price,
                discount: row.discount,
            })
            .collect()
    }
}

/// What is to be said of a quote that was sent before, whatever it looks like now.
///
/// `written` is what was sent, as far as it is known; `resumed` says that it comes from the journal of a send that has not
/// been settled yet.
pub fn already_sent(row: &LedgerRow, written: Option<&Fields>, resumed: bool, now: &Fields) -> Option<Plan> {
    let number = row.refs.get("number").and_then(Value::as_str);
    let named = match (number, &row.dest_id) {
        (Some(number), _) => format!("pre-invoice {number}"),
        (None, Some(code)) => format!("the pre-invoice with code {code}"),
        (None, None) => return None,
    };
    let nothing = || Plan::Nothing {
        state: State::Unchanged,
        reason: format!("sent as {named}"),
        binds: None,
        notes: vec![],
        wanted: None,
    };
    // Also when a person accepted a later version, of which only the checksum is kept.
    if row.source_checksum.as_ref() == Some(&now.checksum()) {
        return Some(nothing());
    }
    let Some(written) = written else {
        return Some(Plan::Review {
            reason: format!("{named} exists, but what was sent is not known here; compare them by hand"),
            candidates: vec![],
            changes: vec![],
        });
    };
    // Whether it may be sent is no question any more; a setting that changes it must not fill the review list.
    let mut changes: Vec<Change> = now.changes_since(written);
    changes.retain(|change| change.field != quote::MAY_BE_SENT);
    if changes.is_empty() {
        let accepted_later = !resumed && row.source_checksum.as_ref().is_some_and(|last| *last != written.checksum());
        if !accepted_later {
            return Some(nothing());
        }
        // By hand Siagh was given that later version.
        let reason = format!(
            "back at what was first sent as {named}, after a later version was accepted; compare the two by hand, then accept"
        );
        return Some(Plan::Review { reason, candidates: vec![], changes: vec![] });
    }
    let what = changes.iter().map(|c| c.field.as_str()).collect::<Vec<_>>().join(", ");
    let reason = format!(
        "changed after it was sent as {named}: {what}; Siagh can't change a pre-invoice from outside, so change it there by hand, then accept"
    );
    Some(Plan::Review { reason, candidates: vec![], changes })
}

/// Where the quote's customer stands, or what the quote has to do about it.
pub async fn customer_row(
    bridge: &BridgeId,
    quote: &Quote,
    lookups: &dyn Lookups,
) -> Result<Result<LedgerRow, Plan>, Fault> {
    let Some(customer) = quote.customer else {
        return Ok(Err(*review("it names no customer; choose one in the CRM")));
    };
    let mut key = RecordKey::new(bridge.clone(), CUSTOMER, customer.to_string());
    let mut row = lookups.row(&key).await?;
    // The customer may be a duplicate of another one, whose contact then counts.
    if let Some(winner) = row
        .as_ref()
        .filter(|r| r.state == State::Duplicate)
        .and_then(|r| r.refs.get("duplicate_of"))
        .and_then(Value::as_str)
    {
        key = RecordKey::new(bridge.clone(), CUSTOMER, winner);
        row = lookups.row(&key).await?;
    }
    match row {
        Some(row) if row.state.is_in_step() && !row.is_open() && row.dest_id.is_some() => Ok(Ok(row)),
        // At rest without a contact: the CRM does not have it (any more). Waiting for it would never end.
        Some(row) if row.state.is_in_step() && !row.is_open() => {
            let reason =
                format!("its customer {} has no contact: {}; choose another one in the CRM", key.source_id, row.reason);
            Ok(Err(*review(reason)))
        }
        Some(row) => {
            let reason = format!("waits for customer {}, which is {}", key.source_id, row.state);
            Ok(Err(Plan::Wait { on: key, reason }))
        }
        None => {
            let reason = format!("waits for customer {}, which was not synced before", key.source_id);
            Ok(Err(Plan::Wait { on: key, reason }))
        }
    }
}

/// Asks the operator's tables for everything that the quote names.
pub async fn tables(
    context: &PlanContext<'_>,
    quote: &Quote,
) -> Result<BTreeMap<(&'static str, String), String>, Fault> {
    let mut asked: Vec<(&'static str, String)> = Vec::new();
    if let Some(code) = &quote.type_code {
        asked.extend(
            [mapping::SALE_MODEL, mapping::SALES_CENTRE, mapping::DOCUMENT_NAME].map(|typ| (typ, code.clone())),
        );
    }
    for line in &quote.lines {
        asked.extend(line.product_code.clone().map(|code| (mapping::GOODS, code)));
        asked.extend(line.unit.clone().map(|unit| (mapping::UNIT, unit)));
    }
    let mut found = BTreeMap::new();
    for (typ, source) in asked {
        if let Some(target) = context.lookups.mapping(&context.row.key.bridge, typ, &source).await? {
            found.insert((typ, source), target);
        }
    }
    Ok(found)
}

/// Decides what to do about a quote that was not sent yet. Pure.
pub fn decide(quote: &Quote, facts: &Facts, settings: &SiaghSettings) -> Plan {
    build(quote, facts, settings).unwrap_or_else(|otherwise| *otherwise)
}

fn build(quote: &Quote, facts: &Facts, settings: &SiaghSettings) -> Result<Plan, Box<Plan>> {
    check_year(quote, facts)?;
    check_amounts(quote)?;
    let type_code =
        quote.type_code.as_deref().ok_or_else(|| review("it has no type code, so its sale model can't be told"))?;
    let (customer_code, contact_code) = customer_codes(facts, settings)?;
    let rows = quote
        .lines
        .iter()
        .enumerate()
        .map(|(at, line)| row(at + 1, line, facts, settings))
        .collect::<Result<Vec<_>, _>>()?;
    let fields = quote.fields(settings);
    let payload = Payload {
        customer_code,
        contact_code,
        sale_model: model(facts, mapping::SALE_MODEL, type_code)?,
        sales_centre: model(facts, mapping::SALES_CENTRE, type_code)?,
        document_name: facts
            .tables
            .get(&(mapping::DOCUMENT_NAME, type_code.to_owned()))
            .cloned()
            .unwrap_or_else(|| format!("پیش فاکتور فروش {type_code}")),
        fiscal_year: facts.fiscal_year,
        notes: notes(quote, facts.longest_notes),
        intermediary: settings.intermediary.clone(),
        document_type: settings.document_type.clone(),
        payment_kind: settings.payment_kind.clone(),
        sale_kind: settings.sale_kind.clone(),
        document_state: settings.document_state.clone(),
        suid: suid(quote, &fields).to_string(),
        net: quote.net(),
        rows,
    };
    Ok(write(quote, payload))
}

fn write(quote: &Quote, payload: Payload) -> Plan {
    let number = quote.number.as_deref().unwrap_or_default();
    let summary = format!(
        "send {number} as a pre-invoice to customer {} in {}: {} lines, {} before VAT",
        payload.customer_code,
        payload.fiscal_year,
        payload.rows.len(),
        payload.net.normalize()
    );
    let notes = vec![format!("the CRM names no intermediary; {} was set", payload.intermediary)];
    let changes =
        vec![Change { field: "net".to_owned(), old: Value::Null, new: json!(payload.net.normalize().to_string()) }];
    let payload = serde_json::to_value(payload).expect("a payload holds only texts and decimals");
    let step = Step { name: CREATE.to_owned(), verb: Verb::Create, once: true, payload, before: Value::Null };
    Plan::Write { summary, binds: None, steps: vec![step], changes, notes, wanted: None }
}

/// Siagh books into the year that is open there; a quote of another Jalali year is for a person (siagh sheet §2.8).
fn check_year(quote: &Quote, facts: &Facts) -> Result<(), Box<Plan>> {
    let Some(date) = quote.date else { return Err(review("it has no date, so its fiscal year can't be told")) };
    let jalali = JalaliDate::from_gregorian(date);
    if jalali.year == facts.fiscal_year {
        return Ok(());
    }
    Err(review(format!(
        "it is dated {jalali}, but the fiscal year open in Siagh is {}; correct the date or send it by hand",
        facts.fiscal_year
    )))
}

fn check_amounts(quote: &Quote) -> Result<(), Box<Plan>> {
    if !quote.extra_discount.is_zero() {
        return Err(review(format!(
            "it has a discount of {} on the whole document, for which Siagh has no place; spread it over the lines",
            quote.extra_discount.normalize()
        )));
    }
    if !quote.additional_costs.is_zero() {
        return Err(review(format!(
            "it has additional costs of {}, for which Siagh has no place; make them a line",
            quote.additional_costs.normalize()
        )));
    }
    if quote.lines.is_empty() {
        return Err(review("it has no lines"));
    }
    Ok(())
}

fn customer_codes(facts: &Facts, settings: &SiaghSettings) -> Result<(String, String), Box<Plan>> {
    match settings.customer_code_source {
        CustomerCodeSource::ContactCode => Ok((facts.contact_code.to_string(), settings.codecontact.clone())),
        CustomerCodeSource::AccountPartyCode => {
            let party = facts.account_party_code.ok_or_else(|| {
                review(format!(
                    "contact {} has no account party in Siagh; open one there, then try again",
                    facts.contact_code
                ))
            })?;
            Ok((party.to_string(), facts.contact_code.to_string()))
        }
    }
}

/// Sale model or sales centre of a CRM type, from the operator's table and from nowhere else: digits in a type code mean
/// nothing for sure (`Productinvoice` once became model 1), and the table is also what makes the poll read the type.
fn model(facts: &Facts, typ: &'static str, type_code: &str) -> Result<String, Box<Plan>> {
    facts.tables.get(&(typ, type_code.to_owned())).cloned().ok_or_else(|| needs(typ, type_code, "the CRM type"))
}

fn row(at: usize, line: &Line, facts: &Facts, settings: &SiaghSettings) -> Result<Row, Box<Plan>> {
    let code = line.product_code.as_deref().ok_or_else(|| review(format!("line {at} has no product code")))?;
    let goods_code = facts
        .tables
        .get(&(mapping::GOODS, code.to_owned()))
        .cloned()
        .ok_or_else(|| needs(mapping::GOODS, code, "the product"))?;
    goods::check(line).map_err(|why| review(format!("line {at}: {why}")))?;
    Ok(Row {
        goods_code,
        unit: unit(line, facts, settings)?,
        quantity: line.quantity,
        price: line.price,
        discount: line.discount,
    })
}

fn unit(line: &Line, facts: &Facts, settings: &SiaghSettings) -> Result<String, Box<Plan>> {
    let Some(unit) = line.unit.as_deref() else { return Ok(settings.default_unit.clone()) };
    if let Some(target) = facts.tables.get(&(mapping::UNIT, unit.to_owned())) {
        return Ok(target.clone());
    }
    if normalize(unit) == normalize(&settings.default_unit) {
        return Ok(settings.default_unit.clone());
    }
    Err(needs(mapping::UNIT, unit, "the unit"))
}

/// The quote's text, its number, and a short reference by which people find a document that was made twice.
fn notes(quote: &Quote, longest: usize) -> String {
    let reference =
        format!("{} CRM:{}", quote.number.as_deref().unwrap_or_default(), &quote.crm_id.simple().to_string()[..8]);
    match &quote.text {
        // Siagh keeps only so many characters: the text is cut, never the reference.
        Some(text) => {
            format!(
                "{} - {reference}",
                text.chars().take(longest.saturating_sub(3 + reference.chars().count())).collect::<String>()
            )
        }
        None => reference,
    }
}

/// The same quote with the same content is the same save, should a server ever look at it (siagh sheet §2.6).
fn suid(quote: &Quote, fields: &Fields) -> Suid {
    use sha2::{Digest, Sha256};
    let digest: [u8; 32] = Sha256::digest(format!("{}:{}", quote.crm_id, fields.checksum())).into();
    Suid::from_digest(&digest)
}

fn needs(typ: &'static str, value: &str, what: &str) -> Box<Plan> {
    Box::new(Plan::NeedsMapping {
        mapping: typ.to_owned(),
        value: value.to_owned(),
        reason: format!(
            "{what} {value:?} has no {typ} mapping; set it with: tandem mapping set siagh {typ} {value:?} <siagh value>"
        ),
    })
}

fn review(reason: impl Into<String>) -> Box<Plan> {
    Box::new(Plan::Review { reason: reason.into(), candidates: vec![], changes: vec![] })
}

/// What a person has to look for when the answer to a send was lost.
pub fn what_to_check(row: &LedgerRow, step: &Step) -> String {
    let payload: Option<Payload> = serde_json::from_value(step.payload.clone()).ok();
    let id = &row.key.source_id;
    let short: String = id.as_str().chars().filter(|c| *c != '-').take(8).collect();
    let (customer, net) = payload.map_or_else(Default::default, |p| (p.customer_code, p.net.normalize().to_string()));
    format!(
        "look in Siagh for a pre-invoice of customer {customer} over {net} before VAT whose notes end in CRM:{short}; if it is there: tandem review resolve siagh pre_invoice {id} --exists <number>; if not: --again"
    )
}
