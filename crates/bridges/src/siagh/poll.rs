//! Noticing what changed in the CRM (payamgostar sheet §2.5): one filtered list per type, oldest change first.
//!
//! The place in a scan is a moment of the CRM's clock and never a page number: while a scan runs, edited records move
//! to the end of the list, and whoever counts pages then skips the ones that moved up. The watermark is the newest
//! change seen in the answers, never our own time, and each poll begins some minutes before it, since records that were
//! saved in one second may become visible one after the other. What is read twice is recognized by its content.

use super::SiaghBridge;
use super::customer::Customer;
use super::quote::Quote;
use super::{CUSTOMER, PRE_INVOICE, hint, mapping};
use chrono::{DateTime, Utc};
use payamgostar::{Billable, BillableKind, Find, Identity, IdentityKind, LocalTime, ObjectKind, Query, field};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use tandem_core::bridge::{Lookups, ScanFrom, ScanPage};
use tandem_core::ledger::Sighting;
use tandem_core::{Fault, FaultClass, RecordKey};
use uuid::Uuid;

/// Identities of one page of the light list that may be unreadable each for itself. More of them are a fault of the CRM,
/// or of how we read it, and a fault of the scan.
const UNREAD_AT_MOST: usize = 10;

/// One list that the poll reads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct List {
    kind: ObjectKind,
    type_key: String,
}

/// Rows of a list, and how many there are in all where the CRM says so.
type Rows = (Vec<Value>, Option<u64>);

/// The newest change seen, per type key, in the CRM's own words.
type Watermark = BTreeMap<String, String>;

/// Where a scan stands: in which list, from which moment on, at which page of the rows since then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    list: usize,
    #[serde(default)]
    of: Option<String>,
    since: Option<String>,
    skip: u32,
    /// The pages are read from the last one down to the first.
    #[serde(default)]
    backwards: bool,
    newest: Watermark,
    /// The page of the light list that is read instead, where the CRM does not filter identities by date.
    #[serde(default)]
    sweep: Option<u32>,
    /// That list holds all identities, so it is read once whatever number of types there are.
    #[serde(default)]
    swept: bool,
}

/// Rows per page of that instead: each of them costs a call.
const SWEEP_PAGE: u32 = 50;

impl SiaghBridge {
    /// One page. `everything` reads from the beginning and notices each record whatever its content.
    pub(super) async fn scan_crm(
        &self,
        from: ScanFrom<'_>,
        everything: bool,
        lookups: &dyn Lookups,
    ) -> Result<ScanPage, Fault> {
        let lists = self.lists(lookups).await?;
        let old: Watermark =
            from.watermark.filter(|_| !everything).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let mut place = match from.page.map(serde_json::from_str::<Place>) {
            Some(Ok(place)) => place,
            _ => Place { newest: old.clone(), ..Place::default() },
        };
        // The lists may have changed since the last page: the place is in a list by its name.
        if let Some(at) = lists.iter().position(|list| Some(&list.type_key) == place.of.as_ref()) {
            place.list = at;
        }
        let Some(list) = lists.get(place.list) else {
            return Ok(finished(&place, everything));
        };
        place.of = Some(list.type_key.clone());
        if place.since.is_none() {
            place.since = old.get(&list.type_key).and_then(|newest| self.behind(newest));
        }
        let mut page = match place.sweep {
            Some(number) => self.sweep(&mut place, number, everything, lookups).await?,
            None => self.list_page(list, &mut place, everything).await?,
        };
        if place.list < lists.len() {
            page.next = serde_json::to_string(&place).ok();
        } else {
            page.watermark = finished(&place, everything).watermark;
        }
        Ok(page)
    }

    async fn list_page(&self, list: &List, place: &mut Place, everything: bool) -> Result<ScanPage, Fault> {
        let (rows, total) = match self.rows_or_refusal(list, place).await? {
            Ok(answer) => answer,
            // One type that the CRM does not list must not keep the others from being read.
            Err(refusal) => return Ok(refused(list, place, &refusal)),
        };
        place.advance(list, &rows, self.settings.page_size, total);
        let sightings = rows.into_iter().filter_map(|row| self.sighting(list, row, everything)).collect();
        Ok(ScanPage { sightings, ..ScanPage::default() })
    }

