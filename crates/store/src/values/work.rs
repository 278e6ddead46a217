//! What work on a record needs: claims, leases, intents and the settlement that ends it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::time::Duration;
use tandem_core::bridge::DoneStep;
use tandem_core::plan::OpenIntent;
use tandem_core::{
    Actor, BridgeId, Change, Checksum, DestId, Effect, Fields, LedgerRow, Notice, Nudge, Stamp, State, Trigger,
};
use uuid::Uuid;

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections held at most; default 10. An in-memory database always has exactly one.
    pub max_connections: u32,
    /// How long a call waits for a free connection before the store counts as unavailable; default 5 s.
    pub acquire_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_connections: 10, acquire_timeout: Duration::from_secs(5) }
    }
}

/// What a scan's page came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sighted {
    /// Records that differed and are noticed now.
    pub noticed: u64,
    /// As [`Store::notice`](crate::Store::notice) answers them.
    pub nudges: Vec<Nudge>,
}

/// What a pump's sweep may take.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Rows at most, over all bridges.
    pub limit: u32,
    /// Bulk rows of one bridge that may be published and unsettled at once.
    pub bulk_window: u32,
    /// A row published longer ago than this and still unsettled is published again, and so is one whose worker let its
    /// lease run out. To find them all open rows are read; `None` leaves them alone, and reads only what is not published.
    pub republish_after: Option<TimeDelta>,
    /// Bridges that are left alone: their circuit is open.
    pub skip: Vec<BridgeId>,
}

/// The right to work on one record until somebody else takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    pub row_id: i64,
    pub fence: i64,
}

impl Lease {
    /// The lease under which a row was handed out.
    pub fn of(row: &LedgerRow) -> Self {
        Self { row_id: row.id, fence: row.fence }
    }
}

/// The answer to a request for a lease.
#[derive(Debug, Clone, PartialEq)]
pub enum Leased {
    /// Taken; the row is as it stands now, with the new fence.
    Taken(Box<LedgerRow>),
    /// Open, but due only then.
    NotDue(DateTime<Utc>),
    /// Somebody else holds it.
    Busy,
    /// Nothing is open.
    Settled(State),
    /// The ledger has no such record.
    Unknown,
}

/// How a journaled write ended.
#[derive(Debug, Clone, PartialEq)]
pub enum IntentOutcome {
    Happened(Effect),
    /// The effect surely does not exist; the step may be done again.
    DidNotHappen,
}

/// The journal of one record since it was last in step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Intents {
    /// Writes whose outcome is not known, oldest first.
    pub open: Vec<(Uuid, OpenIntent)>,
    /// Writes that happened, in their order.
    pub done: Vec<DoneStep>,
}

/// How work on a record ended. [`Settlement::new`] fills what most outcomes leave alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The `noticed` that the work was based on.
    pub handled: i64,
    pub state: State,
    /// One sentence.
    pub reason: String,
    /// The work is not over (retry, time gate): the record stays open and is due then.
    pub stays_open_until: Option<DateTime<Utc>>,
    pub attempts: u32,
    /// What a WAITING or NEEDS_MAPPING record waits for. If that is there already, the record stays open and is due
    /// at once instead of being parked.
    pub waits_for: Option<String>,
    /// The record that this one waits for. It is noticed unless it is in step, a duplicate, open, ignored, under review or
    /// itself waiting.
    pub also_notice: Option<Notice>,
    pub in_step: Option<InStep>,
    /// Closes this intent in the same transaction: the effect is bound and its pairs are saved, as
    /// [`close_intent`](crate::Store::close_intent) would, and the time gate starts now. For the last step of a plan.
    pub closes: Option<(Uuid, Effect)>,
    /// `None` = keep, here and in the next three. What was looked at is named whatever came of it: a scan leaves that version
    /// alone.
    pub seen_checksum: Option<Checksum>,
    pub source_version: Option<String>,
    pub hint: Option<String>,
    pub dest_id: Option<DestId>,
    pub log: LogEntry,
}

impl Settlement {
    pub fn new(handled: i64, state: State, reason: impl Into<String>, log: LogEntry) -> Self {
        Self {
            handled,
            state,
            reason: reason.into(),
            stays_open_until: None,
            attempts: 0,
            waits_for: None,
            also_notice: None,
            in_step: None,
            closes: None,
            seen_checksum: None,
            source_version: None,
            hint: None,
            dest_id: None,
            log,
        }
    }
}

/// Both sides agree. Done intents are archived, open ones closed as superseded, and records that wait for this one go on.
#[derive(Debug, Clone, PartialEq)]
pub struct InStep {
    pub source_checksum: Checksum,
    pub fields: Fields,
    /// `None` = keep.
    pub dest_checksum: Option<Checksum>,
    /// `None` = keep.
    pub stamp: Option<Stamp>,
}

/// What the sync log keeps of one piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    pub started_at: DateTime<Utc>,
    pub duration_ms: i64,
    /// `create_contact`, `update_contact`, `link`; `None` = nothing was done.
    pub action: Option<String>,
    pub plan: Option<Value>,
    pub changes: Vec<Change>,
    pub notes: Vec<String>,
    pub fault_code: Option<&'static str>,
    pub attempt: u32,
    pub stamp: Option<Stamp>,
    pub trigger: Trigger,
    pub actor: Actor,
}

impl LogEntry {
    pub fn new(started_at: DateTime<Utc>, trigger: Trigger, actor: Actor) -> Self {
        Self {
            started_at,
            duration_ms: 0,
            action: None,
            plan: None,
            changes: Vec::new(),
            notes: Vec::new(),
            fault_code: None,
            attempt: 0,
            stamp: None,
            trigger,
            actor,
        }
    }
}

/// What a settlement left behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settled {
    /// The record is still open, and due then. If that is now, it is marked as published: the caller publishes it.
    pub still_open: Option<(Nudge, DateTime<Utc>)>,
    /// Other records to work on now, marked as published: those that waited for this one, and the one that it waits for if
    /// it was noticed.
    pub released: Vec<Nudge>,
}
