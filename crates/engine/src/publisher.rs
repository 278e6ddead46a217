//! Hands nudges to the lanes and tells the ledger what the lanes did not take.
//!
//! A nudge that is lost here costs nothing but time: the ledger still says that the record is open, and the
//! pump's sweep publishes it again.

use crate::boundary::{self, Boundary};
use std::sync::Arc;
use std::time::Duration;
use tandem_core::lane::{Lanes, Published};
use tandem_core::{Nudge, RecordKey};
use tandem_store::Store;

#[derive(Clone)]
pub struct Publisher {
    lanes: Arc<dyn Lanes>,
    store: Store,
    patience: Duration,
}

impl Publisher {
    /// `patience` bounds the wait for the lane's word; default in the roles: 5 s.
    pub fn new(lanes: Arc<dyn Lanes>, store: Store, patience: Duration) -> Self {
        Self { lanes, store, patience }
    }

    /// Publishes nudges whose rows are already marked as published. Rows whose nudge was not surely stored are
    /// marked as unpublished again. Answers how many were stored.
    pub async fn publish(&self, nudges: &[Nudge]) -> usize {
        if nudges.is_empty() {
            return 0;
        }
        boundary::pass(Boundary::NudgesClaimed);
        let answers = self.lanes.publish(nudges, self.patience).await;
        boundary::pass(Boundary::NudgesPublished);
        let lost: Vec<RecordKey> = nudges
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| **answer != Published::Stored)
            .map(|(nudge, _)| nudge.key.clone())
            .collect();
        if !lost.is_empty() {
            let first = answers.iter().find(|a| **a != Published::Stored);
            tracing::warn!(lost = lost.len(), of = nudges.len(), first = ?first, "the lane did not take all nudges; the sweep will publish them again");
            if let Err(error) = self.store.unpublish(&lost).await {
                tracing::warn!(%error, "could not mark nudges as unpublished; they are published again when their mark is old");
            }
        }
        nudges.len() - lost.len()
    }
}
