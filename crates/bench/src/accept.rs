//! Accepting webhooks durably: the real `tandem ingest` beside an actix handler that does nothing and beside bare inserts.

use crate::args::Args;
use crate::load::{self, About, Pace, SENDERS, Template};
use crate::machine::{busy, busy_named, calm, resident_mb};
use crate::programs::Program;
use crate::report::{Report, Target};
use crate::roles::{Installation, TOKEN};
use crate::servers::Servers;
use crate::{idle, stats};
use anyhow::Result;
use sqlx::{Connection, Executor, PgConnection};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const PART: &str = "accept";
/// Nobody is called while webhooks are only accepted.
pub const NOBODY: &str = "http://127.0.0.1:9";

pub async fn run(args: &Args, servers: &Servers, report: &mut Report) -> Result<()> {
    let database = servers.postgres.fresh_database().await?;
    let tandem = Installation::new(&database, &servers.amqp, "accept", NOBODY, NOBODY)?;
    tandem.migrate().await?;
    let (ingest, at) = tandem.ingest().await?;
    let mut nothing = Program::this("a handler that does nothing", [idle::COMMAND])?;
    let idle_at = nothing.address_after("listening on").await?;
    let template = webhook();
    let inserts = Inserts::new(&servers.postgres.fresh_database().await?).await?;

    let (time, rounds) = (args.pick(Duration::from_secs(3), Duration::from_millis(400)), args.pick(7, 2));
    let (mut ours, mut idle, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let (mut answering, mut all, mut database) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let idle_rate = load::flat_out(idle_at, &template, time, About::New).await?;
        let (before, database_before) = (busy(ingest.pid()).unwrap_or_default(), busy_named("postgres"));
        let rate = load::flat_out(at, &template, time, About::New).await?;
        let memory = resident_mb(ingest.pid()).unwrap_or_default();
        let until_answered = busy(ingest.pid()).unwrap_or_default().saturating_sub(before);
        let of_database = busy_named("postgres").saturating_sub(database_before);
        // What is accepted goes on into the lanes; the baselines shall not suffer from that.
        calm(ingest.pid()).await;
        let processor = busy(ingest.pid()).unwrap_or_default().saturating_sub(before);
        let bare_rate = inserts.flat_out(time).await?;
        // The first round warms everything up.
        if round > 0 {
            ours.push(rate);
            let per_call = |used: Duration| used.as_secs_f64() * 1e6 / (rate * time.as_secs_f64());
            answering.push(per_call(until_answered));
            all.push(per_call(processor));
            database.push(per_call(of_database));
            idle.push(idle_rate);
            bare.push(bare_rate);
        } else {
            report.value(PART, "ingest resident after the first round", memory, "MB", Some(Target::AtMost(64.0)));
        }
    }
    let rate = (stats::median(&ours), "/s");
    report.beside(PART, "accepted", rate, (stats::median(&idle), "idle actix handler"), Some(Target::AtLeast(0.4)));
    report.beside(PART, "accepted", rate, (stats::median(&bare), "bare inserts"), Some(Target::AtLeast(1.0)));

    report.value(PART, "processor time per call until it is answered: ingest", stats::median(&answering), "us", None);
    report.value(PART, "the same: the database", stats::median(&database), "us", None);
    report.value(PART, "processor time of ingest per call, publishing included", stats::median(&all), "us", None);

    let calls = args.pick(30_000, 1_000);
    let times = inserts.paced(1_000.0, calls).await?;
    report.value(PART, "bare inserts at 1,000/s: p50", stats::median(&times), "ms", None);
    report.value(PART, "bare inserts at 1,000/s: p99", stats::quantile(&times, 0.99), "ms", None);
    let times = load::paced(at, &template, 1_000.0, calls).await?;
    paced(report, "broker up", &times);
    calm(ingest.pid()).await;
    servers.rabbit.lock().await.stop().await;
    let times = load::paced(at, &template, 1_000.0, calls).await?;
    paced(report, "broker down", &times);
    let memory = resident_mb(ingest.pid()).unwrap_or_default();
    report.value(PART, "ingest resident at the end", memory, "MB", Some(Target::AtMost(64.0)));
    servers.rabbit.lock().await.restart().await?;
    ingest.kill().await;
    Ok(())
}

/// A webhook about a person, with the token.
pub fn webhook() -> Template {
    Template::webhook(&format!("/webhook/crm/person/{TOKEN}"), "Update")
}

fn paced(report: &mut Report, what: &str, times: &[f64]) {
    report.value(PART, format!("at 1,000/s, {what}: p50"), stats::quantile(times, 0.5), "ms", None);
    report.value(
        PART,
        format!("at 1,000/s, {what}: p99"),
        stats::quantile(times, 0.99),
        "ms",
        Some(Target::AtMost(5.0)),
    );
}

/// The bare way to keep a call: one row, one commit, 64 connections.
struct Inserts(String);

impl Inserts {
    async fn new(database: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(database).await?;
        let table = "CREATE TABLE event (id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now(), route text NOT NULL, body text NOT NULL)";
        connection.execute(table).await?;
        Ok(Self(database.to_owned()))
    }

    async fn connections(&self) -> Result<Vec<PgConnection>> {
        let mut connections = Vec::new();
        for _ in 0..SENDERS {
            connections.push(PgConnection::connect(&self.0).await?);
        }
        Ok(connections)
    }

    /// All connections insert as fast as they can; rows per second.
    async fn flat_out(&self, time: Duration) -> Result<f64> {
        let (connections, began, mut running) = (self.connections().await?, Instant::now(), JoinSet::new());
        for mut connection in connections {
            running.spawn(async move {
                let mut rows = 0u64;
                while began.elapsed() < time {
                    insert(&mut connection).await?;
                    rows += 1;
                }
                Ok::<_, anyhow::Error>(rows)
            });
        }
        let mut rows = 0;
        while let Some(done) = running.join_next().await {
            rows += done??;
        }
        Ok(rows as f64 / began.elapsed().as_secs_f64())
    }

    /// So many rows per second in all; how long each took, in milliseconds.
    async fn paced(&self, per_second: f64, total: u64) -> Result<Vec<f64>> {
        let connections = self.connections().await?;
        let (pace, mut running) = (Pace::new(per_second, total), JoinSet::new());
        for mut connection in connections {
            let pace = pace.clone();
            running.spawn(async move {
                let mut times = Vec::new();
                while let Some((_, due)) = pace.turn().await {
                    insert(&mut connection).await?;
                    times.push(stats::millis(due.elapsed()));
                }
                Ok::<_, anyhow::Error>(times)
            });
        }
        let mut times = Vec::new();
        while let Some(done) = running.join_next().await {
            times.extend(done??);
        }
        Ok(times)
    }
}

async fn insert(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("INSERT INTO event (id, route, body) VALUES ($1, $2, $3)")
        .bind(sqlx::types::Uuid::new_v4())
        .bind("crm/person")
        .bind("event=Update&type=Identity")
        .execute(connection)
        .await?;
    Ok(())
}
