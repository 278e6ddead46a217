//! How many nudges may be in hand at once, and how many of them bulk ones.

use std::sync::Arc;
use tandem_core::lane::Lane;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for nudges in hand. Part of them is never given to bulk nudges, so that a live one finds room at once
/// while an import is running.
#[derive(Clone)]
pub(crate) struct Slots {
    any: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
    all: u16,
}

/// A place that is taken until this is dropped.
pub(crate) struct Slot {
    _any: OwnedSemaphorePermit,
    _bulk: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// `prefetch` places; 0 is taken as 1.
    pub(crate) fn new(prefetch: u16) -> Self {
        let all = prefetch.max(1);
        Self { any: Arc::new(Semaphore::new(all.into())), bulk: Arc::new(Semaphore::new(bulk_share(all).into())), all }
    }

    /// Waits for a place of any kind.
    pub(crate) async fn any(&self) -> OwnedSemaphorePermit {
        permit(&self.any).await
    }

    /// Waits until one more bulk nudge may be in hand.
    pub(crate) async fn bulk(&self) -> OwnedSemaphorePermit {
        permit(&self.bulk).await
    }

    /// The place for a nudge of `lane`, or the permit back when the bulk share is used up.
    pub(crate) fn place(&self, any: OwnedSemaphorePermit, lane: Lane) -> Result<Slot, OwnedSemaphorePermit> {
        match lane {
            Lane::Live => Ok(Slot { _any: any, _bulk: None }),
            Lane::Bulk => match Arc::clone(&self.bulk).try_acquire_owned() {
                Ok(bulk) => Ok(Slot { _any: any, _bulk: Some(bulk) }),
                Err(_) => Err(any),
            },
        }
    }

    /// Whether nothing is in hand.
    pub(crate) fn all_free(&self) -> bool {
        self.any.available_permits() == usize::from(self.all)
    }
}

impl Slot {
    pub(crate) fn of(any: OwnedSemaphorePermit, bulk: Option<OwnedSemaphorePermit>) -> Self {
        Self { _any: any, _bulk: bulk }
    }
}

/// A quarter of the places, and at least one, is kept free for live nudges, as far as there is more than one.
pub(crate) fn bulk_share(all: u16) -> u16 {
    (all - all.div_ceil(4)).max(1)
}

async fn permit(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(semaphore).acquire_owned().await.expect("nobody closes the semaphore")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_is_shared_and_of_more_a_quarter_is_kept_for_live() {
        let shares: Vec<_> = [1, 2, 3, 4, 8, u16::MAX].map(bulk_share).into();
        assert_eq!(shares, [1, 1, 2, 3, 6, 49_151]);
    }
}
