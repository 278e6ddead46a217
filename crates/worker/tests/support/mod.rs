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
    Bridge, BridgeId, Effect, Fault, Fields, JobId, Lane, LedgerRow, Notice, Nudge, Plan, RecordKey, State, Step,
    Trigger, Verb,
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
    /// The state of each record at the moment of its last ack.
    pub acked_in: Arc<Mutex<HashMap<String, State>>>,
    broken: Arc<Notify>,
    store: Store,
}

impl HandLane {
    fn new(store: Store) -> Self {
        let (put, taken) = mpsc::unbounded_channel();
        let taken = Arc::new(tokio::sync::Mutex::new(taken));
        Self { put, taken, ends: Arc::default(), acked_in: Arc::default(), broken: Arc::default(), store }
    }
    /// The link to the lane is lost: the consumer that waits for a nudge ends with an error.
    pub fn break_the_link(&self) {
        self.broken.notify_one();
    }
    pub fn nudge(&self, id: &str, origin: Origin) {
        self.put.send((Nudge { key: key(id), lane: Lane::Live }, origin)).unwrap();
    }
}

struct HandDelivery {
    nudge: Nudge,
    origin: Origin,
    ends: Arc<Mutex<Vec<End>>>,
    acked_in: Arc<Mutex<HashMap<String, State>>>,
    store: Store,
}

#[async_trait]
impl Delivery for HandDelivery {
    fn nudge(&self) -> &Nudge {
        &self.nudge
    }
    fn origin(&self) -> Origin {
        self.origin
    }
    async fn ack(self: Box<Self>) -> Result<(), LaneError> {
        let id = self.nudge.key.source_id.to_string();
        if let Some(row) = self.store.row(&self.nudge.key).await.unwrap() {
            self.acked_in.lock().unwrap().insert(id.clone(), row.state);
        }
        self.ends.lock().unwrap().push(End::Acked(id));
        Ok(())
    }
    async fn dead(self: Box<Self>) -> Result<(), LaneError> {
        self.ends.lock().unwrap().push(End::Dead(self.nudge.key.source_id.to_string()));
        Ok(())
    }
}

/// A consumer takes what is in the lane it came from.
#[derive(Clone)]
struct HandConsumer {
    taken: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<(Nudge, Origin)>>>,
    ends: Arc<Mutex<Vec<End>>>,
    acked_in: Arc<Mutex<HashMap<String, State>>>,
    broken: Arc<Notify>,
    store: Store,
}

#[async_trait]
impl Consumer for HandConsumer {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, LaneError> {
        let mut taken = self.taken.lock().await;
        let next = tokio::select! {
            () = self.broken.notified() => return Err(LaneError("the link is lost".into())),
            next = taken.recv() => next,
        };
        let (nudge, origin) = next.ok_or_else(|| LaneError("closed".into()))?;
        let (ends, acked_in, store) = (self.ends.clone(), self.acked_in.clone(), self.store.clone());
        Ok(Box::new(HandDelivery { nudge, origin, ends, acked_in, store }))
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
        Ok(Box::new(HandConsumer {
            taken: self.taken.clone(),
            ends: self.ends.clone(),
            acked_in: self.acked_in.clone(),
            broken: self.broken.clone(),
            store: self.store.clone(),
        }))
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
    /// How many writes are in there now, and how many were at most.
    pub inside: Mutex<(usize, usize)>,
}

impl HandBridge {
    fn new() -> Self {
        let kind = KindSpec { id: "thing".into(), mappings: &[] };
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
            inside: Mutex::default(),
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
        {
            let mut inside = self.inside.lock().unwrap();
            inside.0 += 1;
            inside.1 = inside.1.max(inside.0);
        }
        let _pass = self.gate.acquire().await.unwrap();
        self.inside.lock().unwrap().0 -= 1;
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
        Self::start_with(Settings::default()).await
    }

    pub async fn start_with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("ledger.sqlite").display());
        let store = Store::connect(&url, Options::default()).await.unwrap();
        store.migrate().await.unwrap();
        let (lane, bridge) = (Arc::new(HandLane::new(store.clone())), Arc::new(HandBridge::new()));
        let policy = Policy {
            probe_first: Duration::from_millis(20),
            probe_longest: Duration::from_millis(40),
            ..Policy::default()
        };
        let register = Register::new([bridge.clone() as Arc<dyn Bridge>]);
        let engine = Engine::new(store.clone(), register, Arc::new(SystemClock), policy, "worker-1");
        let lanes: Arc<dyn Lanes> = lane.clone();
        let publisher = Publisher::new(lanes.clone(), store.clone(), Duration::from_secs(1));
        let settings = Settings { circuit_check: Duration::from_millis(10), ..settings };
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

    /// Waits until a nudge of a record has ended so.
    pub async fn ended(&self, end: End) {
        self.ended_times(end, 1).await;
    }

    /// Waits until so many nudges of a record have ended so.
    pub async fn ended_times(&self, end: End, times: usize) {
        tandem_testbed::signal::eventually(DEADLINE, || async {
            let ends = self.lane.ends.lock().unwrap().iter().filter(|e| **e == end).count();
            (ends >= times).then_some(())
        })
        .await;
    }

    /// Waits until so many writes stand before the closed gate.
    pub async fn inside(&self, writes: usize) {
        tandem_testbed::signal::eventually(DEADLINE, || async {
            (self.bridge.inside.lock().unwrap().0 >= writes).then_some(())
        })
        .await;
    }
}
