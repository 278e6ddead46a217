//! The ledger and its neighbours in SQL: Postgres, and SQLite as the embedded default, with the same behaviour.
//!
//! Every method is one transaction that either happens as a whole or leaves nothing behind. The store decides
//! nothing about syncing: it counts notices, hands out leases, keeps the journal and settles what the engine tells it to settle.
//! It reads no clock; "now" is always passed in (the two ports at the end of [`Store`] that have no room for it excepted).
//!
//! What keeps two workers apart is the fence: a number in the ledger row that rises with every lease. Each write on
//! behalf of a lease names its fence and touches nothing if the row has another one by now.

mod circuit;
mod claim;
mod db;
mod dialect;
#[cfg(test)]
mod disk_full;
mod error;
mod jobs;
mod journal;
mod lease;
mod log;
mod mapping;
mod migrate;
mod notice;
mod operate;
mod pair;
mod ports;
mod resolve;
mod rows;
mod settle;
mod spool;
mod upkeep;
mod values;
mod waiting;
mod webhooks;

pub use db::Store;
pub use error::StoreError;
pub use values::*;

/// The answer of every store call.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
