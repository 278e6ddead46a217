//! The way of one record: lease, recover, fetch, guard, plan, apply, settle.

use crate::boundary::{self, Boundary};
use crate::circuit::Circuits;
use crate::clock::Clock;
use crate::policy::Policy;
use crate::register::Register;
use crate::settle::{Conclusion, Halt};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tandem_core::bridge::{DoneStep, PlanContext, StepContext};
use tandem_core::guard::{self, Verdict};
use tandem_core::plan::{OpenIntent, Recovery};
use tandem_core::{
    Bridge, Checksum, DestId, Effect, Fault, FaultClass, Fetched, LedgerRow, Nudge, Plan, RecordKey, SourceRecord,
    Stamp, State, Step,
};
use tandem_store::{IntentOutcome, Intents, Lease, Leased, Store, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Works on records. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) register: Register,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) circuits: Circuits,
    owner: Arc<str>,
    /// The leases that looks of this process hold right now.
    held: Arc<Mutex<HashSet<Lease>>>,
}

/// What came of one look at a record.
#[derive(Debug)]
pub struct Worked {
    pub outcome: Outcome,
    /// Work that this look opened: the record itself when it was noticed again meanwhile, those that waited for it.
    /// Their rows are marked as published, so they are to be given to a [`crate::Publisher`].
    pub follow_ups: Vec<Nudge>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing is open any more, unless it was noticed again meanwhile.
    Settled {
        state: State,
        reason: String,
    },
    /// Still open, due later: a retry, the time gate.
    Postponed {
        state: State,
        until: DateTime<Utc>,
        reason: String,
    },
    /// The other side as a whole is away: the bridge's circuit is open, the record lost no attempt.
    Paused {
        reason: String,
    },
    /// The approved plan no longer fits the world; nothing was done.
    Moved {
        reason: String,
    },
    NotNow(NotNow),
    /// Somebody else holds the record now; whatever we knew is void.
    LeaseLost,
}

impl Outcome {
    /// What came of it without its sentence, which may repeat another system's words and a person's data with them: for the
    /// process's log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Settled { state, .. } | Self::Postponed { state, .. } | Self::NotNow(NotNow::Settled(state)) => {
                state.as_str()
            }
            Self::Paused { .. } => "paused",
            Self::Moved { .. } => "moved",
            Self::NotNow(NotNow::NotDue(_)) => "not due",
            Self::NotNow(NotNow::Busy) => "busy",
            Self::NotNow(NotNow::Unknown) => "unknown",
            Self::LeaseLost => "lease lost",
        }
    }
}

/// Why there was nothing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum NotNow {
    NotDue(DateTime<Utc>),
    Busy,
    Settled(State),
    Unknown,
}

impl From<Outcome> for Worked {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, follow_ups: Vec::new() }
    }
}

impl Engine {
    /// `owner` names this process in leases: unique per process, readable for people.
    pub fn new(
        store: Store,
        register: Register,
        clock: Arc<dyn Clock>,
        policy: Policy,
        owner: impl Into<String>,
    ) -> Self {
        let circuits = Circuits::new(store.clone(), policy.probe_first, policy.probe_longest);
        Self {
            store,
            register,
            clock,
            policy: Arc::new(policy),
            circuits,
            owner: owner.into().into(),
            held: Arc::default(),
        }
    }
    pub fn store(&self) -> &Store {
        &self.store
    }
    pub fn register(&self) -> &Register {
        &self.register
    }
    pub fn circuits(&self) -> &Circuits {
        &self.circuits
    }
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
    pub fn owner(&self) -> &str {
        &self.owner
    }
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Works on a record if there is open work on it that is due and that nobody holds.
    ///
    /// # Errors
    /// Only when our own database can't be used; the record is then as if never touched, or recoverable.
    pub async fn work(&self, key: &RecordKey) -> Result<Worked, StoreError> {
        self.work_if(key, None).await
    }

