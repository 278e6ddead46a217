//! The connection: how to reach either database, and the three ways to talk to it (read, write, transaction).

use crate::dialect::{Dialect, Found, Params};
use crate::{Options, Result, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// No statement on Postgres runs longer, a wait for a row lock included. Migrations, and making a
/// month's partition of the sync log, are exempt.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
/// How long a SQLite writer waits for another process.
const SQLITE_BUSY: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is tried before it is used. To try it each time costs every call a way there
/// and back; one that breaks within this time costs its call an error, as one that breaks under a call does.
const TRUSTED: Duration = Duration::from_secs(1);
/// Tries of one call when other transactions get in the way.
pub(crate) const TRIES: u32 = 5;

/// A handle on the database. Clones share one pool.
#[derive(Clone)]
pub struct Store {
    db: DatabaseConnection,
    pub(crate) dialect: Dialect,
    /// SQLite has one writer at a time. Inside this process writers queue here, in order, instead of polling.
    writer: Option<Arc<Mutex<()>>>,
    acquire_timeout: Duration,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

impl Store {
    /// Connects to `postgres://..`, `postgresql://..`, `sqlite://path` (made if it is not there) or `sqlite::memory:`.
    pub async fn connect(url: &str, options: Options) -> Result<Store> {
        let dialect = dialect_of(url)?;
        let memory = dialect == Dialect::Sqlite && url.contains(":memory:");
        let mut connect = ConnectOptions::new(url);
        connect
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            .acquire_timeout(options.acquire_timeout)
            .connect_timeout(options.acquire_timeout)
            .test_before_acquire_if_idle_for(TRUSTED)
            .max_connections(if memory { 1 } else { options.max_connections.max(1) });
        match dialect {
            Dialect::Postgres => {
                connect.statement_timeout(STATEMENT_LIMIT).set_application_name("tandem");
            }
            Dialect::Sqlite => {
                connect.map_sqlx_sqlite_opts(move |sqlite| {
                    let sqlite = sqlite.create_if_missing(true).busy_timeout(SQLITE_BUSY).foreign_keys(true);
                    // FULL: in WAL mode anything less may lose the last commits to a power cut, after they were answered for.
                    if memory {
                        sqlite
                    } else {
                        sqlite.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
                    }
                });
                if memory {
                    // The database lives as long as its only connection does.
                    connect.min_connections(1).idle_timeout(None).max_lifetime(None);
                }
            }
        }
        let db = Database::connect(connect).await?;
        let writer = (dialect == Dialect::Sqlite).then(Arc::default);
        Ok(Store { db, dialect, writer, acquire_timeout: options.acquire_timeout })
    }

    /// The cheapest question that shows whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.read(self.params().sql("SELECT 1 AS one")).await.map(drop)
    }

    /// How far the database's clock is ahead of `now`, the time at the call; the way there and back counts as skew.
    /// `None` on SQLite, which has no clock of its own.
    pub async fn clock_skew(&self, now: DateTime<Utc>) -> Result<Option<TimeDelta>> {
        if self.dialect == Dialect::Sqlite {
            return Ok(None);
        }
        let found = self.read(self.params().sql("SELECT clock_timestamp() AS at")).await?;
        let at = found.first().ok_or_else(|| StoreError::unreadable("at"))?.time("at")?;
        Ok(Some(at - now))
    }

    /// Closes the connections. Further calls, on clones too, find the store unavailable.
    pub async fn close(&self) {
        // Nothing is left to do about a connection that can't even be closed.
        let _ = self.db.clone().close().await;
    }

    pub(crate) fn params(&self) -> Params {
        self.dialect.params()
    }

    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Found>> {
        all(&self.db, self.dialect, statement).await
    }

    /// One writing statement, a transaction by itself.
    pub(crate) async fn write(&self, statement: Statement) -> Result<Vec<Found>> {
        let _turn = self.turn().await?;
        all(&self.db, self.dialect, statement).await
    }

    /// As [`write`](Self::write), for a statement that returns nothing; answers how many rows it touched.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64> {
        let _turn = self.turn().await?;
        Ok(self.db.execute_raw(statement).await?.rows_affected())
    }

    pub(crate) async fn begin(&self) -> Result<Tx> {
        let turn = self.turn().await?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        if self.dialect == Dialect::Sqlite {
            let tx = self.db.begin_with_options(options).await?;
            return Ok(Tx { tx, dialect: self.dialect, _turn: turn });
        }
        // On a task of its own: whoever drops this call while BEGIN is under way would leave the connection to the next one
        // inside a transaction that nobody ends (sqlx counts it only after Postgres has answered). What that one writes
        // would hold its locks, and be gone with the process. This way the transaction begins, finds nobody and is rolled
        // back.
        let db = self.db.clone();
        let begun = tokio::spawn(async move { db.begin().await }).await;
        let tx = begun.map_err(|_| StoreError::Unavailable("a transaction could not begin".to_owned()))??;
        Ok(Tx { tx, dialect: self.dialect, _turn: turn })
    }

    async fn turn(&self) -> Result<Option<OwnedMutexGuard<()>>> {
        let Some(writer) = &self.writer else { return Ok(None) };
        match tokio::time::timeout(self.acquire_timeout, Arc::clone(writer).lock_owned()).await {
            Ok(guard) => Ok(Some(guard)),
            Err(_) => Err(StoreError::Unavailable("other writers did not finish in time".to_owned())),
        }
    }
}

