//! One look at a leased record: recover, fetch, guard, plan, apply, settle.
//!
//! [`Look::run`] and [`Look::conclude`] are the way of a record; each function below them is one of its stages, in the
//! order in which they come. A look takes no lease and renews none (`engine.rs`), and what the ledger keeps of its end is
//! put together in `settle.rs`.

use crate::boundary::{self, Boundary};
use crate::engine::{Engine, Worked};
use crate::settle::{Conclusion, Halt};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tandem_core::bridge::{DoneStep, PlanContext, StepContext};
use tandem_core::guard::{self, Verdict};
use tandem_core::plan::{OpenIntent, Recovery};
use tandem_core::{
    Bridge, Checksum, DestId, Effect, Fault, FaultClass, Fetched, LedgerRow, Plan, SourceRecord, Stamp, Step,
};
use tandem_store::{IntentOutcome, Intents, Lease, StoreError};
use uuid::Uuid;

/// One look at one leased record.
pub(crate) struct Look<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) bridge: &'e dyn Bridge,
    pub(crate) lease: Lease,
    pub(crate) row: LedgerRow,
    /// The mark that this look's writes carry.
    pub(crate) stamp: Stamp,
    pub(crate) started: DateTime<Utc>,
    approved: Option<&'e Checksum>,
    /// The version that this look is about, once it is known.
    pub(crate) seen: Option<Seen>,
    /// Writes since the record was last in step: those whose outcome is not known, and those that happened.
    pub(crate) journal: Intents,
    /// What this look found out about writes whose answer was lost and that had happened.
    pub(crate) adopted: Vec<String>,
    /// Until when the lease was last known to hold, in milliseconds.
    holds_until: Arc<AtomicI64>,
}

/// A version of a source record. Kept whatever comes of the look, so that scans leave a version alone that was refused.
pub(crate) struct Seen {
    pub(crate) checksum: Checksum,
    pub(crate) version: Option<String>,
    pub(crate) hint: Option<String>,
}

impl<'e> Look<'e> {
    /// `holds_until` is kept up to date by whoever renews the lease; see [`Self::still_holds`].
    pub(crate) fn at(
        engine: &'e Engine,
        bridge: &'e dyn Bridge,
        lease: Lease,
        row: LedgerRow,
        started: DateTime<Utc>,
        approved: Option<&'e Checksum>,
        holds_until: Arc<AtomicI64>,
    ) -> Self {
        Self {
            engine,
            bridge,
            lease,
            row,
            stamp: Stamp::new(Uuid::new_v4().to_string()),
            started,
            approved,
            seen: None,
            journal: Intents::default(),
            adopted: Vec::new(),
            holds_until,
        }
    }

    /// Looks, then settles, whatever came of it: a panic over this record is its failure and nobody else's.
    pub(crate) async fn run(mut self) -> Result<Worked, StoreError> {
        let ended = AssertUnwindSafe(self.conclude()).catch_unwind().await.unwrap_or_else(|_| Err(Halt::panicked()));
        let settled = self.settle(ended).await;
        if settled.as_ref().is_err_and(StoreError::is_unavailable) {
            self.hand_back().await;
        }
        settled
    }

    /// The way of a record between its lease and its settling.
    async fn conclude(&mut self) -> Result<Conclusion, Halt> {
        self.recover().await?;
        let Some(record) = self.fetch().await? else { return self.without_source().await };
        boundary::pass(Boundary::Fetched);
        match self.guard(&record) {
            Verdict::Proceed => {}
            Verdict::NotBefore(gate) => return Ok(Conclusion::gated(gate, record)),
            Verdict::Echo => return Ok(Conclusion::unchanged("our own write came back", record)),
            Verdict::InStep => return Ok(Conclusion::unchanged("nothing that is synced has changed", record)),
        }
        let plan = self.plan(&record).await?;
        boundary::pass(Boundary::Planned);
        self.check_approval(&plan)?;
        self.apply(plan, record).await
    }

    /// Finds out what became of writes whose answer was lost, before anything else is tried.
    async fn recover(&mut self) -> Result<(), Halt> {
        self.journal = self.engine.store.intents(self.row.id).await?;
        self.park_if_deadly().await?;
        let once: Vec<(Uuid, OpenIntent)> =
            self.journal.open.iter().filter(|(_, intent)| intent.step.once).cloned().collect();
        for (id, intent) in once {
            let outcome = match self.bridge.recover(&self.row, &intent, &self.engine.store).await? {
                Recovery::Happened(effect) => {
                    self.adopted.push(format!("{} had happened, its answer was lost", intent.step.name));
                    self.adopted.extend(effect.notes.iter().cloned());
                    IntentOutcome::Happened(effect)
                }
                Recovery::DidNotHappen => IntentOutcome::DidNotHappen,
                Recovery::NotSeen { believed_from } if self.engine.now() < believed_from => {
                    return Err(Halt::not_seen(&intent.step, believed_from));
                }
                Recovery::NotSeen { .. } => IntentOutcome::DidNotHappen,
                Recovery::CantTell { what_to_check } => {
                    // Only for the version that a scan shall leave alone: read or not, a person moves next.
                    let _ = self.fetch().await;
                    return Err(Halt::in_doubt(&intent.step, what_to_check));
                }
            };
            self.engine.store.close_intent(&self.lease, id, outcome, self.engine.now()).await?;
            boundary::pass(Boundary::Recovered);
            self.reload().await?;
        }
        Ok(())
    }

