//! `tandem plan`: what would be done about a record, and why. Reads only.

use super::why::change_of;
use crate::exit::Ended;
use crate::show;
use crate::wiring::Start;
use crate::words::{self, Record};
use chrono::Utc;
use serde_json::{Value, json};
use tandem_core::guard::Verdict;
use tandem_core::{Fault, Plan, RecordKey};
use tandem_engine::Preview;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    record: Record,
}

pub async fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    let key = args.record.key()?;
    let (_, engine) = start.engine().await?;
    words::runs_here(&engine, words::bridge(key.bridge.as_str())?)?;
    let preview = engine.preview(&key).await?;
    if preview.row.is_none() && preview.verdict.is_none() && preview.plan.is_ok() {
        anyhow::bail!("the source has no record {key}, and the ledger never noticed one");
    }
    if start.json {
        show::json(&as_json(&preview))?;
    } else {
        print(&key, &preview);
    }
    Ok(Ended::done_if(preview.plan.is_ok()))
}

pub(super) fn as_json(preview: &Preview) -> Value {
    let fault = preview
        .plan
        .as_ref()
        .err()
        .map(|fault: &Fault| json!({ "class": fault.class, "code": fault.code, "message": fault.message }));
    let plan = preview.plan.as_ref().ok();
    json!({
        "state": preview.row.as_ref().map(|row| row.state),
        "guard": preview.verdict.map(word),
        "fingerprint": plan.map(Plan::fingerprint),
        "plan": plan,
        "fault": fault,
    })
}

pub(super) fn print(key: &RecordKey, preview: &Preview) {
    let known = preview.row.as_ref().map_or_else(|| "never noticed".to_owned(), |row| row.state.to_string());
    show::line(format!("{key}: {known}"));
    if let Some(verdict) = preview.verdict {
        show::line(format!("  {}", sentence(verdict)));
    }
    let plan = match &preview.plan {
        Ok(plan) => plan,
        Err(fault) => {
            show::line(format!("  can't be planned now: {} ({})", show::one_line(&fault.message), fault.code));
            return;
        }
    };
    show::line(format!("  {}", show::one_line(plan.sentence())));
    if let Plan::Write { steps, notes, .. } = plan {
        steps.iter().for_each(|step| show::line(format!("  step: {}", step.name)));
        notes.iter().for_each(|note| show::line(format!("  note: {}", show::one_line(note))));
    }
    plan.changes().iter().for_each(|change| show::line(format!("  {}", change_of(change))));
    if let Plan::Review { candidates, .. } = plan {
        candidates.iter().for_each(|c| show::line(format!("  candidate {}: {}", c.dest_id, show::one_line(&c.what))));
    }
    show::line(format!("  fingerprint {}", plan.fingerprint()));
    show::line(format!("  `tandem sync {key} --expect {}` does exactly this or nothing", plan.fingerprint()));
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proceed => "proceed",
        Verdict::Echo => "echo",
        Verdict::InStep => "in_step",
        Verdict::NotBefore(_) => "not_before",
    }
}

fn sentence(verdict: Verdict) -> String {
    match verdict {
        Verdict::Proceed => "the loop guard lets it through".to_owned(),
        Verdict::Echo => {
            "the loop guard takes it for our own write; a change by itself would not be worked on".to_owned()
        }
        Verdict::InStep => "nothing that is synced has changed; by itself it would not be worked on".to_owned(),
        Verdict::NotBefore(at) => {
            format!("we wrote it just now; by itself it would be worked on {}", show::distance(at, Utc::now()))
        }
    }
}
