//! What operators and their machines ask: `/health`, `/ready`, `/metrics`. Every role serves them.
//!
//! They need no authentication and therefore tell no address, no name of a record and no text from another system.

use crate::http;
use crate::settings::HttpSettings;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, dev::Server};
use chrono::SecondsFormat;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tandem_core::lane::Lanes;
use tandem_engine::Engine;
use tandem_telemetry::metric;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How long an answer of `/ready` is good: whoever asks more often costs the database nothing.
const FRESH: Duration = Duration::from_secs(1);
/// How long each question may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the metrics are folded.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// Listens for the operators' questions only, on a port of its own: for a role that has no other HTTP.
///
/// # Errors
/// When the address can't be bound.
pub fn ops_server(
    listen: SocketAddr,
    service: &'static str,
    engine: Engine,
    lanes: Arc<dyn Lanes>,
) -> std::io::Result<OpsServer> {
    let settings = HttpSettings { listen, threads: 1, grace: Duration::from_secs(1), ..HttpSettings::default() };
    let (server, addr) = http::bind(&settings, None, Arc::new(Ops::new(service, engine, lanes)))?;
    Ok(OpsServer { server, addr })
}

/// The listener of [`ops_server`].
pub struct OpsServer {
    server: Server,
    addr: SocketAddr,
}

impl OpsServer {
    /// Where it listens; tells the real port when port 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `stop` is cancelled.
    ///
    /// # Errors
    /// When the server ends by itself.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> std::io::Result<()> {
        metric::install();
        let tidying = tokio::spawn(tidy(stop.clone()));
        let served = http::serve(self.server, &stop).await;
        tidying.abort();
        served
    }
}

/// Folds the metrics now and then until `stop`.
pub(crate) async fn tidy(stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(TIDY_EVERY)).await.is_some() {
        metric::tidy();
    }
}

pub(crate) struct Ops {
    service: &'static str,
    engine: Engine,
    lanes: Arc<dyn Lanes>,
    /// Where the database's connections live; the threads that answer have runtimes of their own.
    home: Option<Handle>,
    last: Mutex<Option<(Instant, Report)>>,
}

#[derive(Clone)]
struct Report {
    ready: bool,
    body: Value,
}

impl Ops {
    pub(crate) fn new(service: &'static str, engine: Engine, lanes: Arc<dyn Lanes>) -> Self {
        Self { service, engine, lanes, home: Handle::try_current().ok(), last: Mutex::new(None) }
    }

    async fn report(self: &Arc<Self>) -> Report {
        // Held while asking: many who ask at once share one look.
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < FRESH
        {
            return report.clone();
        }
        let ops = self.clone();
        let report = match &self.home {
            Some(home) => home.spawn(async move { ops.look().await }).await.unwrap_or_else(|_| broken()),
            None => ops.look().await,
        };
        *last = Some((Instant::now(), report.clone()));
        report
    }

    async fn look(&self) -> Report {
        let (database, migrations, lanes) = tokio::join!(self.database(), self.migrations(), self.lanes_answer());
        let circuits = self.circuits().await;
        let ready = database && migrations == Some(0);
        let migrations = match migrations {
            Some(0) => json!({"ok": true}),
            Some(pending) => json!({"ok": false, "pending": pending, "advice": "run `tandem migrate`"}),
            None => json!({"ok": false, "detail": "not known"}),
        };
        let body = json!({
            "status": if ready { "ready" } else { "not_ready" },
            "service": self.service,
            "database": {"ok": database},
            "migrations": migrations,
            "lanes": {"ok": lanes, "kind": self.lanes.name()},
            "open_circuits": circuits,
        });
        Report { ready, body }
    }

    async fn database(&self) -> bool {
        matches!(tokio::time::timeout(PATIENCE, self.engine.store().ping()).await, Ok(Ok(())))
    }

    async fn migrations(&self) -> Option<usize> {
        let pending = tokio::time::timeout(PATIENCE, self.engine.store().pending_migrations()).await;
        Some(pending.ok()?.ok()?.len())
    }

    /// Asks for one bridge's depth: the cheapest question that shows whether the lanes answer.
    async fn lanes_answer(&self) -> bool {
        let Some(bridge) = self.engine.register().iter().next().map(|bridge| bridge.spec().id.clone()) else {
            return true;
        };
        matches!(tokio::time::timeout(PATIENCE, self.lanes.depth(&bridge)).await, Ok(Ok(_)))
    }

    async fn circuits(&self) -> Vec<Value> {
        // What was read last is good enough when the database is away.
        let _ = tokio::time::timeout(PATIENCE, self.engine.circuits().refresh()).await;
        let circuits = self.engine.circuits();
        let open = circuits.open_bridges().into_iter().filter_map(|bridge| circuits.get(&bridge));
        open.map(|c| json!({"bridge": c.bridge.as_str(), "code": c.code, "since": c.opened_at, "probe_at": c.probe_at}))
            .collect()
    }
}

fn broken() -> Report {
    Report { ready: false, body: json!({"status": "not_ready"}) }
}

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.route("/health", web::get().to(health)).route("/health", web::head().to(health));
    config.route("/ready", web::get().to(ready)).route("/ready", web::head().to(ready));
    config.route("/metrics", web::get().to(metrics));
}

/// The process lives, no more.
async fn health(ops: Data<Arc<Ops>>) -> HttpResponse {
    let timestamp = ops.engine.now().to_rfc3339_opts(SecondsFormat::Millis, true);
    HttpResponse::Ok().json(json!({"status": "ok", "timestamp": timestamp, "service": ops.service}))
}

/// 200 when webhooks can be stored: with the broker down too, without the database not.
async fn ready(ops: Data<Arc<Ops>>) -> HttpResponse {
    let report = ops.get_ref().report().await;
    let mut response = if report.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(report.body)
}

async fn metrics() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metric::render())
}
