//! A scan over records that have not changed: the ledger compares, and notices nothing.

use crate::args::Args;
use crate::people;
use crate::programs::Program;
use crate::report::{Report, Target};
use crate::rig::{self, Systems};
use crate::roles::Installation;
use crate::servers::Servers;
use crate::tape::{Sent, System, Tape};
use crate::{import, stats};
use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection, Executor, PgConnection};
use std::sync::Arc;
use tandem_bridges::siagh::{POLL, SIAGH};
use tandem_core::Bridge;
use tandem_core::bridge::{ScanFrom, ScanPage};
use tandem_engine::Engine;
use tandem_store::Store;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PART: &str = "rescan";

pub async fn run(args: &Args, servers: &Servers, report: &mut Report) -> Result<()> {
    let systems = Systems::start().await?;
    let count = args.pick(100_000, 2_000);
    // Ten at a time and half a minute apart, as people save them: a page spans minutes.
    people::seed(&systems.crm_control, 0..count, 10, 30).await?;
    let database = servers.postgres.fresh_database().await?;
    let store = rig::store(&database).await?;
    let bridge = rig::bridge(&systems.crm, &systems.finance, |_| {})?;
    let known = make_known(bridge.as_ref(), &store, &database).await?;
    ensure!(known == u64::from(count), "{known} of {count} were read");
    let pages = pages(&systems, &store, &database).await?;
    report.note(format!("rescan: {count} customers in {} pages", pages.len()));

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let engine = rig::engine(&store, bridge);
    for _ in 0..args.pick(3, 1) {
        bare.push(f64::from(count) / fetch(&systems.crm, &pages).await?);
        ours.push(f64::from(count) / scan(&engine, &database).await?);
    }
    let rate = stats::median(&ours);
    report.value(PART, "unchanged records, pages of 100", rate, "records/s", Some(Target::AtLeast(10_000.0)));
    let fetched = (stats::median(&bare), "the same pages fetched and thrown away");
    report.beside(PART, "unchanged records, pages of 100", (rate, "records/s"), fetched, None);
    let large = rig::engine(&store, rig::bridge(&systems.crm, &systems.finance, |s| s.page_size = 500)?);
    let rate = f64::from(count) / scan(&large, &database).await?;
    report.value(PART, "unchanged records, pages of 500", rate, "records/s", Some(Target::AtLeast(10_000.0)));

    // The same in a process of its own, for its memory.
    forget(&database).await?;
    let tandem = Installation::new(&database, &servers.amqp, "rescan", &systems.crm, &systems.finance)?;
    let mut poll = Program::start("tandem run", &mut tandem.tandem(&["run", SIAGH, POLL])?)?;
    let watched = import::Watched::start(&[("the scan", poll.pid())]);
    poll.ended().await?;
    for (what, most) in watched.stop().await {
        report.value(PART, format!("{what}: resident at most"), most, "MB", Some(Target::AtMost(64.0)));
    }
    Ok(())
}

/// Writes what the CRM has into the ledger as known and in step, without looking at each.
async fn make_known(bridge: &dyn Bridge, store: &Store, database: &str) -> Result<u64> {
    let mut connection = PgConnection::connect(database).await?;
    let sql = "INSERT INTO entity_mapping (bridge, kind, source_id, hint, dest_id, state, reason, noticed, settled, due_at, lane, trigger_type, actor,
                                           source_checksum, seen_checksum, noticed_at, settled_at)
               SELECT $1, kind, source_id, 'person', source_id, 'SYNCED', 'made for the benchmark', 1, 1, now(), 'bulk', 'POLL', 'bench', checksum, checksum, now(), now()
               FROM unnest($2::text[], $3::text[], $4::text[]) AS seen (kind, source_id, checksum)
               ON CONFLICT DO NOTHING";
    let (mut made, mut at) = (0, None::<String>);
    loop {
        let from = ScanFrom { watermark: None, page: at.as_deref() };
        let ScanPage { sightings, next, .. } = bridge.scan(&POLL.into(), from, store).await?;
        let column = |of: fn(&tandem_core::ledger::Sighting) -> String| sightings.iter().map(of).collect::<Vec<_>>();
        let done = sqlx::query(sql)
            .bind(SIAGH)
            .bind(column(|s| s.kind.as_str().to_owned()))
            .bind(column(|s| s.source_id.as_str().to_owned()))
            .bind(column(|s| s.checksum.as_ref().map_or_else(String::new, |c| c.as_str().to_owned())))
            .execute(&mut connection)
            .await?;
        made += done.rows_affected();
        at = next;
        if at.is_none() {
            connection.execute("VACUUM ANALYZE entity_mapping").await?;
            return Ok(made);
        }
    }
}

/// The calls of one scan, recorded.
async fn pages(systems: &Systems, store: &Store, database: &str) -> Result<Arc<Vec<Sent>>> {
    let tape = Tape::default();
    let crm = tape.listen_in(&systems.crm, Some(System::Crm)).await?;
    let engine = rig::engine(store, rig::bridge(&crm, &systems.finance, |_| {})?);
    // The first one also finds out how the CRM counts its pages.
    scan(&engine, database).await?;
    tape.take();
    scan(&engine, database).await?;
    let finds = |sent: &Sent| matches!(sent, Sent::Call { path, .. } if path.ends_with("/find"));
    Ok(Arc::new(tape.take().into_iter().filter(finds).collect()))
}

/// Fetches pages and throws them away; the seconds it took.
async fn fetch(crm: &str, pages: &[Sent]) -> Result<f64> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let began = Instant::now();
    for page in pages {
        let Sent::Call { path, headers, body, .. } = page else { continue };
        let token = headers.iter().find(|(name, _)| name == "authorization").context("a call with a token")?;
        let call = http.post(format!("{crm}{path}")).header("content-type", "application/json").body(body.clone());
        call.header("authorization", &token.1).send().await?.error_for_status()?.bytes().await?;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// The next scan begins at the beginning.
async fn forget(database: &str) -> Result<()> {
    let mut connection = PgConnection::connect(database).await?;
    connection.execute("UPDATE schedule SET watermark = NULL, page = NULL").await?;
    Ok(())
}

/// Scans everything; the seconds it took.
async fn scan(engine: &Engine, database: &str) -> Result<f64> {
    forget(database).await?;
    let (began, stop) = (Instant::now(), CancellationToken::new());
    let summary = engine.scan(&SIAGH.into(), &POLL.into(), true, None, &stop, &mut |_| {}).await?;
    let summary = summary.context("somebody else scans")?;
    ensure!(summary.noticed == 0, "{} of {} were noticed although nothing has changed", summary.noticed, summary.seen);
    Ok(began.elapsed().as_secs_f64())
}
