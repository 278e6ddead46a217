//! What the roles call: work on a record, and what came of it.
//!
//! The engine takes a record's lease, keeps it alive and gives it back on a stop. What is done with the record meanwhile is
//! the look's affair (`look.rs`); nothing here knows a plan or a step.

use crate::boundary::{self, Boundary};
use crate::circuit::Circuits;
use crate::clock::Clock;
use crate::look::Look;
use crate::policy::Policy;
use crate::register::Register;
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tandem_core::{Checksum, Nudge, RecordKey, State};
use tandem_store::{Lease, Leased, Store, StoreError};

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
        let holds_until = Arc::new(AtomicI64::new((now + self.policy.lease).timestamp_millis()));
        let renewed = &holds_until;
        let lost = self.keep(|until| async move {
            self.store.renew(&lease, until).await?;
            renewed.store(until.timestamp_millis(), Ordering::Relaxed);
            Ok(())
        });
        let look = Look::at(self, bridge.as_ref(), lease, row, now, approved, holds_until.clone());
        tokio::select! {
            biased;
            // First: a renewal that waited for our own settling hears that the lease is gone in the same moment.
            worked = look.run() => match worked {
                Err(StoreError::LostLease) => Ok(Outcome::LeaseLost.into()),
                other => other,
            },
            () = lost => Ok(Outcome::LeaseLost.into()),
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

    /// Renews a lease, each third of its time, until it is lost.
    pub(crate) async fn keep<R>(&self, renew: impl Fn(DateTime<Utc>) -> R)
    where
        R: Future<Output = Result<(), StoreError>>,
    {
        let every = (self.policy.lease / 3).to_std().unwrap_or_default();
        loop {
            tokio::time::sleep(every).await;
            // An unavailable database is no reason to stop: the fence decides when it is back.
            if let Err(StoreError::LostLease) = renew(self.now() + self.policy.lease).await {
                return;
            }
        }
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
