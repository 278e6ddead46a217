//! The lanes that carry nudges from `ingest` to `worker`: RabbitMQ for an installation of several processes, and the
//! ledger itself where one process does everything.
//!
//! Both keep the contract of [`tandem_core::lane`]. Neither carries data of a record, schedules a retry or decides
//! that a record is dead: the ledger does, and what a lane loses or doubles is made good from there.

mod embedded;
mod envelope;
mod rabbit;
mod slots;

pub use embedded::EmbeddedLanes;
pub use rabbit::{RabbitLanes, RabbitSettings};
