//! What operators do to records: leave one alone, give one up, set some going again.

use crate::db::retried;
use crate::log;
use crate::notice::{KEY_COLUMNS, key_json};
use crate::rows::{FREE, KEY, nudge, with_key};
use crate::{LogEntry, Result, Store};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use tandem_core::{Actor, Nudge, RecordKey, State, Trigger};

impl Store {
    /// Leaves a record alone from now on: IGNORED until somebody reopens it. A worker that has it in hand finishes, but the record stays
    /// IGNORED. False if the ledger has no such record.
    pub async fn ignore(&self, key: &RecordKey, actor: &Actor, why: &str, now: DateTime<Utc>) -> Result<bool> {
        retried!(self.leave(key, "true", actor, why, now))
    }

    /// Gives a DEAD record up: IGNORED. False if there is no such record or it isn't DEAD.
    pub async fn discard(&self, key: &RecordKey, actor: &Actor, why: &str, now: DateTime<Utc>) -> Result<bool> {
        retried!(self.leave(key, "state = 'DEAD' AND noticed = settled", actor, why, now))
    }

    async fn leave(
        &self,
        key: &RecordKey,
        only_if: &str,
        actor: &Actor,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let reason = if why.trim().is_empty() {
            format!("ignored by {actor}")
        } else {
            format!("ignored by {actor}: {}", why.trim())
        };
        let tx = self.begin().await?;
        let params = with_key(tx.params(), key).text("reason", reason.as_str()).time("now", now);
        let sql = format!(
            "UPDATE entity_mapping SET state = 'IGNORED', reason = :reason, settled = noticed, settled_at = :now, waits_for = NULL, published_at = NULL,
                    attempts = 0 WHERE {KEY} AND {only_if} RETURNING id"
        );
        let Some(row) = tx.one(params.sql(&sql)).await? else { return Ok(false) };
        log::append(&tx, row.int("id")?, State::Ignored, &reason, &LogEntry::new(now, Trigger::Manual, actor.clone()))
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Sets known records going again whatever their state, IGNORED and DEAD included: attempts start anew, due now. Records that the ledger
    /// does not know are passed over. Answers those that are in nobody's hands, bulk ones too, marked as published.
    pub async fn reopen(
        &self,
        keys: &[RecordKey],
        trigger: Trigger,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Vec<Nudge>> {
        // Sorted, so that two of these at once lock rows in the same order.
        let keys: BTreeSet<&RecordKey> = keys.iter().collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let params = self
            .params()
            .json("batch", keys.into_iter().map(key_json).collect())
            .text("trigger", trigger.as_str())
            .text("actor", actor.as_str())
            .text("reason", format!("reopened by {actor}"))
            .time("now", now);
        let sql = format!(
            "UPDATE entity_mapping SET noticed = noticed + 1, state = 'PENDING', reason = :reason, due_at = :now, attempts = 0, takes = 0,
                    trigger_type = :trigger, actor = :actor, waits_for = NULL, noticed_at = :now,
                    published_at = CASE WHEN {FREE} THEN :now ELSE published_at END
             FROM {}
             WHERE entity_mapping.bridge = b.bridge AND entity_mapping.kind = b.kind AND entity_mapping.source_id = b.source_id
             RETURNING entity_mapping.bridge AS bridge, entity_mapping.kind AS kind, entity_mapping.source_id AS source_id, lane, {FREE} AS free",
            self.dialect.batch(":batch", KEY_COLUMNS)
        );
        let statement = params.sql(&sql);
        let mut nudges = Vec::new();
        for row in retried!(self.write(statement.clone()))? {
            if row.flag("free")? {
                nudges.push(nudge(&row)?);
            }
        }
        Ok(nudges)
    }
}
