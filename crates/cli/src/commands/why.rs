//! `tandem why`: everything that is known about one record, in the order in which one asks.

use super::known_row;
use crate::exit::Ended;
use crate::show;
use crate::wiring::Start;
use crate::words::{Record, at_least_one};
use chrono::Utc;
use serde_json::json;
use tandem_core::plan::OpenIntent;
use tandem_core::{Change, LedgerRow};
use tandem_store::{LogFilter, LogRow};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    record: Record,
    /// How many entries of its history to show.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = at_least_one)]
    limit: u32,
}

pub async fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    let key = args.record.key()?;
    let (_, store) = start.store().await?;
    let row = known_row(&store, &key).await?;
    let open: Vec<OpenIntent> = store.intents(row.id).await?.open.into_iter().map(|(_, intent)| intent).collect();
    let filter = LogFilter {
        bridge: Some(key.bridge),
        kind: Some(key.kind),
        source_id: Some(key.source_id),
        limit: args.limit,
        ..LogFilter::default()
    };
    let history = store.log(&filter).await?;
    if start.json {
        show::json(&json!({ "record": row, "open": row.is_open(), "open_intents": open, "log": history }))?;
    } else {
        print(&row, &open, &history);
    }
    Ok(Ended::Done)
}

fn print(row: &LedgerRow, open: &[OpenIntent], history: &[LogRow]) {
    let now = Utc::now();
    show::line(format!("{}: {}", row.key, row.state));
    show::line(format!("  {}", show::one_line(&row.reason)));
    if let Some(dest_id) = &row.dest_id {
        show::line(format!("  paired with {dest_id}"));
    }
    for (name, value) in &row.refs {
        show::line(format!("  {name}: {}", text_of(value)));
    }
    if row.is_open() {
        show::line(format!(
            "  open: due {}, {} failed tries, noticed by {} ({})",
            show::distance(row.due_at, now),
            row.attempts,
            row.actor,
            row.trigger
        ));
    }
    if let Some(waits_for) = &row.waits_for {
        show::line(format!("  waits for {}", show::one_line(waits_for)));
    }
    if let (Some(owner), Some(until)) = (&row.lease_owner, row.lease_until.filter(|until| *until > now)) {
        show::line(format!("  in work by {owner} until {}", show::moment(until)));
    }
    show::line(format!(
        "  last noticed {}, last settled {}, last written {}",
        show::moment(row.noticed_at),
        show::maybe_moment(row.settled_at),
        show::maybe_moment(row.written_at)
    ));
    for intent in open {
        let lost = if intent.answer_lost { "its answer was lost" } else { "its outcome is not known" };
        show::line(format!("  in doubt: {} of {}; {lost}", intent.step.name, show::moment(intent.opened_at)));
    }
    show::line("");
    for entry in history {
        print_entry(entry);
    }
}

fn print_entry(entry: &LogRow) {
    let action = entry.action.as_deref().map_or_else(String::new, |action| format!(" {action}"));
    show::line(format!(
        "{} {} {}{action} ({}, {} ms)",
        show::moment(entry.started_at),
        entry.status,
        entry.state,
        entry.trigger,
        entry.duration_ms
    ));
    show::line(format!("    {}", show::one_line(&entry.reason)));
    entry.changes.iter().for_each(|change| show::line(format!("    {}", change_of(change))));
    notes_beside(entry).into_iter().for_each(|note| show::line(format!("    note: {}", show::one_line(note))));
}

/// The notes that the reason does not say already, each once.
fn notes_beside(entry: &LogRow) -> Vec<&str> {
    let mut notes: Vec<&str> = Vec::new();
    for note in entry.notes.iter().map(String::as_str) {
        if !entry.reason.contains(note) && !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

/// `name: old -> new`.
pub fn change_of(change: &Change) -> String {
    show::one_line(&format!("{}: {} -> {}", change.field, text_of(&change.old), text_of(&change.new)))
}

fn text_of(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "(none)".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
