//! Dropping work in the middle: the cheapest crash there is, at every point where the work waits for something.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Runs `work` until it waits for the `n`-th time (from 1) and drops it there: `None`. Its value if it ended before.
pub async fn run_until<T>(n: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut waited = 0;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => {
            waited += 1;
            if waited == n { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}
