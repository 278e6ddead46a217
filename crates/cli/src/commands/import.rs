//! `tandem import`: takes the destination's existing records over into the source, once, at set-up.
//!
//! It may be stopped and started at will: each page is noticed before its place is kept, each record is worked on as any
//! other, and what exists is linked instead of made again. With `--plan` it only counts what it would do.

use super::run::{self, Patience};
use crate::exit::{Ended, wrong_usage};
use crate::progress::Progress;
use crate::wiring::Start;
use crate::{show, stop, words};
use serde_json::json;
use std::collections::BTreeMap;
use tandem_core::bridge::{Lookups, ScanFrom};
use tandem_core::{Bridge, BridgeId, JobId, Plan, RecordKey};
use tandem_engine::{Engine, Preview};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
pub struct Args {
    bridge: String,
    /// Count what would be done and write nothing.
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    patience: Patience,
}

pub async fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    let known = words::bridge(&args.bridge)?;
    let job = known.import.ok_or_else(|| wrong_usage(format!("the {} bridge has no import", known.id)))?;
    if !args.plan {
        return run::scan(start, known, job, run::Wait::ForAll, args.patience, &format!("tandem import {}", known.id))
            .await;
    }
    let (_, engine) = start.engine().await?;
    words::runs_here(&engine, known)?;
    let stop = stop::on_signal();
    let counted = Planned::count(&engine, &BridgeId::from(known.id), &JobId::from(job), &stop).await?;
    counted.print(start)?;
    Ok(Ended::done_if(counted.complete && counted.faults == 0))
}

/// What an import would do, counted.
#[derive(Debug, Default)]
struct Planned {
    seen: u64,
    by_decision: BTreeMap<String, u64>,
    faults: u64,
    complete: bool,
}

impl Planned {
    async fn count(engine: &Engine, bridge: &BridgeId, job: &JobId, stop: &CancellationToken) -> anyhow::Result<Self> {
        let Some(port) = engine.register().get(bridge) else { return Ok(Self::default()) };
        let (mut planned, mut page, mut progress) = (Self::default(), None::<String>, Progress::new("planning"));
        while !stop.is_cancelled() {
            let from = ScanFrom { watermark: None, page: page.as_deref() };
            let read = port.scan(job, from, engine.store() as &dyn Lookups).await?;
            let keys = read.sightings.iter().map(|s| RecordKey {
                bridge: bridge.clone(),
                kind: s.kind.clone(),
                source_id: s.source_id.clone(),
            });
            planned.preview(engine, port.as_ref(), keys.collect(), &mut progress, read.total).await?;
            page = read.next;
            if page.is_none() {
                planned.complete = true;
                break;
            }
        }
        progress.finish();
        Ok(planned)
    }

    async fn preview(
        &mut self,
        engine: &Engine,
        port: &dyn Bridge,
        keys: Vec<RecordKey>,
        progress: &mut Progress,
        total: Option<u64>,
    ) -> anyhow::Result<()> {
        let mut running = JoinSet::new();
        let mut keys = keys.into_iter();
        loop {
            while running.len() < usize::from(port.spec().concurrency.max(1)) {
                let Some(key) = keys.next() else { break };
                let engine = engine.clone();
                running.spawn(async move { engine.preview(&key).await });
            }
            let Some(preview) = running.join_next().await else { return Ok(()) };
            self.add(&preview??);
            progress.set(self.seen, total);
        }
    }

    fn add(&mut self, preview: &Preview) {
        self.seen += 1;
        self.faults += u64::from(preview.plan.is_err());
        *self.by_decision.entry(decision(preview)).or_default() += 1;
    }

    fn print(&self, start: &Start) -> anyhow::Result<()> {
        if start.json {
            let plan: BTreeMap<String, u64> =
                self.by_decision.iter().map(|(what, count)| (snake_case(what), *count)).collect();
            return show::json(&json!({ "seen": self.seen, "complete": self.complete, "plan": plan }));
        }
        show::table(
            &["WOULD", "RECORDS"],
            self.by_decision.iter().map(|(what, count)| [what.clone(), count.to_string()]),
            "there is nothing to import",
        );
        let cut = if self.complete { "" } else { "; stopped before the end" };
        show::line(format!("{} looked at, nothing was written{cut}", show::counted(self.seen, "record")));
        Ok(())
    }
}

/// A decision as a key of JSON: `nothing_unchanged` for "nothing (UNCHANGED)".
fn snake_case(what: &str) -> String {
    let words = what.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("_")
}

/// A plan in a word or two, the same for all records that meet the same fate.
fn decision(preview: &Preview) -> String {
    match &preview.plan {
        Ok(Plan::Write { steps, .. }) => steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(" + "),
        Ok(Plan::Nothing { state, .. }) => format!("nothing ({state})"),
        Ok(Plan::Wait { .. }) => "wait for another record".to_owned(),
        Ok(Plan::NeedsMapping { mapping, .. }) => format!("wait for a mapping of {mapping}"),
        Ok(Plan::Review { .. }) => "ask a person".to_owned(),
        Ok(Plan::Dead { .. }) => "give up (DEAD)".to_owned(),
        Err(fault) => format!("not known: {}", fault.code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_json_is_one_word() {
        for (what, key) in [
            ("create_identity", "create_identity"),
            ("create_identity + update_identity", "create_identity_update_identity"),
            ("nothing (UNCHANGED)", "nothing_unchanged"),
            ("wait for a mapping of goods", "wait_for_a_mapping_of_goods"),
            ("not known: siagh.timeout", "not_known_siagh_timeout"),
        ] {
            assert_eq!(snake_case(what), key);
        }
    }
}
