//! `tandem dead`: records that can't succeed as they are: look at them, try them again, give them up.
//!
//! A replay only opens work; the workers do it. Cut short, it is simply started again: what it opened is open.

use super::leave_to_services;
use crate::exit::{Ended, wrong_usage};
use crate::progress::Progress;
use crate::wiring::Start;
use crate::words::{Which, at_least_one, operator};
use crate::{show, stop};
use anyhow::Context as _;
use chrono::Utc;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tandem_core::{LedgerRow, RecordKey, State, Trigger};
use tandem_store::{RowFilter, Store};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// List them, oldest first.
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = at_least_one)]
        limit: u32,
    },
    /// Try them again.
    Replay {
        #[command(flatten)]
        which: Which,
        /// List what would be tried again; nothing is written.
        #[arg(long, conflicts_with = "yes")]
        plan: bool,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
        /// At most so many per second; 0 = all at once.
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=100_000))]
        rate: u32,
    },
    /// Give them up: they are left alone from then on.
    Discard {
        #[command(flatten)]
        which: Which,
        /// Why, for the log.
        #[arg(long, value_name = "SENTENCE")]
        why: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Records opened at once when the rate has no cap.
const BATCH: usize = 500;
/// Rows read at once.
const PAGE: u32 = 1_000;
/// Records shown before the question.
const SHOWN: usize = 10;

/// A DEAD record that is meant, and why it is DEAD.
struct Chosen {
    key: RecordKey,
    reason: String,
}

pub async fn run(start: &Start, action: Action) -> anyhow::Result<Ended> {
    match action {
        Action::List { which, limit } => list(start, &which, State::Dead, limit).await,
        Action::Replay { which, plan: true, .. } => plan(start, &which).await,
        Action::Replay { which, yes, rate, .. } => replay(start, &which, yes, rate).await,
        Action::Discard { which, why, yes } => discard(start, &which, &why, yes).await,
    }
}

/// Lists the records of one state.
pub async fn list(start: &Start, which: &Which, state: State, limit: u32) -> anyhow::Result<Ended> {
    let filter = RowFilter { states: vec![state], limit, ..which.filter()? };
    let (_, store) = start.store().await?;
    let rows = store.rows(&filter).await?;
    if start.json {
        show::json(&rows)?;
    } else {
        let now = Utc::now();
        let cells = |row: &LedgerRow| {
            let since = row.settled_at.unwrap_or(row.noticed_at);
            [row.key.to_string(), show::distance(since, now), row.attempts.to_string(), row.reason.clone()]
        };
        show::table(&["RECORD", "SINCE", "TRIES", "REASON"], rows.iter().map(cells), &format!("no record is {state}"));
        if rows.len() == limit as usize {
            show::line(format!("the first {limit} of them; --limit shows more"));
        }
    }
    Ok(Ended::Done)
}

async fn plan(start: &Start, which: &Which) -> anyhow::Result<Ended> {
    let (_, chosen) = chosen(start, which).await?;
    if start.json {
        let records: Vec<Value> = chosen.iter().map(Chosen::json).collect();
        show::json(&json!({ "matching": records.len(), "records": records }))?;
        return Ok(Ended::Done);
    }
    chosen.iter().for_each(|one| show::line(one.line()));
    show::line(format!("{} would be tried again; nothing was done", records(chosen.len())));
    Ok(Ended::Done)
}

async fn replay(start: &Start, which: &Which, yes: bool, rate: u32) -> anyhow::Result<Ended> {
    let (store, chosen) = chosen(start, which).await?;
    let go_on = chosen.is_empty() || yes || which.is_one() || {
        preview(&chosen);
        confirmed(&format!("Try {} again?", records(chosen.len())))?
    };
    let keys = keys(chosen);
    if keys.is_empty() || !go_on {
        return nothing(start, &keys, "replayed");
    }
    let stop = stop::on_signal();
    let mut progress = Progress::new("replaying");
    let mut done = 0;
    for batch in keys.chunks(if rate == 0 { BATCH } else { rate as usize }) {
        let nudges = store.reopen(batch, Trigger::Replay, &operator(), Utc::now()).await?;
        leave_to_services(&store, &nudges).await?;
        done += batch.len();
        progress.set(done as u64, Some(keys.len() as u64));
        let pause = if rate > 0 && done < keys.len() { Duration::from_secs(1) } else { Duration::ZERO };
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
    }
    progress.finish();
    if start.json {
        show::json(&json!({ "matching": keys.len(), "replayed": done }))?;
    } else {
        show::line(format!("{done} of {} opened again; running workers look at them", records(keys.len())));
    }
    if done < keys.len() {
        show::line("stopped; the same command goes on with the rest");
    }
    Ok(Ended::done_if(done == keys.len()))
}

async fn discard(start: &Start, which: &Which, why: &str, yes: bool) -> anyhow::Result<Ended> {
    if why.trim().is_empty() {
        return Err(wrong_usage("--why needs a sentence"));
    }
    let (store, chosen) = chosen(start, which).await?;
    let keys = keys(chosen);
    if keys.is_empty() || !(yes || which.is_one() || confirmed(&format!("Give {} up?", records(keys.len())))?) {
        return nothing(start, &keys, "discarded");
    }
    let mut done = 0;
    for key in &keys {
        // One that a worker has taken up meanwhile is no longer DEAD, and is not given up.
        done += usize::from(store.discard(key, &operator(), why.trim(), Utc::now()).await?);
    }
    if start.json {
        show::json(&json!({ "matching": keys.len(), "discarded": done }))?;
    } else {
        show::line(format!("{done} of {} left alone from now on", records(keys.len())));
    }
    Ok(Ended::Done)
}

/// The DEAD records that are meant.
async fn chosen(start: &Start, which: &Which) -> anyhow::Result<(Store, Vec<Chosen>)> {
    if which.is_empty() {
        return Err(wrong_usage("say which: BRIDGE KIND ID, or --bridge, --kind, --reason, or --all"));
    }
    let mut filter = RowFilter { states: vec![State::Dead], limit: PAGE, ..which.filter()? };
    let (_, store) = start.store().await?;
    let mut chosen = Vec::new();
    loop {
        let rows = store.rows(&filter).await?;
        let full = rows.len() == PAGE as usize;
        filter.after_id = rows.last().map_or(filter.after_id, |row| row.id);
        chosen.extend(rows.into_iter().map(|row| Chosen { key: row.key, reason: row.reason }));
        if !full {
            break;
        }
    }
    if which.is_one() && chosen.is_empty() {
        let key = which.one()?;
        let row = super::known_row(&store, &key).await?;
        anyhow::bail!("{key} is not DEAD but {}; `tandem retry {key}` looks at it again whatever its state", row.state);
    }
    Ok((store, chosen))
}

impl Chosen {
    fn line(&self) -> String {
        format!("{}: {}", self.key, show::one_line(&self.reason))
    }

    fn json(&self) -> Value {
        let key = &self.key;
        json!({ "bridge": key.bridge, "kind": key.kind, "id": key.source_id, "reason": self.reason })
    }
}

fn records(number: usize) -> String {
    show::counted(number as u64, "record")
}

fn keys(chosen: Vec<Chosen>) -> Vec<RecordKey> {
    chosen.into_iter().map(|one| one.key).collect()
}

/// Shows the first records beside the question, on the standard error output.
fn preview(chosen: &[Chosen]) {
    chosen.iter().take(SHOWN).for_each(|one| eprintln!("{}", one.line()));
    if chosen.len() > SHOWN {
        eprintln!("... and {} more; --plan lists all", chosen.len() - SHOWN);
    }
}

fn nothing(start: &Start, keys: &[RecordKey], what: &str) -> anyhow::Result<Ended> {
    if start.json {
        show::json(&json!({ "matching": keys.len(), what: 0 }))?;
    } else if keys.is_empty() {
        show::line("no DEAD record is meant by that");
    } else {
        show::line("nothing was done");
    }
    Ok(Ended::Done)
}

/// Asks a person.
fn confirmed(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(wrong_usage(format!("{question} Nobody is there to be asked; --yes goes ahead")));
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush().context("can't write to the terminal")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("can't read from the terminal")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
