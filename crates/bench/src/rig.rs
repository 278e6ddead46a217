//! What is between the systems: a store, the bridge and an engine in this process, and the simulators in theirs.

use crate::programs::Program;
use anyhow::{Context as _, Result};
use std::sync::Arc;
use std::time::Duration;
use tandem_bridges::siagh::{SiaghBridge, SiaghSettings};
use tandem_core::Bridge;
use tandem_core::lane::Lanes;
use tandem_engine::{Engine, Policy, Publisher, Register, SystemClock};
use tandem_queue::{RabbitLanes, RabbitSettings};
use tandem_simulators::{payamgostar as crm, siagh as finance};
use tandem_store::{Options, Store};

/// Records worked on at once, and tasks of the bare loop.
pub const AT_ONCE: u16 = 8;

/// Both simulated systems, without any waiting, each in a process of its own.
pub struct Systems {
    pub crm: String,
    pub crm_control: String,
    pub finance: String,
    pub finance_control: String,
    _programs: (Program, Program),
}

impl Systems {
    pub async fn start() -> Result<Self> {
        let (crm_program, crm, crm_control) = simulate("payamgostar").await?;
        let (finance_program, finance, finance_control) = simulate("siagh").await?;
        Ok(Self { crm, crm_control, finance, finance_control, _programs: (crm_program, finance_program) })
    }
}

/// A simulator in a process of its own: its API and its control port.
pub async fn simulate(system: &str) -> Result<(Program, String, String)> {
    let any = "127.0.0.1:0";
    let mut program = Program::ours("simulate", [system, "--quick", "--api", any, "--control", any])?;
    let api = format!("http://{}", program.address_after("API").await?);
    let control = format!("http://{}", program.address_after("control").await?);
    Ok((program, api, control))
}

/// A migrated store, as the program opens it.
pub async fn store(url: &str) -> Result<Store> {
    let store = Store::connect(url, Options::default()).await?;
    store.migrate().await?;
    Ok(store)
}

/// The siagh bridge over clients without limits, so that what is measured is not a limit.
pub fn bridge(crm_url: &str, finance_url: &str, change: impl FnOnce(&mut SiaghSettings)) -> Result<Arc<dyn Bridge>> {
    let address = |url: &str| url.parse().with_context(|| format!("{url} is no address"));
    let mut at_crm = payamgostar::Settings::new(address(crm_url)?, crm::USERNAME, crm::PASSWORD.into(), "tandem-bench");
    (at_crm.requests_per_second, at_crm.max_in_flight) = (None, 64);
    let hash = siagh::hash_password(finance::PASSWORD);
    let mut at_finance = siagh::Settings::new(address(finance_url)?, finance::USERNAME, hash.into());
    (at_finance.max_writes, at_finance.max_lists) = (64, 64);
    let mut settings = SiaghSettings { concurrency: AT_ONCE, poll_every: None, ..SiaghSettings::default() };
    change(&mut settings);
    Ok(Arc::new(SiaghBridge::new(
        settings,
        payamgostar::PayamgostarClient::new(at_crm)?,
        siagh::SiaghClient::new(at_finance)?,
    )))
}

pub fn engine(store: &Store, bridge: Arc<dyn Bridge>) -> Engine {
    Engine::new(store.clone(), Register::new([bridge]), Arc::new(SystemClock), Policy::default(), "bench")
}

/// Lanes over a real broker.
pub async fn lanes(amqp: &str, prefix: &str, bridge: &dyn Bridge) -> Result<Arc<dyn Lanes>> {
    let mut settings = RabbitSettings::new(&amqp.to_owned().into())?;
    settings.prefix = prefix.to_owned();
    let lanes: Arc<dyn Lanes> = Arc::new(RabbitLanes::connect(settings));
    let options = bridge.spec().consume_options();
    lanes.prepare(&[(bridge.spec().id.clone(), options)]).await?;
    Ok(lanes)
}

pub fn publisher(lanes: &Arc<dyn Lanes>, store: &Store) -> Publisher {
    Publisher::new(lanes.clone(), store.clone(), Duration::from_secs(30))
}
