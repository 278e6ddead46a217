//! How much one destination is asked to bear: calls under way and calls per second.

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct Limits {
    in_flight: Arc<Semaphore>,
    rate: Option<DefaultDirectRateLimiter>,
}

impl Limits {
    pub(crate) fn new(max_in_flight: usize, per_second: Option<u32>) -> Self {
        Self {
            in_flight: Arc::new(Semaphore::new(max_in_flight.clamp(1, Semaphore::MAX_PERMITS))),
            rate: per_second.and_then(NonZeroU32::new).map(|n| RateLimiter::direct(Quota::per_second(n))),
        }
    }

    /// Waits for a place and then for the rate, in this order: a call that waits for a place must not use up
    /// the rate meanwhile. The place is held until the returned permit is dropped.
    pub(crate) async fn enter(&self) -> OwnedSemaphorePermit {
        let permit = Arc::clone(&self.in_flight).acquire_owned().await.expect("this semaphore is never closed");
        if let Some(rate) = &self.rate {
            rate.until_ready().await;
        }
        permit
    }
}
