//! Pre-invoices: fetch, plan, apply.

use super::poll::document_hint;
use super::pre_invoice::{self, Facts, Payload};
use super::quote::{Quote, jalali_year};
use super::sync_customer::{code, not_ours, read};
use super::{SiaghBridge, guid, hint};
use payamgostar::{Billable, BillableKind};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use siagh::{PreInvoiceSaved, Suid};
use std::sync::Arc;
use tandem_core::bridge::{PlanContext, StepContext};
use tandem_core::plan::StepResult;
use tandem_core::{Effect, Fault, FaultClass, Fetched, LedgerRow, Plan, SourceRecord, State};

impl SiaghBridge {
    pub(super) async fn fetch_quote(&self, row: &LedgerRow) -> Result<Fetched, Fault> {
        let id = guid(&row.key.source_id)?;
        let (first, second) = match row.hint.as_deref() {
            Some(hint::INVOICE) => (BillableKind::Invoice, BillableKind::Quote),
            _ => (BillableKind::Quote, BillableKind::Invoice),
        };
        let mut document = self.crm.billable(first, id).await?;
        // Only where nobody said which of the two it is.
        if document.is_none() && row.hint.is_none() {
            document = self.crm.billable(second, id).await?;
        }
        let Some(document) = document else { return Ok(Fetched::Absent) };
        Ok(Fetched::Present(SourceRecord {
            fields: Quote::of(&document, &self.settings).fields(&self.settings),
            stamp: None,
            version: document.modified.as_ref().map(|at| at.text.clone()),
            hint: Some(document_hint(document.kind).to_owned()),
            body: Arc::new(document),
        }))
    }

    pub(super) async fn plan_quote(&self, context: &PlanContext<'_>) -> Result<Plan, Fault> {
        let document: &Billable = context.record.body().ok_or_else(not_ours)?;
        let quote = Quote::of(document, &self.settings);
        // What was written stands in the journal until the record is in step, and in the ledger from then on.
        let resumed = context.done.last().map(|done| &done.written);
        let written = resumed.or(context.row.fields.as_ref());
        if let Some(plan) = pre_invoice::already_sent(context.row, written, resumed.is_some(), &context.record.fields) {
            return Ok(plan);
        }
        if let Err(why) = quote.may_be_sent(&self.settings) {
            return Ok(Plan::Nothing {
                state: State::Unchanged,
                reason: format!("not sent: {why}"),
                binds: None,
                notes: vec![],
                wanted: None,
            });
        }
        let customer = match pre_invoice::customer_row(&self.spec.id, &quote, context.lookups).await? {
            Ok(row) => row,
            Err(plan) => return Ok(plan),
        };
        let Some(dest_id) = &customer.dest_id else { return Err(not_ours()) };
        let Some(contact) = self.contacts.contact(code(dest_id)?).await? else {
            let reason = format!("its customer is paired with contact {dest_id}, which is no longer in Siagh");
            return Ok(Plan::Review { reason, candidates: vec![], changes: vec![] });
        };
        let fiscal_year = self.open_year.for_document(quote.date.map(jalali_year), context.now).await?;
        let facts = Facts {
            contact_code: contact.code,
            account_party_code: contact.account_party_code,
            fiscal_year,
            longest_notes: self.siagh.constants().longest_notes,
            tables: pre_invoice::tables(context, &quote).await?,
        };
        Ok(pre_invoice::decide(&quote, &facts, &self.settings))
    }

    pub(super) async fn send_pre_invoice(&self, context: &StepContext<'_>) -> StepResult {
        let payload: Payload = read(&context.step.payload)?;
        let suid = Suid::parse(&payload.suid)
            .ok_or_else(|| Fault::permanent("siagh.bad_payload", "the save id of the journaled step can't be read"))?;
        let saved = match self.siagh.save_pre_invoice(&payload.header(), &payload.lines(), &suid).await {
            Ok(saved) => saved,
            // Refused because the year was closed meanwhile: planned anew, the quote is for a person instead of dead.
            Err(fault) if fault.class == FaultClass::Permanent => {
                let closed = self.open_year.has_moved_from(payload.fiscal_year, context.now).await;
                return Err(if closed { Fault { class: FaultClass::Transient, ..fault } } else { fault });
            }
            Err(fault) => return Err(fault),
        };
        let mut refs = Map::new();
        refs.insert("fiscal_year".to_owned(), json!(payload.fiscal_year));
        refs.insert("return_code".to_owned(), json!(saved.return_code));
        if let Some(number) = &saved.number {
            refs.insert("number".to_owned(), json!(number));
        }
        if let Some(params) = &saved.return_params {
            refs.insert("return_params".to_owned(), json!(params));
        }
        if let Some(net) = saved.net {
            refs.insert("net".to_owned(), Value::from(net.normalize().to_string()));
        }
        let notes = notes(&payload, &saved, self.settings.vat_percent);
        Ok(Effect { dest_id: Some(saved.return_code.clone().into()), refs, notes, pairs: vec![] })
    }
}

/// What the log shall say beside the success: warnings, cuts, and a sum that fits neither without nor with VAT (siagh
/// sheet §2.7, open: which of the two Siagh prints).
fn notes(payload: &Payload, saved: &PreInvoiceSaved, vat_percent: u32) -> Vec<String> {
    let mut notes = [saved.warnings.clone(), saved.notes.clone()].concat();
    let with_vat = payload.net * (Decimal::ONE + Decimal::from(vat_percent) / Decimal::ONE_HUNDRED);
    match saved.net {
        Some(net) if (net - payload.net).abs() > Decimal::ONE && (net - with_vat).abs() > Decimal::ONE => {
            notes.push(format!(
                "Siagh's sum is {}, ours is {} before VAT and {} with {vat_percent} % VAT; look whether Siagh priced it anew",
                net.normalize(),
                payload.net.normalize(),
                with_vat.normalize()
            ))
        }
        Some(_) => {}
        None => notes.push("Siagh's answer names no sum to compare with".to_owned()),
    }
    notes
}
