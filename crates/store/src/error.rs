//! What can go wrong between Tandem and its own database, classed by what the caller can do about it.

use sea_orm::{DbErr, RuntimeErr};
use tandem_core::RecordKey;

/// A failed call to the store. Unless it says otherwise, nothing of the call was done.
///
/// The texts name no value of any record and no password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, has no connection left, has no room, or is shutting down. May pass by itself.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Other transactions kept getting in the way (deadlock, lock time-out), after several tries. May pass by itself.
    #[error("the database is too busy: {0}")]
    Contended(String),
    /// Somebody else holds the record (or the job) by now, or it was given back.
    #[error("the lease was lost: somebody else holds the record by now, or it was settled")]
    LostLease,
    /// Another record of the same bridge and kind is paired with that destination record.
    #[error("the destination record is already paired with {by}")]
    DestTaken { by: RecordKey },
    /// The schema is older than this program, or newer.
    #[error("the database schema does not fit this program ({0}); run `tandem migrate`")]
    NotMigrated(String),
    #[error("the database address is not usable: {0}")]
    BadUrl(String),
    #[error("database error: {0}")]
    Db(String),
    /// A unique index said no; [`StoreError::DestTaken`] is made of it once the holder is known.
    #[doc(hidden)]
    #[error("database error: a unique index refused the row")]
    UniqueIndex,
}

impl StoreError {
    /// Waiting and trying again is the right answer; the call itself was fine.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Contended(_))
    }
    pub(crate) fn unreadable(what: &str) -> Self {
        Self::Db(format!("unreadable {what} in the database"))
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(e) => Self::Unavailable(e.to_string()),
            DbErr::Conn(RuntimeErr::SqlxError(e))
            | DbErr::Exec(RuntimeErr::SqlxError(e))
            | DbErr::Query(RuntimeErr::SqlxError(e)) => of_sqlx(e),
            DbErr::Conn(e) => Self::Unavailable(one_line(&e.to_string())),
            other => Self::Db(one_line(&other.to_string())),
        }
    }
}

fn of_sqlx(error: &sqlx::Error) -> StoreError {
    use sqlx::Error as E;
    match error {
        E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => {
            StoreError::Unavailable(one_line(&error.to_string()))
        }
        E::Database(e) => of_database(e.code().as_deref().unwrap_or_default(), e.message(), e.is_unique_violation()),
        other => StoreError::Db(one_line(&other.to_string())),
    }
}

/// `code` is an SQLSTATE of five characters, or SQLite's (extended) result code in decimal.
fn of_database(code: &str, message: &str, unique: bool) -> StoreError {
    if unique {
        return StoreError::UniqueIndex;
    }
    let text = one_line(message);
    match code {
        "40P01" | "40001" | "55P03" => StoreError::Contended(text),
        "42P01" | "42703" | "42883" => StoreError::NotMigrated(text),
        // Query cancelled (our own statement time-out), I/O error, read-only after a failover.
        "57014" | "58030" | "25006" => StoreError::Unavailable(text),
        c if c.len() == 5 && ["08", "53", "57"].iter().any(|class| c.starts_with(class)) => {
            StoreError::Unavailable(text)
        }
        c if c.len() == 5 => StoreError::Db(format!("{text} (SQLSTATE {c})")),
        c => of_sqlite(c.parse().unwrap_or(0), text),
    }
}

fn of_sqlite(code: u32, text: String) -> StoreError {
    // The primary result code is in the low byte: 5 busy, 6 locked, 8 read-only, 10 I/O, 13 full, 14 can't open.
    match code & 0xff {
        5 | 6 => StoreError::Contended(text),
        8 | 10 | 13 | 14 => StoreError::Unavailable(text),
        1 if text.contains("no such table") || text.contains("no such column") => StoreError::NotMigrated(text),
        _ => StoreError::Db(text),
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
