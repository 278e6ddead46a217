//! `tandem sync`: brings one record in step now, in this process, together with what it waits for; or all of a kind.

use super::run::{self, Patience};
use super::{leave_to_services, plan};
use crate::drain::End;
use crate::exit::{Ended, wrong_usage};
use crate::progress::Progress;
use crate::register::Known;
use crate::wiring::{self, Start};
use crate::words::{self, Record, operator};
use crate::{show, stop};
use anyhow::bail;
use serde_json::{Value, json};
use std::collections::VecDeque;
use tandem_core::bridge::{Lookups, ScanFrom};
use tandem_core::{BridgeId, Checksum, FaultClass, JobId, KindId, Lane, Notice, RecordKey, State, Trigger};
use tandem_engine::{Engine, NotNow, Outcome, Preview};
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
pub struct Args {
    bridge: String,
    kind: String,
    /// The record's id in the system it comes from.
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// All records of the kind that the source has.
    #[arg(long, conflicts_with_all = ["id", "expect"])]
    all: bool,
    /// Do it only if the plan still has this fingerprint, which `tandem plan` prints.
    #[arg(long, value_name = "FINGERPRINT")]
    expect: Option<String>,
    #[command(flatten)]
    patience: Patience,
}

/// Records that one record may draw in: what it waits for, and what waits for that.
const MOST_FOLLOW_UPS: usize = 50;

pub async fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    let known = words::bridge(&args.bridge)?;
    if args.all {
        return all(start, known, words::kind(&[known], &args.kind)?, args.patience).await;
    }
    let id = args.id.ok_or_else(|| wrong_usage("say which: an id, or --all"))?;
    let key = Record { bridge: args.bridge, kind: args.kind, id }.key()?;
    one(start, known, key, args.expect.map(Checksum::from_stored)).await
}

async fn one(start: &Start, known: &Known, key: RecordKey, expect: Option<Checksum>) -> anyhow::Result<Ended> {
    let (_, engine) = start.engine().await?;
    words::runs_here(&engine, known)?;
    let known_row = engine.store().row(&key).await?.is_some();
    if expect.is_some() || !known_row {
        let preview = engine.preview(&key).await?;
        if !known_row {
            exists(&key, &preview)?;
        }
        // Before anything is noticed: a notice alone would have the workers do what nobody approved.
        if expect.as_ref().is_some_and(|approved| !preview.plan.as_ref().is_ok_and(|p| p.fingerprint() == *approved)) {
            return moved(start, &key, &preview);
        }
    }
    let notice = Notice { key: key.clone(), hint: None, trigger: Trigger::Manual, actor: operator(), lane: Lane::Live };
    engine.store().notice(&[notice], engine.now()).await?;
    let mut errand = Errand { engine: &engine, ours: [key.clone()].into(), lines: Vec::new() };
    let ended = errand.run(expect.as_ref()).await;
    // They are marked as published and are in no lane.
    let left = engine.store().unpublish(errand.ours.make_contiguous()).await;
    ended?;
    left?;
    print(start, &errand.lines)?;
    let last = errand.lines.iter().rev().find(|(done, _)| *done == key);
    Ok(Ended::done_if(last.is_some_and(|(_, outcome)| in_step(outcome))))
}

/// One record and those that it draws in.
struct Errand<'a> {
    engine: &'a Engine,
    /// Still to be looked at by this process; the record itself is the first.
    ours: VecDeque<RecordKey>,
    lines: Vec<(RecordKey, Outcome)>,
}

impl Errand<'_> {
    async fn run(&mut self, expect: Option<&Checksum>) -> anyhow::Result<()> {
        while let Some(next) = self.ours.front().cloned() {
            let worked = match expect {
                Some(fingerprint) if self.lines.is_empty() => self.engine.work_approved(&next, fingerprint).await?,
                _ => self.engine.work(&next).await?,
            };
            self.ours.pop_front();
            if matches!(worked.outcome, Outcome::NotNow(_) | Outcome::LeaseLost) {
                self.engine.store().unpublish(std::slice::from_ref(&next)).await?;
            }
            self.lines.push((next, worked.outcome));
            // An approved plan is done exactly as shown: nothing is drawn in.
            if expect.is_some() || self.lines.len() >= MOST_FOLLOW_UPS {
                leave_to_services(self.engine.store(), &worked.follow_ups).await?;
            } else {
                self.ours.extend(worked.follow_ups.into_iter().map(|nudge| nudge.key));
            }
        }
        Ok(())
    }
}

/// Says that the approved plan is not the present one, and what would be done now. Nothing was noticed.
fn moved(start: &Start, key: &RecordKey, preview: &Preview) -> anyhow::Result<Ended> {
    const WHY: &str = "the plan is another one by now, nothing was done";
    if start.json {
        show::json(&json!([{
            "bridge": key.bridge, "kind": key.kind, "id": key.source_id, "state": null, "reason": WHY,
            "now": plan::as_json(preview),
        }]))?;
    } else {
        show::line(format!("{key}: {WHY}; now it would be:"));
        plan::print(key, preview);
    }
    Ok(Ended::Failed)
}

/// A typing error should not become a record of the ledger.
fn exists(key: &RecordKey, preview: &Preview) -> anyhow::Result<()> {
    match (&preview.verdict, &preview.plan) {
        (None, Ok(_)) => bail!("the source has no record {key}"),
        (None, Err(fault)) if fault.class == FaultClass::Permanent => bail!("{}", fault.message),
        _ => Ok(()),
    }
}

fn in_step(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Settled { state, .. } | Outcome::NotNow(NotNow::Settled(state)) => state.is_in_step(),
        _ => false,
    }
}

