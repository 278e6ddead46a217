//! `tandem schedule`: the jobs that run by themselves: how often, when next, switched on or off.

use super::run::{self as runs, Patience};
use crate::exit::Ended;
use crate::settings::LONGEST_WAIT;
use crate::show;
use crate::wiring::Start;
use crate::words::{self, duration};
use anyhow::bail;
use chrono::{TimeDelta, Utc};
use serde_json::json;
use std::time::Duration;
use tandem_core::{BridgeId, JobId};
use tandem_store::{JobChange, JobRow, RunRow};

/// How often a job may run by itself.
const SHORTEST: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// All jobs, and the newest runs.
    List {
        /// At most so many runs.
        #[arg(long, default_value_t = 10, value_name = "N")]
        runs: u32,
    },
    /// Give a job a period of its own, which stands above the settings'.
    Set {
        #[command(flatten)]
        job: Job,
        /// Such as `90s`, `15m`, `2h`; 5 s to 7 days.
        #[arg(long, value_parser = duration, value_name = "TIME")]
        every: Duration,
    },
    /// Let a job run by itself again.
    Enable(Job),
    /// Keep a job from running by itself.
    Disable(Job),
    /// Run a job now; what it notices is left to running workers.
    Run(Job),
}

#[derive(Debug, clap::Args)]
pub struct Job {
    bridge: String,
    job: String,
}

pub async fn run(start: &Start, action: Action) -> anyhow::Result<Ended> {
    match action {
        Action::List { runs } => list(start, runs).await,
        Action::Set { every, .. } if !(SHORTEST..=LONGEST_WAIT).contains(&every) => {
            let (shortest, longest) = (SHORTEST.as_secs(), LONGEST_WAIT.as_secs());
            Err(crate::exit::wrong_usage(format!("--every has to be from {shortest} to {longest} seconds (7d)")))
        }
        Action::Set { job, every } => change(start, &job, JobChange { every: Some(every), enabled: None }).await,
        Action::Enable(job) => change(start, &job, JobChange { enabled: Some(true), every: None }).await,
        Action::Run(job) => run_now(start, &job).await,
        Action::Disable(job) => change(start, &job, JobChange { enabled: Some(false), every: None }).await,
    }
}

async fn run_now(start: &Start, job: &Job) -> anyhow::Result<Ended> {
    let known = words::bridge(&job.bridge)?;
    let name = words::one_of("job", &job.job, known.jobs.iter())?;
    runs::scan(
        start,
        known,
        name,
        runs::Wait::No,
        Patience::default(),
        &format!("tandem schedule run {} {name}", known.id),
    )
    .await
}

async fn list(start: &Start, runs: u32) -> anyhow::Result<Ended> {
    let (_, store) = start.store().await?;
    let (jobs, runs) = (store.jobs().await?, store.runs(None, runs).await?);
    if start.json {
        let all: Vec<_> = jobs.iter().map(|job| json!({ "bridge": job.bridge, "job": job.job, "enabled": job.enabled, "every_seconds": job.every.map(|every| every.as_secs()), "next_at": job.next_at, "running_on": job.lease_owner })).collect();
        return show::json(&json!({ "jobs": all, "runs": runs })).map(|()| Ended::Done);
    }
    show::table(
        &["BRIDGE", "JOB", "ON", "EVERY", "NEXT", "RUNNING ON"],
        jobs.iter().map(job_cells),
        "no job is known yet; `ingest` makes them known",
    );
    if !runs.is_empty() {
        show::line("");
        show::table(
            &["STARTED", "BRIDGE", "JOB", "STATUS", "SEEN", "NOTICED", "ERROR"],
            runs.iter().map(run_cells),
            "",
        );
    }
    Ok(Ended::Done)
}

fn job_cells(job: &JobRow) -> [String; 6] {
    let now = Utc::now();
    let every = job
        .every
        .and_then(|every| TimeDelta::from_std(every).ok())
        .map_or_else(|| "when asked".to_owned(), show::length);
    let next = job.next_at.filter(|_| job.enabled).map_or_else(|| "-".to_owned(), |at| show::distance(at, now));
    let running = job.lease_owner.clone().filter(|_| job.lease_until.is_some_and(|until| until > now));
    [
        job.bridge.to_string(),
        job.job.to_string(),
        if job.enabled { "yes" } else { "no" }.to_owned(),
        every,
        next,
        running.unwrap_or_else(|| "-".to_owned()),
    ]
}

fn run_cells(run: &RunRow) -> [String; 7] {
    [
        show::moment(run.started_at),
        run.bridge.to_string(),
        run.job.to_string(),
        run.status.clone(),
        run.seen.to_string(),
        run.noticed.to_string(),
        run.error.clone().unwrap_or_default(),
    ]
}

async fn change(start: &Start, job: &Job, change: JobChange) -> anyhow::Result<Ended> {
    let known = words::bridge(&job.bridge)?;
    let name = words::one_of("job", &job.job, known.jobs.iter())?;
    let (_, store) = start.store().await?;
    if !store.set_job(&BridgeId::from(known.id), &JobId::from(name), &change, Utc::now()).await? {
        bail!("{} {name} is not known yet; `ingest` makes its jobs known when it starts", known.id);
    }
    if start.json {
        show::json(&json!({ "changed": 1 }))?;
    } else {
        show::line("changed");
    }
    Ok(Ended::Done)
}
