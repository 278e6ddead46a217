//! The store behind the core's two ports: what a bridge may look up, and where the embedded lanes find work.

use crate::rows::{FREE, nudges};
use crate::{Store, StoreError};
use async_trait::async_trait;
use chrono::Utc;
use tandem_core::bridge::Lookups;
use tandem_core::lane::{Depth, DueRecords, LaneError};
use tandem_core::{BridgeId, DestId, Fault, KindId, LedgerRow, Nudge, RecordKey};

#[async_trait]
impl Lookups for Store {
    async fn row(&self, key: &RecordKey) -> Result<Option<LedgerRow>, Fault> {
        Store::row(self, key).await.map_err(fault)
    }
    async fn paired_with(
        &self,
        bridge: &BridgeId,
        kind: &KindId,
        dest_id: &DestId,
    ) -> Result<Option<LedgerRow>, Fault> {
        self.row_of_dest(bridge, kind, dest_id).await.map_err(fault)
    }
    async fn mapping(&self, bridge: &BridgeId, mapping: &str, source: &str) -> Result<Option<String>, Fault> {
        Store::mapping(self, bridge, mapping, source).await.map_err(fault)
    }
    async fn mapping_sources(&self, bridge: &BridgeId, mapping: &str) -> Result<Vec<String>, Fault> {
        let known = self.mappings(bridge, Some(mapping)).await.map_err(fault)?;
        Ok(known.into_iter().map(|m| m.source).collect())
    }
}

/// The codes of look-ups that failed: the database was away, was too busy, or anything else.
const AWAY: &str = "store.unavailable";
const BUSY: &str = "store.contended";
const FAILED: &str = "store.lookup";

/// A look-up that failed, in the only form that a bridge can pass on. Nothing was written yet, so trying again is always
/// right; whoever called the bridge makes it our own trouble again by [`StoreError::of_lookup`] and counts no try.
fn fault(error: StoreError) -> Fault {
    match error {
        StoreError::Unavailable(why) => Fault::transient(AWAY, why),
        StoreError::Contended(why) => Fault::transient(BUSY, why),
        other => Fault::transient(FAILED, other.to_string()),
    }
}

impl StoreError {
    /// The failed look-up behind a fault that came through a bridge; `None` if the fault is another system's.
    pub fn of_lookup(fault: &Fault) -> Option<Self> {
        let why = fault.message.clone();
        match fault.code {
            AWAY => Some(Self::Unavailable(why)),
            BUSY => Some(Self::Contended(why)),
            FAILED => Some(Self::Db(why)),
            _ => None,
        }
    }
}

#[async_trait]
impl DueRecords for Store {
    async fn due(&self, bridge: &BridgeId, limit: u16) -> Result<Vec<Nudge>, LaneError> {
        let params = self.params().text("bridge", bridge.as_str()).int("limit", limit).time("now", Utc::now());
        // One lane after the other, each along its index; "live" sorts after "bulk".
        let lane = |lane: &str| {
            format!(
                "SELECT * FROM (SELECT bridge, kind, source_id, lane, due_at FROM entity_mapping
                 WHERE bridge = :bridge AND lane = '{lane}' AND noticed > settled AND due_at <= :now AND {FREE} ORDER BY due_at LIMIT :limit) AS {lane}_lane"
            )
        };
        let sql = format!("{} UNION ALL {} ORDER BY lane DESC, due_at LIMIT :limit", lane("live"), lane("bulk"));
        self.read(params.sql(&sql)).await.and_then(|found| nudges(&found)).map_err(|error| LaneError(error.to_string()))
    }

    async fn depth(&self, bridge: &BridgeId) -> Result<Depth, LaneError> {
        let params = self.params().text("bridge", bridge.as_str()).time("now", Utc::now());
        let sql = format!(
            "SELECT (SELECT count(*) FROM entity_mapping WHERE bridge = :bridge AND lane = 'live' AND noticed > settled AND due_at <= :now AND {FREE}) AS live,
                    (SELECT count(*) FROM entity_mapping WHERE bridge = :bridge AND lane = 'bulk' AND noticed > settled AND due_at <= :now AND {FREE}) AS bulk,
                    (SELECT count(*) FROM entity_mapping WHERE bridge = :bridge AND state = 'DEAD') AS dead"
        );
        let depth = |found: Vec<crate::dialect::Found>| {
            let row = found.first().ok_or_else(|| StoreError::unreadable("count"))?;
            Ok(Depth { live: row.count("live")?, bulk: row.count("bulk")?, dead: row.count("dead")? })
        };
        self.read(params.sql(&sql)).await.and_then(depth).map_err(|error: StoreError| LaneError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_look_up_comes_back_from_a_bridge_as_our_own_trouble_and_nothing_else_does() {
        for error in [StoreError::Unavailable("closed".to_owned()), StoreError::Contended("locked".to_owned())] {
            let said = error.to_string();
            let back = StoreError::of_lookup(&fault(error)).unwrap();
            assert!(back.is_unavailable());
            assert_eq!(back.to_string(), said);
        }
        let broken = StoreError::of_lookup(&fault(StoreError::unreadable("state"))).unwrap();
        assert!(!broken.is_unavailable(), "{broken}");
        assert!(StoreError::of_lookup(&Fault::transient("siagh.timeout", "no answer")).is_none());
    }
}
