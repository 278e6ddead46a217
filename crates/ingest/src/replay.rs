//! Remembers signed calls for as long as their signature is good, so that a copy of one has no effect.
//!
//! Only verified calls get in here, so a stranger can't fill it. Across a restart or several copies the inbox still
//! stores a call once; a second notice that slips through costs one read of the record, which finds nothing changed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Calls remembered at most. Above it new ones are not remembered.
const MOST: usize = 100_000;

#[derive(Default)]
pub(crate) struct Replays(Mutex<HashMap<Uuid, i64>>);

impl Replays {
    /// Whether the call was committed before.
    pub(crate) fn knows(&self, call: Uuid, now: i64) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&call).is_some_and(|until| *until >= now)
    }

    /// To be called after the commit: a call that could not be stored has to be good for another try. Times are in
    /// seconds.
    pub(crate) fn remember(&self, call: Uuid, until: i64, now: i64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Clearing up at each doubling costs next to nothing per call.
        if seen.len() == seen.capacity() {
            seen.retain(|_, until| *until >= now);
        }
        if seen.len() < MOST {
            seen.insert(call, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_until_its_time_is_over() {
        let (replays, call) = (Replays::default(), Uuid::new_v4());
        assert!(!replays.knows(call, 100));
        replays.remember(call, 400, 100);
        assert!(replays.knows(call, 400));
        assert!(!replays.knows(call, 401));
    }

    #[test]
    fn what_is_over_makes_room() {
        let replays = Replays::default();
        for second in 0..10_000 {
            replays.remember(Uuid::from_u128(second as u128), second + 10, second);
        }
        assert!(replays.0.lock().unwrap().len() < 1_000);
    }
}