fn print(start: &Start, lines: &[(RecordKey, Outcome)]) -> anyhow::Result<()> {
    if start.json {
        let all: Vec<Value> = lines.iter().map(|(key, outcome)| {
            let (state, sentence) = told(outcome);
            json!({ "bridge": key.bridge, "kind": key.kind, "id": key.source_id, "state": state, "reason": sentence })
        }).collect();
        return show::json(&all);
    }
    for (key, outcome) in lines {
        let (state, sentence) = told(outcome);
        let state = state.map_or_else(|| "not done".to_owned(), |state| state.to_string());
        show::line(format!("{key}: {state}: {}", show::one_line(&sentence)));
    }
    Ok(())
}

/// What came of it: the state, where it has one now, and a sentence.
fn told(outcome: &Outcome) -> (Option<State>, String) {
    match outcome {
        Outcome::Settled { state, reason } => (Some(*state), reason.clone()),
        Outcome::Postponed { state, until, reason } => {
            (Some(*state), format!("{reason}; due {}", show::moment(*until)))
        }
        Outcome::Paused { reason } => {
            (None, format!("the other side is away: {reason}; it goes on by itself when that is back"))
        }
        Outcome::Moved { reason } => (None, format!("the plan is another one by now, nothing was done: {reason}")),
        Outcome::NotNow(NotNow::NotDue(at)) => (None, format!("it is due only {}", show::moment(*at))),
        Outcome::NotNow(NotNow::Busy) => (None, "another process has it in hand".to_owned()),
        Outcome::NotNow(NotNow::Settled(state)) => (Some(*state), "another process settled it".to_owned()),
        Outcome::NotNow(NotNow::Unknown) => (None, "the ledger does not know it".to_owned()),
        Outcome::LeaseLost => (None, "another process took it over".to_owned()),
    }
}

async fn all(start: &Start, known: &Known, kind: KindId, patience: Patience) -> anyhow::Result<Ended> {
    let (settings, engine) = start.engine().await?;
    words::runs_here(&engine, known)?;
    let publisher = wiring::publisher(&wiring::lanes(&settings, engine.store())?, engine.store());
    let (bridge, stop) = (BridgeId::from(known.id), stop::on_signal());
    let again = format!("tandem sync {bridge} {kind} --all");
    let noticed = notice_all(&engine, known, &kind, &stop).await?;
    if !start.json {
        show::line(format!("{} noticed", show::counted(noticed, "record")));
    }
    let drained = run::drain_bridge(&engine, &publisher, bridge, None, &stop, patience).await?;
    run::report(start, &engine, None, &drained, &again).await?;
    Ok(Ended::done_if(drained.end == End::Empty && !drained.outcomes.contains_key(&State::Dead)))
}

/// Notices every record of the kind that the source shows.
async fn notice_all(engine: &Engine, known: &Known, kind: &KindId, stop: &CancellationToken) -> anyhow::Result<u64> {
    let (bridge, job) = (BridgeId::from(known.id), whole_of(known, kind));
    let Some(port) = engine.register().get(&bridge) else { return Ok(0) };
    let (mut noticed, mut page, mut progress) = (0, None::<String>, Progress::new("noticing"));
    while !stop.is_cancelled() {
        let from = ScanFrom { watermark: None, page: page.as_deref() };
        let read = port.scan(&job, from, engine.store() as &dyn Lookups).await?;
        let notices: Vec<Notice> = read
            .sightings
            .into_iter()
            .filter(|sighting| sighting.kind == *kind)
            .map(|sighting| Notice {
                key: RecordKey { bridge: bridge.clone(), kind: sighting.kind, source_id: sighting.source_id },
                hint: sighting.hint,
                trigger: Trigger::Manual,
                actor: operator(),
                lane: Lane::Bulk,
            })
            .collect();
        let nudges = engine.store().notice(&notices, engine.now()).await?;
        leave_to_services(engine.store(), &nudges).await?;
        noticed += notices.len() as u64;
        progress.set(noticed, None);
        page = read.next;
        if page.is_none() {
            break;
        }
    }
    progress.finish();
    Ok(noticed)
}

/// The job that shows all records of a kind.
fn whole_of(known: &Known, kind: &KindId) -> JobId {
    let imported = known.imported_kind.is_some_and(|imported| imported == kind.as_str());
    JobId::from(if imported { known.import.unwrap_or(known.whole) } else { known.whole })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tandem_engine::{Policy, Register, SystemClock};
    use tandem_store::{Claim, Options, Store};

    #[tokio::test]
    async fn a_record_that_is_not_worked_on_here_after_all_is_taken_by_the_next_sweep() {
        let store = Store::connect("sqlite::memory:", Options::default()).await.unwrap();
        store.migrate().await.unwrap();
        // Without bridges the engine takes up nothing.
        let engine = Engine::new(store, Register::new(Vec::new()), Arc::new(SystemClock), Policy::default(), "me");
        let (key, lane) = (RecordKey::new("siagh", "customer", "a"), Lane::Live);
        let notice = Notice { key: key.clone(), hint: None, trigger: Trigger::Manual, actor: operator(), lane };
        engine.store().notice(&[notice], engine.now()).await.unwrap();
        let republish_after = chrono::TimeDelta::minutes(10);
        let claim = Claim { limit: 10, bulk_window: 10, republish_after: Some(republish_after), skip: Vec::new() };
        assert_eq!(engine.store().claim_due(&claim, engine.now()).await.unwrap(), [], "it counts as published");
        let mut errand = Errand { engine: &engine, ours: [key].into(), lines: Vec::new() };
        errand.run(None).await.unwrap();
        assert_eq!(errand.lines.len(), 1);
        assert_eq!(engine.store().claim_due(&claim, engine.now()).await.unwrap().len(), 1);
    }
}
