//! Notices: "this record may be out of step". Counting one never waits for the work itself.
//!
//! A notice opens a record that was settled, whatever its state. On a record that is open already it only counts: a retry
//! keeps its time, unless a person asked. On an ignored record it is counted and settled at once.

use crate::db::{Tx, retried};
use crate::dialect::{Column, Dialect, Found};
use crate::rows::{FREE, nudge};
use crate::{Result, Sighted, Store};
use chrono::{DateTime, Utc};
use sea_orm::Statement;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use tandem_core::ledger::Sighting;
use tandem_core::{Actor, BridgeId, Lane, Notice, Nudge, RecordKey, Trigger};

const COLUMNS: &[(&str, Column)] = &[
    ("bridge", Column::Text),
    ("kind", Column::Text),
    ("source_id", Column::Text),
    ("hint", Column::Text),
    ("lane", Column::Text),
    ("trigger_type", Column::Text),
    ("actor", Column::Text),
    ("times", Column::Int),
];

const SIGHTING_COLUMNS: &[(&str, Column)] =
    &[("kind", Column::Text), ("source_id", Column::Text), ("hint", Column::Text), ("checksum", Column::Text)];

/// A row of a scan, with the names of [`SIGHTING_COLUMNS`].
#[derive(Serialize)]
struct Seen<'s> {
    kind: &'s str,
    source_id: &'s str,
    hint: Option<&'s str>,
    checksum: Option<&'s str>,
}

impl<'s> Seen<'s> {
    fn of(sighting: &'s Sighting) -> Self {
        Self {
            kind: sighting.kind.as_str(),
            source_id: sighting.source_id.as_str(),
            hint: sighting.hint.as_deref(),
            checksum: sighting.checksum.as_ref().map(|checksum| checksum.as_str()),
        }
    }
}

impl Store {
    /// Counts notices. The same record several times is one row that was noticed as often.
    ///
    /// Answers the live records that are open, due and in nobody's hands. They are marked as published: the caller publishes
    /// them, and calls [`unpublish`](Self::unpublish) for those that could not be. Bulk records are left to
    /// [`claim_due`](Self::claim_due), which lets only so many of them out at once.
    pub async fn notice(&self, notices: &[Notice], now: DateTime<Utc>) -> Result<Vec<Nudge>> {
        if notices.is_empty() {
            return Ok(Vec::new());
        }
        let statement = statement(self.dialect, notices, now);
        live_nudges(&retried!(self.write(statement.clone()))?)
    }

    /// Notices those of a scan's records that differ from the version last looked at, that have no checksum, or that
    /// the ledger does not know.
    pub async fn notice_sightings(
        &self,
        bridge: &BridgeId,
        seen: &[Sighting],
        trigger: Trigger,
        actor: &Actor,
        lane: Lane,
        now: DateTime<Utc>,
    ) -> Result<Sighted> {
        // Sorted, so that two scans at once seldom lock rows crosswise; the last sighting of a record counts.
        let unique: BTreeMap<_, _> = seen.iter().map(|s| ((&s.kind, &s.source_id), s)).collect();
        if unique.is_empty() {
            return Ok(Sighted::default());
        }
        let seen: Vec<Seen<'_>> = unique.into_values().map(Seen::of).collect();
        let params = self
            .params()
            .rows("batch", &seen)
            .text("bridge", bridge.as_str())
            .text("lane", lane.as_str())
            .text("trigger", trigger.as_str())
            .text("actor", actor.as_str())
            .time("now", now);
        let sql = format!(
            "INSERT INTO entity_mapping AS e (bridge, kind, source_id, hint, state, reason, noticed, settled, due_at, lane, trigger_type, actor, noticed_at, published_at)
             SELECT :bridge, b.kind, b.source_id, b.hint, 'PENDING', 'noticed, not looked at yet', 1, 0, :now, :lane, :trigger, :actor, :now,
                    CASE WHEN :lane = 'live' THEN :now END
             FROM {} LEFT JOIN entity_mapping m ON m.bridge = :bridge AND m.kind = b.kind AND m.source_id = b.source_id
             WHERE m.seen_checksum IS NULL OR b.checksum IS NULL OR m.seen_checksum <> b.checksum
             {}",
            self.dialect.batch(":batch", SIGHTING_COLUMNS),
            on_conflict()
        );
        let statement = params.sql(&sql);
        let found = retried!(self.write(statement.clone()))?;
        Ok(Sighted { noticed: found.len() as u64, nudges: live_nudges(&found)? })
    }