    /// Parks a record that has cost too many workers their lives before anything is done with it once more.
    async fn park_if_deadly(&mut self) -> Result<(), Halt> {
        let max_takes = self.engine.policy.max_takes;
        if self.row.takes <= max_takes {
            return Ok(());
        }
        // Only for the version that a scan shall leave alone. If reading it is what kills, the next look does without.
        if self.row.takes == max_takes + 1 {
            let _ = self.fetch().await;
        }
        Err(Halt::worker_died(self.row.takes))
    }

    /// Reads the row and its journal again after the ledger learned something.
    async fn reload(&mut self) -> Result<(), Halt> {
        if let Some(row) = self.engine.store.row(&self.row.key).await? {
            self.row = row;
        }
        self.journal = self.engine.store.intents(self.row.id).await?;
        Ok(())
    }

    /// The newest version; `None` if the source does not have the record.
    async fn fetch(&mut self) -> Result<Option<SourceRecord>, Halt> {
        let Fetched::Present(record) = self.bridge.fetch(&self.row).await? else { return Ok(None) };
        let (version, hint) = (record.version.clone(), record.hint.clone());
        self.seen = Some(Seen { checksum: record.fields.checksum(), version, hint });
        Ok(Some(record))
    }

    async fn without_source(&mut self) -> Result<Conclusion, Halt> {
        let plan = self.bridge.plan_absent(&self.row, &self.engine.store).await?;
        self.check_approval(&plan)?;
        if let Plan::Write { summary, .. } = &plan {
            return Err(Halt::write_of_absent(summary));
        }
        Ok(Conclusion::planned(plan, None))
    }

    fn guard(&self, record: &SourceRecord) -> Verdict {
        judge(self.engine, &self.row, record, &self.journal)
    }

    /// A record may arrive in step between the plan that waits for it and now: then it is planned anew. A plan that waits
    /// for it all the same would wait for nothing, again and again.
    async fn plan(&self, record: &SourceRecord) -> Result<Plan, Halt> {
        let plan = self.ask_for_plan(record).await?;
        if !self.waits_in_vain(&plan).await? {
            return Ok(plan);
        }
        let plan = self.ask_for_plan(record).await?;
        match &plan {
            Plan::Wait { on, reason } if self.waits_in_vain(&plan).await? => Err(Halt::vain_wait(on, reason)),
            _ => Ok(plan),
        }
    }

    async fn ask_for_plan(&self, record: &SourceRecord) -> Result<Plan, Halt> {
        Ok(plan(self.engine, self.bridge, &self.row, record, &self.journal, &self.stamp).await?)
    }

    async fn waits_in_vain(&self, plan: &Plan) -> Result<bool, StoreError> {
        let Plan::Wait { on, .. } = plan else { return Ok(false) };
        Ok(self.engine.store.row(on).await?.is_some_and(|row| row.state.ends_waits() && !row.is_open()))
    }

    fn check_approval(&self, plan: &Plan) -> Result<(), Halt> {
        match self.approved {
            Some(approved) if *approved != plan.fingerprint() => Err(Halt::Moved(plan.sentence().to_owned())),
            _ => Ok(()),
        }
    }

    async fn apply(&mut self, plan: Plan, record: SourceRecord) -> Result<Conclusion, Halt> {
        let Plan::Write { steps, binds, .. } = &plan else {
            return Ok(Conclusion::planned(plan, Some(record)));
        };
        if let Some(dest_id) = binds {
            self.bind(dest_id).await?;
        }
        let mut last = None;
        for (position, step) in steps.iter().enumerate() {
            let (intent, effect) = self.write(step, &record).await?;
            if position + 1 < steps.len() {
                self.close(intent, step, effect, &record).await?;
            } else {
                last = Some((intent, effect));
            }
        }
        boundary::pass(Boundary::Applied);
        Ok(Conclusion::written(plan, record, last))
    }

    /// Binds the destination record that a plan links to before anything is written into it: a second source record
    /// that wants the same one must lose before it overwrites, not after.
    async fn bind(&mut self, dest_id: &DestId) -> Result<(), Halt> {
        if self.row.dest_id.as_ref() != Some(dest_id) {
            self.engine.store.bind(&self.lease, dest_id).await?;
            self.row.dest_id = Some(dest_id.clone());
            boundary::pass(Boundary::Bound);
        }
        Ok(())
    }

