//! `tandem run`: starts a scan now; with `--wait` works through what it noticed until all of it is settled or parked.

use super::status;
use crate::drain::{Drain, Drained, End};
use crate::exit::Ended;
use crate::register::Known;
use crate::wiring::{self, Start};
use crate::words::{self, duration};
use crate::{scans, show, stop};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::time::Duration;
use tandem_core::{BridgeId, JobId, State};
use tandem_engine::{Engine, Publisher, ScanSummary};
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
pub struct Args {
    bridge: String,
    /// The job; else the bridge's first one.
    job: Option<String>,
    /// Work through what it noticed until all of it is settled or parked, then print counts.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Patience {
    /// Give up when nothing has moved for so long.
    #[arg(long = "patience", value_name = "TIME", default_value = "15m", value_parser = duration)]
    pub at_most: Duration,
}

pub async fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    let known = words::bridge(&args.bridge)?;
    let job = match &args.job {
        Some(name) => words::one_of("job", name, known.jobs.iter())?,
        None => known.jobs[0],
    };
    let again = format!("tandem run {} {job}{}", known.id, if args.wait { " --wait" } else { "" });
    let wait = if args.wait { Wait::ForItsOwn } else { Wait::No };
    scan(start, known, job, wait, args.patience, &again).await
}

/// What a scan waits for before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    No,
    /// What it noticed, and whatever else is due within a minute.
    ForItsOwn,
    /// All that is open: it may go on where an earlier run was cut off.
    ForAll,
}

impl Default for Patience {
    fn default() -> Self {
        Self { at_most: Duration::from_secs(15 * 60) }
    }
}

/// Runs a job, and drains its bridge if that is wanted. `again` is the command that goes on after a stop.
pub async fn scan(
    start: &Start,
    known: &Known,
    job: &str,
    wait: Wait,
    patience: Patience,
    again: &str,
) -> anyhow::Result<Ended> {
    let (settings, engine) = start.engine().await?;
    words::runs_here(&engine, known)?;
    let publisher = wiring::publisher(&wiring::lanes(&settings, engine.store())?, engine.store());
    let (bridge, job, stop) = (BridgeId::from(known.id), JobId::from(job), stop::on_signal());
    let since = (wait == Wait::ForItsOwn).then(|| engine.now());
    let before = dead(&engine, &bridge).await?;
    let summary = scans::run(&engine, &publisher, &bridge, &job, patience.at_most, &stop).await;
    let summary = match summary {
        Err(error) if stop.is_cancelled() => {
            eprintln!("{error:#}; `{again}` goes on");
            return Ok(Ended::Failed);
        }
        other => other?,
    };
    if wait == Wait::No {
        return noticed(start, &bridge, &job, &summary);
    }
    let drained = drain_bridge(&engine, &publisher, bridge.clone(), since, &stop, patience).await?;
    report(start, &engine, Some(&summary), &drained, again).await?;
    let after = dead(&engine, &bridge).await?;
    Ok(Ended::done_if(drained.end == End::Empty && after <= before && !drained.outcomes.contains_key(&State::Dead)))
}

fn noticed(start: &Start, bridge: &BridgeId, job: &JobId, summary: &ScanSummary) -> anyhow::Result<Ended> {
    if start.json {
        show::json(&json!({ "seen": summary.seen, "noticed": summary.noticed }))?;
    } else {
        show::line(format!(
            "{bridge} {job}: {} seen, {} to look at; running workers do that",
            summary.seen, summary.noticed
        ));
    }
    Ok(Ended::Done)
}

/// Works through all that is open of a bridge; what was noticed before `since` and is not due soon is left to its time.
pub async fn drain_bridge(
    engine: &Engine,
    publisher: &Publisher,
    bridge: BridgeId,
    since: Option<DateTime<Utc>>,
    stop: &CancellationToken,
    patience: Patience,
) -> anyhow::Result<Drained> {
    Drain { engine, publisher, bridge, since, stop, patience: patience.at_most }.run().await
}

/// Prints what a scan and a drain did, and how things stand now.
pub async fn report(
    start: &Start,
    engine: &Engine,
    summary: Option<&ScanSummary>,
    drained: &Drained,
    again: &str,
) -> anyhow::Result<()> {
    let standing = status::read(engine.store()).await?;
    if start.json {
        let (seen, noticed) = summary.map_or((None, None), |s| (Some(s.seen), Some(s.noticed)));
        return show::json(
            &json!({ "seen": seen, "noticed": noticed, "worked": drained.outcomes, "finished": drained.end == End::Empty, "status": standing }),
        );
    }
    if let Some(summary) = summary {
        show::line(format!("{} seen, {} to look at", summary.seen, summary.noticed));
    }
    let here: Vec<String> = drained.outcomes.iter().map(|(state, count)| format!("{count} {state}")).collect();
    show::line(format!("worked here: {}", if here.is_empty() { "nothing".to_owned() } else { here.join(", ") }));
    status::print(&standing);
    match drained.end {
        End::Empty => {}
        End::Stopped => show::line(format!(
            "stopped with {} open; running workers go on with that, and so does `{again}`",
            show::counted(drained.left.open, "record")
        )),
        End::Stuck => show::line(format!(
            "nothing has moved for a while, with {} still open; running workers go on with that, and so does `{again}`",
            show::counted(drained.left.open, "record")
        )),
    }
    Ok(())
}

async fn dead(engine: &Engine, bridge: &BridgeId) -> anyhow::Result<u64> {
    let counts = engine.store().counts().await?;
    Ok(counts
        .iter()
        .filter(|count| count.bridge == *bridge && count.state == State::Dead)
        .map(|count| count.count)
        .sum())
}