    /// Takes the mark "published" from records that could not be: the next sweep takes them at once.
    pub async fn unpublish(&self, keys: &[RecordKey]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let statement = unmark(self.dialect, keys);
        retried!(self.execute(statement.clone())).map(drop)
    }
}

/// Takes the mark "published" from records, within a transaction that does more.
pub(crate) async fn unpublish(tx: &Tx, keys: &[RecordKey]) -> Result<()> {
    if keys.is_empty() { Ok(()) } else { tx.execute(unmark(tx.dialect, keys)).await.map(drop) }
}

fn unmark(dialect: Dialect, keys: &[RecordKey]) -> Statement {
    let sql = format!(
        "UPDATE entity_mapping SET published_at = NULL FROM {}
         WHERE entity_mapping.bridge = b.bridge AND entity_mapping.kind = b.kind AND entity_mapping.source_id = b.source_id AND published_at IS NOT NULL",
        dialect.batch(":batch", KEY_COLUMNS)
    );
    dialect.params().json("batch", keys.iter().map(key_json).collect()).sql(&sql)
}

pub(crate) fn key_json(key: &RecordKey) -> serde_json::Value {
    json!({"bridge": key.bridge.as_str(), "kind": key.kind.as_str(), "source_id": key.source_id.as_str()})
}

/// The columns of [`key_json`].
pub(crate) const KEY_COLUMNS: &[(&str, Column)] =
    &[("bridge", Column::Text), ("kind", Column::Text), ("source_id", Column::Text)];

/// Notices within a transaction that does more.
pub(crate) async fn count(tx: &Tx, notices: &[Notice], now: DateTime<Utc>) -> Result<Vec<Nudge>> {
    live_nudges(&tx.all(statement(tx.dialect, notices, now)).await?)
}

fn statement(dialect: Dialect, notices: &[Notice], now: DateTime<Utc>) -> Statement {
    dialect.params().rows("batch", &batch(notices)).time("now", now).sql(&upsert(dialect))
}

/// The statement that counts the notices in `:batch`, made by [`batch`].
pub(crate) fn upsert(dialect: Dialect) -> String {
    upsert_from(&dialect.batch(":batch", COLUMNS))
}

/// As [`upsert`], for those records of `:batch` that the table `fresh` has too, each as many times as `times` there says.
/// A join may come in any order, so it is sorted again, byte by byte as [`batch`] is. Postgres only.
pub(crate) fn upsert_those_in(dialect: Dialect, fresh: &str) -> String {
    let batch = dialect.batch(":batch", COLUMNS);
    upsert_from(&format!(
        "(SELECT b.bridge, b.kind, b.source_id, b.hint, b.lane, b.trigger_type, b.actor, f.times
          FROM {batch} JOIN {fresh} AS f ON f.bridge = b.bridge AND f.kind = b.kind AND f.source_id = b.source_id
          ORDER BY b.bridge COLLATE \"C\", b.kind COLLATE \"C\", b.source_id COLLATE \"C\") AS b"
    ))
}

fn upsert_from(source: &str) -> String {
    format!(
        "INSERT INTO entity_mapping AS e (bridge, kind, source_id, hint, state, reason, noticed, settled, due_at, lane, trigger_type, actor, noticed_at, published_at)
         SELECT b.bridge, b.kind, b.source_id, b.hint, 'PENDING', 'noticed, not looked at yet', b.times, 0, :now, b.lane, b.trigger_type, b.actor, :now,
                CASE WHEN b.lane = 'live' THEN :now END
         FROM {source} WHERE true
         {}",
        on_conflict()
    )
}

