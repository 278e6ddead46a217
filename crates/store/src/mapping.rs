//! Value mappings: what a value of the source is called in the destination. Compared in normalized form, shown as typed.

use crate::db::{Tx, retried};
use crate::dialect::{Found, Params};
use crate::waiting;
use crate::{Mapping, MappingChange, Result, Store};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use tandem_core::ledger::waits_for_mapping;
use tandem_core::{Actor, BridgeId, text};

impl Store {
    /// The target that was set for a source value.
    pub async fn mapping(&self, bridge: &BridgeId, typ: &str, source: &str) -> Result<Option<String>> {
        let params = named(self.params(), bridge, typ, &text::normalize(source));
        let found = self
            .read(
                params
                    .sql("SELECT target FROM value_mapping WHERE bridge = :bridge AND typ = :typ AND lookup = :lookup"),
            )
            .await?;
        found.first().map(|row| row.text("target")).transpose()
    }

    /// The mappings of a bridge, of one type or all.
    pub async fn mappings(&self, bridge: &BridgeId, typ: Option<&str>) -> Result<Vec<Mapping>> {
        let params = self.params().text("bridge", bridge.as_str()).maybe_text("typ", typ);
        let of_type = if typ.is_some() { "AND typ = :typ" } else { "" };
        let sql = format!(
            "SELECT typ, source, target, note FROM value_mapping WHERE bridge = :bridge {of_type} ORDER BY typ, lookup"
        );
        self.read(params.sql(&sql)).await?.iter().map(mapping).collect()
    }

    /// Sets mappings, all or none, and sets those records going that wait for one of them. Of the same source value twice the last counts.
    pub async fn set_mappings(
        &self,
        bridge: &BridgeId,
        mappings: &[Mapping],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<MappingChange> {
        // Sorted, so that two of these at once take their locks in the same order.
        let unique: BTreeMap<(&str, String), &Mapping> =
            mappings.iter().map(|m| ((m.typ.as_str(), text::normalize(&m.source)), m)).collect();
        retried!(self.set_once(bridge, &unique, actor, now))
    }

    async fn set_once(
        &self,
        bridge: &BridgeId,
        mappings: &BTreeMap<(&str, String), &Mapping>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<MappingChange> {
        let tx = self.begin().await?;
        let mut change = MappingChange::default();
        for ((typ, lookup), mapping) in mappings {
            let word = waits_for_mapping(bridge, typ, lookup);
            tx.exclusive(&word).await?;
            *if put(&tx, bridge, lookup, mapping, actor, now).await? {
                &mut change.set
            } else {
                &mut change.unchanged
            } += 1;
            change.released.extend(waiting::release(&tx, &word, now).await?);
        }
        tx.commit().await?;
        Ok(change)
    }

    /// Removes a mapping; false if there was none. Records that were written with it stay as they are.
    pub async fn delete_mapping(&self, bridge: &BridgeId, typ: &str, source: &str) -> Result<bool> {
        let params = named(self.params(), bridge, typ, &text::normalize(source));
        let statement =
            params.sql("DELETE FROM value_mapping WHERE bridge = :bridge AND typ = :typ AND lookup = :lookup");
        Ok(retried!(self.execute(statement.clone()))? > 0)
    }
}

/// True if this was new or changed something.
async fn put(
    tx: &Tx,
    bridge: &BridgeId,
    lookup: &str,
    mapping: &Mapping,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<bool> {
    let params = named(tx.params(), bridge, &mapping.typ, lookup)
        .text("source", mapping.source.as_str())
        .text("target", mapping.target.as_str())
        .maybe_text("note", mapping.note.as_deref())
        .text("actor", actor.as_str())
        .time("now", now);
    let sql = "INSERT INTO value_mapping AS m (bridge, typ, lookup, source, target, note, actor, changed_at)
               VALUES (:bridge, :typ, :lookup, :source, :target, :note, :actor, :now)
               ON CONFLICT (bridge, typ, lookup) DO UPDATE SET source = excluded.source, target = excluded.target, note = excluded.note,
                   actor = excluded.actor, changed_at = excluded.changed_at
               WHERE m.source <> excluded.source OR m.target <> excluded.target OR m.note IS DISTINCT FROM excluded.note";
    Ok(tx.execute(params.sql(sql)).await? > 0)
}

fn named(params: Params, bridge: &BridgeId, typ: &str, lookup: &str) -> Params {
    params.text("bridge", bridge.as_str()).text("typ", typ).text("lookup", lookup)
}

fn mapping(row: &Found) -> Result<Mapping> {
    Ok(Mapping {
        typ: row.text("typ")?,
        source: row.text("source")?,
        target: row.text("target")?,
        note: row.maybe_text("note")?,
    })
}
