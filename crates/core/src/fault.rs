//! What went wrong, classed by what the engine can do about it.
//!
//! A fault is classed once, in the client of the system that said it. Everything above only reads the
//! class; nobody looks at a status code or at a foreign sentence a second time.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the engine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// This record can't succeed as it is: bad data, a business refusal. -> DEAD, in the destination's words.
    Permanent,
    /// May pass by itself: a read that timed out, a 5xx, a deadlock. The write surely did not happen.
    /// -> RETRYING, one attempt counted.
    Transient,
    /// The other side as a whole is unavailable: unreachable, login refused, licence, rate limit.
    /// -> the bridge's circuit opens; the record loses no attempt.
    Systemic,
    /// A write went out and its answer never came: it may or may not have happened.
    /// -> the journaled intent stays open and is recovered before anything else is tried.
    InDoubt,
}

/// A classed fault with a sentence for the operator.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub class: FaultClass,
    /// A stable short name, `<system>.<what>`: `siagh.duplicate_mobile`. Decisions are made on this, never on `message`.
    pub code: &'static str,
    /// One sentence, in the other system's own words where it said some. Never a secret, never a request body.
    pub message: String,
    /// The other side's wish when to come back, where it named one.
    pub retry_after: Option<Duration>,
}

impl Fault {
    pub fn new(class: FaultClass, code: &'static str, message: impl Into<String>) -> Self {
        Self { class, code, message: message.into(), retry_after: None }
    }
    pub fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultClass::Permanent, code, message)
    }
    pub fn transient(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultClass::Transient, code, message)
    }
    pub fn systemic(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultClass::Systemic, code, message)
    }
    pub fn in_doubt(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultClass::InDoubt, code, message)
    }
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}
