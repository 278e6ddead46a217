//! The sweep: what is due and was not published, or was published and never settled.

use crate::db::{Tx, retried};
use crate::rows::{FREE, nudge};
use crate::{Claim, Result, Store};
use chrono::{DateTime, Utc};
use tandem_core::{BridgeId, Lane, Nudge};

impl Store {
    /// Takes open, due records that are in nobody's hands and marks them as published; live before bulk, longest due first.
    /// Two pumps at once get different ones.
    pub async fn claim_due(&self, claim: &Claim, now: DateTime<Utc>) -> Result<Vec<Nudge>> {
        retried!(self.claim_once(claim, now))
    }

    async fn claim_once(&self, claim: &Claim, now: DateTime<Utc>) -> Result<Vec<Nudge>> {
        let tx = self.begin().await?;
        let bridges: Vec<String> = open_bridges(&tx)
            .await?
            .into_iter()
            .filter(|bridge| !claim.skip.contains(&BridgeId::new(bridge.as_str())))
            .collect();
        let mut taken = Vec::new();
        for lane in Lane::ALL {
            for (done, bridge) in bridges.iter().enumerate() {
                // Every bridge gets its share, so that one with a long queue does not starve the others.
                let left = (claim.limit as usize).saturating_sub(taken.len());
                let share = left.div_ceil(bridges.len() - done);
                let room = match lane {
                    Lane::Live => share,
                    Lane::Bulk => share.min(bulk_room(&tx, bridge, claim, now).await?),
                };
                if room > 0 {
                    taken.extend(take(&tx, bridge, lane, room, claim, now).await?);
                }
            }
        }
        tx.commit().await?;
        Ok(taken)
    }
}

/// The bridges that have open work, found by one index step each.
async fn open_bridges(tx: &Tx) -> Result<Vec<String>> {
    let sql = "WITH RECURSIVE found(bridge) AS (
                   SELECT min(bridge) FROM entity_mapping WHERE noticed > settled
                   UNION ALL
                   SELECT (SELECT min(e.bridge) FROM entity_mapping e WHERE e.noticed > e.settled AND e.bridge > found.bridge) FROM found WHERE found.bridge IS NOT NULL)
               SELECT bridge FROM found WHERE bridge IS NOT NULL";
    tx.all(tx.params().sql(sql)).await?.iter().map(|row| row.text("bridge")).collect()
}

/// How many more bulk rows of a bridge may be published. One pump at a time asks: two that counted at once would each fill the window.
async fn bulk_room(tx: &Tx, bridge: &str, claim: &Claim, now: DateTime<Utc>) -> Result<usize> {
    if !tx.try_exclusive(&format!("tandem bulk {bridge}")).await? {
        return Ok(0);
    }
    let params = tx.params().text("bridge", bridge).maybe_time("stale", claim.republish_after.map(|age| now - age));
    let fresh = if claim.republish_after.is_some() { "AND published_at > :stale" } else { "" };
    let sql = format!(
        "SELECT count(*) AS n FROM entity_mapping
         WHERE bridge = :bridge AND lane = 'bulk' AND noticed > settled AND published_at IS NOT NULL AND published_at >= due_at {fresh}"
    );
    let out = tx.one(params.sql(&sql)).await?.map_or(Ok(0), |row| row.count("n"))?;
    Ok(usize::try_from(u64::from(claim.bulk_window).saturating_sub(out)).unwrap_or(usize::MAX))
}

async fn take(
    tx: &Tx,
    bridge: &str,
    lane: Lane,
    limit: usize,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<Vec<Nudge>> {
    let params = tx
        .params()
        .text("bridge", bridge)
        .text("lane", lane.as_str())
        .int("limit", i64::try_from(limit).unwrap_or(i64::MAX))
        .maybe_time("stale", claim.republish_after.map(|age| now - age))
        .time("now", now);
    // A lease that ran out says that its worker died: the nudge it had is spent, whatever the lane still holds.
    let again = match claim.republish_after {
        Some(_) => "OR published_at <= :stale OR published_at <= lease_until",
        None => "",
    };
    let sql = format!(
        "WITH due AS MATERIALIZED (
             SELECT id AS due_id FROM entity_mapping
             WHERE bridge = :bridge AND lane = :lane AND noticed > settled AND due_at <= :now AND {FREE}
               AND (published_at IS NULL OR published_at < due_at {again})
             ORDER BY due_at LIMIT :limit {})
         UPDATE entity_mapping SET published_at = :now FROM due WHERE entity_mapping.id = due.due_id
         RETURNING bridge, kind, source_id, lane, due_at",
        tx.dialect.hold_free()
    );
    let mut rows = tx
        .all(params.sql(&sql))
        .await?
        .iter()
        .map(|row| Ok((row.time("due_at")?, nudge(row)?)))
        .collect::<Result<Vec<_>>>()?;
    rows.sort_by_key(|(due, _)| *due);
    Ok(rows.into_iter().map(|(_, nudge)| nudge).collect())
}
