//! The pump: gets what was just noticed into the lanes, at once after its commit.
//!
//! It never slows accepting down and keeps next to nothing: while calls crowd before the ledger it only trickles, since
//! broker and database may share a machine; fresh nudges wait in a line of bounded length, and what finds no place there,
//! or meets a broker that is away, is left to the sweep. The ledger knows what is open; the pump only saves time.

use crate::accept::Crowd;
use crate::contain::contained;
use crate::outlet::{Outlet, count};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::Nudge;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Nudges that are published together at most.
const TOGETHER: usize = 1_000;
/// The same while calls crowd, and the pause after it: two thousand a second, so that work goes on in any storm.
const TRICKLE: usize = 100;
const BREATH: Duration = Duration::from_millis(50);

/// Where fresh nudges are handed over.
#[derive(Clone)]
pub(crate) struct ToPump(mpsc::Sender<Nudge>);

impl ToPump {
    /// Never waits. Without a place in the line the records are left alone: they are marked as published, and are
    /// published again when their lane has run empty, or when the mark is old.
    pub(crate) fn hand_over(&self, nudges: Vec<Nudge>) {
        let left = nudges.into_iter().filter_map(|nudge| self.0.try_send(nudge).err()).count();
        count("left", left);
    }

    /// As [`hand_over`](Self::hand_over), waiting for places: for whoever keeps nobody waiting by that.
    pub(crate) async fn hand_over_all(&self, nudges: Vec<Nudge>) {
        for nudge in nudges {
            if self.0.send(nudge).await.is_err() {
                count("left", 1);
            }
        }
    }
}

pub(crate) struct Pump {
    outlet: Arc<Outlet>,
    fresh: mpsc::Receiver<Nudge>,
}

impl Pump {
    /// A pump with a line of `waiting` places.
    pub(crate) fn new(outlet: Arc<Outlet>, waiting: usize) -> (Self, ToPump) {
        let (to_pump, fresh) = mpsc::channel(waiting.max(1));
        (Self { outlet, fresh }, ToPump(to_pump))
    }

    /// Pumps until `stop`; then what was handed over is still published.
    pub(crate) async fn run(mut self, crowd: Crowd, stop: CancellationToken) {
        let mut handed = Vec::with_capacity(TOGETHER);
        loop {
            let crowded = crowd.presses() && !stop.is_cancelled();
            tokio::select! {
                biased;
                taken = self.fresh.recv_many(&mut handed, if crowded { TRICKLE } else { TOGETHER }) => {
                    if taken == 0 {
                        return;
                    }
                    let _ = contained(self.publish(distinct(&mut handed))).await;
                    if crowded {
                        stop.run_until_cancelled(tokio::time::sleep(BREATH)).await;
                    }
                }
                () = stop.cancelled(), if !self.fresh.is_closed() => self.fresh.close(),
            }
        }
    }

    /// Publishes what can be published now, and gives the rest back to the sweep.
    async fn publish(&self, nudges: Vec<Nudge>) {
        let (away, circuits) = (self.outlet.is_away(), self.outlet.engine.circuits());
        let (now, later): (Vec<_>, Vec<_>) =
            nudges.into_iter().partition(|nudge| !away && !circuits.is_open(&nudge.key.bridge));
        self.outlet.give_back(&later).await;
        self.outlet.publish(&now).await;
    }
}

/// One nudge says all that many for the same record say. Leaves the list empty.
fn distinct(nudges: &mut Vec<Nudge>) -> Vec<Nudge> {
    let mut seen = HashSet::new();
    nudges.drain(..).filter(|nudge| seen.insert(nudge.clone())).collect()
}
