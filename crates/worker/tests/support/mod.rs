//! A lane and a bridge that a test plays by hand.

use async_trait::async_trait;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tandem_core::bridge::{
    BridgeSpec, CheckLine, Fetched, KindSpec, Lookups, PlanContext, ScanFrom, ScanPage, SourceRecord, StepContext,
};
use tandem_core::lane::{ConsumeOptions, Consumer, Delivery, Depth, KeepFuture, LaneError, Lanes, Origin, Published};
use tandem_core::plan::{OpenIntent, Recovery, StepResult};
use tandem_core::{
    Bridge, BridgeId, Effect, Fault, Fields, JobId, Lane, LedgerRow, Notice, Nudge, Plan, RecordKey, Step, Trigger,
    Verb,
};
use tandem_engine::{Engine, Policy, Publisher, Register, SystemClock};
use tandem_store::{Options, Store};
use tandem_worker::{Settings, Worker};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

pub const DEADLINE: Duration = Duration::from_secs(20);

/// What became of a nudge at its lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Acked(String),
    Dead(String),
}

/// A lane in memory: the test puts nudges in and sees how they end.
pub struct HandLane {
    put: mpsc::UnboundedSender<(Nudge, Origin)>,
    taken: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<(Nudge, Origin)>>>,
    pub ends: Arc<Mutex<Vec<End>>>,
}

impl HandLane {
    fn new() -> Self {
        let (put, taken) = mpsc::unbounded_channel();
        Self { put, taken: Arc::new(tokio::sync::Mutex::new(taken)), ends: Arc::default() }
    }
    pub fn nudge(&self, id: &str, origin: Origin) {
        self.put.send((Nudge { key: key(id), lane: Lane::Live }, origin)).unwrap();
    }
}

struct HandDelivery(Nudge, Origin, Arc<Mutex<Vec<End>>>);

#[async_trait]
impl Delivery for HandDelivery {
    fn nudge(&self) -> &Nudge {
        &self.0
    }
    fn origin(&self) -> Origin {
        self.1
    }
    async fn ack(self: Box<Self>) -> Result<(), LaneError> {
        self.2.lock().unwrap().push(End::Acked(self.0.key.source_id.to_string()));
        Ok(())
    }
    async fn dead(self: Box<Self>) -> Result<(), LaneError> {
        self.2.lock().unwrap().push(End::Dead(self.0.key.source_id.to_string()));
        Ok(())
    }
}

struct HandConsumer(Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<(Nudge, Origin)>>>, Arc<Mutex<Vec<End>>>);

#[async_trait]
impl Consumer for HandConsumer {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, LaneError> {
        let (nudge, origin) = self.0.lock().await.recv().await.ok_or_else(|| LaneError("closed".into()))?;
        Ok(Box::new(HandDelivery(nudge, origin, self.1.clone())))
    }
}

#[async_trait]
impl Lanes for HandLane {
    async fn prepare(&self, _: &[(BridgeId, ConsumeOptions)]) -> Result<(), LaneError> {
        Ok(())
    }
    async fn publish(&self, nudges: &[Nudge], _: Duration) -> Vec<Published> {
        nudges.iter().for_each(|nudge| self.put.send((nudge.clone(), Origin::Fresh)).unwrap());
        vec![Published::Stored; nudges.len()]
    }
    async fn consume(&self, _: &BridgeId, _: &ConsumeOptions) -> Result<Box<dyn Consumer>, LaneError> {
        Ok(Box::new(HandConsumer(self.taken.clone(), self.ends.clone())))
    }
    async fn depth(&self, _: &BridgeId) -> Result<Depth, LaneError> {
        Ok(Depth::default())
    }
    async fn tidy_dead(
        &self,
        _: &BridgeId,
        _: &(dyn for<'a> Fn(&'a [RecordKey]) -> KeepFuture<'a> + Send + Sync),
    ) -> Result<u64, LaneError> {
        Ok(0)
    }
    fn name(&self) -> &'static str {
        "hand"
    }
}

/// A bridge whose destination is a map, and whose misbehaviour a test chooses per record.
pub struct HandBridge {
    spec: BridgeSpec,
    pub panics: Mutex<HashSet<String>>,
    pub refuses: Mutex<HashMap<String, Fault>>,
    pub away: Mutex<bool>,
    pub probes: Mutex<u32>,
    pub written: Mutex<Vec<String>>,
    /// While closed, writes wait in here.
    pub gate: tokio::sync::Semaphore,
    pub entered: Notify,
}

impl HandBridge {
    fn new() -> Self {
        let kind = KindSpec { id: "thing".into(), title: "thing", entity_type: "THING", mappings: &[] };
        let spec = BridgeSpec { id: "hand".into(), kinds: vec![kind], jobs: vec![], webhooks: None, concurrency: 4 };
        Self {
            spec,
            panics: Mutex::default(),
            refuses: Mutex::default(),
            away: Mutex::default(),
            probes: Mutex::default(),
            written: Mutex::default(),
            gate: tokio::sync::Semaphore::new(1_000),
            entered: Notify::new(),
        }
    }
}

