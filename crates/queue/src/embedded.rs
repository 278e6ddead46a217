//! Lanes without a broker: the worker takes due records straight from the ledger.
//!
//! Publishing only wakes the consumers of this process, since the ledger already holds the work durably; consumers of
//! other processes find it at their next look. There is no dead-letter queue: the ledger's DEAD rows are it. Which
//! worker gets a record is decided by the ledger's lease, not here.

use crate::slots::{Slot, Slots};
use async_trait::async_trait;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tandem_core::ids::{BridgeId, RecordKey};
use tandem_core::lane::{
    ConsumeOptions, Consumer, Delivery, Depth, DueRecords, KeepFuture, LaneError, Lanes, Nudge, Origin, Published,
};
use tokio::sync::watch;

/// The lanes of an installation that is one process.
#[derive(Clone)]
pub struct EmbeddedLanes {
    records: Arc<dyn DueRecords>,
    poll: Duration,
    /// Counts publications; a consumer that saw an older number looks again at once.
    bell: Arc<watch::Sender<u64>>,
}

impl EmbeddedLanes {
    /// How often a consumer looks into the ledger by itself when nobody told it to.
    pub const DEFAULT_POLL: Duration = Duration::from_millis(500);

    /// Lanes over `records`. Work that becomes due by the clock alone (a retry, an opening time gate) is found within
    /// `poll`, usually [`Self::DEFAULT_POLL`]; zero is taken as one millisecond.
    pub fn new(records: Arc<dyn DueRecords>, poll: Duration) -> Self {
        Self { records, poll: poll.max(Duration::from_millis(1)), bell: Arc::new(watch::Sender::new(0)) }
    }
}

impl fmt::Debug for EmbeddedLanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedLanes").field("poll", &self.poll).finish_non_exhaustive()
    }
}

#[async_trait]
impl Lanes for EmbeddedLanes {
    async fn prepare(&self, _bridges: &[(BridgeId, ConsumeOptions)]) -> Result<(), LaneError> {
        Ok(())
    }

    async fn publish(&self, nudges: &[Nudge], _patience: Duration) -> Vec<Published> {
        self.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
        vec![Published::Stored; nudges.len()]
    }

    async fn consume(&self, bridge: &BridgeId, options: &ConsumeOptions) -> Result<Box<dyn Consumer>, LaneError> {
        let prefetch = options.prefetch.max(1);
        Ok(Box::new(EmbeddedConsumer {
            bridge: bridge.clone(),
            records: Arc::clone(&self.records),
            poll: self.poll,
            heard: self.bell.subscribe(),
            _bell: Arc::clone(&self.bell),
            prefetch,
            slots: Slots::new(prefetch),
            in_hand: InHand::default(),
            ready: VecDeque::new(),
        }))
    }

    async fn depth(&self, bridge: &BridgeId) -> Result<Depth, LaneError> {
        self.records.depth(bridge).await
    }

    async fn tidy_dead(
        &self,
        _bridge: &BridgeId,
        _keep: &(dyn for<'a> Fn(&'a [RecordKey]) -> KeepFuture<'a> + Send + Sync),
    ) -> Result<u64, LaneError> {
        Ok(0)
    }

    fn name(&self) -> &'static str {
        "embedded"
    }
}

/// The keys that this consumer gave out and did not get back, so that none is given out twice at once.
#[derive(Clone, Default)]
struct InHand(Arc<Mutex<HashSet<RecordKey>>>);

impl InHand {
    fn keys(&self) -> MutexGuard<'_, HashSet<RecordKey>> {
        // A set of keys is whole after any panic: each change to it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct EmbeddedConsumer {
    bridge: BridgeId,
    records: Arc<dyn DueRecords>,
    poll: Duration,
    heard: watch::Receiver<u64>,
    _bell: Arc<watch::Sender<u64>>,
    prefetch: u16,
    slots: Slots,
    in_hand: InHand,
    /// What the last look found and nobody took yet. Forgotten when the bell rings, so that live work that came
    /// later still overtakes bulk work found earlier.
    ready: VecDeque<Nudge>,
}

impl EmbeddedConsumer {
    /// The next nudge that is not in hand, from the last look or from a new one.
    async fn find(&mut self) -> Result<Option<Nudge>, LaneError> {
        if self.heard.has_changed().unwrap_or(false) {
            self.heard.mark_unchanged();
            self.ready.clear();
        }
        if self.ready.is_empty() {
            // What is in hand is still due in the ledger, at least until it is leased: ask for that many more.
            let limit = self.prefetch.saturating_mul(2);
            self.ready = self.records.due(&self.bridge, limit).await?.into();
        }
        let in_hand = self.in_hand.keys();
        while let Some(nudge) = self.ready.pop_front() {
            if !in_hand.contains(&nudge.key) {
                return Ok(Some(nudge));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, LaneError> {
        let mut any = self.slots.any().await;
        loop {
            let mut bulk_is_full = false;
            if let Some(nudge) = self.find().await? {
                match self.slots.place(any, nudge.lane) {
                    Ok(slot) => {
                        self.in_hand.keys().insert(nudge.key.clone());
                        return Ok(Box::new(EmbeddedDelivery { nudge, in_hand: self.in_hand.clone(), _slot: slot }));
                    }
                    Err(back) => {
                        any = back;
                        bulk_is_full = true;
                        self.ready.push_front(nudge);
                    }
                }
            }
            tokio::select! {
                // Never an error: this consumer holds the bell itself.
                _ = self.heard.changed() => self.ready.clear(),
                _ = self.slots.bulk(), if bulk_is_full => {}
                // Live work may have become due meanwhile: look again, do not go on with what was found earlier.
                () = tokio::time::sleep(self.poll) => self.ready.clear(),
            }
        }
    }
}

struct EmbeddedDelivery {
    nudge: Nudge,
    in_hand: InHand,
    _slot: Slot,
}

impl Drop for EmbeddedDelivery {
    fn drop(&mut self) {
        self.in_hand.keys().remove(&self.nudge.key);
    }
}

#[async_trait]
impl Delivery for EmbeddedDelivery {
    fn nudge(&self) -> &Nudge {
        &self.nudge
    }

    /// Always fresh: whether a record was tried before stands in its ledger row.
    fn origin(&self) -> Origin {
        Origin::Fresh
    }

    async fn ack(self: Box<Self>) -> Result<(), LaneError> {
        Ok(())
    }

    async fn dead(self: Box<Self>) -> Result<(), LaneError> {
        Ok(())
    }
}