    /// Reads the light list and each identity on it: slow, and the only way where dates can't be filtered (payamgostar
    /// sheet §2.5).
    async fn sweep(
        &self,
        place: &mut Place,
        number: u32,
        everything: bool,
        lookups: &dyn Lookups,
    ) -> Result<ScanPage, Fault> {
        let stubs = self.crm.search_identities("", number, SWEEP_PAGE).await?;
        let (mut sightings, mut failed) = (Vec::with_capacity(stubs.len()), 0);
        for id in stubs.iter().map(|stub| stub.identity_id) {
            match self.crm.identity_of_either_kind(IdentityKind::Person, id).await {
                Ok(Some(identity)) => sightings.push(seen(&identity, everything)),
                Ok(None) => {}
                Err(fault) => {
                    failed += 1;
                    if failed > UNREAD_AT_MOST || !self.concerns_one_record(&fault).await? {
                        return Err(fault);
                    }
                    if everything || !self.is_parked(id, lookups).await? {
                        sightings.push(unread(id));
                    }
                }
            }
        }
        if stubs.len() < SWEEP_PAGE as usize {
            place.next_list();
        } else {
            place.sweep = Some(number + 1);
        }
        Ok(ScanPage { sightings, ..ScanPage::default() })
    }

    /// Whether the CRM fails over this one record: it refuses it, or crashes over it and answers the next question.
    async fn concerns_one_record(&self, fault: &Fault) -> Result<bool, Fault> {
        if fault.code == "payamgostar.server_error" {
            self.crm.probe().await?;
            return Ok(true);
        }
        Ok(fault.class == FaultClass::Permanent)
    }

    /// Whether people see it already that this customer can't be read.
    async fn is_parked(&self, id: Uuid, lookups: &dyn Lookups) -> Result<bool, Fault> {
        let row = lookups.row(&RecordKey::new(self.spec.id.clone(), CUSTOMER, id.to_string())).await?;
        Ok(row.is_some_and(|row| !row.is_open() && !row.state.is_in_step()))
    }

    /// All types to read: the configured ones, and each document type that the operator gave a sale model.
    async fn lists(&self, lookups: &dyn Lookups) -> Result<Vec<List>, Fault> {
        let s = &self.settings;
        let mut quotes = s.quote_types.clone();
        for code in lookups.mapping_sources(&self.spec.id, mapping::SALE_MODEL).await? {
            if !quotes.contains(&code) && !s.invoice_types.contains(&code) {
                quotes.push(code);
            }
        }
        let of = |kind: ObjectKind, types: &[String]| {
            types.iter().map(move |t| List { kind, type_key: t.clone() }).collect::<Vec<_>>()
        };
        Ok([
            of(IdentityKind::Organization.into(), &s.organization_types),
            of(IdentityKind::Person.into(), &s.person_types),
            of(BillableKind::Quote.into(), &quotes),
            of(BillableKind::Invoice.into(), &s.invoice_types),
        ]
        .concat())
    }

    fn behind(&self, newest: &str) -> Option<String> {
        let at: DateTime<Utc> = LocalTime::parse(newest).at?.with_timezone(&Utc);
        Some(LocalTime::for_query(at - self.settings.poll_overlap))
    }

    /// A page of a list, or that the CRM does not list this type. It says so with 400 or, for a field that it does not know,
    /// by a crash: 500 with a page of HTML (payamgostar sheet §2.4). A server that is away crashes too, so the list counts as
    /// refused only if it fails again after the light list was read.
    async fn rows_or_refusal(&self, list: &List, place: &Place) -> Result<Result<Rows, Fault>, Fault> {
        let mut answer = self.rows(list, place).await;
        if answer.as_ref().is_err_and(may_be_refusal) {
            self.crm.probe().await?;
            answer = self.rows(list, place).await;
        }
        match answer {
            Ok(rows) => Ok(Ok(rows)),
            Err(fault) if fault.class == FaultClass::Permanent || may_be_refusal(&fault) => Ok(Err(fault)),
            Err(fault) => Err(fault),
        }
    }

