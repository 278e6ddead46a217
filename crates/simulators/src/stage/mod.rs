//! What both simulators stand on: the listening ports, the faults, the clock, the call counters and the control
//! port's plumbing. It knows nothing of either system's objects.

pub(crate) mod clock;
pub(crate) mod control;
pub(crate) mod desk;
pub(crate) mod faults;
pub(crate) mod handle;
pub(crate) mod json;
pub(crate) mod latency;
pub(crate) mod reply;
pub(crate) mod server;
pub(crate) mod surface;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after a panic elsewhere: a simulator's state stays usable for the assertions that follow.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
