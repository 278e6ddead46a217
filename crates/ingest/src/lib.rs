//! The ingest role: notices that records may be out of step, and hands them on. It acts on none.
//!
//! Webhooks, pollers, the pump and the upkeep of the lanes live here. A call is answered with 2xx only after its notice
//! is committed, and never waits for the broker or for another system: the callers send once and do not come back. What a
//! call says is a hint; nothing of it beyond the id is believed, and before authentication nothing is stored at all.

mod accept;
mod answer;
mod callers;
mod contain;
mod http;
mod ops;
mod outlet;
mod params;
mod poll;
mod pump;
mod rate;
mod settings;
mod signed;
mod spool;
mod sweep;
mod tally;
mod tokens;
mod upkeep;
mod webhooks;

pub use ops::{OpsServer, ops_server};
pub use settings::{AcceptSettings, HttpSettings, IngestSettings, PumpSettings, RateCap, RateCaps, WebhookSettings};

use actix_web::dev::Server;
use std::net::SocketAddr;
use std::sync::Arc;
use tandem_core::lane::Lanes;
use tandem_engine::{Engine, Publisher};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The role, listening and not yet running.
pub struct Ingest {
    settings: IngestSettings,
    engine: Engine,
    lanes: Arc<dyn Lanes>,
    publisher: Publisher,
    server: Server,
    addr: SocketAddr,
    batcher: accept::Batcher,
    pump: pump::Pump,
    sweep: sweep::Sweep,
    tally: Arc<tally::Tally>,
    unspooler: spool::Unspooler,
    crowd: accept::Crowd,
}

impl Ingest {
    /// Puts the parts together and binds the port. Calls that come before [`run_until_stopped`](Self::run_until_stopped)
    /// wait in the socket's queue.
    ///
    /// # Errors
    /// When the address can't be bound, or a signing secret is not what it says it is.
    pub fn build(
        settings: IngestSettings,
        engine: Engine,
        lanes: Arc<dyn Lanes>,
        publisher: Publisher,
    ) -> std::io::Result<Self> {
        let outlet = Arc::new(outlet::Outlet::new(engine.clone(), lanes.clone(), publisher.clone()));
        let (pump, to_pump) = pump::Pump::new(outlet.clone(), settings.pump.waiting);
        let sweep = sweep::Sweep::new(settings.pump.clone(), outlet);
        let (unspooler, to_unspooler) = spool::Unspooler::new(engine.clone(), to_pump.clone());
        let (batcher, acceptor, crowd) =
            accept::Batcher::new(settings.accept.clone(), engine.clone(), to_pump, to_unspooler);
        let tally = Arc::new(tally::Tally::of(engine.register()));
        let intake = Arc::new(webhooks::Intake::new(&settings, engine.clone(), acceptor, tally.clone())?);
        let ops = Arc::new(ops::Ops::new("tandem-ingest", engine.clone(), lanes.clone()));
        let (server, addr) = http::bind(&settings.http, Some(intake), ops)?;
        Ok(Self { settings, engine, lanes, publisher, server, addr, batcher, pump, sweep, tally, unspooler, crowd })
    }

    /// Where it listens; tells the real port when port 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Works until `stop` is cancelled. Then no more calls are taken, those in hand are answered, and what was accepted
    /// is handed to the lanes (at most [`HttpSettings::grace`] for each).
    ///
    /// # Errors
    /// When the HTTP server ends by itself.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> std::io::Result<()> {
        // Of our own: when the server ends by itself, our tasks end and the caller's other roles do not.
        let stop = stop.child_token();
        tandem_telemetry::metric::install();
        self.settings.webhooks.say_if_off();
        let tasks = TaskTracker::new();
        poll::start(&tasks, self.settings.poll_check, &self.engine, &self.publisher, &stop);
        upkeep::start(&tasks, &self.settings, &self.engine, &self.lanes, &stop);
        tasks.spawn(tally::flush(self.tally.clone(), self.engine.clone(), stop.clone()));
        tasks.spawn(self.sweep.run(stop.clone()));
        tasks.close();

        let [accepting, unspooling, pumping] = std::array::from_fn(|_| CancellationToken::new());
        let batcher = tokio::spawn(self.batcher.run(accepting.clone()));
        let unspooler = tokio::spawn(self.unspooler.run(self.crowd.clone(), unspooling.clone()));
        let pump = tokio::spawn(self.pump.run(self.crowd, pumping.clone()));
        tracing::debug!(addr = %self.addr, "ingest is listening");
        let served = http::serve(self.server, &stop).await;
        stop.cancel();
        // In the order of the work: no more calls, then no more commits, then an empty spool, then nothing left to publish.
        accepting.cancel();
        let grace = self.settings.http.grace;
        let _ = tokio::time::timeout(grace, batcher).await;
        unspooling.cancel();
        let _ = tokio::time::timeout(grace, unspooler).await;
        pumping.cancel();
        let _ = tokio::time::timeout(grace, pump).await;
        let _ = tokio::time::timeout(grace, tasks.wait()).await;
        tracing::debug!("ingest has stopped");
        served
    }
}