    /// As [`Self::work`], but only if the plan still has the fingerprint that a person approved.
    ///
    /// # Errors
    /// As [`Self::work`].
    pub async fn work_approved(&self, key: &RecordKey, fingerprint: &Checksum) -> Result<Worked, StoreError> {
        self.work_if(key, Some(fingerprint)).await
    }

    async fn work_if(&self, key: &RecordKey, approved: Option<&Checksum>) -> Result<Worked, StoreError> {
        let Some(bridge) = self.register.get(&key.bridge) else {
            return Ok(Outcome::NotNow(NotNow::Unknown).into());
        };
        let now = self.now();
        let row = match self.store.lease(key, &self.owner, self.policy.lease, now).await? {
            Leased::Taken(row) => *row,
            Leased::NotDue(at) => return Ok(Outcome::NotNow(NotNow::NotDue(at)).into()),
            Leased::Busy => return Ok(Outcome::NotNow(NotNow::Busy).into()),
            Leased::Settled(state) => return Ok(Outcome::NotNow(NotNow::Settled(state)).into()),
            Leased::Unknown => return Ok(Outcome::NotNow(NotNow::Unknown).into()),
        };
        boundary::pass(Boundary::Leased);
        let lease = Lease { row_id: row.id, fence: row.fence };
        let _held = Held::note(self, lease);
        let lost = CancellationToken::new();
        let holds_until = Arc::new(AtomicI64::new((now + self.policy.lease).timestamp_millis()));
        let renewed = holds_until.clone();
        let _keeper = self.keep(lost.clone(), move |store, until| {
            let renewed = renewed.clone();
            async move {
                store.renew(&lease, until).await?;
                renewed.store(until.timestamp_millis(), Ordering::Relaxed);
                Ok(())
            }
        });
        let mut look = Look {
            engine: self,
            bridge: bridge.as_ref(),
            lease,
            row,
            stamp: Stamp::new(Uuid::new_v4().to_string()),
            started: now,
            approved,
            seen: None,
            journal: Intents::default(),
            adopted: Vec::new(),
            holds_until,
        };
        tokio::select! {
            biased;
            () = lost.cancelled() => Ok(Outcome::LeaseLost.into()),
            worked = look.run() => match worked {
                Err(StoreError::LostLease) => Ok(Outcome::LeaseLost.into()),
                other => other,
            },
        }
    }

    /// Gives back the leases of looks that did not end in time for a stop, so that another process can go on at once
    /// instead of waiting for the leases to run out. A lease under which a write is on its way is kept: whoever took the
    /// record now would look for an effect that may only be about to happen. It runs out by itself, later than any call.
    ///
    /// # Errors
    /// When our own database is away; the leases then run out by themselves.
    pub async fn release_held(&self) -> Result<usize, StoreError> {
        let held: Vec<Lease> = self.held.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let mut given_back = 0;
        for lease in &held {
            given_back += usize::from(self.store.release_idle(lease, self.now()).await?);
        }
        Ok(given_back)
    }

    /// Renews a lease, each third of its time, until dropped; says so when it is lost.
    pub(crate) fn keep<R>(
        &self,
        lost: CancellationToken,
        renew: impl Fn(Store, DateTime<Utc>) -> R + Send + 'static,
    ) -> tokio_util::sync::DropGuard
    where
        R: Future<Output = Result<(), StoreError>> + Send,
    {
        let (engine, stop) = (self.clone(), CancellationToken::new());
        let guard = stop.clone().drop_guard();
        tokio::spawn(async move {
            let every = (engine.policy.lease / 3).to_std().unwrap_or_default();
            while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
                let until = engine.now() + engine.policy.lease;
                // An unavailable database is no reason to stop: the fence decides when it is back.
                if let Err(StoreError::LostLease) = renew(engine.store.clone(), until).await {
                    lost.cancel();
                    return;
                }
            }
        });
        guard
    }
}

/// Keeps a lease in the engine's list for as long as its look lasts, however that ends.
struct Held<'e>(&'e Engine, Lease);

