//! A running ingest with a bridge, lanes and a ledger that the tests can look into and tamper with.

use async_trait::async_trait;
use secrecy::SecretString;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tandem_core::bridge::{
    CheckLine, JobSpec, Lookups, PlanContext, ScanFrom, ScanPage, StepContext, WebhookCall, WebhookReading, WebhookSpec,
};
use tandem_core::lane::{ConsumeOptions, Consumer, Depth, KeepFuture, LaneError, Lanes, Published};
use tandem_core::plan::{OpenIntent, Recovery, StepResult};
use tandem_core::{
    Bridge, BridgeId, BridgeSpec, Fault, Fetched, JobId, KindSpec, Lane, LedgerRow, Nudge, Plan, RecordKey, Trigger,
};
use tandem_engine::{Engine, Policy, Publisher, Register, SystemClock};
use tandem_ingest::{Ingest, IngestSettings};
use tandem_store::{Options, Store, WebhookEvent, WebhookRoute};
use tandem_testbed::signal::{eventually, within};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const SOON: Duration = Duration::from_secs(20);
pub const TOKEN: &str = "a-token-nobody-guesses";
pub const SECRET: &str = "a signing secret of the tests";
pub const ID: &str = "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001";

/// A bridge that reads webhooks as the CRM's would be read, and scans from a list.
pub struct FakeBridge {
    spec: BridgeSpec,
    pub pages: Mutex<VecDeque<Result<ScanPage, Fault>>>,
    pub scans: AtomicU32,
}

impl FakeBridge {
    pub fn new(name: &'static str, poll_every: Option<Duration>) -> Self {
        let kind = |id: &str| KindSpec { id: id.into(), mappings: &[] };
        let poll = |every| JobSpec { id: "poll".into(), trigger: Trigger::Poll, every: Some(every), lane: Lane::Bulk };
        let spec = BridgeSpec {
            id: name.into(),
            kinds: vec![kind("customer"), kind("pre_invoice")],
            jobs: poll_every.map(poll).into_iter().collect(),
            webhooks: Some(WebhookSpec { system: "crm", routes: &["identity", "quote"] }),
            concurrency: 4,
        };
        Self { spec, pages: Mutex::default(), scans: AtomicU32::new(0) }
    }
}

#[async_trait]
impl Bridge for FakeBridge {
    fn spec(&self) -> &BridgeSpec {
        &self.spec
    }
    fn read_webhook(&self, call: &WebhookCall<'_>) -> WebhookReading {
        assert_ne!(call.event, Some("Explode"), "a call that this bridge does not survive");
        let Some(id) = call.id else { return WebhookReading::Malformed("the parameter id is missing".into()) };
        let Ok(id) = Uuid::try_parse(id) else {
            return WebhookReading::Malformed("the parameter id is not a GUID".into());
        };
        let kind = match call.kind.unwrap_or(call.route).to_lowercase().as_str() {
            "identity" => "customer",
            "quote" => "pre_invoice",
            _ => return WebhookReading::Ignored("the type is not synced".into()),
        };
        let hint = call.label.is_some_and(|label| label.contains("حقیقی")).then(|| "person".to_owned());
        if call.label == Some("poison") {
            // Longer than an index entry of Postgres may be.
            let source_id: String = (0..400).map(|_| Uuid::new_v4().to_string()).collect();
            return WebhookReading::Record { kind: kind.into(), source_id: source_id.into(), hint };
        }
        WebhookReading::Record { kind: kind.into(), source_id: id.to_string().into(), hint }
    }
    async fn fetch(&self, _: &LedgerRow) -> Result<Fetched, Fault> {
        unreachable!("ingest fetches nothing")
    }
    async fn plan_absent(&self, _: &LedgerRow, _: &dyn Lookups) -> Result<Plan, Fault> {
        unreachable!("ingest plans nothing")
    }
    async fn plan(&self, _: PlanContext<'_>) -> Result<Plan, Fault> {
        unreachable!("ingest plans nothing")
    }
    async fn apply(&self, _: StepContext<'_>) -> StepResult {
        unreachable!("ingest writes nothing")
    }
    async fn recover(&self, _: &LedgerRow, _: &OpenIntent, _: &dyn Lookups) -> Result<Recovery, Fault> {
        unreachable!("ingest recovers nothing")
    }
    async fn scan(&self, _: &JobId, _: ScanFrom<'_>, _: &dyn Lookups) -> Result<ScanPage, Fault> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        let page = self.pages.lock().unwrap().pop_front();
        page.unwrap_or_else(|| Ok(ScanPage::default()))
    }
    async fn probe(&self) -> Result<(), Fault> {
        Ok(())
    }
    async fn check(&self) -> Vec<CheckLine> {
        Vec::new()
    }
}

