//! Lanes: how a nudge gets from the one who noticed to the one who acts.
//!
//! A nudge says "record R of bridge B may be out of step" and carries nothing else. Losing one, doubling one or
//! delivering one late is harmless: the ledger knows what is open, and the pump publishes it again.

use crate::ids::{BridgeId, RecordKey};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Live work overtakes bulk work of the same bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Webhooks and people.
    Live,
    /// Scans: polls, imports, sweeps.
    Bulk,
}

impl Lane {
    pub const ALL: [Lane; 2] = [Lane::Live, Lane::Bulk];
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Live => "live",
            Lane::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The whole content of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nudge {
    pub key: RecordKey,
    pub lane: Lane,
}

/// What became of one published nudge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The lane has it, durably.
    Stored,
    /// Confirmed but routed to no queue: the topology is broken.
    Unroutable,
    /// The lane said no (queue full, broker alarm).
    Refused,
    /// The line dropped or the wait ended before an answer: it may be stored.
    Unknown,
}

/// Where a delivered nudge stands with its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Fresh,
    /// Given out before and not acknowledged.
    Redelivered,
    /// It lay in the dead-letter queue and somebody moved it back: a replay.
    FromDead,
}

/// A lane's trouble. The ledger is untouched by it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct LaneError(pub String);

/// One nudge in hand. Dropping it unacknowledged gives it back to the lane.
#[async_trait]
pub trait Delivery: Send {
    fn nudge(&self) -> &Nudge;
    fn origin(&self) -> Origin;
    /// The outcome is committed: the lane may forget the nudge. An error means that it will come again, no more.
    async fn ack(self: Box<Self>) -> Result<(), LaneError>;
    /// The record is DEAD: the lane's own dead-lettering takes the nudge.
    async fn dead(self: Box<Self>) -> Result<(), LaneError>;
}

/// A stream of nudges for one bridge, live before bulk.
#[async_trait]
pub trait Consumer: Send {
    /// The next nudge; waits for one. An error means that this consumer is done for and a new one is to be made.
    async fn next(&mut self) -> Result<Box<dyn Delivery>, LaneError>;
}

/// How a bridge is consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumeOptions {
    /// How many nudges may be unacknowledged at once; at least 1.
    pub prefetch: u16,
    /// Only one consumer over all copies is given work, so that the bridge's cap on concurrency holds everywhere.
    pub single_active: bool,
}

/// What is in a bridge's lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Depth {
    pub live: u64,
    pub bulk: u64,
    pub dead: u64,
}

/// The lanes of all bridges: RabbitMQ, or the ledger itself.
#[async_trait]
pub trait Lanes: Send + Sync {
    /// Makes sure that everything the bridges need is declared. May be called again at any time.
    async fn prepare(&self, bridges: &[(BridgeId, ConsumeOptions)]) -> Result<(), LaneError>;
    /// Publishes all; the answers are in the order of the nudges. Never waits longer than `patience` for the lane's word.
    async fn publish(&self, nudges: &[Nudge], patience: Duration) -> Vec<Published>;
    async fn consume(&self, bridge: &BridgeId, options: &ConsumeOptions) -> Result<Box<dyn Consumer>, LaneError>;
    async fn depth(&self, bridge: &BridgeId) -> Result<Depth, LaneError>;
    /// Takes the dead letters of records for which `keep` says no out of the dead-letter queue; answers how many went.
    async fn tidy_dead(
        &self,
        bridge: &BridgeId,
        keep: &(dyn for<'a> Fn(&'a [RecordKey]) -> KeepFuture<'a> + Send + Sync),
    ) -> Result<u64, LaneError>;
    /// One word for people: `rabbitmq` or `embedded`.
    fn name(&self) -> &'static str;
}

/// For each key: does it still belong into the dead-letter queue?
pub type KeepFuture<'a> = std::pin::Pin<Box<dyn Future<Output = Vec<bool>> + Send + 'a>>;

/// Where the embedded lanes find work: the ledger's open and due rows, live before bulk, longest due first.
#[async_trait]
pub trait DueRecords: Send + Sync {
    async fn due(&self, bridge: &BridgeId, limit: u16) -> Result<Vec<Nudge>, LaneError>;
    async fn depth(&self, bridge: &BridgeId) -> Result<Depth, LaneError>;
}
