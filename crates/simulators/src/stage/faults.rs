//! What can be made to go wrong, and when it does.
//!
//! A fault is armed for the calls (or webhook deliveries) whose key contains a text; it fires a number of times, by
//! chance (with the simulator's seeded generator, so a run can be repeated) or always. The keys are the request
//! paths, for Siagh's saves with `#<formId>` behind, and `webhook/<type code>/<event>` for deliveries.

use rand::{RngExt, rngs::StdRng};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One thing that goes wrong. "Committed" means: the effect happens, only the answer is spoilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// This status with an HTML error page.
    Status { code: u16, committed: bool },
    /// The connection is cut before anything happens.
    ResetBefore,
    /// The effect happens, then the connection is cut without an answer.
    ResetAfterCommit,
    /// The effect happens; the answer is 201 with the JSON text `""`.
    EmptyCreated,
    /// 200 with an HTML page.
    HtmlPage { committed: bool },
    /// The effect happens; the answer is 200 with the first half of its JSON.
    TruncatedJson,
    /// The call waits before anything happens.
    Delay { ms: u64 },
    /// The effect happens at once, the answer comes late.
    SlowAnswer { ms: u64 },
    /// 401 although the session is good; nothing happens and the session lives on.
    Unauthorized,
    /// The session of the call is thrown away: 401 now and for every later call with it.
    DropSession,
    /// Siagh only: 200 with an `ErrError` row of this text; nothing happens.
    ErrorsInside { text: String },
    /// Delivery: never sent.
    LoseDelivery,
    /// Delivery: sent twice.
    DuplicateDelivery,
    /// Delivery: held back until the next one of the same object went out (at most 2 s).
    ReorderDelivery,
    /// Delivery: an Insert is followed by this many Updates, each with a later modify date.
    BurstOfUpdates { count: u32 },
    /// Delivery: sent at once, while reads of the object answer 404 for this long.
    BeforeReadable { ms: u64 },
}

impl Fault {
    /// Whether it belongs to a webhook delivery rather than to a call.
    pub fn is_delivery(&self) -> bool {
        matches!(
            self,
            Self::LoseDelivery
                | Self::DuplicateDelivery
                | Self::ReorderDelivery
                | Self::BurstOfUpdates { .. }
                | Self::BeforeReadable { .. }
        )
    }
}

/// How often an armed fault fires.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The next so many matching calls.
    Times(u32),
    /// Each matching call with this probability, 0 to 1.
    Chance(f64),
    /// Every matching call until disarmed.
    Always,
}

/// A fault, the calls it is for, and how often it fires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    pub fault: Fault,
    /// A part of the call's key, compared without case; empty matches every call.
    #[serde(default)]
    pub on: String,
    #[serde(default = "once")]
    pub how: How,
}

fn once() -> How {
    How::Times(1)
}

impl Arm {
    pub fn times(count: u32, fault: Fault) -> Self {
        Self { fault, on: String::new(), how: How::Times(count) }
    }

    pub fn once(fault: Fault) -> Self {
        Self::times(1, fault)
    }

    pub fn always(fault: Fault) -> Self {
        Self { fault, on: String::new(), how: How::Always }
    }

    pub fn chance(probability: f64, fault: Fault) -> Self {
        Self { fault, on: String::new(), how: How::Chance(probability) }
    }

    /// Only for calls whose key contains `part`.
    pub fn on(mut self, part: impl Into<String>) -> Self {
        self.on = part.into();
        self
    }

    fn fires(&mut self, key: &str, rng: &mut StdRng) -> bool {
        if !contains_ignoring_case(key, &self.on) {
            return false;
        }
        match &mut self.how {
            How::Times(0) => false,
            How::Times(left) => {
                *left -= 1;
                true
            }
            How::Chance(probability) => rng.random_bool(probability.clamp(0.0, 1.0)),
            How::Always => true,
        }
    }
}

pub(crate) fn contains_ignoring_case(text: &str, part: &str) -> bool {
    part.is_empty() || text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
}

/// What the board decided for one call.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    pub(crate) wait: Duration,
    pub(crate) late: Duration,
    pub(crate) fault: Option<Fault>,
}

/// The armed faults of one simulator, in the order they were armed.
#[derive(Default)]
pub(crate) struct Board(Vec<Arm>);

impl Board {
    pub(crate) fn arm(&mut self, arm: Arm) {
        self.0.push(arm);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn armed(&self) -> Vec<Arm> {
        self.0.clone()
    }

    /// Delays add up; of the other faults the first that fires wins and the rest keep their count.
    pub(crate) fn draw_call(&mut self, key: &str, rng: &mut StdRng) -> Drawn {
        let mut drawn = Drawn::default();
        for arm in self.0.iter_mut().filter(|arm| !arm.fault.is_delivery()) {
            match arm.fault.clone() {
                Fault::Delay { ms } if arm.fires(key, rng) => drawn.wait += Duration::from_millis(ms),
                Fault::SlowAnswer { ms } if arm.fires(key, rng) => drawn.late += Duration::from_millis(ms),
                Fault::Delay { .. } | Fault::SlowAnswer { .. } => {}
                fault if drawn.fault.is_none() && arm.fires(key, rng) => drawn.fault = Some(fault),
                _ => {}
            }
        }
        self.forget_spent();
        drawn
    }

    pub(crate) fn draw_delivery(&mut self, key: &str, rng: &mut StdRng) -> Option<Fault> {
        let drawn = self
            .0
            .iter_mut()
            .filter(|arm| arm.fault.is_delivery())
            .find_map(|arm| arm.fires(key, rng).then(|| arm.fault.clone()));
        self.forget_spent();
        drawn
    }

    fn forget_spent(&mut self) {
        self.0.retain(|arm| arm.how != How::Times(0));
    }
}