/// Lanes that remember what they were given, and can be away.
#[derive(Default)]
pub struct FakeLanes {
    pub published: Mutex<Vec<Nudge>>,
    pub away: AtomicBool,
    /// Who holds it keeps the lanes from answering.
    pub gate: tokio::sync::Mutex<()>,
    pub waiting: AtomicU64,
    pub prepared: Mutex<Vec<BridgeId>>,
    /// Dead letters, and what became of them at the last look.
    pub dead: Mutex<Vec<RecordKey>>,
}

impl FakeLanes {
    pub fn keys(&self) -> Vec<RecordKey> {
        self.published.lock().unwrap().iter().map(|nudge| nudge.key.clone()).collect()
    }
    /// Waits until a record was published, and forgets about it.
    pub async fn takes(&self, key: &RecordKey) {
        eventually(SOON, || async {
            let mut published = self.published.lock().unwrap();
            let place = published.iter().position(|nudge| nudge.key == *key)?;
            published.remove(place);
            Some(())
        })
        .await;
    }
}

#[async_trait]
impl Lanes for FakeLanes {
    async fn prepare(&self, bridges: &[(BridgeId, ConsumeOptions)]) -> Result<(), LaneError> {
        self.prepared.lock().unwrap().extend(bridges.iter().map(|(bridge, _)| bridge.clone()));
        if self.away.load(Ordering::SeqCst) { Err(LaneError("away".into())) } else { Ok(()) }
    }
    async fn publish(&self, nudges: &[Nudge], _: Duration) -> Vec<Published> {
        if self.away.load(Ordering::SeqCst) {
            return vec![Published::Unknown; nudges.len()];
        }
        let _open = self.gate.lock().await;
        self.published.lock().unwrap().extend_from_slice(nudges);
        vec![Published::Stored; nudges.len()]
    }
    async fn consume(&self, _: &BridgeId, _: &ConsumeOptions) -> Result<Box<dyn Consumer>, LaneError> {
        Err(LaneError("ingest consumes nothing".into()))
    }
    async fn depth(&self, _: &BridgeId) -> Result<Depth, LaneError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(LaneError("away".into()));
        }
        Ok(Depth { live: self.waiting.load(Ordering::SeqCst), bulk: 0, dead: 0 })
    }
    async fn tidy_dead(
        &self,
        _: &BridgeId,
        keep: &(dyn for<'a> Fn(&'a [RecordKey]) -> KeepFuture<'a> + Send + Sync),
    ) -> Result<u64, LaneError> {
        let letters = self.dead.lock().unwrap().clone();
        let kept = keep(&letters).await;
        let left: Vec<_> = letters.iter().zip(&kept).filter(|(_, keep)| **keep).map(|(key, _)| key.clone()).collect();
        let gone = letters.len() - left.len();
        *self.dead.lock().unwrap() = left;
        Ok(gone as u64)
    }
    fn name(&self) -> &'static str {
        "fake"
    }
}

pub struct House {
    pub store: Store,
    pub engine: Engine,
    pub bridge: Arc<FakeBridge>,
    pub lanes: Arc<FakeLanes>,
    pub addr: SocketAddr,
    pub client: reqwest::Client,
    pub stop: CancellationToken,
    pub running: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    _folder: Option<tempfile::TempDir>,
}