    async fn rows(&self, list: &List, place: &Place) -> Result<Rows, Fault> {
        let mut find = Find::new(list.kind, &list.type_key).ascending(field::MODIFY_DATE);
        find.page_size = self.settings.page_size;
        if let Some(since) = &place.since {
            find = find.query(Query::new(field::MODIFY_DATE, payamgostar::Operator::GreaterThanOrEqual, since.clone()));
        }
        self.crm.find_one_page(&find, place.skip).await
    }

    fn sighting(&self, list: &List, row: Value, everything: bool) -> Option<Sighting> {
        let id = row.get("crmId").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok())?;
        let (kind, hint, fields) = match list.kind {
            ObjectKind::Identity(kind) => {
                let identity = Identity::from_json(kind, row);
                (CUSTOMER, identity_hint(kind), identity.map(|identity| Customer::of(&identity).fields()))
            }
            ObjectKind::Billable(kind) => {
                let fields = |document| Quote::of(&document, &self.settings).fields(&self.settings);
                (PRE_INVOICE, document_hint(kind), Billable::from_json(kind, row).map(fields))
            }
        };
        // A row that can't be read is noticed all the same: the record then fails by itself, where people see it.
        let checksum = fields.ok().filter(|_| !everything).map(|fields| fields.checksum());
        Some(Sighting { kind: kind.into(), source_id: id.to_string().into(), hint: Some(hint.to_owned()), checksum })
    }
}

fn seen(identity: &Identity, everything: bool) -> Sighting {
    Sighting {
        kind: CUSTOMER.into(),
        source_id: identity.crm_id.to_string().into(),
        hint: Some(identity_hint(identity.kind).to_owned()),
        checksum: (!everything).then(|| Customer::of(identity).fields().checksum()),
    }
}

/// A customer that the CRM does not show is noticed all the same: it then fails by itself, under its own name, where people
/// see it.
fn unread(id: Uuid) -> Sighting {
    Sighting { kind: CUSTOMER.into(), source_id: id.to_string().into(), hint: None, checksum: None }
}

fn may_be_refusal(fault: &Fault) -> bool {
    matches!(fault.code, "payamgostar.server_error" | "payamgostar.not_the_api")
}

/// What to do about a list that the CRM refuses: identities are read by the light list instead, once; documents have no
/// other list.
fn refused(list: &List, place: &mut Place, fault: &Fault) -> ScanPage {
    let gap = format!("the CRM does not list type {:?}: {}", list.type_key, fault.message);
    match list.kind {
        ObjectKind::Identity(_) if !place.swept => (place.sweep, place.swept) = (Some(0), true),
        _ => place.next_list(),
    }
    ScanPage { gaps: vec![gap], ..ScanPage::default() }
}

pub(super) fn identity_hint(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::Person => hint::PERSON,
        IdentityKind::Organization => hint::ORGANIZATION,
    }
}

pub(super) fn document_hint(kind: BillableKind) -> &'static str {
    match kind {
        BillableKind::Quote => hint::QUOTE,
        BillableKind::Invoice => hint::INVOICE,
    }
}

fn finished(place: &Place, everything: bool) -> ScanPage {
    let watermark = (!everything).then(|| serde_json::to_string(&place.newest).ok()).flatten();
    ScanPage { watermark, ..ScanPage::default() }
}

