//! The sync log: one entry per piece of work, never changed afterwards.

use crate::db::Tx;
use crate::dialect::{Found, Params};
use crate::rows::key;
use crate::{LogEntry, LogFilter, LogRow, Result, Store};
use serde_json::json;
use tandem_core::{DestId, Stamp, State};

/// The ledger row `:row_id`, as a source for [`insert`].
pub(crate) const THIS_ROW: &str = "(SELECT * FROM entity_mapping WHERE id = :row_id)";

/// The statement that writes an entry for the one ledger row in `row`, with the values of [`bind`].
pub(crate) fn insert(row: &str) -> String {
    format!(
        "INSERT INTO sync_log (started_at, duration_ms, bridge, kind, source_id, dest_id, status, state, reason, action, plan, changes, notes, fault_code,
                               attempt, stamp, trigger_type, actor)
         SELECT :log_started, :log_duration, e.bridge, e.kind, e.source_id, e.dest_id, :log_status, :log_state, :log_reason, :log_action, :log_plan,
                :log_changes, :log_notes, :log_fault, :log_attempt, :log_stamp, :log_trigger, :log_actor FROM {row} e"
    )
}

pub(crate) fn bind(params: Params, state: State, reason: &str, entry: &LogEntry) -> Params {
    params
        .time("log_started", entry.started_at)
        .int("log_duration", entry.duration_ms)
        .text("log_status", status(state))
        .text("log_state", state.as_str())
        .text("log_reason", reason)
        .maybe_text("log_action", entry.action.as_deref())
        .maybe_json("log_plan", entry.plan.clone())
        .json("log_changes", json!(entry.changes))
        .json("log_notes", json!(entry.notes))
        .maybe_text("log_fault", entry.fault_code)
        .int("log_attempt", entry.attempt)
        .maybe_text("log_stamp", entry.stamp.as_ref().map(Stamp::as_str))
        .text("log_trigger", entry.trigger.as_str())
        .text("log_actor", entry.actor.as_str())
}

/// Writes an entry within a transaction that does more.
pub(crate) async fn append(tx: &Tx, row_id: i64, state: State, reason: &str, entry: &LogEntry) -> Result<()> {
    let params = bind(tx.params().int("row_id", row_id), state, reason, entry);
    tx.execute(params.sql(&insert(THIS_ROW))).await.map(drop)
}

/// The three words that operators' queries know.
fn status(state: State) -> &'static str {
    match state {
        State::Synced => "SUCCESS",
        State::Pending | State::Unchanged | State::Duplicate | State::Superseded | State::Ignored => "SKIPPED",
        State::Retrying | State::Waiting | State::NeedsMapping | State::NeedsReview | State::Dead => "FAILED",
    }
}

impl Store {
    /// Entries of the sync log, newest first unless the filter says otherwise.
    pub async fn log(&self, filter: &LogFilter) -> Result<Vec<LogRow>> {
        let mut params = self.params().int("limit", if filter.limit == 0 { 100 } else { filter.limit });
        let mut terms = Vec::new();
        let texts = [
            ("bridge", "bridge = :bridge", filter.bridge.as_ref().map(|b| b.as_str())),
            ("kind", "kind = :kind", filter.kind.as_ref().map(|k| k.as_str())),
            ("source_id", "source_id = :source_id", filter.source_id.as_ref().map(|i| i.as_str())),
            ("status", "status = :status", filter.status.as_deref()),
            ("state", "state = :state", filter.state.map(|s| s.as_str())),
            ("trigger", "trigger_type = :trigger", filter.trigger.map(|t| t.as_str())),
        ];
        for (name, term, value) in texts {
            if let Some(value) = value {
                params = params.text(name, value);
                terms.push(term);
            }
        }
        if let Some(since) = filter.since {
            params = params.time("since", since);
            terms.push("started_at >= :since");
        }
        if let Some(after) = filter.after {
            params = params.int("after", after);
            terms.push("id > :after");
        }
        let condition = if terms.is_empty() { "true".to_owned() } else { terms.join(" AND ") };
        let order = if filter.ascending { "id" } else { "started_at DESC, id DESC" };
        let found = self
            .read(params.sql(&format!("SELECT * FROM sync_log WHERE {condition} ORDER BY {order} LIMIT :limit")))
            .await?;
        found.iter().map(log_row).collect()
    }
}

fn log_row(row: &Found) -> Result<LogRow> {
    Ok(LogRow {
        id: row.int("id")?,
        started_at: row.time("started_at")?,
        duration_ms: row.int("duration_ms")?,
        key: key(row)?,
        dest_id: row.maybe_text("dest_id")?.map(DestId::new),
        status: row.text("status")?,
        state: row.word("state")?,
        reason: row.text("reason")?,
        action: row.maybe_text("action")?,
        plan: row.maybe_json("plan")?,
        changes: row.json("changes")?,
        notes: row.json("notes")?,
        fault_code: row.maybe_text("fault_code")?,
        attempt: row.small("attempt")?,
        stamp: row.maybe_text("stamp")?.map(Stamp::new),
        trigger: row.word("trigger_type")?,
        actor: row.text("actor")?.into(),
    })
}
