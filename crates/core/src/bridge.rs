//! The port through which the engine meets a bridge.
//!
//! A bridge knows two foreign systems and nothing of ours: no queue, no table, no lease, no retry. It reads,
//! plans, and performs single steps when told to; the order of things is the engine's.

use crate::canonical::Fields;
use crate::fault::Fault;
use crate::ids::{BridgeId, DestId, JobId, KindId, RecordKey, Stamp};
use crate::lane::ConsumeOptions;
use crate::ledger::{LedgerRow, Sighting};
use crate::plan::{OpenIntent, Plan, Recovery, Step, StepResult};
use crate::state::Trigger;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// What the roles need to know of a bridge without knowing the bridge.
#[derive(Debug, Clone)]
pub struct BridgeSpec {
    pub id: BridgeId,
    pub kinds: Vec<KindSpec>,
    pub jobs: Vec<JobSpec>,
    /// Routes under `/webhook/<system>/<route>` that belong to this bridge.
    pub webhooks: Option<WebhookSpec>,
    /// How many records of this bridge are worked on at once, over all copies of the worker.
    pub concurrency: u16,
}

impl BridgeSpec {
    /// How the lanes are declared and consumed for this bridge: no more nudges in hand than records may be worked on (at
    /// least 1), and only one consumer over all copies, so that the cap holds everywhere.
    pub fn consume_options(&self) -> ConsumeOptions {
        ConsumeOptions { prefetch: self.concurrency.max(1), single_active: true }
    }
}

#[derive(Debug, Clone)]
pub struct KindSpec {
    pub id: KindId,
    /// The value types whose absence can stop this kind.
    pub mappings: &'static [&'static str],
}

/// A scan that notices records.
#[derive(Debug, Clone)]
pub struct JobSpec {
    pub id: JobId,
    pub trigger: Trigger,
    /// How often it runs by itself; `None` = only when asked.
    pub every: Option<Duration>,
    pub lane: crate::lane::Lane,
}

#[derive(Debug, Clone)]
pub struct WebhookSpec {
    /// The path segment after `/webhook/`: `crm`.
    pub system: &'static str,
    pub routes: &'static [&'static str],
}

/// A call to a webhook route, after authentication. Only hints: nothing in it is believed beyond the id.
#[derive(Debug, Clone, Default)]
pub struct WebhookCall<'a> {
    pub route: &'a str,
    pub event: Option<&'a str>,
    pub id: Option<&'a str>,
    pub kind: Option<&'a str>,
    pub label: Option<&'a str>,
}

/// What a webhook call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookReading {
    /// This record may have changed.
    Record { kind: KindId, source_id: crate::ids::SourceId, hint: Option<String> },
    /// Understood and of no interest; the sentence says why.
    Ignored(String),
    /// Not a call we can make anything of; answered with 400 and this sentence.
    Malformed(String),
}

/// The newest state of a source record.
#[derive(Debug, Clone)]
pub enum Fetched {
    Present(SourceRecord),
    /// The source does not know it (any more).
    Absent,
}

/// A source record: the mapped fields for guard and checksum, and the whole of it for the bridge's own planning.
#[derive(Clone)]
pub struct SourceRecord {
    pub fields: Fields,
    /// The mark of our last write, where the source can carry one.
    pub stamp: Option<Stamp>,
    /// When the source says it changed, in its own words.
    pub version: Option<String>,
    /// What the record is, within its kind: `person`, `organization`.
    pub hint: Option<String>,
    /// The typed record, for the bridge that fetched it.
    pub body: Arc<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for SourceRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceRecord").field("version", &self.version).field("hint", &self.hint).finish_non_exhaustive()
    }
}

impl SourceRecord {
    /// The typed record. `None` only if it came from another bridge.
    pub fn body<T: Any>(&self) -> Option<&T> {
        self.body.downcast_ref()
    }
}

/// What a bridge may look up in our own database while it plans. Reads only.
#[async_trait]
pub trait Lookups: Send + Sync {
    async fn row(&self, key: &RecordKey) -> Result<Option<LedgerRow>, Fault>;
    /// The record of this kind that is paired with a destination record.
    async fn paired_with(&self, bridge: &BridgeId, kind: &KindId, dest_id: &DestId)
    -> Result<Option<LedgerRow>, Fault>;
    /// The target value that an operator set for a source value.
    async fn mapping(&self, bridge: &BridgeId, mapping: &str, source: &str) -> Result<Option<String>, Fault>;
    /// All source values of a mapping, as the operator typed them.
    async fn mapping_sources(&self, bridge: &BridgeId, mapping: &str) -> Result<Vec<String>, Fault>;
}

