//! Waiting in tests: for a condition, with a hard deadline. The one place in the tests that may pause.
//!
//! A test that sleeps is slow when all is well and wrong when the machine is busy. These helpers look again within
//! milliseconds and fail with the place that was waiting. They run on tokio's clock: do not use them in a test that
//! pauses it.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// Looks again and again until `check` gives a value, and returns it.
///
/// Panics when `deadline` is over first, also when a single look hangs; the message names the caller's line.
#[track_caller]
pub fn eventually<T, F, Fut>(deadline: Duration, check: F) -> impl Future<Output = T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let place = Location::caller();
    async move {
        match poll(deadline, check).await {
            Some(value) => value,
            None => panic!("{place}: what this line waits for did not happen within {deadline:?}"),
        }
    }
}

/// The same for code that reports errors: `None` when the deadline is over.
pub async fn poll<T, F, Fut>(deadline: Duration, mut check: F) -> Option<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Ok(Some(value)) = timeout_at(end, check()).await {
            return Some(value);
        }
        if Instant::now() + pause >= end {
            // One last look, so that a slow machine does not fail what has just become true.
            return timeout_at(end, check()).await.ok().flatten();
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Awaits `future`, which must end within `deadline`. Panics with the caller's line when it does not.
#[track_caller]
pub fn within<F: Future>(deadline: Duration, future: F) -> impl Future<Output = F::Output> {
    let place = Location::caller();
    async move {
        match tokio::time::timeout(deadline, future).await {
            Ok(value) => value,
            Err(_) => panic!("{place}: not finished within {deadline:?}"),
        }
    }
}

/// Watches for something that must not happen. Ends after `duration`; panics as soon as `check` gives a value.
///
/// It costs its whole duration on every run, so keep it short and rare: prefer to wait for a later event that proves
/// the absence of an earlier one.
#[track_caller]
pub fn never<T, F, Fut>(duration: Duration, check: F) -> impl Future<Output = ()>
where
    T: std::fmt::Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let place = Location::caller();
    async move {
        if let Some(value) = poll(duration, check).await {
            panic!("{place}: this must not happen, and did: {value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn eventually_returns_what_the_check_found() {
        let looks = AtomicUsize::new(0);
        let found = eventually(Duration::from_secs(5), || async {
            (looks.fetch_add(1, Ordering::SeqCst) == 3).then_some("found")
        })
        .await;
        assert_eq!(found, "found");
        assert_eq!(looks.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    #[should_panic(expected = "signal.rs")]
    async fn eventually_names_the_waiting_line_when_the_deadline_is_over() {
        eventually(Duration::from_millis(20), || async { None::<()> }).await;
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_hold_the_deadline() {
        let hung = poll(Duration::from_millis(20), std::future::pending::<Option<()>>).await;
        assert_eq!(hung, None);
    }

    #[tokio::test]
    #[should_panic(expected = "must not happen, and did: 7")]
    async fn never_fails_at_once_when_it_happens() {
        never(Duration::from_secs(60), || async { Some(7) }).await;
    }
}
