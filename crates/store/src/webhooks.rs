//! The inbox: webhook calls, stored together with the notices that they carry; and how many came, per route.

use crate::db::{Tx, retried};
use crate::dialect::{Column, Dialect};
use crate::notice::{batch, live_nudges, upsert, upsert_those_in};
use crate::{InboxEntry, Result, Store, WebhookEvent, WebhookRoute};
use chrono::{DateTime, Utc};
use sea_orm::Statement;
use serde::Serialize;
use std::collections::HashSet;
use tandem_core::{Nudge, RecordKey};
use uuid::Uuid;

const INBOX: &[(&str, Column)] = &[
    ("id", Column::Text),
    ("route", Column::Text),
    ("remote", Column::Text),
    ("event", Column::Text),
    ("kind_word", Column::Text),
    ("label", Column::Text),
    ("bridge", Column::Text),
    ("kind", Column::Text),
    ("source_id", Column::Text),
    ("note", Column::Text),
];
/// Characters kept of what a call said about itself.
const WORD_LIMIT: usize = 200;

impl Store {
    /// Stores webhook calls and counts the notices that they carry, all in one transaction: once this returns, nothing of
    /// them can be lost. Answers as [`notice`](Self::notice) does.
    ///
    /// A call whose id the inbox has already, from another copy or from before a restart, notices nothing again.
    pub async fn accept(&self, entries: &[InboxEntry], now: DateTime<Utc>) -> Result<Vec<Nudge>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        retried!(self.accept_once(entries, now))
    }

    async fn accept_once(&self, entries: &[InboxEntry], now: DateTime<Utc>) -> Result<Vec<Nudge>> {
        if self.dialect.writes_in_with() {
            return live_nudges(&self.write(entering(self.dialect, entries, now, now)).await?);
        }
        let tx = self.begin().await?;
        let nudges = enter(&tx, entries, now, now).await?;
        tx.commit().await?;
        Ok(nudges)
    }

    /// What came in per route.
    pub async fn webhook_routes(&self) -> Result<Vec<WebhookRoute>> {
        let found = self
            .read(
                self.params()
                    .sql("SELECT route, last_at, accepted, ignored, rejected FROM webhook_subscription ORDER BY route"),
            )
            .await?;
        found
            .iter()
            .map(|row| {
                Ok(WebhookRoute {
                    route: row.text("route")?,
                    last_at: row.maybe_time("last_at")?,
                    accepted: row.count("accepted")?,
                    ignored: row.count("ignored")?,
                    rejected: row.count("rejected")?,
                })
            })
            .collect()
    }

    /// Adds to what came in per route. Of calls that were turned away nothing else is kept.
    pub async fn count_calls(&self, counts: &[WebhookRoute]) -> Result<()> {
        let sql = "INSERT INTO webhook_subscription AS r (route, last_at, accepted, ignored, rejected) VALUES (:route, :last, :accepted, :ignored, :rejected)
                   ON CONFLICT (route) DO UPDATE SET accepted = r.accepted + excluded.accepted, ignored = r.ignored + excluded.ignored, rejected = r.rejected + excluded.rejected,
                       last_at = CASE WHEN r.last_at > excluded.last_at THEN r.last_at ELSE coalesce(excluded.last_at, r.last_at) END";
        if counts.is_empty() {
            return Ok(());
        }
        retried!(async {
            let tx = self.begin().await?;
            for count in counts {
                let params = tx.params().text("route", count.route.as_str()).maybe_time("last", count.last_at);
                let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                let params = params.int("accepted", number(count.accepted)).int("ignored", number(count.ignored));
                tx.execute(params.int("rejected", number(count.rejected)).sql(sql)).await?;
            }
            tx.commit().await
        })
    }

    /// The newest webhook calls, newest first.
    pub async fn webhook_events(&self, limit: u32) -> Result<Vec<WebhookEvent>> {
        let sql = "SELECT id, received_at, route, remote, event, kind_word, label, bridge, kind, source_id, note
                   FROM webhook_event ORDER BY received_at DESC, id DESC LIMIT :limit";
        let found = self.read(self.params().int("limit", limit).sql(sql)).await?;
        found
            .iter()
            .map(|row| {
                let key = match (row.maybe_text("bridge")?, row.maybe_text("kind")?, row.maybe_text("source_id")?) {
                    (Some(bridge), Some(kind), Some(id)) => Some(RecordKey::new(bridge, kind, id)),
                    _ => None,
                };
                Ok(WebhookEvent {
                    id: row.uuid("id")?,
                    received_at: row.time("received_at")?,
                    route: row.text("route")?,
                    remote: row.text("remote")?,
                    event: row.maybe_text("event")?,
                    kind_word: row.maybe_text("kind_word")?,
                    label: row.maybe_text("label")?,
                    key,
                    note: row.maybe_text("note")?,
                })
            })
            .collect()
    }
}

