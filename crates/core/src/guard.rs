//! The loop guard: three layers, no echo and no lost update. A pure function.
//!
//! The first two layers recognize what needs no work: our own write coming back (stamp), and content that is
//! already in step (checksum). The third, the time gate, never drops anything: a second change within seconds of
//! our own write is *postponed* to the gate's end, because a person who saves twice must not lose the second save.

use crate::bridge::SourceRecord;
use crate::ledger::LedgerRow;
use chrono::{DateTime, TimeDelta, Utc};

/// What the guard says about a fetched record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Plan it.
    Proceed,
    /// Layer 1: it bears the stamp of our last write, and the content we wrote.
    Echo,
    /// Layer 2: its mapped fields are those that were last in step.
    InStep,
    /// Layer 3: a change, but too soon after our own write. Due when the gate opens.
    NotBefore(DateTime<Utc>),
}

/// Judges a fetched record.
///
/// `uncertain` says that a journaled write of this record is still open: the destination may hold anything, so a
/// matching checksum proves nothing and the record must be planned.
/// `gate` is how long after our own write a further change waits; zero switches the gate off.
pub fn judge(row: &LedgerRow, record: &SourceRecord, uncertain: bool, now: DateTime<Utc>, gate: TimeDelta) -> Verdict {
    if row.trigger.is_deliberate() || uncertain {
        return Verdict::Proceed;
    }
    let checksum = record.fields.checksum();
    if row.source_checksum.as_ref() == Some(&checksum) {
        let ours = record.stamp.is_some() && record.stamp == row.stamp;
        return if ours { Verdict::Echo } else { Verdict::InStep };
    }
    match row.written_at {
        // A write in the future means that the clock was stepped back: the gate would stay shut for as long as the
        // step was wide, so it counts as open.
        Some(written) if written <= now && now < written + gate => Verdict::NotBefore(written + gate),
        _ => Verdict::Proceed,
    }
}
