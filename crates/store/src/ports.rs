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

/// Nothing was written yet when a look-up fails, so trying again is always right.
fn fault(error: StoreError) -> Fault {
    Fault::transient("store.lookup", error.to_string())
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