/// A writing transaction. Dropping it rolls back.
pub(crate) struct Tx {
    // Before the turn: the rollback is queued on the connection before the next writer may begin.
    tx: DatabaseTransaction,
    pub(crate) dialect: Dialect,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Tx {
    pub(crate) async fn all(&self, statement: Statement) -> Result<Vec<Found>> {
        all(&self.tx, self.dialect, statement).await
    }
    pub(crate) async fn one(&self, statement: Statement) -> Result<Option<Found>> {
        Ok(self.all(statement).await?.pop())
    }
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64> {
        Ok(self.tx.execute_raw(statement).await?.rows_affected())
    }
    /// Several statements without parameters.
    pub(crate) async fn script(&self, sql: &str) -> Result<()> {
        self.tx.execute_unprepared(sql).await?;
        Ok(())
    }
    /// Keeps others out of whatever `name` stands for until this transaction ends; waits for them first.
    /// SQLite needs none: its writers take turns.
    pub(crate) async fn exclusive(&self, name: &str) -> Result<()> {
        if self.dialect == Dialect::Postgres {
            self.all(
                self.params()
                    .text("name", name)
                    .sql("SELECT true AS got FROM pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            )
            .await?;
        }
        Ok(())
    }
    /// As [`exclusive`](Self::exclusive), without waiting; false = somebody else is there.
    pub(crate) async fn try_exclusive(&self, name: &str) -> Result<bool> {
        if self.dialect == Dialect::Sqlite {
            return Ok(true);
        }
        let found = self
            .one(
                self.params()
                    .text("name", name)
                    .sql("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0)) AS got"),
            )
            .await?;
        found.map_or(Ok(false), |row| row.flag("got"))
    }
    pub(crate) async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
    pub(crate) async fn rollback(self) -> Result<()> {
        Ok(self.tx.rollback().await?)
    }
    pub(crate) fn params(&self) -> Params {
        self.dialect.params()
    }
    pub(crate) fn connection(&self) -> &DatabaseTransaction {
        &self.tx
    }
}

async fn all(db: &impl ConnectionTrait, dialect: Dialect, statement: Statement) -> Result<Vec<Found>> {
    let rows = db.query_all_raw(statement).await?;
    Ok(rows.into_iter().map(|row| Found::new(dialect, row)).collect())
}

fn dialect_of(url: &str) -> Result<Dialect> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Dialect::Postgres),
        Some(("sqlite", rest)) if !rest.is_empty() => Ok(Dialect::Sqlite),
        _ => Err(StoreError::BadUrl("it has to begin with postgres://, postgresql:// or sqlite:".to_owned())),
    }
}

/// Runs a call again when other transactions got in its way: each is one transaction, so nothing of it was done.
macro_rules! retried {
    ($call:expr) => {{
        let mut tries = 1;
        loop {
            match $call.await {
                Err($crate::StoreError::Contended(_)) if tries < $crate::db::TRIES => {
                    tokio::time::sleep(std::time::Duration::from_millis(5 << tries)).await;
                    tries += 1;
                }
                outcome => break outcome,
            }
        }
    }};
}
pub(crate) use retried;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_databases_are_accepted_and_the_refusal_does_not_repeat_the_address() {
        assert!(matches!(dialect_of("postgres://u:secret@h/db"), Ok(Dialect::Postgres)));
        assert!(matches!(dialect_of("sqlite::memory:"), Ok(Dialect::Sqlite)));
        let refused = dialect_of("mysql://u:secret@h/db").unwrap_err().to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
