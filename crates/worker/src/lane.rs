//! One bridge's lanes, consumed.

use crate::Settings;
use std::sync::Arc;
use tandem_core::lane::{ConsumeOptions, Consumer, Delivery, LaneError, Lanes, Origin};
use tandem_core::{Actor, BridgeId, RecordKey, State, Trigger};
use tandem_engine::boundary::{self, Boundary};
use tandem_engine::{Engine, NotNow, Outcome, Publisher};
use tandem_store::StoreError;
use tandem_telemetry::metric::{self, Label, Metric};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) struct BridgeLane {
    pub engine: Engine,
    pub lanes: Arc<dyn Lanes>,
    pub publisher: Publisher,
    pub settings: Settings,
    pub bridge: BridgeId,
    pub options: ConsumeOptions,
}

impl BridgeLane {
    pub async fn run(self, stop: CancellationToken) {
        let lane = Arc::new(self);
        let in_hand = TaskTracker::new();
        // Of all rounds together: what an earlier one took is still worked on when its consumer is lost.
        let room = Arc::new(Semaphore::new(usize::from(lane.options.prefetch)));
        while !stop.is_cancelled() {
            let round = lane.clone().round(&room, &in_hand, &stop).await;
            if let Err(error) = round {
                tracing::warn!(bridge = %lane.bridge, %error, "consuming stopped; starting again");
                stop.run_until_cancelled(tokio::time::sleep(lane.settings.reconsume_after)).await;
            }
        }
        in_hand.close();
        if tokio::time::timeout(lane.settings.grace, in_hand.wait()).await.is_err() {
            let given_back = lane.engine.release_held().await;
            tracing::warn!(bridge = %lane.bridge, ?given_back, "stopped before all records in hand were finished; they were given back");
        }
    }

    /// Consumes until the circuit opens, the consumer breaks or the stop comes.
    async fn round(
        self: Arc<Self>,
        room: &Arc<Semaphore>,
        in_hand: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), LaneError> {
        if !self.may_work(stop).await {
            return Ok(());
        }
        let mut consumer = self.lanes.consume(&self.bridge, &self.options).await?;
        while !stop.is_cancelled() && !self.engine.circuits().is_open(&self.bridge) {
            let Some(Ok(permit)) = stop.run_until_cancelled(room.clone().acquire_owned()).await else { return Ok(()) };
            let Some(delivery) = self.next(consumer.as_mut(), stop).await? else { continue };
            let lane = self.clone();
            in_hand.spawn(async move {
                lane.handle(delivery).await;
                drop(permit);
            });
        }
        Ok(())
    }

    /// The next delivery, or `None` to look at circuit and stop again.
    async fn next(
        &self,
        consumer: &mut dyn Consumer,
        stop: &CancellationToken,
    ) -> Result<Option<Box<dyn Delivery>>, LaneError> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(None),
            delivery = consumer.next() => delivery.map(Some),
            () = tokio::time::sleep(self.settings.circuit_check) => {
                if let Err(error) = self.engine.circuits().refresh().await {
                    tracing::debug!(%error, "circuits could not be read");
                }
                Ok(None)
            }
        }
    }

    /// Waits while the bridge's circuit is open, probing when that is due.
    async fn may_work(&self, stop: &CancellationToken) -> bool {
        while !stop.is_cancelled() {
            let refreshed = self.engine.circuits().refresh().await;
            match self.engine.probe_if_due(&self.bridge).await {
                Ok(true) if refreshed.is_ok() => return true,
                Err(error) => tracing::warn!(bridge = %self.bridge, %error, "the ledger can't be reached"),
                _ => {}
            }
            stop.run_until_cancelled(tokio::time::sleep(self.settings.circuit_check)).await;
        }
        false
    }

    fn measure(&self, key: &RecordKey, outcome: &Outcome, started: Instant) {
        let Outcome::Settled { state, .. } = outcome else { return };
        let (bridge, kind) = (Label::Bridge(key.bridge.as_str()), Label::Kind(key.kind.as_str()));
        metric::count(Metric::Settled, &[bridge, kind, Label::State(state.as_str())], 1);
        metric::observe(Metric::WorkSeconds, &[Label::Bridge(key.bridge.as_str())], started.elapsed());
    }

    async fn handle(&self, delivery: Box<dyn Delivery>) {
        boundary::pass(Boundary::NudgeTaken);
        let key = delivery.nudge().key.clone();
        let ended = match self.work(&key, delivery.origin()).await {
            Ok(true) => delivery.dead().await,
            Ok(false) => delivery.ack().await,
            Err(error) => {
                // The nudge goes back by being dropped; the ledger has to be there before it is of use.
                tracing::warn!(record = %key, %error, "the ledger can't be reached; the nudge goes back to its lane");
                // In hand for a moment, or it would come back at once, again and again, until its lane calls it poison.
                tokio::time::sleep(self.settings.reconsume_after).await;
                return;
            }
        };
        boundary::pass(Boundary::Acknowledged);
        if let Err(error) = ended {
            tracing::debug!(record = %key, %error, "the nudge could not be acknowledged and will come again, to no effect");
        }
    }

    /// Works on a record. Answers whether it is DEAD now.
    async fn work(&self, key: &RecordKey, origin: Origin) -> Result<bool, StoreError> {
        let started = Instant::now();
        let mut worked = self.engine.work(key).await?;
        if worked.outcome == Outcome::NotNow(NotNow::Settled(State::Dead)) && origin == Origin::FromDead {
            // Somebody moved the message out of the dead-letter queue: that is a replay.
            let actor = Actor::new("broker");
            self.engine.store().reopen(std::slice::from_ref(key), Trigger::Replay, &actor, self.engine.now()).await?;
            worked = self.engine.work(key).await?;
        }
        tracing::debug!(record = %key, outcome = worked.outcome.word(), "worked");
        self.measure(key, &worked.outcome, started);
        self.publisher.publish(&worked.follow_ups).await;
        Ok(matches!(
            worked.outcome,
            Outcome::Settled { state: State::Dead, .. } | Outcome::NotNow(NotNow::Settled(State::Dead))
        ))
    }
}
