//! Upkeep: months ahead for the log's partitions, and what is older than its retention goes, in small batches.

use crate::db::{Tx, retried};
use crate::dialect::Dialect;
use crate::{Result, Retention, Store};
use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, Utc};

/// Rows deleted per transaction.
const BATCH: i64 = 2_000;
/// Partitions are made for this month and so many after it.
const MONTHS_AHEAD: u32 = 2;
const PARTITION: &str = "sync_log_";

impl Store {
    /// Makes room for the coming months and removes what is older than its retention. May be called at any time, by several processes;
    /// once a day is enough.
    pub async fn upkeep(&self, now: DateTime<Utc>, retention: &Retention) -> Result<()> {
        let log_since = now - days(retention.log_days);
        if self.dialect == Dialect::Postgres {
            for ahead in 0..=MONTHS_AHEAD {
                retried!(self.ensure_month(month_of(now) + Months::new(ahead)))?;
            }
            retried!(self.drop_months_before(log_since.date_naive()))?;
        }
        let log = if self.dialect == Dialect::Postgres { "sync_log_default" } else { "sync_log" };
        self.prune(log, "id", "started_at < :before", log_since).await?;
        self.prune("effect_journal", "seq", "NOT live AND closed_at < :before", log_since).await?;
        self.prune("webhook_event", "id", "received_at < :before", now - days(retention.inbox_days)).await?;
        self.prune("run", "id", "status <> 'RUNNING' AND started_at < :before", now - days(retention.runs_days)).await
    }

    async fn prune(&self, table: &str, id: &str, condition: &str, before: DateTime<Utc>) -> Result<()> {
        let params = self.params().time("before", before).int("batch", BATCH);
        let sql =
            format!("DELETE FROM {table} WHERE {id} IN (SELECT {id} FROM {table} WHERE {condition} LIMIT :batch)");
        let statement = params.sql(&sql);
        while retried!(self.execute(statement.clone()))? > 0 {}
        Ok(())
    }

    /// Makes the partition of a month. Rows of that month which the default partition took meanwhile move over.
    async fn ensure_month(&self, month: NaiveDate) -> Result<()> {
        let name = partition_of(month);
        let (from, to) = (month.format("%Y-%m-%d"), (month + Months::new(1)).format("%Y-%m-%d"));
        let tx = self.begin().await?;
        tx.exclusive("tandem upkeep").await?;
        if months(&tx).await?.contains(&month) {
            return Ok(());
        }
        // Attaching stops writers for a moment. If it can't have the table soon, the next call tries again.
        tx.script(&format!(
            "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = 0; SET LOCAL TIME ZONE 'UTC';
             CREATE TABLE {name} (LIKE sync_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
             LOCK TABLE sync_log IN SHARE UPDATE EXCLUSIVE MODE; LOCK TABLE sync_log_default IN ACCESS EXCLUSIVE MODE;
             WITH moved AS (DELETE FROM sync_log_default WHERE started_at >= '{from}' AND started_at < '{to}' RETURNING *) INSERT INTO {name} SELECT * FROM moved;
             ALTER TABLE sync_log ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}')"
        ))
        .await?;
        tx.commit().await
    }

    /// A month that is over and past its retention goes as a whole.
    async fn drop_months_before(&self, limit: NaiveDate) -> Result<()> {
        let tx = self.begin().await?;
        tx.exclusive("tandem upkeep").await?;
        let old: Vec<_> = months(&tx).await?.into_iter().filter(|month| *month + Months::new(1) <= limit).collect();
        for month in &old {
            tx.script(&format!("SET LOCAL lock_timeout = '2s'; DROP TABLE {}", partition_of(*month))).await?;
        }
        tx.commit().await
    }
}

/// The months that have a partition.
async fn months(tx: &Tx) -> Result<Vec<NaiveDate>> {
    let sql = "SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'sync_log'::regclass";
    let names = tx.all(tx.params().sql(sql)).await?.iter().map(|row| row.text("name")).collect::<Result<Vec<_>>>()?;
    Ok(names
        .iter()
        .filter_map(|name| NaiveDate::parse_from_str(&format!("{}01", name.strip_prefix(PARTITION)?), "%Y%m%d").ok())
        .collect())
}

fn partition_of(month: NaiveDate) -> String {
    month.format("sync_log_%Y%m").to_string()
}

fn month_of(now: DateTime<Utc>) -> NaiveDate {
    let today = now.date_naive();
    today.with_day(1).unwrap_or(today)
}

fn days(days: u32) -> TimeDelta {
    TimeDelta::days(i64::from(days))
}
