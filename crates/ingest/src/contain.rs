//! Keeps a panic in one piece of work from ending the task that does all of them.

use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

/// Runs `work`; `None` when it panicked, which the panic hook has logged. Whatever `work` shares has to be whole after
/// a panic: here that is the database, channels and counters.
pub(crate) async fn contained<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// As [`contained`], for plain code.
pub(crate) fn contained_now<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).ok()
}
