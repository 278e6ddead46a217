//! From the outcome of a look to what the ledger stores of it, in one fenced transaction.

use crate::boundary::{self, Boundary};
use crate::engine::{Outcome, Worked};
use crate::look::Look;
use chrono::{DateTime, TimeDelta, Utc};
use tandem_core::ledger::{Notice, waits_for_mapping, waits_for_record};
use tandem_core::{Checksum, Effect, Fault, FaultClass, Plan, RecordKey, SourceRecord, State, Step};
use tandem_store::{InStep, LogEntry, Settlement, StoreError};
use uuid::Uuid;

/// How a look ended well.
pub(crate) struct Conclusion {
    record: Option<SourceRecord>,
    plan: Option<Plan>,
    state: State,
    reason: String,
    until: Option<DateTime<Utc>>,
    /// The last step's intent and what it did.
    closes: Option<(Uuid, Effect)>,
    action: Option<String>,
}

/// How a look ended otherwise.
pub(crate) enum Halt {
    Fault(Fault),
    /// A person has to decide before anything else may be tried.
    Review {
        reason: String,
        code: &'static str,
    },
    /// Nothing may be done before this time. It costs no try.
    NotBefore {
        until: DateTime<Utc>,
        reason: String,
    },
    /// Nothing more is written after the last try.
    TriesUsedUp,
    /// The approved plan no longer fits.
    Moved(String),
    Store(StoreError),
}

impl From<Fault> for Halt {
    /// What came through a bridge from our own ledger is our own trouble still, and no fault of the record's.
    fn from(fault: Fault) -> Self {
        match StoreError::of_lookup(&fault) {
            Some(error) => Self::Store(error),
            None => Self::Fault(fault),
        }
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DestTaken { by } => Self::Review {
                reason: format!(
                    "the destination record is already paired with {by}; decide which of the two it belongs to"
                ),
                code: "engine.dest_taken",
            },
            other => Self::Store(other),
        }
    }
}

impl Halt {
    pub(crate) fn panicked() -> Self {
        Self::Fault(Fault::transient(
            "engine.panic",
            "the bridge failed unexpectedly on this record; the worker's log names the place in the code",
        ))
    }
    pub(crate) fn worker_died(takes: u32) -> Self {
        let reason = format!(
            "its worker stopped {} times while working on this record; find out why before it is tried again",
            takes - 1
        );
        Self::Review { reason, code: "engine.worker_died" }
    }
    pub(crate) fn vain_wait(on: &RecordKey, reason: &str) -> Self {
        let reason =
            format!("{reason}; but {on} is in step already, so nothing would end the wait: look at both records");
        Self::Review { reason, code: "engine.vain_wait" }
    }
    pub(crate) fn not_seen(step: &Step, until: DateTime<Utc>) -> Self {
        let reason = format!(
            "{}: the answer was lost and its effect is not to be seen, which may be an old list; looked for again at {}",
            step.name,
            until.format("%H:%M:%S UTC")
        );
        Self::NotBefore { until, reason }
    }
    pub(crate) fn write_of_absent(summary: &str) -> Self {
        let reason = format!(
            "the bridge planned a write without a source record ({summary}), and nothing is ever written without one: report it"
        );
        Self::Review { reason, code: "engine.write_of_absent" }
    }
    pub(crate) fn in_doubt(step: &Step, what_to_check: String) -> Self {
        Self::Review { reason: format!("{}: the answer was lost; {what_to_check}", step.name), code: "engine.in_doubt" }
    }
}

