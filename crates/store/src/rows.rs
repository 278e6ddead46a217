//! Ledger rows as they come out of the database, and the questions people ask about them.

use crate::dialect::{Found, Params};
use crate::{Count, OpenWork, Result, RowFilter, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use tandem_core::{BridgeId, Checksum, DestId, KindId, Lane, LedgerRow, Nudge, RecordKey, Stamp};

/// All columns of a [`LedgerRow`].
pub(crate) const COLUMNS: &str = "id, bridge, kind, source_id, dest_id, refs, hint, state, reason, noticed, settled, due_at, lane, \
     trigger_type, actor, attempts, takes, source_checksum, seen_checksum, dest_checksum, fields, stamp, source_version, \
     written_at, waits_for, lease_owner, lease_until, fence, noticed_at, settled_at";

/// Nobody holds the row at `:now`.
pub(crate) const FREE: &str = "(lease_until IS NULL OR lease_until <= :now)";

pub(crate) fn ledger_row(found: &Found) -> Result<LedgerRow> {
    let checksum = |column| found.maybe_text(column).map(|text| text.map(Checksum::from_stored));
    Ok(LedgerRow {
        id: found.int("id")?,
        key: key(found)?,
        dest_id: found.maybe_text("dest_id")?.map(DestId::new),
        refs: found.json("refs")?,
        hint: found.maybe_text("hint")?,
        state: found.word("state")?,
        reason: found.text("reason")?,
        noticed: found.int("noticed")?,
        settled: found.int("settled")?,
        due_at: found.time("due_at")?,
        lane: lane(found)?,
        trigger: found.word("trigger_type")?,
        actor: found.text("actor")?.into(),
        attempts: found.small("attempts")?,
        takes: found.small("takes")?,
        source_checksum: checksum("source_checksum")?,
        seen_checksum: checksum("seen_checksum")?,
        dest_checksum: checksum("dest_checksum")?,
        fields: found.maybe_json("fields")?,
        stamp: found.maybe_text("stamp")?.map(Stamp::new),
        source_version: found.maybe_text("source_version")?,
        written_at: found.maybe_time("written_at")?,
        waits_for: found.maybe_text("waits_for")?,
        lease_owner: found.maybe_text("lease_owner")?,
        lease_until: found.maybe_time("lease_until")?,
        fence: found.int("fence")?,
        noticed_at: found.time("noticed_at")?,
        settled_at: found.maybe_time("settled_at")?,
    })
}

pub(crate) fn key(found: &Found) -> Result<RecordKey> {
    Ok(RecordKey::new(found.text("bridge")?, found.text("kind")?, found.text("source_id")?))
}

pub(crate) fn nudge(found: &Found) -> Result<Nudge> {
    Ok(Nudge { key: key(found)?, lane: lane(found)? })
}

pub(crate) fn nudges(found: &[Found]) -> Result<Vec<Nudge>> {
    found.iter().map(nudge).collect()
}

fn lane(found: &Found) -> Result<Lane> {
    let word = found.text("lane")?;
    Lane::ALL.into_iter().find(|lane| lane.as_str() == word).ok_or_else(|| StoreError::unreadable("lane"))
}

/// Binds a record's name as `:bridge`, `:kind` and `:source_id`, for [`KEY`].
pub(crate) fn with_key(params: Params, key: &RecordKey) -> Params {
    params.text("bridge", key.bridge.as_str()).text("kind", key.kind.as_str()).text("source_id", key.source_id.as_str())
}

pub(crate) const KEY: &str = "bridge = :bridge AND kind = :kind AND source_id = :source_id";

impl Store {
    /// The ledger row of a record.
    pub async fn row(&self, key: &RecordKey) -> Result<Option<LedgerRow>> {
        let params = with_key(self.params(), key);
        let found = self.read(params.sql(&format!("SELECT {COLUMNS} FROM entity_mapping WHERE {KEY}"))).await?;
        found.first().map(ledger_row).transpose()
    }

    /// The row of this kind that is paired with a destination record.
    pub(crate) async fn row_of_dest(
        &self,
        bridge: &BridgeId,
        kind: &KindId,
        dest_id: &DestId,
    ) -> Result<Option<LedgerRow>> {
        let params =
            self.params().text("bridge", bridge.as_str()).text("kind", kind.as_str()).text("dest_id", dest_id.as_str());
        let sql = format!(
            "SELECT {COLUMNS} FROM entity_mapping WHERE bridge = :bridge AND kind = :kind AND dest_id = :dest_id"
        );
        self.read(params.sql(&sql)).await?.first().map(ledger_row).transpose()
    }

    /// Ledger rows by id.
    pub async fn rows(&self, filter: &RowFilter) -> Result<Vec<LedgerRow>> {
        let mut params = self
            .params()
            .int("after_id", filter.after_id)
            .int("limit", if filter.limit == 0 { 1_000 } else { filter.limit });
        let mut terms = vec!["id > :after_id".to_owned()];
        if let Some(bridge) = &filter.bridge {
            params = params.text("bridge", bridge.as_str());
            terms.push("bridge = :bridge".to_owned());
        }
        if let Some(kind) = &filter.kind {
            params = params.text("kind", kind.as_str());
            terms.push("kind = :kind".to_owned());
        }
        if !filter.states.is_empty() {
            // As literals, so that the planner sees which of them are rare.
            let words: Vec<String> = filter.states.iter().map(|state| format!("'{state}'")).collect();
            terms.push(format!("state IN ({})", words.join(", ")));
        }
        if !filter.source_ids.is_empty() {
            params = params.json("ids", filter.source_ids.iter().map(|id| id.as_str()).collect());
            terms.push(format!("source_id IN ({})", self.dialect.texts(":ids")));
        }
        if let Some(before) = filter.due_before {
            params = params.time("before", before);
            terms.push("noticed > settled AND due_at < :before".to_owned());
        }
        if let Some(part) = &filter.reason_contains {
            params = params.text("part", part.to_lowercase());
            terms.push(format!("{} > 0", self.dialect.position("lower(reason)", ":part")));
        }
        let sql =
            format!("SELECT {COLUMNS} FROM entity_mapping WHERE {} ORDER BY id LIMIT :limit", terms.join(" AND "));
        self.read(params.sql(&sql)).await?.iter().map(ledger_row).collect()
    }

    /// How many records are in which state.
    pub async fn counts(&self) -> Result<Vec<Count>> {
        let sql = "SELECT bridge, kind, state, count(*) AS n FROM entity_mapping GROUP BY bridge, kind, state ORDER BY bridge, kind, state";
        let found = self.read(self.params().sql(sql)).await?;
        found
            .iter()
            .map(|row| {
                Ok(Count {
                    bridge: row.text("bridge")?.into(),
                    kind: row.text("kind")?.into(),
                    state: row.word("state")?,
                    count: row.count("n")?,
                })
            })
            .collect()
    }

    /// How much there is to do, for one bridge or for all.
    pub async fn open_work(&self, bridge: Option<&BridgeId>, now: DateTime<Utc>) -> Result<OpenWork> {
        self.open_work_since(bridge, None, now).await
    }

    /// As [`open_work`](Self::open_work), without records that were noticed before `since` and whose time is more than a
    /// minute off.
    pub async fn open_work_since(
        &self,
        bridge: Option<&BridgeId>,
        since: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<OpenWork> {
        let params = self.params().time("now", now).maybe_text("bridge", bridge.map(BridgeId::as_str));
        let params = params.maybe_time("since", since).time("soon", now + TimeDelta::minutes(1));
        let of_bridge = if bridge.is_some() { "AND e.bridge = :bridge" } else { "" };
        let of_bridge = match since {
            Some(_) => format!("{of_bridge} AND (e.noticed_at >= :since OR e.due_at <= :soon OR e.lease_until > :now)"),
            None => of_bridge.to_owned(),
        };
        let sql = format!(
            "SELECT count(*) AS open, CAST(coalesce(sum(CASE WHEN lease_until > :now THEN 1 ELSE 0 END), 0) AS bigint) AS leased,
                    min(CASE WHEN due_at <= :now THEN due_at END) AS oldest, min(CASE WHEN due_at > :now THEN due_at END) AS next_due,
                    (SELECT count(*) FROM effect_journal j JOIN entity_mapping e ON e.id = j.row_id
                     WHERE j.live AND j.status = 'OPEN' AND e.state <> 'NEEDS_REVIEW' {of_bridge}) AS journaled,
                    (SELECT CAST(coalesce(sum(calls), 0) AS bigint) FROM webhook_spool) AS spooled,
                    (SELECT min(received_at) FROM webhook_spool) AS spooled_since
             FROM entity_mapping e WHERE noticed > settled {of_bridge}"
        );
        let found = self.read(params.sql(&sql)).await?;
        let row = found.first().ok_or_else(|| StoreError::unreadable("count"))?;
        Ok(OpenWork {
            open: row.count("open")?,
            leased: row.count("leased")?,
            oldest: row.maybe_time("oldest")?,
            next_due: row.maybe_time("next_due")?,
            journaled: row.count("journaled")?,
            spooled: row.count("spooled")?,
            spooled_since: row.maybe_time("spooled_since")?,
        })
    }

    /// One line per record that is still open, held by somebody, or has an open intent although nobody reviews it, and one if
    /// calls are in the spool. For tests: after all work is done there must be none.
    pub async fn leftovers(&self, now: DateTime<Utc>) -> Result<Vec<String>> {
        let sql = "SELECT e.bridge, e.kind, e.source_id, e.state, e.reason, e.noticed, e.settled, (lease_until > :now) AS held,
                          (SELECT count(*) FROM effect_journal j WHERE j.row_id = e.id AND j.live AND j.status = 'OPEN') AS intents
                   FROM entity_mapping e
                   WHERE e.noticed > e.settled OR e.lease_until > :now
                      OR (e.state <> 'NEEDS_REVIEW' AND e.id IN (SELECT row_id FROM effect_journal WHERE live AND status = 'OPEN'))
                   ORDER BY e.id";
        let found = self.read(self.params().time("now", now).sql(sql)).await?;
        let spooled = self.open_work(None, now).await?.spooled;
        let in_spool = (spooled > 0).then(|| Ok(format!("{spooled} webhook calls are in the spool")));
        found
            .iter()
            .map(|row| {
                let (noticed, settled, intents) = (row.int("noticed")?, row.int("settled")?, row.int("intents")?);
                let key = key(row)?;
                Ok(format!(
                    "{key}: {}, noticed {noticed}, settled {settled}, {intents} open intents: {}",
                    row.text("state")?,
                    row.text("reason")?
                ))
            })
            .chain(in_spool)
            .collect()
    }
}
