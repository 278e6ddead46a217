//! What operators ask of the ledger and the log, and what they decide.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use tandem_core::{Actor, BridgeId, Change, DestId, KindId, Nudge, RecordKey, SourceId, Stamp, State, Trigger};

/// Which ledger rows to list, by id.
#[derive(Debug, Clone, Default)]
pub struct RowFilter {
    pub bridge: Option<BridgeId>,
    pub kind: Option<KindId>,
    /// Empty = any.
    pub states: Vec<State>,
    /// Empty = any.
    pub source_ids: Vec<SourceId>,
    /// Open and due before then.
    pub due_before: Option<DateTime<Utc>>,
    /// Only rows with a higher id: the way to the next page.
    pub after_id: i64,
    /// 0 = 1,000.
    pub limit: u32,
    /// Letter case is ignored (ASCII only on SQLite).
    pub reason_contains: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    pub bridge: BridgeId,
    pub kind: KindId,
    pub state: State,
    pub count: u64,
}

/// How much there is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OpenWork {
    pub open: u64,
    pub leased: u64,
    /// When the longest-waiting due row was due.
    pub oldest: Option<DateTime<Utc>>,
    /// When the next row that is not due yet will be.
    pub next_due: Option<DateTime<Utc>>,
    /// Open intents of records that are not under review.
    pub journaled: u64,
    /// Webhook calls, of any bridge, that are stored and not in the ledger yet.
    pub spooled: u64,
    /// When the first of them came.
    pub spooled_since: Option<DateTime<Utc>>,
}

/// What a person decided about a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolution {
    /// This is its counterpart: bind, and look again.
    Link(DestId),
    /// It exists over there: the record counts as in step with what the write in doubt carried or, where no write of
    /// ours is in doubt and a person made it by hand, with the version last seen.
    Exists { dest_id: Option<DestId>, refs: Map<String, Value> },
    /// None of the candidates is its counterpart, nor the one that it has so far: make a new one. Kept in the row's refs as
    /// `decided: new`. Not for documents, of which a new one would be a second one.
    New,
    /// The write in doubt did not happen: look again.
    Again,
    /// The version last seen counts as in step; only for a record that has a counterpart.
    Accept,
    /// Another record stands for this one; kept in the row's refs as `duplicate_of`.
    Duplicate(RecordKey),
}

/// What became of a resolution.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// Done; `nudges` are marked as published.
    Done { state: State, nudges: Vec<Nudge> },
    /// The ledger has no such record.
    Unknown,
    /// A worker has the record in hand; try again when it is done.
    Busy,
    /// Nobody has to decide anything about it: it is in this state.
    NotUnderReview(State),
    /// `Again`, but no write is in doubt.
    NothingInDoubt,
    /// A write is in doubt, and this decision says nothing about it.
    InDoubt,
    /// `Accept` or `Exists`, but no version was ever looked at.
    NeverSeen,
    /// `Accept`, but it has no counterpart to be in step with.
    NeverSent,
    /// `Duplicate` of itself, of a record that was never noticed, or of one that is a duplicate itself.
    NoWinner,
}

/// Which log entries to list.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    pub bridge: Option<BridgeId>,
    pub kind: Option<KindId>,
    pub source_id: Option<SourceId>,
    /// SUCCESS, SKIPPED or FAILED.
    pub status: Option<String>,
    pub state: Option<State>,
    pub trigger: Option<Trigger>,
    pub since: Option<DateTime<Utc>>,
    /// Only entries with a higher id. An entry whose transaction committed late may be missed by a reader who has
    /// already gone past its id; who must have all of them reads again with `since`.
    pub after: Option<i64>,
    /// 0 = 100.
    pub limit: u32,
    /// Oldest first.
    pub ascending: bool,
}

/// One entry of the sync log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogRow {
    pub id: i64,
    pub started_at: DateTime<Utc>,
    pub duration_ms: i64,
    pub key: RecordKey,
    pub dest_id: Option<DestId>,
    /// SUCCESS, SKIPPED or FAILED.
    pub status: String,
    pub state: State,
    pub reason: String,
    pub action: Option<String>,
    pub plan: Option<Value>,
    pub changes: Vec<Change>,
    pub notes: Vec<String>,
    pub fault_code: Option<String>,
    pub attempt: u32,
    pub stamp: Option<Stamp>,
    pub trigger: Trigger,
    pub actor: Actor,
}
