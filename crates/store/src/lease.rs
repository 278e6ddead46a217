//! Leases: one worker per record at a time, and a fence against the one who overslept.

use crate::db::retried;
use crate::rows::{COLUMNS, FREE, KEY, ledger_row, with_key};
use crate::{Lease, Leased, Result, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use tandem_core::{LedgerRow, RecordKey};

/// The row is still in the hands of `:fence`. The time is not asked: as long as nobody else took the record, finishing late
/// harms nothing, and whoever takes it raises the fence.
pub(crate) const HOLDER: &str = "id = :row_id AND fence = :fence AND lease_owner IS NOT NULL";

/// What giving a record back does to its row.
const GIVE_BACK: &str = "UPDATE entity_mapping SET lease_owner = NULL, lease_until = NULL, takes = 0, due_at = :due_at, published_at = NULL";

impl Store {
    /// Takes a record that is open, due and in nobody's hands. One conditional update, so of two who try one gets it.
    pub async fn lease(&self, key: &RecordKey, owner: &str, ttl: TimeDelta, now: DateTime<Utc>) -> Result<Leased> {
        let params = with_key(self.params(), key).text("owner", owner).time("until", now + ttl).time("now", now);
        let sql = format!(
            "UPDATE entity_mapping SET fence = fence + 1, takes = takes + 1, lease_owner = :owner, lease_until = :until
             WHERE {KEY} AND noticed > settled AND due_at <= :now AND {FREE} RETURNING {COLUMNS}"
        );
        let statement = params.sql(&sql);
        if let Some(row) = retried!(self.write(statement.clone()))?.first() {
            return Ok(Leased::Taken(Box::new(ledger_row(row)?)));
        }
        Ok(self.row(key).await?.map_or(Leased::Unknown, |row| why_not(&row, now)))
    }

    /// Holds on to a record for longer.
    pub async fn renew(&self, lease: &Lease, until: DateTime<Utc>) -> Result<()> {
        let statement = lease
            .bind(self.params())
            .time("until", until)
            .sql(&format!("UPDATE entity_mapping SET lease_until = :until WHERE {HOLDER}"));
        held(retried!(self.execute(statement.clone()))?)
    }

    /// Gives a record back unfinished: no attempt is counted, the state stays. Why a record is ignored stays too.
    pub async fn release(&self, lease: &Lease, due_at: DateTime<Utc>, reason: Option<&str>) -> Result<()> {
        let params = lease.bind(self.params()).time("due_at", due_at).maybe_text("reason", reason);
        let sql = format!(
            "{GIVE_BACK}, reason = CASE WHEN state = 'IGNORED' THEN reason ELSE coalesce(:reason, reason) END WHERE {HOLDER}"
        );
        let statement = params.sql(&sql);
        held(retried!(self.execute(statement.clone()))?)
    }

    /// Gives a record back unless a write of it is on its way; answers whether it was. The row is held meanwhile, so that no
    /// intent can be journaled between the look and the giving back.
    pub async fn release_idle(&self, lease: &Lease, due_at: DateTime<Utc>) -> Result<bool> {
        let params = lease.bind(self.params()).time("due_at", due_at);
        retried!(async {
            let tx = self.begin().await?;
            let hold = format!("SELECT id FROM entity_mapping WHERE {HOLDER} {}", tx.dialect.hold());
            let sending = "SELECT id FROM effect_journal WHERE row_id = :row_id AND live AND status = 'OPEN'";
            if tx.one(params.sql(&hold)).await?.is_none() || tx.one(params.sql(sending)).await?.is_some() {
                tx.rollback().await?;
                return Ok(false);
            }
            tx.execute(params.sql(&format!("{GIVE_BACK} WHERE {HOLDER}"))).await?;
            tx.commit().await?;
            Ok(true)
        })
    }
}

impl Lease {
    /// Binds `:row_id` and `:fence`, for [`HOLDER`].
    pub(crate) fn bind(&self, params: crate::dialect::Params) -> crate::dialect::Params {
        params.int("row_id", self.row_id).int("fence", self.fence)
    }
}

fn why_not(row: &LedgerRow, now: DateTime<Utc>) -> Leased {
    if !row.is_open() {
        Leased::Settled(row.state)
    } else if row.lease_until.is_some_and(|until| until > now) {
        Leased::Busy
    } else if row.due_at > now {
        Leased::NotDue(row.due_at)
    } else {
        // It was taken when we tried and given back since.
        Leased::Busy
    }
}

pub(crate) fn held(rows: u64) -> Result<()> {
    if rows == 0 { Err(StoreError::LostLease) } else { Ok(()) }
}
