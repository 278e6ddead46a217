//! `tandem log`: the sync log, newest first; with `--follow` as it grows.

use crate::exit::{Ended, wrong_usage};
use crate::wiring::Start;
use crate::{show, stop, words};
use chrono::Utc;
use std::time::Duration;
use tandem_core::{SourceId, State, Trigger};
use tandem_store::{LogFilter, LogRow, Store};

/// How often the log is looked at while it is followed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of this bridge.
    #[arg(long)]
    bridge: Option<String>,
    /// Of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Of this record, by its id in the source.
    #[arg(long)]
    id: Option<String>,
    /// SUCCESS, SKIPPED or FAILED; or a state such as NEEDS_REVIEW.
    #[arg(long)]
    status: Option<String>,
    /// What set the work off: WEBHOOK, POLL, SCHEDULE, MANUAL, REPLAY, IMPORT, RECONCILE.
    #[arg(long)]
    trigger: Option<Trigger>,
    /// Not older than this: `90s`, `30m`, `2h`, `7d`, a day, or an RFC 3339 time.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// At most so many entries.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = words::at_least_one)]
    limit: u32,
    /// Print what comes, until Ctrl-C.
    #[arg(long)]
    follow: bool,
}

pub async fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    let (bridge, kind) = words::bridge_and_kind(args.bridge.as_deref(), args.kind.as_deref())?;
    let (status, state) = status_or_state(args.status.as_deref())?;
    let since = args.since.as_deref().map(|text| words::since(text, Utc::now())).transpose().map_err(wrong_usage)?;
    let (_, store) = start.store().await?;
    let source_id = args.id.as_deref().map(SourceId::from);
    let filter = LogFilter {
        bridge,
        kind,
        source_id,
        status,
        state,
        trigger: args.trigger,
        since,
        limit: args.limit,
        ..LogFilter::default()
    };
    if args.follow {
        return follow(start, &store, filter).await;
    }
    let entries = store.log(&filter).await?;
    if start.json {
        show::json(&entries)?;
    } else {
        show::table(HEADER, entries.iter().map(cells), "no entry");
    }
    Ok(Ended::Done)
}

const HEADER: &[&str] = &["WHEN", "RECORD", "STATUS", "STATE", "ACTION", "TRIGGER", "MS", "REASON"];

fn cells(entry: &LogRow) -> [String; 8] {
    [
        show::moment(entry.started_at),
        entry.key.to_string(),
        entry.status.clone(),
        entry.state.to_string(),
        entry.action.clone().unwrap_or_else(|| "-".to_owned()),
        entry.trigger.to_string(),
        entry.duration_ms.to_string(),
        entry.reason.clone(),
    ]
}

/// Prints the newest entries, then each new one as it comes: oldest first, one line each.
async fn follow(start: &Start, store: &Store, mut filter: LogFilter) -> anyhow::Result<Ended> {
    let stop = stop::on_signal();
    let mut entries = store.log(&filter).await?;
    entries.reverse();
    filter.ascending = true;
    filter.limit = 1_000;
    loop {
        for entry in &entries {
            if start.json {
                show::json_line(entry)?;
            } else {
                show::line(show::one_line(&cells(entry).join("  ")));
            }
        }
        filter.after = entries.last().map(|entry| entry.id).or(filter.after).or(Some(0));
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
            return Ok(Ended::Done);
        }
        entries = store.log(&filter).await?;
    }
}

fn status_or_state(word: Option<&str>) -> anyhow::Result<(Option<String>, Option<State>)> {
    let Some(word) = word else { return Ok((None, None)) };
    let upper = word.to_ascii_uppercase();
    if ["SUCCESS", "SKIPPED", "FAILED"].contains(&upper.as_str()) {
        return Ok((Some(upper), None));
    }
    let state =
        word.parse::<State>().map_err(|error| wrong_usage(format!("--status {error}, SUCCESS, SKIPPED, FAILED")))?;
    Ok((None, Some(state)))
}
