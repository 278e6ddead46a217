//! Bindings between a source record and its counterpart: pairs that an effect brought with it, and the record that is in the way
//! when a counterpart is taken.

use crate::db::Tx;
use crate::log;
use crate::rows::{COLUMNS, ledger_row, with_key};
use crate::waiting;
use crate::{Lease, LogEntry, Result, Store, StoreError};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tandem_core::ledger::waits_for_record;
use tandem_core::plan::Pair;
use tandem_core::{Actor, BridgeId, Checksum, DestId, KindId, Nudge, State, Trigger};

/// Saves pairs that are known to be in step, and sets those going that wait for one of them. A record with open work keeps its
/// state and only gets the binding.
pub(crate) async fn save(
    tx: &Tx,
    pairs: &[Pair],
    trigger: Trigger,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<Nudge>> {
    let mut released = Vec::new();
    for pair in pairs {
        let params = with_key(tx.params(), &pair.key)
            .text("dest_id", pair.dest_id.as_str())
            .maybe_text("checksum", pair.source_checksum.as_ref().map(Checksum::as_str))
            .flag("agrees", pair.source_checksum.is_some())
            .maybe_text("hint", pair.hint.as_deref())
            .text("reason", pair.reason.as_str())
            .text("trigger", trigger.as_str())
            .text("actor", actor.as_str())
            .time("now", now);
        // A record that has a counterpart keeps it, and what it is known to agree with: it may have been worked on since this
        // pair was planned. One that is in somebody's hands, or of which it is not known that both sides agree, is noticed.
        let sql = format!(
            "INSERT INTO entity_mapping AS e (bridge, kind, source_id, dest_id, hint, state, reason, noticed, settled, due_at, lane, trigger_type, actor,
                                              source_checksum, seen_checksum, noticed_at, settled_at)
             VALUES (:bridge, :kind, :source_id, :dest_id, :hint, CASE WHEN :agrees THEN 'SYNCED' ELSE 'PENDING' END, :reason,
                     CASE WHEN :agrees THEN 0 ELSE 1 END, 0, :now, 'bulk', :trigger, :actor, :checksum, :checksum, :now, :now)
             ON CONFLICT (bridge, kind, source_id) DO UPDATE SET
                dest_id = coalesce(e.dest_id, excluded.dest_id),
                hint = coalesce(excluded.hint, e.hint),
                source_checksum = coalesce(e.source_checksum, excluded.source_checksum),
                seen_checksum = coalesce(e.seen_checksum, excluded.seen_checksum),
                noticed = CASE WHEN :agrees AND e.lease_owner IS NULL THEN e.noticed ELSE e.noticed + 1 END,
                settled = CASE WHEN e.state = 'IGNORED' AND NOT (:agrees AND e.lease_owner IS NULL) THEN e.settled + 1 ELSE e.settled END,
                state = CASE WHEN e.noticed > e.settled OR e.state = 'IGNORED' THEN e.state ELSE excluded.state END,
                reason = CASE WHEN e.noticed > e.settled OR e.state = 'IGNORED' THEN e.reason ELSE excluded.reason END,
                due_at = CASE WHEN e.noticed > e.settled THEN e.due_at ELSE excluded.due_at END,
                attempts = CASE WHEN e.noticed > e.settled THEN e.attempts ELSE 0 END,
                takes = CASE WHEN e.noticed > e.settled THEN e.takes ELSE 0 END,
                waits_for = NULL,
                settled_at = excluded.settled_at
             RETURNING awaited, {COLUMNS}"
        );
        let found = tx.one(params.sql(&sql)).await?.ok_or_else(|| StoreError::unreadable("pair"))?;
        let row = ledger_row(&found)?;
        if row.dest_id.as_ref() != Some(&pair.dest_id) {
            return Err(StoreError::DestTaken { by: pair.key.clone() });
        }
        let entry = LogEntry { action: Some("link".to_owned()), ..LogEntry::new(now, trigger, actor.clone()) };
        log::append(tx, row.id, State::Synced, &pair.reason, &entry).await?;
        if found.flag("awaited")? {
            waiting::nobody_waits_for(tx, row.id).await?;
            released.extend(waiting::release(tx, &waits_for_record(&pair.key), now).await?);
        }
    }
    Ok(released)
}

/// The identifiers that have a value. A null would mean "forget it" on one database and "keep a null" on the other.
pub(crate) fn named(refs: &Map<String, Value>) -> Value {
    refs.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Says who has the destination id that a unique index refused to give to the leased row or to one of the pairs.
pub(crate) async fn taken(
    store: &Store,
    lease: &Lease,
    dest_id: Option<&DestId>,
    pairs: &[Pair],
) -> Result<StoreError> {
    let own = store
        .read(
            store
                .params()
                .int("row_id", lease.row_id)
                .sql("SELECT bridge, kind, source_id FROM entity_mapping WHERE id = :row_id"),
        )
        .await?;
    let own = own.first().map(crate::rows::key).transpose()?;
    let wanted = own.iter().zip(dest_id).chain(pairs.iter().map(|pair| (&pair.key, &pair.dest_id)));
    for (key, dest_id) in wanted {
        if let Some(by) = holder(store, &key.bridge, &key.kind, dest_id).await?.filter(|by| by != key) {
            return Ok(StoreError::DestTaken { by });
        }
    }
    // It was given up between the refusal and this look.
    Ok(StoreError::Contended("a destination id changed hands".to_owned()))
}

async fn holder(
    store: &Store,
    bridge: &BridgeId,
    kind: &KindId,
    dest_id: &DestId,
) -> Result<Option<tandem_core::RecordKey>> {
    Ok(store.row_of_dest(bridge, kind, dest_id).await?.map(|row| row.key))
}
