//! Whether Tandem gets slower as it gets older: the same work on a small and on a large ledger, in turns.

use crate::accept::{NOBODY, webhook};
use crate::args::Args;
use crate::load::{self, About};
use crate::machine::calm;
use crate::programs::Program;
use crate::report::{Report, Target, say};
use crate::roles::Installation;
use crate::servers::Servers;
use crate::settle::{self, Rig};
use crate::{rig, stats};
use anyhow::Result;
use sqlx::{Connection, Executor, PgConnection};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tandem_store::Retention;
use uuid::Uuid;

const PART: &str = "growth";

pub async fn run(args: &Args, servers: &Servers, report: &mut Report) -> Result<()> {
    let small = filled(servers, args.pick(10_000, 1_000), args.pick(50_000, 5_000)).await?;
    let large = filled(servers, args.pick(1_000_000, 20_000), args.pick(5_000_000, 100_000)).await?;
    let target = Some(Target::AtMost(1.3));

    let (at_small, at_large) =
        (Taker::start(servers, &small, "small").await?, Taker::start(servers, &large, "large").await?);
    let time = args.pick(Duration::from_secs(3), Duration::from_millis(400));
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for round in 0..=args.pick(7, 2) {
        let (of_small, of_large) = (at_small.rate(time).await?, at_large.rate(time).await?);
        if round > 0 {
            few.push(1_000.0 / of_small);
            many.push(1_000.0 / of_large);
        }
    }
    drop((at_small, at_large));
    let cost = (stats::median(&many), "ms per webhook");
    report.beside(PART, "accept, large ledger", cost, (stats::median(&few), "small ledger"), target);

    let systems = settle::systems().await?;
    let mut on_small = Rig::new(systems.clone(), &small, 1_000_000, async |_, bridge| {
        settle::rabbit(servers, "grown-small", bridge).await
    })
    .await?;
    let mut on_large =
        Rig::new(systems, &large, 2_000_000, async |_, bridge| settle::rabbit(servers, "grown-large", bridge).await)
            .await?;
    let count = args.pick(1_000, 100);
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for round in 0..=args.pick(7, 2) {
        let (of_small, of_large) = (on_small.tandem(count).await?, on_large.tandem(count).await?);
        if round > 0 {
            few.push(1_000.0 / of_small);
            many.push(1_000.0 / of_large);
        }
    }
    let cost = (stats::median(&many), "ms per record");
    report.beside(PART, "settle, large ledger", cost, (stats::median(&few), "small ledger"), target);
    Ok(())
}

/// A database with so many records that are in step, and so many log entries over most of a year.
async fn filled(servers: &Servers, rows: i64, entries: i64) -> Result<String> {
    say(&format!("growth: filling a ledger of {rows} rows and {entries} log entries"));
    let database = servers.postgres.fresh_database().await?;
    let store = rig::store(&database).await?;
    store.upkeep(chrono::Utc::now(), &Retention::default()).await?;
    store.close().await;
    let mut connection = PgConnection::connect(&database).await?;
    connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'").await?;
    let ledger = "INSERT INTO entity_mapping (bridge, kind, source_id, dest_id, hint, state, reason, noticed, settled, due_at, lane, trigger_type, actor,
                                              source_checksum, seen_checksum, fields, stamp, written_at, noticed_at, settled_at)
                  SELECT 'siagh', 'customer', CAST(md5(i::text) AS uuid)::text, (10000000 + i)::text, 'person', 'SYNCED', 'update contact: mobile, address', 3, 3, at,
                         'live', 'WEBHOOK', 'crm', repeat(md5(i::text), 2), repeat(md5(i::text), 2),
                         jsonb_build_object('name', 'a customer ' || i, 'mobile', '0912' || i, 'email', i || '@example.test', 'address', 'a street ' || i),
                         CAST(md5('s' || i) AS uuid)::text, at, at, at
                  FROM (SELECT i, now() - random() * interval '300 days' - interval '1 minute' AS at FROM generate_series(1, $1::bigint) i) made";
    sqlx::query(ledger).bind(rows).execute(&mut connection).await?;
    let log = "INSERT INTO sync_log (started_at, duration_ms, bridge, kind, source_id, dest_id, status, state, reason, action, changes, notes, attempt, stamp, trigger_type, actor)
               SELECT now() - random() * interval '300 days', 40, 'siagh', 'customer', CAST(md5((1 + i % $2::bigint)::text) AS uuid)::text, (10000001 + i % $2::bigint)::text,
                      'SUCCESS', 'SYNCED', 'update contact: mobile, address', 'update_contact',
                      '[{\"field\": \"mobile\", \"old\": \"09120000000\", \"new\": \"09120000001\"}]', '[]', 1, CAST(md5('s' || i) AS uuid)::text, 'WEBHOOK', 'crm'
               FROM generate_series(1, $1::bigint) i";
    sqlx::query(log).bind(entries).bind(rows).execute(&mut connection).await?;
    connection.execute("VACUUM ANALYZE").await?;
    connection.execute("CHECKPOINT").await?;
    Ok(database)
}

/// `tandem ingest` on one of the databases, called about records that it knows.
struct Taker {
    ingest: Program,
    at: SocketAddr,
    known: Arc<Vec<Uuid>>,
}

impl Taker {
    async fn start(servers: &Servers, database: &str, prefix: &str) -> Result<Self> {
        let tandem = Installation::new(database, &servers.amqp, prefix, NOBODY, NOBODY)?;
        let (ingest, at) = tandem.ingest().await?;
        let mut connection = PgConnection::connect(database).await?;
        let some = "SELECT source_id FROM entity_mapping ORDER BY md5(source_id) LIMIT 100000";
        let ids: Vec<String> = sqlx::query_scalar(some).fetch_all(&mut connection).await?;
        let known = ids.iter().filter_map(|id| id.parse().ok()).collect();
        Ok(Self { ingest, at, known: Arc::new(known) })
    }

    async fn rate(&self, time: Duration) -> Result<f64> {
        let rate = load::flat_out(self.at, &webhook(), time, About::Known(self.known.clone())).await?;
        calm(self.ingest.pid()).await;
        Ok(rate)
    }
}
