//! A ledger of its own and a bridge between two maps, whose bad days a test chooses.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tandem_core::bridge::{
    BridgeSpec, CheckLine, JobSpec, KindSpec, Lookups, PlanContext, ScanFrom, ScanPage, StepContext,
};
use tandem_core::ledger::Sighting;
use tandem_core::plan::{OpenIntent, Pair, Recovery, StepResult};
use tandem_core::{
    Bridge, Effect, Fault, Fetched, Fields, JobId, Lane, LedgerRow, Notice, Plan, RecordKey, SourceRecord, State, Step,
    Trigger, Verb,
};
use tandem_engine::{Clock, Engine, ManualClock, Outcome, Policy, Register};
use tandem_store::{Options, Store};
use tandem_testbed::proxy::ChaosProxy;
use tokio::sync::{Notify, Semaphore};

pub const DEADLINE: Duration = Duration::from_secs(20);
pub const JOB: &str = "poll";

/// What happens to one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// It happens, the answer is lost.
    Unanswered,
    /// It is lost on the way; we can't tell.
    Undelivered,
    /// The bridge panics after the write.
    Panics,
}

/// The two sides of the bridge.
#[derive(Default)]
pub struct Sides {
    pub source: BTreeMap<String, String>,
    pub dest: BTreeMap<String, String>,
    /// Reads that fail from now on.
    pub unreadable: u32,
    /// What the next writes meet; afterwards they work.
    pub bad: VecDeque<Bad>,
    pub writes: u32,
    pub scans: u32,
    /// What a scan could not read.
    pub gaps: Vec<String>,
    /// What a scan meets.
    pub scan_fault: Option<Fault>,
    /// A record that is gone is planned to be written all the same.
    pub writes_the_absent: bool,
    /// The ledger that plans ask for their record, as a bridge's look-ups do.
    pub asks: Option<Store>,
}

/// A bridge that copies a text from one map to the other.
pub struct Copying {
    spec: BridgeSpec,
    sides: Mutex<Sides>,
    /// Whether a write has to be looked for before it may be done again.
    once: bool,
    pub read_gate: Gate,
    pub write_gate: Gate,
    /// The link to the ledger that breaks under the first words of the next settlement.
    pub breaks: Mutex<Option<Arc<ChaosProxy>>>,
}

/// A place that work stops at while it is shut.
pub struct Gate {
    reached: Notify,
    open: Semaphore,
}

const PLENTY: usize = 1_000;

impl Gate {
    fn new() -> Self {
        Self { reached: Notify::new(), open: Semaphore::new(PLENTY) }
    }
    pub fn shut(&self) {
        self.open.forget_permits(PLENTY);
    }
    pub fn open(&self) {
        self.open.add_permits(PLENTY);
    }
    /// Waits until somebody came to the gate, open or shut.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }
    async fn pass(&self) {
        self.reached.notify_one();
        drop(self.open.acquire().await.unwrap());
    }
}

impl Copying {
    fn new(once: bool) -> Self {
        let kind = KindSpec { id: "text".into(), mappings: &[] };
        let job =
            JobSpec { id: JOB.into(), trigger: Trigger::Poll, every: Some(Duration::from_secs(60)), lane: Lane::Bulk };
        let spec = BridgeSpec { id: "copy".into(), kinds: vec![kind], jobs: vec![job], webhooks: None, concurrency: 4 };
        Self {
            spec,
            sides: Mutex::default(),
            once,
            read_gate: Gate::new(),
            write_gate: Gate::new(),
            breaks: Mutex::default(),
        }
    }

    pub fn sides(&self) -> MutexGuard<'_, Sides> {
        self.sides.lock().unwrap()
    }
}

fn fields(text: &str) -> Fields {
    Fields::new().text("text", Some(text))
}

fn step(id: &str, text: &str, once: bool) -> Step {
    let payload = json!({ "id": id, "text": text });
    Step { name: "copy".into(), verb: Verb::Create, once, payload, before: Value::Null }
}

