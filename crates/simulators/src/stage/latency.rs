//! How long a simulated call takes.

use rand::{RngExt, rngs::StdRng};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A span of milliseconds a call takes, with an occasional slow one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    pub from_ms: u64,
    pub to_ms: u64,
    pub slow_from_ms: u64,
    pub slow_to_ms: u64,
    /// How often a call is slow, 0 (never) to 1 (always).
    pub slow_chance: f64,
}

impl Latency {
    pub const NONE: Self = Self { from_ms: 0, to_ms: 0, slow_from_ms: 0, slow_to_ms: 0, slow_chance: 0.0 };

    pub const fn between(from_ms: u64, to_ms: u64) -> Self {
        Self { from_ms, to_ms, ..Self::NONE }
    }

    /// With one call in `1 / chance` taking between `from_ms` and `to_ms` instead.
    pub const fn or_slow(self, chance: f64, from_ms: u64, to_ms: u64) -> Self {
        Self { slow_chance: chance, slow_from_ms: from_ms, slow_to_ms: to_ms, ..self }
    }

    pub(crate) fn draw(&self, rng: &mut StdRng) -> Duration {
        let slow = self.slow_chance > 0.0 && rng.random_bool(self.slow_chance.clamp(0.0, 1.0));
        let (from, to) = if slow { (self.slow_from_ms, self.slow_to_ms) } else { (self.from_ms, self.to_ms) };
        Duration::from_millis(if to > from { rng.random_range(from..=to) } else { from })
    }
}
