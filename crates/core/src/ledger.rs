//! The ledger: one row per record, and the notices that open work on it.
//!
//! Work on a record is open while it was noticed more often than it was settled. Nothing else says so: not a
//! message in a queue, not a flag in a source system.

use crate::canonical::{Checksum, Fields};
use crate::ids::{Actor, BridgeId, DestId, KindId, RecordKey, SourceId, Stamp};
use crate::lane::Lane;
use crate::state::{State, Trigger};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything the ledger knows of one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    pub id: i64,
    pub key: RecordKey,
    /// The record's id in the destination, once it is known to have one.
    pub dest_id: Option<DestId>,
    /// Further identifiers that the destination gave (`number`, `fiscal_year`).
    pub refs: Map<String, Value>,
    /// What the source said about the record's nature when it was noticed: `person`, `organization`.
    pub hint: Option<String>,
    pub state: State,
    /// One sentence that says why the record is in its state.
    pub reason: String,
    /// How often a change was noticed, and up to which notice the record was settled.
    pub noticed: i64,
    pub settled: i64,
    /// When open work is due. Meaningless while nothing is open.
    pub due_at: DateTime<Utc>,
    pub lane: Lane,
    pub trigger: Trigger,
    pub actor: Actor,
    /// Failed tries since the record was last settled.
    pub attempts: u32,
    /// Leases taken since the record was last settled or released: a record that kills its worker shows here.
    pub takes: u32,
    /// The checksum of the source's mapped fields when both sides were last in step.
    pub source_checksum: Option<Checksum>,
    /// The checksum of the version that was last looked at, whatever came of it.
    pub seen_checksum: Option<Checksum>,
    /// The checksum of the destination's fields as we last wrote or saw them.
    pub dest_checksum: Option<Checksum>,
    /// The mapped fields when both sides were last in step, for "what changed since".
    pub fields: Option<Fields>,
    /// The mark of our last write (loop guard, layer 1).
    pub stamp: Option<Stamp>,
    /// When the source says it changed, in its own words.
    pub source_version: Option<String>,
    /// When we last wrote to the destination for this record (loop guard, layer 3).
    pub written_at: Option<DateTime<Utc>>,
    /// What a WAITING or NEEDS_MAPPING record waits for; see [`waits_for_record`] and [`waits_for_mapping`].
    pub waits_for: Option<String>,
    pub lease_owner: Option<String>,
    pub lease_until: Option<DateTime<Utc>>,
    /// Rises with every lease; only the holder of the current number can settle.
    pub fence: i64,
    pub noticed_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
}

impl LedgerRow {
    pub fn is_open(&self) -> bool {
        self.noticed > self.settled
    }
}

/// The word under which a record waits for another one.
pub fn waits_for_record(key: &RecordKey) -> String {
    format!("record:{}/{}/{}", key.bridge, key.kind, key.source_id)
}

/// The word under which a record waits for a value mapping.
pub fn waits_for_mapping(bridge: &BridgeId, mapping: &str, value: &str) -> String {
    format!("mapping:{bridge}/{mapping}/{value}")
}

/// "This record may be out of step." Its names are a stored form: webhook calls are spooled with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub key: RecordKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    pub trigger: Trigger,
    pub actor: Actor,
    pub lane: Lane,
}

/// A record as a scan saw it. It is noticed only if it differs from what was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub kind: KindId,
    pub source_id: SourceId,
    pub hint: Option<String>,
    /// The checksum of the mapped fields, where the scan saw the whole record; `None` notices in any case.
    pub checksum: Option<Checksum>,
}

impl LedgerRow {
    /// The row of a record that the ledger does not know, for planning it without noticing it.
    pub fn unknown(key: RecordKey, now: DateTime<Utc>) -> Self {
        Self {
            id: 0,
            key,
            dest_id: None,
            refs: Map::new(),
            hint: None,
            state: State::Pending,
            reason: String::new(),
            noticed: 0,
            settled: 0,
            due_at: now,
            lane: Lane::Live,
            trigger: Trigger::Manual,
            actor: Actor::new("tandem"),
            attempts: 0,
            takes: 0,
            source_checksum: None,
            seen_checksum: None,
            dest_checksum: None,
            fields: None,
            stamp: None,
            source_version: None,
            written_at: None,
            waits_for: None,
            lease_owner: None,
            lease_until: None,
            fence: 0,
            // Never: whatever was read of it before is as good as what is read now.
            noticed_at: DateTime::UNIX_EPOCH,
            settled_at: None,
        }
    }
}
