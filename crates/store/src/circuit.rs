//! Open circuits: bridges whose other side is unavailable as a whole. Kept here so that all workers and the operator see the same.

use crate::db::retried;
use crate::dialect::Found;
use crate::{Circuit, Result, Store};
use chrono::{DateTime, Utc};
use tandem_core::BridgeId;

impl Store {
    /// The circuits that are open.
    pub async fn circuits(&self) -> Result<Vec<Circuit>> {
        let sql = "SELECT bridge, reason, code, opened_at, probe_at, failures FROM circuit ORDER BY bridge";
        self.read(self.params().sql(sql)).await?.iter().map(circuit).collect()
    }

    /// Opens a circuit, or brings an open one up to date (a probe failed again); `opened_at` stays that of the first time.
    pub async fn open_circuit(&self, circuit: &Circuit) -> Result<()> {
        let params = self
            .params()
            .text("bridge", circuit.bridge.as_str())
            .text("reason", circuit.reason.as_str())
            .text("code", circuit.code.as_str())
            .time("opened_at", circuit.opened_at)
            .time("probe_at", circuit.probe_at)
            .int("failures", circuit.failures);
        let sql = "INSERT INTO circuit (bridge, reason, code, opened_at, probe_at, failures) VALUES (:bridge, :reason, :code, :opened_at, :probe_at, :failures)
                   ON CONFLICT (bridge) DO UPDATE SET reason = excluded.reason, code = excluded.code, probe_at = excluded.probe_at, failures = excluded.failures";
        let statement = params.sql(sql);
        retried!(self.execute(statement.clone())).map(drop)
    }

    /// Takes the turn to probe: true if the circuit is open and its probe was due; it is due again at `until` then.
    pub async fn claim_probe(&self, bridge: &BridgeId, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<bool> {
        let params = self.params().text("bridge", bridge.as_str()).time("now", now).time("until", until);
        let statement = params.sql("UPDATE circuit SET probe_at = :until WHERE bridge = :bridge AND probe_at <= :now");
        Ok(retried!(self.execute(statement.clone()))? > 0)
    }

    /// Closes a circuit, and lets the next sweep publish all that is open and due of the bridge; false if it was not open.
    pub async fn close_circuit(&self, bridge: &BridgeId) -> Result<bool> {
        let params = self.params().text("bridge", bridge.as_str());
        retried!(async {
            let tx = self.begin().await?;
            let closed = tx.execute(params.sql("DELETE FROM circuit WHERE bridge = :bridge")).await? > 0;
            let again = "UPDATE entity_mapping SET published_at = NULL WHERE bridge = :bridge AND noticed > settled AND published_at IS NOT NULL";
            tx.execute(params.sql(again)).await?;
            tx.commit().await?;
            Ok(closed)
        })
    }
}

fn circuit(row: &Found) -> Result<Circuit> {
    Ok(Circuit {
        bridge: row.text("bridge")?.into(),
        reason: row.text("reason")?,
        code: row.text("code")?,
        opened_at: row.time("opened_at")?,
        probe_at: row.time("probe_at")?,
        failures: row.small("failures")?,
    })
}