impl Conclusion {
    fn new(state: State, reason: impl Into<String>, record: Option<SourceRecord>) -> Self {
        Self { record, plan: None, state, reason: reason.into(), until: None, closes: None, action: None }
    }
    pub(crate) fn unchanged(reason: &str, record: SourceRecord) -> Self {
        Self::new(State::Unchanged, reason, Some(record))
    }
    pub(crate) fn gated(gate: DateTime<Utc>, record: SourceRecord) -> Self {
        let reason = "changed again right after our own write; due when the time gate opens";
        Self { until: Some(gate), ..Self::new(State::Pending, reason, Some(record)) }
    }
    /// All steps of a plan are done.
    pub(crate) fn written(plan: Plan, record: SourceRecord, closes: Option<(Uuid, Effect)>) -> Self {
        let action = match &plan {
            Plan::Write { steps, .. } => steps.last().map_or_else(|| "link".to_owned(), |step| step.name.clone()),
            _ => "none".to_owned(),
        };
        let conclusion = Self::new(State::Synced, plan.sentence(), Some(record));
        Self { closes, action: Some(action), plan: Some(plan), ..conclusion }
    }
    /// A plan that writes nothing.
    pub(crate) fn planned(plan: Plan, record: Option<SourceRecord>) -> Self {
        let state = match &plan {
            Plan::Write { .. } => State::Synced,
            Plan::Nothing { state, .. } => *state,
            Plan::Wait { .. } => State::Waiting,
            Plan::NeedsMapping { .. } => State::NeedsMapping,
            Plan::Review { .. } => State::NeedsReview,
            Plan::Dead { .. } => State::Dead,
        };
        let conclusion = Self::new(state, plan.sentence(), record);
        Self { plan: Some(plan), ..conclusion }
    }

    fn into_settlement(mut self, look: &Look<'_>) -> Settlement {
        // Nothing is left to write because a write whose answer was lost had happened: that is no "unchanged".
        if !look.adopted.is_empty() && self.state == State::Unchanged {
            self.state = State::Synced;
            self.action = Some("adopt".to_owned());
        }
        let mut s = look.settlement(self.state, self.reason);
        s.log.notes.extend(look.adopted.iter().cloned());
        s.stays_open_until = self.until;
        s.attempts = if self.until.is_some() { look.row.attempts } else { 0 };
        s.log.action = self.action;
        if let Some(record) = &self.record {
            s.in_step = self.state.is_in_step().then(|| InStep {
                source_checksum: record.fields.checksum(),
                fields: record.fields.clone(),
                dest_checksum: self.plan.as_ref().and_then(wanted),
                stamp: self.closes.is_some().then(|| look.stamp.clone()),
            });
        }
        if let Some((intent, effect)) = self.closes {
            s.log.notes.extend(effect.notes.iter().cloned());
            s.closes = Some((intent, effect));
        }
        if let Some(plan) = self.plan {
            add_plan(&mut s, look, &plan);
        }
        s
    }
}

fn wanted(plan: &Plan) -> Option<Checksum> {
    match plan {
        Plan::Write { wanted, .. } | Plan::Nothing { wanted, .. } => wanted.clone(),
        _ => None,
    }
}

fn add_plan(s: &mut Settlement, look: &Look<'_>, plan: &Plan) {
    s.log.changes = plan.changes().to_vec();
    match plan {
        Plan::Write { notes, .. } => s.log.notes.splice(0..0, notes.iter().cloned()).for_each(drop),
        Plan::Nothing { binds, notes, .. } => {
            s.dest_id = binds.clone();
            s.log.notes.extend(notes.iter().cloned());
        }
        Plan::Wait { on, .. } => {
            s.waits_for = Some(waits_for_record(on));
            s.also_notice = Some(dependency(on, look));
        }
        Plan::NeedsMapping { mapping, value, .. } => {
            s.waits_for = Some(waits_for_mapping(&look.row.key.bridge, mapping, &tandem_core::text::normalize(value)));
        }
        Plan::Review { .. } | Plan::Dead { .. } => {}
    }
    s.log.plan = serde_json::to_value(plan).ok();
}

fn dependency(on: &RecordKey, look: &Look<'_>) -> Notice {
    Notice {
        key: on.clone(),
        hint: None,
        trigger: look.row.trigger,
        actor: look.row.actor.clone(),
        lane: look.row.lane,
    }
}

