//! What a bridge wants to do about one record, before anything is done.
//!
//! Planning only reads, applying only writes. The same plan is printed by `tandem plan`, kept in the sync log
//! and asserted on in tests. A plan is data: it can be stored, shown to a person, approved and run later.

use crate::canonical::Checksum;
use crate::fault::Fault;
use crate::ids::{DestId, RecordKey};
use crate::state::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One field that a plan changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub field: String,
    pub old: Value,
    pub new: Value,
}

/// What a step does to the destination, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Create,
    Update,
    Cancel,
}

/// One write. Every write is journaled before it goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// An imperative name, unique within the plan: `create_contact`.
    pub name: String,
    pub verb: Verb,
    /// The destination does not make this step idempotent: doing it twice makes two documents. After a lost
    /// answer it is looked for before it may be done again.
    pub once: bool,
    /// What is sent, in the bridge's own words. No secrets.
    pub payload: Value,
    /// What the world looked like before the step, for finding its effect afterwards ("highest code known: 9001").
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
}

/// What the engine shall do about one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Plan {
    /// Write. `binds` is a destination record that the plan links to before its first step.
    Write {
        /// One sentence for people: "update contact 42: name, phone".
        summary: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        binds: Option<DestId>,
        steps: Vec<Step>,
        changes: Vec<Change>,
        /// Remarks that the log shall keep: a value that was cut, an overwritten edit.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
        /// What the source asks of the destination, as a checksum. Kept with the record once it is in step, so that a later
        /// look can tell a change that was made in the destination alone from one that is still to be written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wanted: Option<Checksum>,
    },
    /// Nothing to write; the record settles in `state` (UNCHANGED, DUPLICATE, SUPERSEDED, IGNORED, or SYNCED for a mere link).
    Nothing {
        state: State,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        binds: Option<DestId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
        /// As for a write; `None` keeps what is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wanted: Option<Checksum>,
    },
    /// Another record must be in step first. The engine notices that one too.
    Wait { on: RecordKey, reason: String },
    /// A value has no mapping; the record goes on when the mapping is set.
    NeedsMapping { mapping: String, value: String, reason: String },
    /// A person decides.
    Review {
        reason: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        candidates: Vec<Candidate>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<Change>,
    },
    /// This record can't succeed as it is.
    Dead { reason: String },
}

/// One of the records that a person may choose between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub dest_id: DestId,
    /// What tells it from the others, without personal data beyond the name.
    pub what: String,
}

impl Plan {
    /// A fingerprint of what the plan would do, so that an approved plan runs as shown or not at all.
    pub fn fingerprint(&self) -> Checksum {
        let mut plan = self.clone();
        if let Self::Write { steps, .. } = &mut plan {
            // What the world looked like beside the record is for recovery; it moves all the time.
            steps.iter_mut().for_each(|step| step.before = Value::Null);
        }
        let text = serde_json::to_string(&plan).expect("a plan holds only strings, lists and JSON values");
        Checksum::of_bytes(text.as_bytes())
    }
    /// One sentence for people.
    pub fn sentence(&self) -> &str {
        match self {
            Self::Write { summary, .. } => summary,
            Self::Nothing { reason, .. }
            | Self::Wait { reason, .. }
            | Self::NeedsMapping { reason, .. }
            | Self::Review { reason, .. }
            | Self::Dead { reason } => reason,
        }
    }
    pub fn changes(&self) -> &[Change] {
        match self {
            Self::Write { changes, .. } | Self::Review { changes, .. } => changes,
            _ => &[],
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The id of the destination record, where the step made or confirmed one. Bound to the source record at once.
    pub dest_id: Option<DestId>,
    /// Further identifiers that the destination gave (`number`, `fiscal_year`).
    #[serde(default)]
    pub refs: serde_json::Map<String, Value>,
    /// Remarks for the log.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Other records that this effect puts in step as well: an import that makes a CRM customer also makes the
    /// pair that later syncs go by.
    #[serde(default)]
    pub pairs: Vec<Pair>,
}

/// A pair of records that are known to be in step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub key: RecordKey,
    pub dest_id: DestId,
    /// The checksum of the source side as it stands now, where it is known.
    pub source_checksum: Option<Checksum>,
    pub hint: Option<String>,
    pub reason: String,
}

/// A journaled write whose outcome is not known, found again after a crash or a lost answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenIntent {
    pub step: Step,
    pub opened_at: chrono::DateTime<chrono::Utc>,
    /// The send is known to have begun and its answer is known to be lost; otherwise we may have died before the send.
    pub answer_lost: bool,
}

/// What a bridge finds out about an open intent.
#[derive(Debug, Clone, PartialEq)]
pub enum Recovery {
    /// The effect exists: adopt it.
    Happened(Effect),
    /// The effect surely does not exist: it may be done again.
    DidNotHappen,
    /// The effect is not to be seen. What the other side shows may be old: only from this time on that means that it did
    /// not happen. Until then the record is looked at again and nothing is done.
    NotSeen { believed_from: chrono::DateTime<chrono::Utc> },
    /// It can't be told from here; a person has to look. The sentence says where and for what.
    CantTell { what_to_check: String },
}

/// A step's outcome, as the engine sees it.
pub type StepResult = Result<Effect, Fault>;