/// What most tests run with: a token, a signing secret, and short waits.
pub fn settings() -> IngestSettings {
    let mut settings = IngestSettings::default();
    settings.http.listen = ([127, 0, 0, 1], 0).into();
    settings.http.threads = 2;
    settings.webhooks.enabled = true;
    settings.webhooks.tokens = vec![SecretString::from(TOKEN)];
    settings.webhooks.signing_secrets = vec![SecretString::from(SECRET)];
    settings.pump.sweep_every = Duration::from_millis(20);
    settings.pump.rescue_every = Duration::from_millis(20);
    settings.poll_check = Duration::from_millis(20);
    settings
}

/// A migrated database of its own.
pub async fn sqlite() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("tandem.db").display());
    let store = Store::connect(&url, Options::default()).await.unwrap();
    store.migrate().await.unwrap();
    (store, folder)
}

impl House {
    pub async fn start(change: impl FnOnce(&mut IngestSettings)) -> Self {
        Self::with(FakeBridge::new("siagh", None), Arc::default(), change).await
    }

    pub async fn with(bridge: FakeBridge, lanes: Arc<FakeLanes>, change: impl FnOnce(&mut IngestSettings)) -> Self {
        let (store, folder) = sqlite().await;
        let mut house = Self::over(store, bridge, lanes, change);
        house._folder = Some(folder);
        house
    }

    pub fn over(
        store: Store,
        bridge: FakeBridge,
        lanes: Arc<FakeLanes>,
        change: impl FnOnce(&mut IngestSettings),
    ) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let bridge = Arc::new(bridge);
        let register = Register::new([bridge.clone() as Arc<dyn Bridge>]);
        let engine = Engine::new(
            store.clone(),
            register,
            Arc::new(SystemClock),
            Policy::default(),
            format!("house-{}", Uuid::new_v4()),
        );
        let ports: Arc<dyn Lanes> = lanes.clone();
        let publisher = Publisher::new(ports.clone(), store.clone(), Duration::from_secs(1));
        let ingest = Ingest::build(settings, engine.clone(), ports, publisher).unwrap();
        let (addr, stop) = (ingest.addr(), CancellationToken::new());
        let running = Some(tokio::spawn(ingest.run_until_stopped(stop.clone())));
        let client = reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap();
        Self { store, engine, bridge, lanes, addr, client, stop, running, _folder: None }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The address of a route with the token.
    pub fn hook(&self, route: &str) -> String {
        self.url(&format!("/webhook/crm/{route}/{TOKEN}"))
    }

    /// Calls a path and answers status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        Self::read(self.client.get(self.url(path))).await
    }

    pub async fn read(request: reqwest::RequestBuilder) -> (u16, String) {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// A change of a customer, as the CRM tells of it.
    pub async fn notice(&self, id: &str) -> u16 {
        self.get(&format!("/webhook/crm/identity/{TOKEN}?event=Update&id={id}&type=Identity")).await.0
    }

    pub async fn row(&self, id: &str) -> Option<LedgerRow> {
        self.store.row(&customer(id)).await.unwrap()
    }

    pub async fn events(&self) -> Vec<WebhookEvent> {
        self.store.webhook_events(100).await.unwrap()
    }

    /// Waits until no call is in the spool any more.
    pub async fn all_entered(&self) {
        eventually(SOON, || async {
            (self.store.open_work(None, self.engine.now()).await.unwrap().spooled == 0).then_some(())
        })
        .await;
    }

    /// Waits until so many calls of a route count as accepted and as rejected.
    pub async fn counted(&self, route: &str, accepted: u64, rejected: u64) {
        eventually(SOON, || async {
            let routes = self.store.webhook_routes().await.unwrap();
            let counted = |r: &WebhookRoute| r.route == route && (r.accepted, r.rejected) == (accepted, rejected);
            routes.iter().any(counted).then_some(())
        })
        .await;
    }

    pub async fn stopped(&mut self) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            within(SOON, running).await.unwrap().unwrap();
        }
    }
}

pub fn customer(id: &str) -> RecordKey {
    RecordKey::new("siagh", "customer", id)
}
