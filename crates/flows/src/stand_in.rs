//! A bridge that does what another one does, except where a test steps in.

use async_trait::async_trait;
use std::sync::Arc;
use tandem_core::bridge::{
    CheckLine, Lookups, PlanContext, ScanFrom, ScanPage, StepContext, WebhookCall, WebhookReading,
};
use tandem_core::plan::{OpenIntent, Recovery, StepResult};
use tandem_core::{Bridge, BridgeSpec, Fault, Fetched, JobId, LedgerRow, Plan, SourceId};
use tokio::sync::{Notify, Semaphore};

/// A place that work stops at until it is let through.
#[derive(Default)]
pub struct Door {
    reached: Notify,
    open: Notify,
}

impl Door {
    /// Waits until somebody stands at the door.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }
    /// Lets the one at the door through.
    pub fn open(&self) {
        self.open.notify_one();
    }
    async fn pass(&self) {
        self.reached.notify_one();
        self.open.notified().await;
    }
}

/// The bridge behind, with the test's interventions.
pub struct StandIn {
    behind: Arc<dyn Bridge>,
    panics_on: Option<SourceId>,
    after_apply: Option<Arc<Door>>,
    before_apply: Option<Arc<Door>>,
    scan: Option<Arc<Semaphore>>,
}

impl StandIn {
    pub fn before(behind: Arc<dyn Bridge>) -> Self {
        Self { behind, panics_on: None, after_apply: None, before_apply: None, scan: None }
    }
    /// Planning this record panics.
    pub fn panicking_on(mut self, id: impl Into<SourceId>) -> Self {
        self.panics_on = Some(id.into());
        self
    }
    /// Every step stops here after the destination answered.
    pub fn stopping_after_apply(mut self, door: Arc<Door>) -> Self {
        self.after_apply = Some(door);
        self
    }
    /// Every step stops here before anything is sent.
    pub fn stopping_before_apply(mut self, door: Arc<Door>) -> Self {
        self.before_apply = Some(door);
        self
    }
    /// Every page of a scan needs one of these permits and uses it up.
    pub fn scanning_with(mut self, permits: Arc<Semaphore>) -> Self {
        self.scan = Some(permits);
        self
    }
}

#[async_trait]
impl Bridge for StandIn {
    fn spec(&self) -> &BridgeSpec {
        self.behind.spec()
    }
    fn read_webhook(&self, call: &WebhookCall<'_>) -> WebhookReading {
        self.behind.read_webhook(call)
    }
    async fn fetch(&self, row: &LedgerRow) -> Result<Fetched, Fault> {
        self.behind.fetch(row).await
    }
    async fn plan_absent(&self, row: &LedgerRow, lookups: &dyn Lookups) -> Result<Plan, Fault> {
        self.behind.plan_absent(row, lookups).await
    }
    async fn plan(&self, context: PlanContext<'_>) -> Result<Plan, Fault> {
        assert!(self.panics_on.as_ref() != Some(&context.row.key.source_id), "this record makes the bridge panic");
        self.behind.plan(context).await
    }
    async fn apply(&self, context: StepContext<'_>) -> StepResult {
        if let Some(door) = &self.before_apply {
            door.pass().await;
        }
        let result = self.behind.apply(context).await;
        if let Some(door) = &self.after_apply {
            door.pass().await;
        }
        result
    }
    async fn recover(&self, row: &LedgerRow, intent: &OpenIntent, lookups: &dyn Lookups) -> Result<Recovery, Fault> {
        self.behind.recover(row, intent, lookups).await
    }
    async fn scan(&self, job: &JobId, from: ScanFrom<'_>, lookups: &dyn Lookups) -> Result<ScanPage, Fault> {
        if let Some(permits) = &self.scan {
            permits.acquire().await.expect("nobody closes it").forget();
        }
        self.behind.scan(job, from, lookups).await
    }
    async fn probe(&self) -> Result<(), Fault> {
        self.behind.probe().await
    }
    async fn check(&self) -> Vec<CheckLine> {
        self.behind.check().await
    }
}
