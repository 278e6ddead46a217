//! The way out to the lanes, shared by the pump and the sweep: both see at once whether the lanes take anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tandem_core::lane::Lanes;
use tandem_core::{Nudge, RecordKey};
use tandem_engine::{Engine, Publisher};
use tandem_telemetry::metric::{self, Label, Metric};

pub(crate) struct Outlet {
    pub(crate) engine: Engine,
    pub(crate) lanes: Arc<dyn Lanes>,
    publisher: Publisher,
    /// The lanes took nothing at the last try.
    away: AtomicBool,
}

impl Outlet {
    pub(crate) fn new(engine: Engine, lanes: Arc<dyn Lanes>, publisher: Publisher) -> Self {
        Self { engine, lanes, publisher, away: AtomicBool::new(false) }
    }

    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Publishes nudges whose records are marked as published. What the lanes do not take is unmarked again.
    pub(crate) async fn publish(&self, nudges: &[Nudge]) {
        if nudges.is_empty() {
            return;
        }
        let stored = self.publisher.publish(nudges).await;
        count("stored", stored);
        count("lost", nudges.len() - stored);
        let (away, lanes) = (stored == 0, self.lanes.name());
        match (self.away.swap(away, Ordering::Relaxed), away) {
            (false, true) => {
                tracing::warn!(lanes, "the lanes take nothing; work stays open in the ledger until they do");
            }
            (true, false) => tracing::info!(lanes, "the lanes take nudges again"),
            _ => {}
        }
    }

    /// Leaves records to the next sweep, unpublished.
    pub(crate) async fn give_back(&self, nudges: &[Nudge]) {
        if nudges.is_empty() {
            return;
        }
        count("left", nudges.len());
        let keys: Vec<RecordKey> = nudges.iter().map(|nudge| nudge.key.clone()).collect();
        if let Err(error) = self.engine.store().unpublish(&keys).await {
            tracing::debug!(%error, "nudges could not be given back; they are published again when their mark is old");
        }
    }
}

pub(crate) fn count(outcome: &'static str, nudges: usize) {
    if nudges > 0 {
        metric::count(Metric::Nudges, &[Label::Outcome(outcome)], nudges as u64);
    }
}