/// What a notice does to a record that the ledger knows.
fn on_conflict() -> String {
    const OPEN: &str = "e.noticed > e.settled";
    const HELD: &str = "(e.lease_until IS NOT NULL AND e.lease_until > excluded.noticed_at)";
    const DELIBERATE: &str = "('MANUAL', 'REPLAY', 'RECONCILE')";
    const PERSON: &str = "excluded.trigger_type IN ('MANUAL', 'REPLAY')";
    // What a person asked for is not forgotten because a webhook came after it and before the work.
    let keeps_asking = format!(
        "{OPEN} AND NOT {HELD} AND e.trigger_type IN {DELIBERATE} AND excluded.trigger_type NOT IN {DELIBERATE}"
    );
    let due = format!(
        "CASE WHEN {OPEN} AND (e.due_at <= excluded.due_at OR NOT ({PERSON})) THEN e.due_at ELSE excluded.due_at END"
    );
    let live = format!("(excluded.lane = 'live' OR ({OPEN} AND e.lane = 'live'))");
    format!(
        "ON CONFLICT (bridge, kind, source_id) DO UPDATE SET
            noticed = e.noticed + excluded.noticed,
            settled = CASE WHEN e.state = 'IGNORED' THEN e.noticed + excluded.noticed ELSE e.settled END,
            hint = coalesce(excluded.hint, e.hint),
            state = CASE WHEN e.state = 'IGNORED' OR {OPEN} THEN e.state ELSE 'PENDING' END,
            reason = CASE WHEN e.state = 'IGNORED' OR {OPEN} THEN e.reason ELSE excluded.reason END,
            due_at = {due},
            lane = CASE WHEN {live} THEN 'live' ELSE excluded.lane END,
            trigger_type = CASE WHEN {keeps_asking} THEN e.trigger_type ELSE excluded.trigger_type END,
            actor = CASE WHEN {keeps_asking} THEN e.actor ELSE excluded.actor END,
            attempts = CASE WHEN {OPEN} THEN e.attempts ELSE 0 END,
            takes = CASE WHEN {OPEN} THEN e.takes ELSE 0 END,
            waits_for = NULL,
            noticed_at = excluded.noticed_at,
            published_at = CASE WHEN e.state = 'IGNORED' THEN NULL
                                WHEN NOT {HELD} AND {live} AND {due} <= excluded.noticed_at THEN excluded.noticed_at
                                WHEN {OPEN} THEN e.published_at END
         RETURNING bridge, kind, source_id, lane, (noticed > settled AND due_at <= :now AND {FREE} AND lane = 'live') AS nudge"
    )
}

/// A record of a batch, with the names of [`COLUMNS`].
#[derive(Serialize)]
pub(crate) struct Counted<'n> {
    bridge: &'n str,
    kind: &'n str,
    source_id: &'n str,
    hint: Option<&'n str>,
    lane: &'static str,
    trigger_type: &'static str,
    actor: &'n str,
    times: i64,
}

/// Each record once, sorted by its name so that transactions lock rows in the same order.
pub(crate) fn batch<'n>(notices: impl IntoIterator<Item = &'n Notice>) -> Vec<Counted<'n>> {
    let mut merged: BTreeMap<&RecordKey, (Merged<'n>, i64)> = BTreeMap::new();
    for notice in notices {
        let (kept, times) = merged.entry(&notice.key).or_insert_with(|| (Merged::of(notice), 0));
        kept.merge(notice);
        *times += 1;
    }
    let counted = |(key, (notice, times)): (&'n RecordKey, (Merged<'n>, i64))| Counted {
        bridge: key.bridge.as_str(),
        kind: key.kind.as_str(),
        source_id: key.source_id.as_str(),
        hint: notice.hint,
        lane: notice.lane.as_str(),
        trigger_type: notice.trigger.as_str(),
        actor: notice.actor.as_str(),
        times,
    };
    merged.into_iter().map(counted).collect()
}

struct Merged<'n> {
    hint: Option<&'n str>,
    lane: Lane,
    trigger: Trigger,
    actor: &'n Actor,
}

impl<'n> Merged<'n> {
    fn of(notice: &'n Notice) -> Self {
        Self { hint: notice.hint.as_deref(), lane: notice.lane, trigger: notice.trigger, actor: &notice.actor }
    }

    fn merge(&mut self, later: &'n Notice) {
        self.lane = self.lane.min(later.lane);
        self.hint = later.hint.as_deref().or(self.hint);
        if later.trigger.is_deliberate() || !self.trigger.is_deliberate() {
            (self.trigger, self.actor) = (later.trigger, &later.actor);
        }
    }
}

pub(crate) fn live_nudges(found: &[Found]) -> Result<Vec<Nudge>> {
    let mut nudges = Vec::new();
    for row in found {
        if row.flag("nudge")? {
            nudges.push(nudge(row)?);
        }
    }
    Ok(nudges)
}
