//! The initial import of a large Siagh: how fast, and in how much memory. The real roles, each in its own process.

use crate::args::Args;
use crate::machine::resident_mb;
use crate::people::post;
use crate::programs::Program;
use crate::report::{Report, Target};
use crate::rig::Systems;
use crate::roles::Installation;
use crate::servers::Servers;
use anyhow::Result;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use tandem_bridges::siagh::{IMPORT, SIAGH};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PART: &str = "import";

pub async fn run(args: &Args, servers: &Servers, report: &mut Report) -> Result<()> {
    let systems = Systems::start().await?;
    let count = args.pick(100_000, 2_000);
    seed(&systems, count).await?;
    let database = servers.postgres.fresh_database().await?;
    let tandem = Installation::new(&database, &servers.amqp, "import", &systems.crm, &systems.finance)?;
    tandem.migrate().await?;
    let (ingest, _) = tandem.ingest().await?;
    let worker = tandem.worker().await?;
    let began = Instant::now();
    let mut scan = Program::start("tandem run", &mut tandem.tandem(&["run", SIAGH, IMPORT])?)?;
    let watched = Watched::start(&[("ingest", ingest.pid()), ("worker", worker.pid()), ("the scan", scan.pid())]);
    scan.ended().await?;
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    report.value(PART, format!("{count} contacts noticed (while others were settled)"), rate, "records/s", None);

    let (before, began) = (settled(&database).await?, Instant::now());
    let early = resident_mb(worker.pid()).unwrap_or_default();
    tokio::time::sleep(args.pick(Duration::from_secs(60), Duration::from_secs(3))).await;
    let (after, took) = (settled(&database).await?, began.elapsed().as_secs_f64());
    let late = resident_mb(worker.pid()).unwrap_or_default();
    report.value(PART, "contacts settled", (after - before) as f64 / took, "records/s", None);
    report.note(format!("import: {after} of {count} contacts were settled when it was stopped"));
    for (what, most) in watched.stop().await {
        report.value(PART, format!("{what}: resident at most"), most, "MB", Some(Target::AtMost(64.0)));
    }
    report.beside(PART, "worker resident after a minute of import", (late, "MB"), (early, "at its beginning"), None);
    worker.kill().await;
    ingest.kill().await;
    Ok(())
}

async fn seed(systems: &Systems, count: u32) -> Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    for first in (1..=count).step_by(1_000) {
        let contacts: Vec<Value> = (first..(first + 1_000).min(count + 1))
            .map(|code| {
                json!({ "Code": code, "Name": format!("نام نمونه {code:07}"), "MobileNo": format!("0912{code:07}"), "IsActive": true })
            })
            .collect();
        post(&http, &format!("{}/seed", systems.finance_control), &json!({ "contacts": contacts })).await?;
    }
    Ok(())
}

async fn settled(database: &str) -> Result<i64> {
    let mut connection = PgConnection::connect(database).await?;
    let sql = "SELECT count(*) FROM entity_mapping WHERE kind = 'contact' AND noticed = settled";
    Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
}

/// The memory of processes, looked at ten times a second.
pub struct Watched {
    stop: CancellationToken,
    most: JoinHandle<Vec<(&'static str, f64)>>,
}

impl Watched {
    pub fn start(processes: &[(&'static str, u32)]) -> Self {
        let (stop, processes) = (CancellationToken::new(), processes.to_vec());
        let until = stop.clone();
        let most = tokio::spawn(async move {
            let mut most = vec![0.0f64; processes.len()];
            loop {
                for (most, (_, pid)) in most.iter_mut().zip(&processes) {
                    *most = most.max(resident_mb(*pid).unwrap_or_default());
                }
                if until.run_until_cancelled(tokio::time::sleep(Duration::from_millis(100))).await.is_none() {
                    return processes.iter().map(|(name, _)| *name).zip(most).collect();
                }
            }
        });
        Self { stop, most }
    }

    /// The most that each had, in MB.
    pub async fn stop(self) -> Vec<(&'static str, f64)> {
        self.stop.cancel();
        self.most.await.unwrap_or_default()
    }
}
