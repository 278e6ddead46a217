//! One session for all callers of a destination.
//!
//! Systems lock a user out after a few failed logins, or throw out the older of two sessions. So: one login
//! at a time, everybody who waited for it shares its outcome, and after a refusal nobody tries again before
//! the wait is over. What a login is, and what it makes of an answer, stays with the caller.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::{Fault, FaultClass};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A session just obtained.
pub struct Fresh<T> {
    pub session: T,
    /// How long it may be used, counted from before the login was sent. `None`: until it is refused.
    pub usable_for: Option<Duration>,
}

/// A session in use; [`SharedLogin::expire`] knows by it which session was meant.
pub struct Held<T> {
    session: Arc<T>,
    generation: u64,
}

impl<T> Deref for Held<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.session
    }
}

/// Holds the one session of a destination.
pub struct SharedLogin<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Option<(Arc<T>, Option<Instant>)>,
    /// Counts sessions, so that twenty callers who met the same expired one cause one login, not twenty.
    generation: u64,
    failed: Option<Failed>,
}

struct Failed {
    fault: Fault,
    at: Instant,
    until: Instant,
}

impl<T> Default for SharedLogin<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { current: None, generation: 0, failed: None }) }
    }
}

impl<T> SharedLogin<T> {
    /// The current session, or a new one by `log_in`.
    ///
    /// # Errors
    /// What `log_in` said. A Systemic fault with `retry_after` is remembered: until that wait is over every
    /// call gets it at once, with what is left of the wait, and no login is sent. Any other fault is shared
    /// with those who were waiting for the same attempt, then forgotten.
    pub async fn get<F, Fut>(&self, log_in: F) -> Result<Held<T>, Fault>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fresh<T>, Fault>>,
    {
        let asked_at = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(held) = state.usable() {
            return Ok(held);
        }
        if let Some(fault) = state.still_failing(asked_at) {
            return Err(fault);
        }
        let started = Instant::now();
        match log_in().await {
            Ok(fresh) => Ok(state.accept(fresh, started)),
            Err(fault) => {
                state.remember(&fault);
                Err(fault)
            }
        }
    }

    /// The other side no longer accepts this session. Does nothing when a newer one is already in place.
    pub async fn expire(&self, held: &Held<T>) {
        let mut state = self.state.lock().await;
        if state.generation == held.generation {
            state.current = None;
        }
    }

    /// Drops the current session, if any, so that the next [`get`](Self::get) logs in anew. A remembered refusal
    /// stays.
    pub async fn forget(&self) {
        self.state.lock().await.current = None;
    }

    /// A fresh session was refused too: drop it and answer every call with `fault` until its `retry_after`
    /// is over, instead of one more login per call.
    pub async fn refuse(&self, held: &Held<T>, fault: &Fault) {
        let mut state = self.state.lock().await;
        if state.generation == held.generation {
            state.current = None;
            state.remember(fault);
        }
    }
}

impl<T> State<T> {
    fn usable(&self) -> Option<Held<T>> {
        let (session, until) = self.current.as_ref()?;
        let fresh = until.is_none_or(|until| Instant::now() < until);
        fresh.then(|| Held { session: Arc::clone(session), generation: self.generation })
    }

    fn still_failing(&self, asked_at: Instant) -> Option<Fault> {
        let failed = self.failed.as_ref()?;
        let left = failed.until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Some(failed.fault.clone().after(left));
        }
        (failed.at > asked_at).then(|| failed.fault.clone())
    }

    fn accept(&mut self, fresh: Fresh<T>, started: Instant) -> Held<T> {
        let session = Arc::new(fresh.session);
        let until = fresh.usable_for.and_then(|time| started.checked_add(time));
        self.current = Some((Arc::clone(&session), until));
        self.failed = None;
        self.generation += 1;
        Held { session, generation: self.generation }
    }

    fn remember(&mut self, fault: &Fault) {
        let at = Instant::now();
        let wait = fault.retry_after.filter(|_| fault.class == FaultClass::Systemic).unwrap_or(Duration::ZERO);
        self.failed = Some(Failed { fault: fault.clone(), at, until: at.checked_add(wait).unwrap_or(at) });
    }
}