    /// The only place where a bridge writes: the intent is journaled, then the step is applied, once.
    async fn write(&mut self, step: &Step, record: &SourceRecord) -> Result<(Uuid, Effect), Halt> {
        if self.tries_are_used_up() {
            return Err(Halt::TriesUsedUp);
        }
        let now = self.engine.now();
        let intent = self.engine.store.open_intent(&self.lease, step, &record.fields, &self.stamp, now).await?;
        self.journal.open.push((intent, OpenIntent { step: step.clone(), opened_at: now, answer_lost: false }));
        boundary::pass(Boundary::IntentOpened);
        self.still_holds()?;
        let context = StepContext { row: &self.row, step, done: &self.journal.done, stamp: &self.stamp, now };
        let result = self.bridge.apply(context).await;
        boundary::pass(Boundary::StepAnswered);
        // In doubt it stays among the open ones, as in the journal.
        if !matches!(&result, Err(fault) if fault.class == FaultClass::InDoubt) {
            self.journal.open.retain(|(open, _)| *open != intent);
        }
        match result {
            Ok(effect) => Ok((intent, effect)),
            Err(fault) => Err(self.failed(intent, fault).await?),
        }
    }

    /// A look after the last try only finds out what became of a write in doubt. If that had happened, what is left to do is
    /// done all the same.
    fn tries_are_used_up(&self) -> bool {
        self.row.attempts > self.engine.policy.retry.max_retries && self.adopted.is_empty()
    }

    /// The last look before something goes out. A process that was paused after it journaled its intent would otherwise wake
    /// up and send what somebody else has looked for, not found, and done by now.
    fn still_holds(&self) -> Result<(), StoreError> {
        let until = self.holds_until.load(Ordering::Relaxed);
        if self.engine.now().timestamp_millis() < until { Ok(()) } else { Err(StoreError::LostLease) }
    }

    /// A step failed: the journal learns whether it surely did not happen.
    async fn failed(&self, intent: Uuid, fault: Fault) -> Result<Halt, StoreError> {
        if fault.class == FaultClass::InDoubt {
            self.engine.store.answer_lost(intent).await?;
        } else {
            self.engine.store.close_intent(&self.lease, intent, IntentOutcome::DidNotHappen, self.engine.now()).await?;
        }
        Ok(Halt::Fault(fault))
    }

    /// Stores the effect of a step that others follow. The last step's effect is stored by the settling itself.
    async fn close(&mut self, intent: Uuid, step: &Step, effect: Effect, record: &SourceRecord) -> Result<(), Halt> {
        let outcome = IntentOutcome::Happened(effect.clone());
        self.engine.store.close_intent(&self.lease, intent, outcome, self.engine.now()).await?;
        boundary::pass(Boundary::StepClosed);
        if let Some(dest_id) = &effect.dest_id {
            self.row.dest_id = Some(dest_id.clone());
        }
        self.journal.done.push(DoneStep { step: step.clone(), effect, written: record.fields.clone() });
        Ok(())
    }

    /// Our own database was away in the middle of the look. That says nothing of the record, so it counts neither as a try
    /// nor as a worker that died. Every call to the bridge has ended by now; after a write in doubt the other side may still
    /// be busy with it, and is given its time. An error that is about this very row is not met here: its leases are counted, or
    /// it would come back for ever.
    async fn hand_back(&self) {
        let wait = if self.journal.open.is_empty() { TimeDelta::zero() } else { self.engine.policy.in_doubt_wait };
        if let Err(error) = self.engine.store.release(&self.lease, self.engine.now() + wait, None).await {
            tracing::debug!(record = %self.row.key, %error, "the record could not be given back; its lease runs out");
        }
    }
}

/// What the loop guard says of a fetched record.
pub(crate) fn judge(engine: &Engine, row: &LedgerRow, record: &SourceRecord, journal: &Intents) -> Verdict {
    let uncertain = !journal.open.is_empty() || !journal.done.is_empty();
    guard::judge(row, record, uncertain, engine.now(), engine.policy.time_gate)
}

/// What the bridge plans for a fetched record.
pub(crate) async fn plan(
    engine: &Engine,
    bridge: &dyn Bridge,
    row: &LedgerRow,
    record: &SourceRecord,
    journal: &Intents,
    stamp: &Stamp,
) -> Result<Plan, Fault> {
    let context = PlanContext {
        row,
        record,
        stamp,
        done: &journal.done,
        uncertain: !journal.open.is_empty(),
        lookups: &engine.store,
        now: engine.now(),
    };
    bridge.plan(context).await
}