fn write(step: Step) -> Plan {
    let summary = "copy the text".to_owned();
    Plan::Write { summary, binds: None, steps: vec![step], changes: vec![], notes: vec![], wanted: None }
}

fn unchanged() -> Plan {
    let reason = "the texts agree".to_owned();
    Plan::Nothing { state: State::Unchanged, reason, binds: None, notes: vec![], wanted: None }
}

#[async_trait]
impl Bridge for Copying {
    fn spec(&self) -> &BridgeSpec {
        &self.spec
    }
    async fn fetch(&self, row: &LedgerRow) -> Result<Fetched, Fault> {
        self.read_gate.pass().await;
        let mut sides = self.sides();
        if sides.unreadable > 0 {
            sides.unreadable -= 1;
            return Err(Fault::transient("copy.unreadable", "the source did not answer"));
        }
        let Some(text) = sides.source.get(row.key.source_id.as_str()) else { return Ok(Fetched::Absent) };
        let body = Arc::new(text.clone());
        Ok(Fetched::Present(SourceRecord { fields: fields(text), stamp: None, version: None, hint: None, body }))
    }
    async fn plan_absent(&self, row: &LedgerRow, _: &dyn Lookups) -> Result<Plan, Fault> {
        let id = row.key.source_id.as_str();
        if self.sides().writes_the_absent { Ok(write(step(id, "", self.once))) } else { Ok(unchanged()) }
    }
    async fn plan(&self, context: PlanContext<'_>) -> Result<Plan, Fault> {
        let id = context.row.key.source_id.as_str();
        let text: &String = context.record.body().unwrap();
        let asks = self.sides().asks.clone();
        if let Some(ledger) = asks {
            Lookups::row(&ledger, &context.row.key).await?;
        }
        if self.sides().dest.get(id) == Some(text) { Ok(unchanged()) } else { Ok(write(step(id, text, self.once))) }
    }
    async fn apply(&self, context: StepContext<'_>) -> StepResult {
        self.write_gate.pass().await;
        let text = |name: &str| context.step.payload[name].as_str().unwrap().to_owned();
        let bad = {
            let mut sides = self.sides();
            sides.writes += 1;
            let bad = sides.bad.pop_front();
            if bad != Some(Bad::Undelivered) {
                sides.dest.insert(text("id"), text("text"));
            }
            bad
        };
        let mut effect = Effect { dest_id: Some(text("id").into()), ..Effect::default() };
        let breaks = self.breaks.lock().unwrap().take();
        if let Some(proxy) = breaks {
            // The pool tries the connection that the intent gave back; the answer to that is not the one to lose.
            tandem_testbed::signal::poll(Duration::from_millis(50), || async { None::<()> }).await;
            // With a pair, the settlement begins with a BEGIN, whose loss leaves nothing behind.
            effect.pairs.push(Pair {
                key: key("pair"),
                dest_id: "pair".into(),
                source_checksum: Some(fields("pair").checksum()),
                hint: None,
                reason: "came with it".to_owned(),
            });
            proxy.lose_next_reply();
        }
        match bad {
            None => Ok(effect),
            Some(Bad::Panics) => panic!("the bridge panics after this write"),
            Some(_) => Err(Fault::in_doubt("copy.answer_lost", "the answer never came")),
        }
    }
    async fn recover(&self, row: &LedgerRow, _: &OpenIntent, _: &dyn Lookups) -> Result<Recovery, Fault> {
        let id = row.key.source_id.as_str();
        Ok(match self.sides().dest.contains_key(id) {
            true => Recovery::Happened(Effect { dest_id: Some(id.into()), ..Effect::default() }),
            false => Recovery::DidNotHappen,
        })
    }
    async fn scan(&self, _: &JobId, _: ScanFrom<'_>, _: &dyn Lookups) -> Result<ScanPage, Fault> {
        let mut sides = self.sides();
        sides.scans += 1;
        if let Some(fault) = &sides.scan_fault {
            return Err(fault.clone());
        }
        let sighting = |(id, text): (&String, &String)| {
            let checksum = Some(fields(text).checksum());
            Sighting { kind: "text".into(), source_id: id.as_str().into(), hint: None, checksum }
        };
        let sightings = sides.source.iter().map(sighting).collect();
        Ok(ScanPage { sightings, gaps: sides.gaps.clone(), ..ScanPage::default() })
    }
    async fn probe(&self) -> Result<(), Fault> {
        Ok(())
    }
    async fn check(&self) -> Vec<CheckLine> {
        vec![]
    }
}