/// Enters calls into the inbox and notices what they carry, within a transaction that does more.
pub(crate) async fn enter(
    tx: &Tx,
    entries: &[InboxEntry],
    received_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Nudge>> {
    if tx.dialect.writes_in_with() {
        return live_nudges(&tx.all(entering(tx.dialect, entries, received_at, now)).await?);
    }
    let params = tx.params().rows("inbox", &calls(entries)).time("received", received_at);
    let mut fresh: HashSet<Uuid> =
        tx.all(params.sql(&inbox(tx.dialect))).await?.iter().map(|row| row.uuid("id")).collect::<Result<_>>()?;
    let first = entries.iter().filter(|entry| fresh.remove(&entry.id)).filter_map(|entry| entry.notice.as_ref());
    let params = tx.params().rows("batch", &batch(first)).time("now", now);
    live_nudges(&tx.all(params.sql(&upsert(tx.dialect))).await?)
}

/// Both in one statement. Postgres only.
fn entering(dialect: Dialect, entries: &[InboxEntry], received_at: DateTime<Utc>, now: DateTime<Utc>) -> Statement {
    let fresh = "SELECT bridge, kind, source_id, count(*) AS times FROM inbox WHERE bridge IS NOT NULL GROUP BY bridge, kind, source_id";
    let ledger = upsert_those_in(dialect, &format!("({fresh})"));
    let params = dialect
        .params()
        .rows("inbox", &calls(entries))
        .rows("batch", &batch(entries.iter().filter_map(|entry| entry.notice.as_ref())))
        .time("received", received_at)
        .time("now", now);
    params.sql(&format!("WITH inbox AS ({}) {ledger}", inbox(dialect)))
}

/// Keeps the calls in `:inbox`; answers those that were not there before.
fn inbox(dialect: Dialect) -> String {
    format!(
        "INSERT INTO webhook_event (id, received_at, route, remote, event, kind_word, label, bridge, kind, source_id, note)
         SELECT {}, :received, b.route, b.remote, b.event, b.kind_word, b.label, b.bridge, b.kind, b.source_id, b.note FROM {} WHERE true
         ON CONFLICT (id) DO NOTHING RETURNING id, bridge, kind, source_id",
        dialect.as_uuid("b.id"),
        dialect.batch(":inbox", INBOX)
    )
}

fn calls(entries: &[InboxEntry]) -> Vec<Call<'_>> {
    entries.iter().map(Call::of).collect()
}

/// A call, with the names of [`INBOX`].
#[derive(Serialize)]
struct Call<'e> {
    id: Uuid,
    route: &'e str,
    remote: &'e str,
    event: Option<&'e str>,
    kind_word: Option<&'e str>,
    label: Option<&'e str>,
    bridge: Option<&'e str>,
    kind: Option<&'e str>,
    source_id: Option<&'e str>,
    note: Option<&'e str>,
}

impl<'e> Call<'e> {
    fn of(entry: &'e InboxEntry) -> Self {
        let key = entry.notice.as_ref().map(|notice| &notice.key);
        Self {
            id: entry.id,
            route: &entry.route,
            remote: &entry.remote,
            event: entry.event.as_deref().map(word),
            kind_word: entry.kind_word.as_deref().map(word),
            label: entry.label.as_deref().map(word),
            bridge: key.map(|key| key.bridge.as_str()),
            kind: key.map(|key| key.kind.as_str()),
            source_id: key.map(|key| key.source_id.as_str()),
            note: entry.note.as_deref(),
        }
    }
}

fn word(text: &str) -> &str {
    text.char_indices().nth(WORD_LIMIT).map_or(text, |(end, _)| &text[..end])
}