impl Place {
    /// Moves on behind `rows`: to their newest moment, or to the next list.
    ///
    /// If all of a full page bear the moment that it began with, only page numbers lead on. A row that is edited then leaves
    /// its place for the end of the list and all behind it move up, so what follows is read from the last page down: rows
    /// move towards the pages that are still to come, and what moved to the end is newer than the watermark.
    fn advance(&mut self, list: &List, rows: &[Value], page_size: u32, total: Option<u64>) {
        let newest = rows.iter().filter_map(modified).max_by_key(|text| LocalTime::parse(text).at);
        if let Some(newest) = &newest {
            let kept = self.newest.entry(list.type_key.clone()).or_default();
            if LocalTime::parse(kept).at < LocalTime::parse(newest).at {
                kept.clone_from(newest);
            }
        }
        let full = rows.len() >= page_size as usize;
        let second = |text: &str| LocalTime::parse(text).at.map(|at| LocalTime::for_query(at.with_timezone(&Utc)));
        match newest.as_deref().and_then(second) {
            _ if self.backwards && self.skip > 0 => self.skip -= 1,
            _ if self.backwards => self.next_list(),
            Some(moment) if full && self.since.as_ref() != Some(&moment) => (self.since, self.skip) = (Some(moment), 0),
            _ if full => match total {
                Some(total) => (self.backwards, self.skip) = (true, last_page(total, page_size)),
                None => self.skip += 1,
            },
            _ => self.next_list(),
        }
    }

    fn next_list(&mut self) {
        let newest = std::mem::take(&mut self.newest);
        *self = Self { list: self.list + 1, newest, swept: self.swept, ..Self::default() };
    }
}

fn last_page(total: u64, page_size: u32) -> u32 {
    u32::try_from(total.saturating_sub(1) / u64::from(page_size.max(1))).unwrap_or(u32::MAX)
}

fn modified(row: &Value) -> Option<String> {
    row.get("modifyDate").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list() -> List {
        List { kind: IdentityKind::Person.into(), type_key: "person".to_owned() }
    }

    fn rows(dates: &[&str]) -> Vec<Value> {
        dates.iter().map(|date| json!({"modifyDate": date})).collect()
    }

    #[test]
    fn a_full_page_moves_to_its_newest_second_and_a_short_one_ends_the_list() {
        let mut place = Place::default();
        place.advance(&list(), &rows(&["2026-02-01T08:00:00", "2026-02-01T08:00:07.5"]), 2, Some(3));
        assert_eq!((place.list, place.since.as_deref(), place.skip), (0, Some("2026-02-01T08:00:07"), 0));
        place.advance(&list(), &rows(&["2026-02-01T08:00:07.5"]), 2, Some(1));
        assert_eq!((place.list, place.since.as_deref()), (1, None));
        assert_eq!(place.newest["person"], "2026-02-01T08:00:07.5");
    }

    #[test]
    fn more_rows_of_one_second_than_fit_a_page_are_read_from_the_last_page_down() {
        let mut place = Place::default();
        let same = rows(&["2026-02-01T08:00:00.1", "2026-02-01T08:00:00.2"]);
        place.advance(&list(), &same, 2, Some(5));
        assert_eq!((place.since.as_deref(), place.skip, place.backwards), (Some("2026-02-01T08:00:00"), 0, false));
        place.advance(&list(), &same, 2, Some(5));
        let mut pages = vec![place.skip];
        for page in [&same[..1], &same, &same] {
            place.advance(&list(), page, 2, Some(5));
            pages.push(place.skip);
        }
        assert_eq!((pages, place.list, place.backwards), (vec![2, 1, 0, 0], 1, false));
    }

    #[test]
    fn a_list_that_names_no_total_is_read_forward() {
        let mut place = Place { since: Some("2026-02-01T08:00:00".to_owned()), ..Place::default() };
        place.advance(&list(), &rows(&["2026-02-01T08:00:00.1", "2026-02-01T08:00:00.2"]), 2, None);
        assert_eq!((place.skip, place.backwards), (1, false));
    }

    #[test]
    fn the_watermark_never_goes_back() {
        let mut place = Place {
            newest: BTreeMap::from([("person".to_owned(), "2026-02-01T09:00:00".to_owned())]),
            ..Place::default()
        };
        place.advance(&list(), &rows(&["2026-02-01T08:00:00"]), 100, Some(1));
        assert_eq!(place.newest["person"], "2026-02-01T09:00:00");
    }
}
