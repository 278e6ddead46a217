//! `tandem up`, `ingest` and `worker`: the services. A stop lets work in hand finish.

use crate::alone::Alone;
use crate::exit::Ended;
use crate::settings::{Http, Needs, Settings};
use crate::show;
use crate::stop::Stop;
use crate::wiring::{self, Start};
use anyhow::{Context as _, bail};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::lane::Lanes;
use tandem_engine::{Engine, Publisher};
use tandem_ingest::{
    AcceptSettings, HttpSettings, Ingest, IngestSettings, RateCap, RateCaps, WebhookSettings, ops_server,
};
use tandem_store::{Retention, Store};
use tandem_worker::Worker;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often a scan's time is looked at.
const POLL_CHECK: Duration = Duration::from_secs(5);

/// Everything a role is made of.
struct Parts {
    settings: Settings,
    engine: Engine,
    lanes: Arc<dyn Lanes>,
    publisher: Publisher,
    stop: CancellationToken,
}

impl Parts {
    async fn of(settings: Settings, store: Store, stop: CancellationToken) -> anyhow::Result<Self> {
        wiring::ready(&store).await?;
        let engine = wiring::engine(&settings, store)?;
        if engine.register().iter().next().is_none() {
            bail!("no bridge is to run: TANDEM_BRIDGES names none");
        }
        let lanes = wiring::lanes(&settings, engine.store())?;
        let publisher = wiring::publisher(&lanes, engine.store());
        Ok(Self { settings, engine, lanes, publisher, stop })
    }

    fn ingest(&self) -> anyhow::Result<Ingest> {
        let settings = ingest_settings(&self.settings);
        let listen = settings.http.listen;
        Ingest::build(settings, self.engine.clone(), self.lanes.clone(), self.publisher.clone())
            .with_context(|| format!("can't listen on {listen}"))
    }

    fn worker(&self) -> Worker {
        let settings =
            tandem_worker::Settings { grace: self.settings.process.grace, ..tandem_worker::Settings::default() };
        Worker::new(self.engine.clone(), self.lanes.clone(), self.publisher.clone(), settings)
    }
}

/// Ingest and worker in one process. On SQLite, where one machine does everything, it migrates by itself.
pub async fn up(start: &Start) -> anyhow::Result<Ended> {
    let settings = start.settings(Needs::Bridges)?;
    let store = wiring::connect_or_make(&settings).await?;
    let _alone = Alone::among_workers(&settings)?;
    if settings.database.is_sqlite() {
        for name in store.migrate().await? {
            tracing::info!(%name, "migration applied");
        }
    }
    let life = Life::begins("up", &settings);
    let up = Up::start(settings, store, life.stop.token.clone()).await?;
    life.listens(up.address, &up.engine);
    let ended = up.ended.await.context("the roles");
    life.ends();
    ended??;
    Ok(Ended::Done)
}

/// The first and the last line in the log of a service.
struct Life {
    role: &'static str,
    database: &'static str,
    lanes: &'static str,
    stop: Stop,
}

impl Life {
    fn begins(role: &'static str, settings: &Settings) -> Self {
        Self {
            role,
            database: if settings.database.is_sqlite() { "sqlite" } else { "postgres" },
            lanes: if settings.broker.is_some() { "rabbitmq" } else { "embedded" },
            stop: Stop::on_signal(),
        }
    }

    /// Says so to whoever started it, and in the log.
    fn listens(&self, address: SocketAddr, engine: &Engine) {
        show::announce(format!("listening on {address}"));
        let bridges: Vec<&str> = engine.register().iter().map(|bridge| bridge.spec().id.as_str()).collect();
        let (role, version, bridges) = (self.role, env!("CARGO_PKG_VERSION"), bridges.join(", "));
        let Self { database, lanes, .. } = self;
        tracing::info!(role, version, bridges, database, lanes, %address, "tandem has started");
    }

    fn ends(&self) {
        let role = self.role;
        match self.stop.asked() {
            Some((why, at)) => {
                let drained_s = at.elapsed().as_secs_f64();
                tracing::info!(role, why, drained_s = %format_args!("{drained_s:.1}"), "tandem has stopped");
            }
            None => tracing::info!(role, why = "it could not go on", "tandem has stopped"),
        }
    }
}