impl Look<'_> {
    /// A settlement with nothing but state, reason, the version looked at and the log's frame.
    fn settlement(&self, state: State, reason: impl Into<String>) -> Settlement {
        let mut log = LogEntry::new(self.started, self.row.trigger, self.row.actor.clone());
        log.duration_ms = (self.engine.now() - self.started).num_milliseconds().max(0);
        log.attempt = self.row.attempts + 1;
        log.stamp = Some(self.stamp.clone());
        let seen = self.seen.as_ref();
        Settlement {
            attempts: self.row.attempts,
            seen_checksum: seen.map(|seen| seen.checksum.clone()),
            source_version: seen.and_then(|seen| seen.version.clone()),
            hint: seen.and_then(|seen| seen.hint.clone()),
            ..Settlement::new(self.row.noticed, state, reason, log)
        }
    }

    pub(crate) async fn settle(&self, ended: Result<Conclusion, Halt>) -> Result<Worked, StoreError> {
        self.watch_the_streak(&ended).await?;
        let settlement = match ended {
            Ok(conclusion) => conclusion.into_settlement(self),
            Err(Halt::Store(error)) => return Err(error),
            Err(Halt::Moved(reason)) => return self.give_back(Outcome::Moved { reason }).await,
            Err(Halt::Fault(fault)) if fault.class == FaultClass::Systemic => return self.pause(&fault).await,
            Err(Halt::Fault(fault)) => self.settle_fault(&fault),
            Err(Halt::Review { reason, code }) => self.review(reason, code),
            Err(Halt::TriesUsedUp) => self.gave_up(),
            Err(Halt::NotBefore { until, reason }) => {
                Settlement { stays_open_until: Some(until), ..self.settlement(State::Retrying, reason) }
            }
        };
        match self.store_settlement(&settlement).await {
            // Found out only now, by the last step's effect: another record has this destination record already.
            Err(StoreError::DestTaken { by }) => {
                let Halt::Review { reason, code } = Halt::from(StoreError::DestTaken { by }) else {
                    return Err(StoreError::LostLease);
                };
                self.store_settlement(&self.review(reason, code)).await
            }
            other => other,
        }
    }

    /// A destination that hangs or breaks for one record after the other is away as a whole, whatever each fault says.
    async fn watch_the_streak(&self, ended: &Result<Conclusion, Halt>) -> Result<(), StoreError> {
        let (circuits, bridge) = (&self.engine.circuits, &self.row.key.bridge);
        match ended {
            // Only what was planned or refused has asked the destination; an echo has not.
            Ok(conclusion) if conclusion.plan.is_some() => circuits.went_well(bridge),
            Err(Halt::Fault(fault)) if fault.class == FaultClass::Permanent => circuits.went_well(bridge),
            Err(Halt::Fault(fault)) if says_nothing_of_the_record(fault) => {
                if circuits.stumbled(bridge) >= self.engine.policy.max_transient {
                    circuits.open(bridge, fault, self.engine.now()).await?;
                }
            }
            Ok(_) | Err(_) => {}
        }
        Ok(())
    }

    async fn store_settlement(&self, settlement: &Settlement) -> Result<Worked, StoreError> {
        let now = self.engine.now();
        let settled = self.engine.store.settle(&self.lease, settlement, now).await?;
        boundary::pass(Boundary::Settled);
        let (state, reason) = (settlement.state, settlement.reason.clone());
        let outcome = match settlement.stays_open_until {
            Some(until) => Outcome::Postponed { state, until, reason },
            None => Outcome::Settled { state, reason },
        };
        let follow_ups = settled
            .still_open
            .into_iter()
            .filter(|(_, due)| *due <= now)
            .map(|(nudge, _)| nudge)
            .chain(settled.released)
            .collect();
        Ok(Worked { outcome, follow_ups })
    }

    fn review(&self, reason: String, code: &'static str) -> Settlement {
        let mut s = self.settlement(State::NeedsReview, reason);
        s.log.fault_code = Some(code);
        s
    }

    /// Permanent -> DEAD; transient -> RETRYING until the tries are used up; in doubt -> looked for after a while, also after
    /// the last try.
    fn settle_fault(&self, fault: &Fault) -> Settlement {
        let failed = self.row.attempts + 1;
        let policy = &self.engine.policy;
        let wait = match fault.class {
            FaultClass::Permanent => None,
            // To look is no try. Nothing is written after the last one but what completes an adopted write, so this ends.
            FaultClass::InDoubt if failed <= policy.retry.max_retries + 1 || !self.adopted.is_empty() => {
                Some(policy.in_doubt_wait)
            }
            _ => policy.retry.delay(failed, rand::random()).map(|wait| {
                let asked = fault.retry_after.unwrap_or_default();
                TimeDelta::from_std(wait.max(asked)).unwrap_or(TimeDelta::days(1))
            }),
        };
        let mut s = match wait {
            Some(wait) => self.retry_at(fault, failed, self.engine.now() + wait),
            // Dead letters are thrown away in good faith; a write that may have happened must not go with them.
            None if !self.journal.open.is_empty() => self.review(self.still_unknown(&fault.message), fault.code),
            None if fault.class == FaultClass::Permanent => self.settlement(State::Dead, fault.message.clone()),
            None => self.settlement(State::Dead, format!("gave up after {failed} tries: {}", fault.message)),
        };
        s.log.fault_code = Some(fault.code);
        s
    }

    /// The last try was a write whose answer was lost. By now it is known that it did not happen, or that it has to be done
    /// again.
    fn gave_up(&self) -> Settlement {
        let why = format!("gave up after {} tries: the answer to its last write was lost", self.row.attempts);
        let mut s = if self.journal.open.is_empty() {
            self.settlement(State::Dead, format!("{why}, and the write did not happen"))
        } else {
            self.review(self.still_unknown(&why), "engine.tries_used_up")
        };
        s.log.fault_code = Some("engine.tries_used_up");
        s
    }

    /// What ended the tries before it could be told what became of an earlier write.
    fn still_unknown(&self, why: &str) -> String {
        let writes: Vec<&str> = self.journal.open.iter().map(|(_, intent)| intent.step.name.as_str()).collect();
        format!(
            "{why}; an earlier {} may or may not have happened, which is looked up when it is tried again",
            writes.join(", ")
        )
    }

    fn retry_at(&self, fault: &Fault, failed: u32, at: DateTime<Utc>) -> Settlement {
        let tries = self.engine.policy.retry.max_retries + 1;
        let reason = if fault.class == FaultClass::InDoubt {
            format!("{}; whether it happened is looked up at {}", fault.message, at.format("%H:%M:%S UTC"))
        } else {
            format!("try {failed} of {tries} failed: {}; next at {}", fault.message, at.format("%Y-%m-%d %H:%M:%S UTC"))
        };
        let mut s = self.settlement(State::Retrying, reason);
        s.stays_open_until = Some(at);
        s.attempts = failed;
        s
    }

    /// The other side as a whole is away: open the circuit, give the record back untouched.
    async fn pause(&self, fault: &Fault) -> Result<Worked, StoreError> {
        let bridge = &self.row.key.bridge;
        self.engine.circuits.open(bridge, fault, self.engine.now()).await?;
        self.give_back(Outcome::Paused { reason: fault.message.clone() }).await
    }

    async fn give_back(&self, outcome: Outcome) -> Result<Worked, StoreError> {
        let why = match &outcome {
            Outcome::Paused { reason } => Some(format!("waits until the other side is back: {reason}")),
            _ => None,
        };
        self.engine.store.release(&self.lease, self.engine.now(), why.as_deref()).await?;
        Ok(outcome.into())
    }
}

/// Silence, cut lines and server errors may be about the record or about the whole system; an answer that gives a reason is
/// about the record.
fn says_nothing_of_the_record(fault: &Fault) -> bool {
    const WORDS: [&str; 5] = ["timeout", "connection_lost", "answer_lost", "server_error", "bad_answer"];
    matches!(fault.class, FaultClass::Transient | FaultClass::InDoubt)
        && fault.code.split('.').next_back().is_some_and(|word| WORDS.contains(&word))
}
