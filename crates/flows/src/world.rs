//! Both systems, a database, and everything of ours between them.

use chrono::Utc;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tandem_bridges::siagh::{
    CONTACT, CUSTOMER, CustomerCodeSource, PRE_INVOICE, SIAGH, SiaghBridge, SiaghSettings, mapping,
};
use tandem_core::{Bridge, BridgeId, RecordKey};
use tandem_engine::{Clock, Engine, ManualClock, Policy, Register};
use tandem_simulators::payamgostar::{self as crm, PayamgostarSim};
use tandem_simulators::siagh::{self as finance, Good, SiaghSim};
use tandem_store::{Options, Store};
use uuid::Uuid;

/// Where the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Database {
    #[default]
    Sqlite,
    Postgres,
}

/// What a world is made of. `Default` is quick, without skew, with the bridge's default settings.
pub struct Setup {
    pub database: Database,
    pub crm: crm::Settings,
    pub finance: finance::Settings,
    pub bridge: SiaghSettings,
    pub policy: Policy,
    /// How long our clients wait for an answer.
    pub timeout: Duration,
    /// How long they leave a refused login alone.
    pub refused_wait: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            database: Database::default(),
            crm: crm::Settings::quick(),
            finance: finance::Settings::quick(),
            bridge: SiaghSettings::default(),
            policy: Policy::default(),
            timeout: Duration::from_secs(30),
            refused_wait: Duration::from_secs(15 * 60),
        }
    }
}

/// What the test itself put there, so that the checker knows what we made.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) contacts: BTreeSet<i64>,
    pub(crate) identities: BTreeSet<Uuid>,
    pub(crate) quotes: BTreeSet<Uuid>,
    pub(crate) noticed: BTreeSet<RecordKey>,
    /// Records that are meant to differ: a finance-only change, an accepted later version.
    pub(crate) excused: BTreeSet<RecordKey>,
}

/// A running world. Everything in it ends when it is dropped.
pub struct World {
    pub crm: crm::Admin,
    pub finance: finance::Admin,
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub bridge: Arc<SiaghBridge>,
    pub engine: Engine,
    pub(crate) settings: SiaghSettings,
    pub(crate) known: Mutex<Known>,
    setup: Setup,
    crm_sim: PayamgostarSim,
    finance_sim: SiaghSim,
    _folder: Option<tempfile::TempDir>,
}

/// The goods code behind `Product-1`.
pub const GOOD: &str = "500100001";

impl World {
    /// A world with the default setup.
    pub async fn new() -> Self {
        Self::start(Setup::default()).await
    }

    pub async fn start(setup: Setup) -> Self {
        let crm_sim = PayamgostarSim::start(setup.crm.clone()).await.expect("the simulated CRM starts");
        let finance_sim = SiaghSim::start(setup.finance.clone()).await.expect("the simulated Siagh starts");
        let (store, folder) = open(setup.database).await;
        let clock = Arc::new(ManualClock::at(Utc::now()));
        let bridge = bridge(&setup, &crm_sim, &finance_sim);
        let engine = engine(&store, bridge.clone(), clock.clone(), setup.policy.clone(), "one");
        let world = Self {
            crm: crm_sim.admin(),
            finance: finance_sim.admin(),
            store,
            clock,
            bridge,
            engine,
            settings: setup.bridge.clone(),
            known: Mutex::default(),
            setup,
            crm_sim,
            finance_sim,
            _folder: folder,
        };
        world.finance.add_good(Good::new(GOOD, "کالای نمونه", 100_000));
        world.map(mapping::GOODS, "Product-1", GOOD).await;
        world.map(mapping::SALE_MODEL, "PI_5", "5").await;
        world.map(mapping::SALES_CENTRE, "PI_5", "5").await;
        world
    }

    /// What a restart of our process leaves: the same systems and the same database, nothing remembered in memory.
    pub fn restart(&mut self) {
        self.bridge = bridge(&self.setup, &self.crm_sim, &self.finance_sim);
        self.engine = self.engine_with(self.bridge.clone(), self.clock.clone(), "restarted");
    }

    /// Another process of ours on the same database, with its own bridge.
    pub fn another(&self, owner: &str) -> Engine {
        let bridge = bridge(&self.setup, &self.crm_sim, &self.finance_sim);
        self.engine_with(bridge, self.clock.clone(), owner)
    }

    pub fn engine_with(&self, bridge: Arc<dyn Bridge>, clock: Arc<dyn Clock>, owner: &str) -> Engine {
        engine(&self.store, bridge, clock, self.setup.policy.clone(), owner)
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn names_account_party(&self) -> bool {
        self.settings.customer_code_source == CustomerCodeSource::AccountPartyCode
    }
}

async fn open(database: Database) -> (Store, Option<tempfile::TempDir>) {
    let (url, folder) = match database {
        Database::Sqlite => {
            let folder = tempfile::tempdir().expect("a folder for the database");
            (format!("sqlite://{}", folder.path().join("tandem.db").display()), Some(folder))
        }
        Database::Postgres => (tandem_testbed::postgres::shared_database().await.expect("a Postgres"), None),
    };
    let store = Store::connect(&url, Options::default()).await.expect("the database opens");
    store.migrate().await.expect("the database is migrated");
    (store, folder)
}

fn bridge(setup: &Setup, crm_sim: &PayamgostarSim, finance_sim: &SiaghSim) -> Arc<SiaghBridge> {
    let address = |url: String| url.parse().expect("a simulator's address");
    let mut at_crm =
        payamgostar::Settings::new(address(crm_sim.api_url()), crm::USERNAME, crm::PASSWORD.into(), "tandem-flows");
    (at_crm.requests_per_second, at_crm.timeout) = (None, setup.timeout);
    (at_crm.locked_wait, at_crm.refused_wait) = (setup.refused_wait, setup.refused_wait);
    let hash = siagh::hash_password(finance::PASSWORD);
    let mut at_siagh = siagh::Settings::new(address(finance_sim.api_url()), finance::USERNAME, hash.into());
    (at_siagh.timeout, at_siagh.refused_wait) = (setup.timeout, setup.refused_wait);
    Arc::new(SiaghBridge::new(
        setup.bridge.clone(),
        payamgostar::PayamgostarClient::new(at_crm).expect("a CRM client"),
        siagh::SiaghClient::new(at_siagh).expect("a Siagh client"),
    ))
}

fn engine(store: &Store, bridge: Arc<dyn Bridge>, clock: Arc<dyn Clock>, policy: Policy, owner: &str) -> Engine {
    Engine::new(store.clone(), Register::new([bridge]), clock, policy, owner)
}

pub fn siagh_id() -> BridgeId {
    SIAGH.into()
}

/// The name of a customer, of a document, of a contact to import.
pub fn customer(id: Uuid) -> RecordKey {
    RecordKey::new(SIAGH, CUSTOMER, id.to_string())
}
pub fn pre_invoice(id: Uuid) -> RecordKey {
    RecordKey::new(SIAGH, PRE_INVOICE, id.to_string())
}
pub fn contact(code: i64) -> RecordKey {
    RecordKey::new(SIAGH, CONTACT, code.to_string())
}