/// What a plan is made of.
pub struct PlanContext<'a> {
    pub row: &'a LedgerRow,
    pub record: &'a SourceRecord,
    /// The mark that this write will leave, where the system can carry one.
    pub stamp: &'a Stamp,
    /// Steps of this record that are known to have happened since it was last in step.
    pub done: &'a [DoneStep],
    /// A write of this record is journaled and nobody knows whether it happened: the destination may hold anything.
    pub uncertain: bool,
    pub lookups: &'a dyn Lookups,
    pub now: DateTime<Utc>,
}

/// A step that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct DoneStep {
    pub step: Step,
    pub effect: crate::plan::Effect,
    /// The mapped fields of the version that the step wrote.
    pub written: Fields,
}

/// What applying one step may use.
pub struct StepContext<'a> {
    pub row: &'a LedgerRow,
    pub step: &'a Step,
    /// The steps of this plan that were done before this one.
    pub done: &'a [DoneStep],
    pub stamp: &'a Stamp,
    pub now: DateTime<Utc>,
}

/// Where a scan stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScanFrom<'a> {
    /// What the last complete scan kept; `None` on the first one.
    pub watermark: Option<&'a str>,
    /// [`ScanPage::next`] of the page before; `None` on the first page.
    pub page: Option<&'a str>,
}

/// One page of a scan.
#[derive(Debug, Clone, Default)]
pub struct ScanPage {
    pub sightings: Vec<Sighting>,
    /// Where the next page begins, in the bridge's own words; `None` = this was the last one.
    pub next: Option<String>,
    /// The watermark to keep once everything up to here is noticed durably.
    pub watermark: Option<String>,
    /// How many records there are in all, where the source says so.
    pub total: Option<u64>,
    /// What could not be read, one sentence each. The scan goes on, and its run is recorded as incomplete.
    pub gaps: Vec<String>,
}

/// One line of `tandem check`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CheckLine {
    pub what: String,
    pub ok: bool,
    /// What was found, or what is missing and what to do about it.
    pub detail: String,
}

/// A pair of systems that are kept in step.
#[async_trait]
pub trait Bridge: Send + Sync {
    fn spec(&self) -> &BridgeSpec;

    /// What a webhook call means. Pure.
    fn read_webhook(&self, call: &WebhookCall<'_>) -> WebhookReading {
        WebhookReading::Ignored(format!("the {} bridge takes no webhooks at {:?}", self.spec().id, call.route))
    }

    /// The newest state of a record. Reads the source only.
    async fn fetch(&self, row: &LedgerRow) -> Result<Fetched, Fault>;

    /// What to do about a record that its source no longer has. Nothing is ever written without a source record: a plan to
    /// write is put before a person instead.
    async fn plan_absent(&self, row: &LedgerRow, lookups: &dyn Lookups) -> Result<Plan, Fault>;

    /// What to do about a record. Reads only, natural keys before any create.
    async fn plan(&self, context: PlanContext<'_>) -> Result<Plan, Fault>;

    /// Performs one step, once. Never repeats a write by itself.
    async fn apply(&self, context: StepContext<'_>) -> StepResult;

    /// Finds out whether an effect exists whose answer was lost.
    async fn recover(&self, row: &LedgerRow, intent: &OpenIntent, lookups: &dyn Lookups) -> Result<Recovery, Fault>;

    /// One page of a scan. Reads only.
    async fn scan(&self, job: &JobId, from: ScanFrom<'_>, lookups: &dyn Lookups) -> Result<ScanPage, Fault>;

    /// The cheapest call that shows whether both systems answer again.
    async fn probe(&self) -> Result<(), Fault>;

    /// Everything an operator wants to know before the start.
    async fn check(&self) -> Vec<CheckLine>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_holds_as_many_nudges_as_it_may_work_on_and_at_least_one() {
        let prefetch = |concurrency| {
            let spec = BridgeSpec { id: "a".into(), kinds: vec![], jobs: vec![], webhooks: None, concurrency };
            let options = spec.consume_options();
            assert!(options.single_active, "the cap holds over all copies");
            options.prefetch
        };
        assert_eq!((prefetch(0), prefetch(1), prefetch(4)), (1, 1, 4));
    }
}