/// Both roles, running.
pub struct Up {
    /// Where ingest listens.
    pub address: SocketAddr,
    pub engine: Engine,
    /// Ends after `stop`, when both roles have ended, or when one of them can't go on.
    pub ended: JoinHandle<anyhow::Result<()>>,
}

impl Up {
    pub async fn start(settings: Settings, store: Store, stop: CancellationToken) -> anyhow::Result<Self> {
        let parts = Parts::of(settings, store, stop).await?;
        let (ingest, worker) = (parts.ingest()?, parts.worker());
        let (address, engine) = (ingest.addr(), parts.engine.clone());
        let ended = tokio::spawn(async move {
            let working = tokio::spawn(worker.run(parts.stop.clone()));
            let served = ingest.run_until_stopped(parts.stop.clone()).await;
            // Whichever way ingest ended, the worker ends with it.
            parts.stop.cancel();
            working.await.context("the worker")?;
            served.context("the HTTP server")
        });
        Ok(Self { address, engine, ended })
    }
}

pub async fn ingest(start: &Start) -> anyhow::Result<Ended> {
    let settings = start.settings(Needs::Bridges)?;
    let store = wiring::connect_or_make(&settings).await?;
    let life = Life::begins("ingest", &settings);
    let parts = Parts::of(settings, store, life.stop.token.clone()).await?;
    let ingest = parts.ingest()?;
    life.listens(ingest.addr(), &parts.engine);
    let served = ingest.run_until_stopped(parts.stop.clone()).await;
    life.ends();
    served.context("the HTTP server")?;
    Ok(Ended::Done)
}

pub async fn worker(start: &Start) -> anyhow::Result<Ended> {
    let settings = start.settings(Needs::Bridges)?;
    let store = wiring::connect_or_make(&settings).await?;
    let _alone = Alone::among_workers(&settings)?;
    let life = Life::begins("worker", &settings);
    let parts = Parts::of(settings, store, life.stop.token.clone()).await?;
    let listen = parts.settings.http.worker;
    let ops = ops_server(listen, "tandem-worker", parts.engine.clone(), parts.lanes.clone())
        .with_context(|| format!("can't listen on {listen}"))?;
    life.listens(ops.addr(), &parts.engine);
    if parts.settings.broker.is_none() && !parts.settings.database.is_sqlite() {
        tracing::warn!(
            "AMQP_URL is not set: this has to be the only worker on its database, or destinations get more at once than they bear"
        );
    }
    let serving = tokio::spawn(ops.run_until_stopped(parts.stop.clone()));
    parts.worker().run(parts.stop.clone()).await;
    parts.stop.cancel();
    let served = serving.await.context("the HTTP server");
    life.ends();
    served?.context("the HTTP server")?;
    Ok(Ended::Done)
}

fn ingest_settings(settings: &Settings) -> IngestSettings {
    let (http, process) = (&settings.http, &settings.process);
    IngestSettings {
        http: HttpSettings {
            listen: http.ingest,
            grace: process.grace.min(HttpSettings::default().grace),
            ..HttpSettings::default()
        },
        webhooks: WebhookSettings {
            enabled: http.webhooks,
            tokens: http.tokens.clone(),
            allow_from: http.allow_from.clone(),
            trusted_proxies: http.trusted_proxies.clone(),
            signing_secrets: http.signing_secrets.clone(),
            rates: rates(http),
            ..WebhookSettings::default()
        },
        accept: AcceptSettings { crowd: http.crowd, ..AcceptSettings::default() },
        retention: Retention {
            log_days: process.log_days,
            inbox_days: process.inbox_days,
            runs_days: process.runs_days,
        },
        // Whoever polls often wants the question "is it due?" asked as often.
        poll_check: settings.systems.siagh.poll_every.map_or(POLL_CHECK, |every| every.min(POLL_CHECK)),
        ..IngestSettings::default()
    }
}

/// As many at once as in two seconds.
fn rates(http: &Http) -> RateCaps {
    let cap = |per_second: u32| (per_second > 0).then_some(RateCap { per_second, burst: per_second.saturating_mul(2) });
    RateCaps { strangers: cap(http.strangers_per_second), known: cap(http.calls_per_second) }
}
