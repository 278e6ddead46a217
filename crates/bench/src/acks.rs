//! Lanes that tell when the first nudge was handed out and when so many were acknowledged. They add nothing else.

use async_trait::async_trait;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tandem_core::BridgeId;
use tandem_core::lane::{
    ConsumeOptions, Consumer, Delivery, Depth, KeepFuture, LaneError, Lanes, Nudge, Origin, Published,
};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

pub struct Counted {
    lanes: Arc<dyn Lanes>,
    count: Arc<Count>,
}

struct Count {
    wanted: u64,
    acknowledged: AtomicU64,
    first: OnceLock<Instant>,
    last: OnceLock<Instant>,
    reached: Notify,
}

impl Counted {
    /// Counts up to `wanted` acknowledgements.
    pub fn new(lanes: Arc<dyn Lanes>, wanted: u64) -> Arc<Self> {
        let count = Count {
            wanted,
            acknowledged: AtomicU64::new(0),
            first: OnceLock::new(),
            last: OnceLock::new(),
            reached: Notify::new(),
        };
        Arc::new(Self { lanes, count: Arc::new(count) })
    }

    /// The time between the first delivery and the last acknowledgement that was wanted; waits for that.
    pub async fn took(&self) -> Duration {
        loop {
            let reached = self.count.reached.notified();
            if let (Some(first), Some(last)) = (self.count.first.get(), self.count.last.get()) {
                return *last - *first;
            }
            reached.await;
        }
    }

    pub fn acknowledged(&self) -> u64 {
        self.count.acknowledged.load(Ordering::Relaxed)
    }
}

impl Count {
    fn one_more(&self) {
        if self.acknowledged.fetch_add(1, Ordering::Relaxed) + 1 == self.wanted {
            let _ = self.last.set(Instant::now());
            self.reached.notify_waiters();
        }
    }
}

#[async_trait]
impl Lanes for Counted {
    async fn prepare(&self, bridges: &[(BridgeId, ConsumeOptions)]) -> Result<(), LaneError> {
        self.lanes.prepare(bridges).await
    }
    async fn publish(&self, nudges: &[Nudge], patience: std::time::Duration) -> Vec<Published> {
        self.lanes.publish(nudges, patience).await
    }
    async fn consume(&self, bridge: &BridgeId, options: &ConsumeOptions) -> Result<Box<dyn Consumer>, LaneError> {
        let consumer = self.lanes.consume(bridge, options).await?;
        Ok(Box::new(CountedConsumer { consumer, count: self.count.clone() }))
    }
    async fn depth(&self, bridge: &BridgeId) -> Result<Depth, LaneError> {
        self.lanes.depth(bridge).await
    }
    async fn tidy_dead(
        &self,
        bridge: &BridgeId,
        keep: &(dyn for<'a> Fn(&'a [tandem_core::RecordKey]) -> KeepFuture<'a> + Send + Sync),
    ) -> Result<u64, LaneError> {
        self.lanes.tidy_dead(bridge, keep).await
    }
    fn name(&self) -> &'static str {
        self.lanes.name()
    }
}

struct CountedConsumer {
    consumer: Box<dyn Consumer>,
    count: Arc<Count>,
}

#[async_trait]
impl Consumer for CountedConsumer {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, LaneError> {
        let delivery = self.consumer.next().await?;
        self.count.first.get_or_init(Instant::now);
        Ok(Box::new(CountedDelivery { delivery, count: self.count.clone() }))
    }
}

struct CountedDelivery {
    delivery: Box<dyn Delivery>,
    count: Arc<Count>,
}

#[async_trait]
impl Delivery for CountedDelivery {
    fn nudge(&self) -> &Nudge {
        self.delivery.nudge()
    }
    fn origin(&self) -> Origin {
        self.delivery.origin()
    }
    async fn ack(self: Box<Self>) -> Result<(), LaneError> {
        let ended = self.delivery.ack().await;
        self.count.one_more();
        ended
    }
    async fn dead(self: Box<Self>) -> Result<(), LaneError> {
        let ended = self.delivery.dead().await;
        self.count.one_more();
        ended
    }
}