pub fn key(id: &str) -> RecordKey {
    RecordKey::new("copy", "text", id)
}

/// A ledger that is away.
pub async fn closed_ledger() -> Store {
    let store = Store::connect("sqlite::memory:", Options::default()).await.unwrap();
    store.close().await;
    store
}

/// An engine over a fresh ledger.
pub struct Bench {
    pub bridge: Arc<Copying>,
    pub clock: Arc<ManualClock>,
    pub store: Store,
    pub engine: Engine,
    _folder: Option<tempfile::TempDir>,
}

impl Bench {
    /// Writes have to be looked for before they may be done again.
    pub async fn new(policy: Policy) -> Self {
        Self::with(policy, true).await
    }

    /// Writes may be done again.
    pub async fn repeatable(policy: Policy) -> Self {
        Self::with(policy, false).await
    }

    async fn with(policy: Policy, once: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("ledger.sqlite").display());
        let store = Store::connect(&url, Options::default()).await.unwrap();
        Self::over(store, Some(folder), policy, once).await
    }

    /// On Postgres, through a proxy and with a single connection.
    pub async fn behind_a_proxy() -> (Self, Arc<ChaosProxy>) {
        let url = tandem_testbed::postgres::shared_database().await.unwrap();
        let place = url.rsplit_once('@').map_or(url.as_str(), |(_, rest)| rest).split('/').next().unwrap();
        let proxy = ChaosProxy::start(place).await.unwrap();
        let options = Options { max_connections: 1, ..Options::default() };
        let store = Store::connect(&proxy.through(&url).unwrap(), options).await.unwrap();
        (Self::over(store, None, Policy::default(), true).await, Arc::new(proxy))
    }

    async fn over(store: Store, folder: Option<tempfile::TempDir>, policy: Policy, once: bool) -> Self {
        store.migrate().await.unwrap();
        let (bridge, clock) = (Arc::new(Copying::new(once)), Arc::new(ManualClock::at(Utc::now())));
        let register = Register::new([bridge.clone() as Arc<dyn Bridge>]);
        let engine = Engine::new(store.clone(), register, clock.clone(), policy, "worker-1");
        Self { bridge, clock, store, engine, _folder: folder }
    }

    /// Another process on the same ledger.
    pub fn another(&self) -> Engine {
        let policy = self.engine.policy().clone();
        Engine::new(self.store.clone(), self.engine.register().clone(), self.clock.clone(), policy, "worker-2")
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The source has this text, and a webhook says so.
    pub async fn noticed(&self, id: &str, text: &str) {
        self.bridge.sides().source.insert(id.to_owned(), text.to_owned());
        let notice =
            Notice { key: key(id), hint: None, trigger: Trigger::Webhook, actor: "test".into(), lane: Lane::Live };
        self.store.notice(&[notice], self.now()).await.unwrap();
    }

    pub async fn row(&self, id: &str) -> LedgerRow {
        self.store.row(&key(id)).await.unwrap().unwrap()
    }

    pub async fn work(&self, id: &str) -> Outcome {
        self.engine.work(&key(id)).await.unwrap().outcome
    }

    /// Looks at a record whenever it is due, until nothing is open; answers how many looks it took.
    pub async fn settle(&self, id: &str) -> u32 {
        for looks in 0..20 {
            let row = self.row(id).await;
            if !row.is_open() {
                return looks;
            }
            self.clock.advance((row.due_at - self.now()).max(chrono::TimeDelta::zero()));
            self.work(id).await;
        }
        panic!("it does not come to an end: {:?}", self.row(id).await);
    }
}
