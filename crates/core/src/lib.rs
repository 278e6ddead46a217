//! What a sync is, in plain values: ids, the ledger row, plans, states, faults, the loop guard.
//!
//! Everything here is a decision over values already in hand. This crate does no I/O, starts no task,
//! reads no clock and knows no driver: whoever needs "now" or a random id passes it in. The traits in
//! [`bridge`] and [`lane`] are the ports through which the engine meets the outside.

pub mod bridge;
pub mod canonical;
pub mod fault;
pub mod guard;
pub mod ids;
pub mod jalali;
pub mod lane;
pub mod ledger;
pub mod plan;
pub mod retry;
pub mod state;
pub mod text;

pub use bridge::{Bridge, BridgeSpec, Fetched, KindSpec, SourceRecord};
pub use canonical::{Checksum, Fields};
pub use fault::{Fault, FaultClass};
pub use ids::{Actor, BridgeId, DestId, JobId, KindId, RecordKey, SourceId, Stamp};
pub use lane::{Lane, Nudge};
pub use ledger::{LedgerRow, Notice};
pub use plan::{Change, Effect, Plan, Step, Verb};
pub use state::{State, Trigger};