impl<'e> Held<'e> {
    fn note(engine: &'e Engine, lease: Lease) -> Self {
        engine.held.lock().unwrap_or_else(PoisonError::into_inner).insert(lease);
        Self(engine, lease)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

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

impl Look<'_> {
    async fn run(&mut self) -> Result<Worked, StoreError> {
        let conclusion = AssertUnwindSafe(self.conclude()).catch_unwind().await;
        let conclusion = conclusion.unwrap_or_else(|_| Err(Halt::panicked()));
        let settled = self.settle(conclusion).await;
        if let Err(error) = &settled
            && error.is_unavailable()
        {
            self.hand_back().await;
        }
        settled
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

    async fn fetch(&mut self) -> Result<Fetched, Fault> {
        let fetched = self.bridge.fetch(&self.row).await?;
        if let Fetched::Present(record) = &fetched {
            let (version, hint) = (record.version.clone(), record.hint.clone());
            self.seen = Some(Seen { checksum: record.fields.checksum(), version, hint });
        }
        Ok(fetched)
    }

    /// The main path.
    async fn conclude(&mut self) -> Result<Conclusion, Halt> {
        self.recover().await?;
        let record = match self.fetch().await? {
            Fetched::Present(record) => record,
            Fetched::Absent => return self.without_source().await,
        };
        boundary::pass(Boundary::Fetched);
        match judge(self.engine, &self.row, &record, &self.journal) {
            Verdict::Proceed => {}
            Verdict::NotBefore(gate) => return Ok(Conclusion::gated(gate, record)),
            Verdict::Echo => return Ok(Conclusion::unchanged("our own write came back", record)),
            Verdict::InStep => return Ok(Conclusion::unchanged("nothing that is synced has changed", record)),
        }
        let plan = self.plan_without_idle_wait(&record).await?;
        boundary::pass(Boundary::Planned);
        self.check_approval(&plan)?;
        self.apply(plan, record).await
    }

    /// Finds out what became of writes whose answer was lost, before anything else is tried.
    async fn recover(&mut self) -> Result<(), Halt> {
        self.journal = self.engine.store.intents(self.row.id).await?;
        if self.row.takes > self.engine.policy.max_takes {
            return Err(Halt::worker_died(self.row.takes));
        }
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

    /// Reads the row and its journal again after the ledger learned something.
    async fn reload(&mut self) -> Result<(), Halt> {
        if let Some(row) = self.engine.store.row(&self.row.key).await? {
            self.row = row;
        }
        self.journal = self.engine.store.intents(self.row.id).await?;
        Ok(())
    }

    async fn plan(&self, record: &SourceRecord) -> Result<Plan, Halt> {
        Ok(plan(self.engine, self.bridge, &self.row, record, &self.journal, &self.stamp).await?)
    }

    /// A record may arrive in step between the plan that waits for it and now: then it is planned anew. A plan that waits
    /// for it all the same would wait for nothing, again and again.
    async fn plan_without_idle_wait(&self, record: &SourceRecord) -> Result<Plan, Halt> {
        let plan = self.plan(record).await?;
        if !self.waits_in_vain(&plan).await? {
            return Ok(plan);
        }
        let plan = self.plan(record).await?;
        match &plan {
            Plan::Wait { on, reason } if self.waits_in_vain(&plan).await? => Err(Halt::vain_wait(on, reason)),
            _ => Ok(plan),
        }
    }

    async fn waits_in_vain(&self, plan: &Plan) -> Result<bool, StoreError> {
        let Plan::Wait { on, .. } = plan else { return Ok(false) };
        Ok(self.engine.store.row(on).await?.is_some_and(|row| row.state.ends_waits() && !row.is_open()))
    }

    async fn without_source(&mut self) -> Result<Conclusion, Halt> {
        let plan = self.bridge.plan_absent(&self.row, &self.engine.store).await?;
        self.check_approval(&plan)?;
        if let Plan::Write { summary, .. } = &plan {
            return Err(Halt::write_of_absent(summary));
        }
        Ok(Conclusion::planned(plan, None))
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