#[async_trait]
impl Bridge for HandBridge {
    fn spec(&self) -> &BridgeSpec {
        &self.spec
    }
    async fn fetch(&self, row: &LedgerRow) -> Result<Fetched, Fault> {
        if *self.away.lock().unwrap() {
            return Err(Fault::systemic("hand.away", "the source is away"));
        }
        let fields = Fields::new().text("id", Some(row.key.source_id.as_str()));
        Ok(Fetched::Present(SourceRecord { fields, stamp: None, version: None, hint: None, body: Arc::new(()) }))
    }
    async fn plan_absent(&self, _: &LedgerRow, _: &dyn Lookups) -> Result<Plan, Fault> {
        Ok(Plan::Dead { reason: "gone".into() })
    }
    async fn plan(&self, context: PlanContext<'_>) -> Result<Plan, Fault> {
        let id = context.row.key.source_id.as_str();
        assert!(!self.panics.lock().unwrap().contains(id), "this record makes the bridge panic");
        let step = Step {
            name: "write".into(),
            verb: Verb::Update,
            once: false,
            payload: serde_json::json!({ "id": id }),
            before: serde_json::Value::Null,
        };
        Ok(Plan::Write {
            summary: "write it".into(),
            binds: None,
            steps: vec![step],
            changes: vec![],
            notes: vec![],
            wanted: None,
        })
    }
    async fn apply(&self, context: StepContext<'_>) -> StepResult {
        let id = context.row.key.source_id.to_string();
        self.entered.notify_one();
        let _pass = self.gate.acquire().await.unwrap();
        if let Some(fault) = self.refuses.lock().unwrap().get(&id) {
            return Err(fault.clone());
        }
        self.written.lock().unwrap().push(id);
        Ok(Effect::default())
    }
    async fn recover(&self, _: &LedgerRow, _: &OpenIntent, _: &dyn Lookups) -> Result<Recovery, Fault> {
        Ok(Recovery::DidNotHappen)
    }
    async fn scan(&self, _: &JobId, _: ScanFrom<'_>, _: &dyn Lookups) -> Result<ScanPage, Fault> {
        Ok(ScanPage::default())
    }
    async fn probe(&self) -> Result<(), Fault> {
        *self.probes.lock().unwrap() += 1;
        if *self.away.lock().unwrap() { Err(Fault::systemic("hand.away", "still away")) } else { Ok(()) }
    }
    async fn check(&self) -> Vec<CheckLine> {
        vec![]
    }
}

pub fn key(id: &str) -> RecordKey {
    RecordKey::new("hand", "thing", id)
}

/// A running worker over a fresh database, with its lane and its bridge in the test's hands.
pub struct Running {
    pub lane: Arc<HandLane>,
    pub bridge: Arc<HandBridge>,
    pub store: Store,
    pub stop: CancellationToken,
    pub worker: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Running {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("ledger.sqlite").display());
        let store = Store::connect(&url, Options::default()).await.unwrap();
        store.migrate().await.unwrap();
        let (lane, bridge) = (Arc::new(HandLane::new()), Arc::new(HandBridge::new()));
        let policy = Policy {
            probe_first: Duration::from_millis(20),
            probe_longest: Duration::from_millis(40),
            ..Policy::default()
        };
        let register = Register::new([bridge.clone() as Arc<dyn Bridge>]);
        let engine = Engine::new(store.clone(), register, Arc::new(SystemClock), policy, "worker-1");
        let lanes: Arc<dyn Lanes> = lane.clone();
        let publisher = Publisher::new(lanes.clone(), store.clone(), Duration::from_secs(1));
        let settings = Settings { circuit_check: Duration::from_millis(10), ..Settings::default() };
        let stop = CancellationToken::new();
        let worker = tokio::spawn(Worker::new(engine, lanes, publisher, settings).run(stop.clone()));
        Self { lane, bridge, store, stop, worker, _folder: folder }
    }

    /// Notices a record and puts its nudge into the lane.
    pub async fn notice(&self, id: &str) {
        let notice =
            Notice { key: key(id), hint: None, trigger: Trigger::Webhook, actor: "test".into(), lane: Lane::Live };
        self.store.notice(&[notice], chrono::Utc::now()).await.unwrap();
        self.lane.nudge(id, Origin::Fresh);
    }

    pub async fn row(&self, id: &str) -> LedgerRow {
        self.store.row(&key(id)).await.unwrap().unwrap()
    }

    /// Waits until the nudge of a record has ended so.
    pub async fn ended(&self, end: End) {
        tandem_testbed::signal::eventually(DEADLINE, || async {
            self.lane.ends.lock().unwrap().contains(&end).then_some(())
        })
        .await;
    }
}
