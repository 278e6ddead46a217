//! The front desk of one simulator: counts calls, holds the armed faults, the clock, the random source, and tells
//! waiters that something happened.

use super::{
    clock::Clock,
    faults::{Arm, Board, Drawn, Fault, contains_ignoring_case},
    latency::Latency,
    lock,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, sync::Mutex, time::Duration};
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) struct Desk {
    pub(crate) clock: Clock,
    rng: Mutex<StdRng>,
    faults: Mutex<Board>,
    calls: Mutex<BTreeMap<String, u64>>,
    happened: watch::Sender<u64>,
}

impl Desk {
    /// `seed` makes ids, chances and latencies repeatable; without one they differ from run to run.
    pub(crate) fn new(clock: Clock, seed: Option<u64>) -> Self {
        let rng = match seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::seed_from_u64(rand::random()),
        };
        Self {
            clock,
            rng: Mutex::new(rng),
            faults: Mutex::default(),
            calls: Mutex::default(),
            happened: watch::Sender::new(0),
        }
    }

    pub(crate) fn draw_call(&self, key: &str) -> Drawn {
        lock(&self.faults).draw_call(key, &mut lock(&self.rng))
    }

    pub(crate) fn draw_delivery(&self, key: &str) -> Option<Fault> {
        lock(&self.faults).draw_delivery(key, &mut lock(&self.rng))
    }

    pub(crate) fn draw_latency(&self, latency: &Latency) -> Duration {
        latency.draw(&mut lock(&self.rng))
    }

    pub(crate) fn arm(&self, arm: Arm) {
        lock(&self.faults).arm(arm);
    }

    pub(crate) fn disarm(&self) {
        lock(&self.faults).clear();
    }

    pub(crate) fn armed(&self) -> Vec<Arm> {
        lock(&self.faults).armed()
    }

    pub(crate) fn count(&self, key: &str) {
        let mut calls = lock(&self.calls);
        match calls.get_mut(key) {
            Some(count) => *count += 1,
            None => {
                calls.insert(key.to_owned(), 1);
            }
        }
    }

    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        lock(&self.calls).clone()
    }

    pub(crate) fn calls_to(&self, part: &str) -> u64 {
        lock(&self.calls).iter().filter(|(key, _)| contains_ignoring_case(key, part)).map(|(_, count)| count).sum()
    }

    pub(crate) fn forget_calls(&self) {
        lock(&self.calls).clear();
    }

    pub(crate) fn new_id(&self) -> Uuid {
        uuid::Builder::from_random_bytes(lock(&self.rng).random()).into_uuid()
    }

    pub(crate) fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        lock(&self.rng).fill(&mut bytes[..]);
        bytes
    }

    /// Wakes everybody who waits in [`Desk::until`].
    pub(crate) fn something_happened(&self) {
        self.happened.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits until `reached` says so, asked now and after everything that happens.
    pub(crate) async fn until(&self, mut reached: impl FnMut() -> bool) {
        let mut happened = self.happened.subscribe();
        loop {
            happened.mark_unchanged();
            if reached() {
                return;
            }
            if happened.changed().await.is_err() {
                return;
            }
        }
    }
}
