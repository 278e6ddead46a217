//! Settling: engine, bridge, ledger, broker and worker, beside a bare loop that makes the same calls and runs the same SQL.

use crate::acks::Counted;
use crate::args::Args;
use crate::people::{self, Person, calls, post};
use crate::replay::{self, Place, Script};
use crate::report::{Report, Target};
use crate::rig::{self, AT_ONCE, Systems};
use crate::servers::Servers;
use crate::{bare, stats};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::sync::Arc;
use tandem_core::lane::Lanes;
use tandem_core::{Bridge, State};
use tandem_engine::Engine;
use tandem_queue::EmbeddedLanes;
use tandem_store::Store;
use tandem_worker::{Settings, Worker};
use tokio_util::sync::CancellationToken;

const PART: &str = "settle";

/// Everything that a round of settling needs.
pub struct Rig {
    pub systems: Arc<Systems>,
    pub database: String,
    pub engine: Engine,
    pub lanes: Arc<dyn Lanes>,
    serial: u32,
}

impl Rig {
    /// Serial numbers begin at `serial`; they are unique over all that share the systems.
    pub async fn new(
        systems: Arc<Systems>,
        database: &str,
        serial: u32,
        lanes: impl AsyncFnOnce(&Store, &dyn Bridge) -> Result<Arc<dyn Lanes>>,
    ) -> Result<Self> {
        let store = rig::store(database).await?;
        let bridge = rig::bridge(&systems.crm, &systems.finance, |_| {})?;
        let lanes = lanes(&store, bridge.as_ref()).await?;
        Ok(Self { systems, database: database.to_owned(), engine: rig::engine(&store, bridge), lanes, serial })
    }

    /// New customers of the CRM.
    async fn people(&mut self, count: u32) -> Result<Vec<Person>> {
        let people = people::seed(&self.systems.crm_control, self.serial..self.serial + count, 500, 0).await?;
        self.serial += count;
        Ok(people)
    }

    /// Tandem settles new customers; records per second.
    pub async fn tandem(&mut self, count: u32) -> Result<f64> {
        let people = self.people(count).await?;
        let store = self.engine.store().clone();
        let nudges = people::notice(&store, &people).await?;
        let publisher = rig::publisher(&self.lanes, &store);
        let stored = publisher.publish(&nudges).await;
        ensure!(stored == people.len(), "{stored} of {count} nudges were published");
        let lanes = Counted::new(self.lanes.clone(), u64::from(count));
        let stop = CancellationToken::new();
        let worker = Worker::new(self.engine.clone(), lanes.clone(), publisher, Settings::default());
        let working = tokio::spawn(worker.run(stop.clone()));
        let took = tokio::time::timeout(std::time::Duration::from_secs(300), lanes.took()).await;
        let took = took.with_context(|| format!("only {} of {count} were settled", lanes.acknowledged()))?;
        stop.cancel();
        working.await?;
        self.check(&people).await?;
        Ok(f64::from(count) / took.as_secs_f64())
    }

    /// The bare loop does the same; records per second.
    pub async fn bare(&mut self, script: &Arc<Script>, count: u32) -> Result<f64> {
        let people = self.people(count).await?;
        people::notice(self.engine.store(), &people).await?;
        let rate = bare::play(script, &self.database, &people, AT_ONCE).await?;
        self.check(&people).await?;
        Ok(rate)
    }

    /// Whoever did it: all are in step, each with a contact of its own.
    async fn check(&self, people: &[Person]) -> Result<()> {
        for person in [people.first(), people.last()].into_iter().flatten() {
            let row = self.engine.store().row(&person.key()).await?.context("a row for everybody")?;
            let done = row.state == State::Synced && !row.is_open() && row.dest_id.is_some();
            ensure!(done, "{} is {}: {}", person.key(), row.state, row.reason);
        }
        Ok(())
    }

    /// How often both systems were called so far.
    async fn calls(&self) -> Result<u64> {
        Ok(calls(&self.systems.crm_control).await? + calls(&self.systems.finance_control).await?)
    }
}

/// Simulated systems that are ready to be recorded.
pub async fn systems() -> Result<Arc<Systems>> {
    let systems = Systems::start().await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let seed = json!({ "contacts": [replay::first_contact()] });
    post(&http, &format!("{}/seed", systems.finance_control), &seed).await?;
    Ok(Arc::new(systems))
}

/// Lanes of their own on the run's broker.
pub async fn rabbit(servers: &Servers, prefix: &str, bridge: &dyn Bridge) -> Result<Arc<dyn Lanes>> {
    rig::lanes(&servers.amqp, prefix, bridge).await
}

pub async fn run(args: &Args, servers: &Servers, report: &mut Report) -> Result<()> {
    let systems = systems().await?;
    let database = servers.postgres.fresh_database().await?;
    let place =
        Place { database: &database, crm: &systems.crm, crm_control: &systems.crm_control, finance: &systems.finance };
    let script = Arc::new(replay::record(&place, 1).await?);
    report.note(format!(
        "settle: one new customer is {} HTTP calls and {} SQL statements",
        script.calls, script.statements
    ));
    let mut rig =
        Rig::new(systems.clone(), &database, 1_000, async |_, bridge| rabbit(servers, "settle", bridge).await).await?;
    let (count, rounds) = (args.pick(2_000, 100), args.pick(7, 2));
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let (mut our_calls, mut bare_calls) = (0, 0);
    for round in 0..=rounds {
        let before = rig.calls().await?;
        let bare_rate = rig.bare(&script, count).await?;
        let between = rig.calls().await?;
        let rate = rig.tandem(count).await?;
        // The first round warms everything up.
        if round > 0 {
            (bare_calls, our_calls) = (bare_calls + between - before, our_calls + rig.calls().await? - between);
            ours.push(rate);
            bare.push(bare_rate);
        }
    }
    let per_record = |calls: u64| calls as f64 / f64::from(count * rounds);
    report.note(format!(
        "settle: HTTP calls per record as the simulators counted them: {:.3} by Tandem, {:.3} by the bare loop (a login and the list of contacts now and then on top)",
        per_record(our_calls),
        per_record(bare_calls)
    ));
    let rate = (stats::median(&ours), "records/s");
    report.beside(PART, "settled, RabbitMQ", rate, (stats::median(&bare), "bare loop"), Some(Target::AtLeast(0.7)));
    embedded(args, systems, report).await
}

/// The same without a server: SQLite and embedded lanes. For information.
async fn embedded(args: &Args, systems: Arc<Systems>, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("tandem.db").display());
    let lanes = async |store: &Store, _: &dyn Bridge| -> Result<Arc<dyn Lanes>> {
        let lanes: Arc<dyn Lanes> = Arc::new(EmbeddedLanes::new(Arc::new(store.clone()), EmbeddedLanes::DEFAULT_POLL));
        Ok(lanes)
    };
    let mut rig = Rig::new(systems, &url, 500_000, lanes).await?;
    let mut rates = Vec::new();
    for _ in 0..args.pick(3, 1) {
        rates.push(rig.tandem(args.pick(1_000, 100)).await?);
    }
    report.value(PART, "settled, SQLite and embedded lanes", stats::median(&rates), "records/s", None);
    Ok(())
}
