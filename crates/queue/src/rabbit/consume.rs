//! Consuming a bridge's two lanes as one stream, live before bulk.
//!
//! Each lane has its own consumer on one channel. The live one may hold more than can be in hand, so that a
//! backlog of live nudges never looks empty for the moment of a round trip; bulk nudges may occupy only part of the
//! slots, so that a live one finds room at once. Nothing is rebuilt in here: the first error ends the consumer, and
//! its owner makes a new one.

use super::Shared;
use super::delivery::{RabbitDelivery, Session, give_back};
use super::dial::{Link, lane_error};
use super::turn::Turn;
use crate::slots::{Slot, Slots, bulk_share};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery as Message;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use std::future::pending;
use std::sync::Arc;
use tandem_core::ids::BridgeId;
use tandem_core::lane::{ConsumeOptions, Consumer, Delivery, Lane, LaneError};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Looks in a row at which nudges wait, nothing is in hand and nothing came, before the consumer counts as stalled.
const IDLE_LOOKS: u8 = 2;

pub(crate) struct RabbitConsumer {
    bridge: BridgeId,
    prefetch: u16,
    link: Arc<Link>,
    session: Arc<Session>,
    slots: Slots,
    turn: Option<Turn>,
    lanes: Option<Subscriptions>,
    gone: BoxFuture<'static, ()>,
    /// Work that a dropped call of `next` must not interrupt half-way.
    subscribing: Option<BoxFuture<'static, Result<Subscriptions, LaneError>>>,
    looking: Option<BoxFuture<'static, Result<u64, LaneError>>>,
    beat: Interval,
    taken_since_look: bool,
    idle_looks: u8,
    /// Why this consumer is done for.
    ended: Option<LaneError>,
}

enum Step {
    Gone,
    Beat,
    Looked(Result<u64, LaneError>),
    Turn(Result<(), LaneError>),
    Subscribed(Result<Subscriptions, LaneError>),
    Came(Lane, Slot, Result<Message, LaneError>),
}

impl RabbitConsumer {
    pub(crate) async fn start(
        shared: Arc<Shared>,
        bridge: &BridgeId,
        options: &ConsumeOptions,
    ) -> Result<Self, LaneError> {
        shared.topology.add(bridge)?;
        let link = shared.work.link(shared.deadline()).await?;
        let gone = shared.work.gone(&link).boxed();
        shared.topology.declare(&link, bridge).await?;
        let channel = link.channel().await?;
        let turn = match options.single_active {
            true => Some(Turn::queue_up(Arc::clone(&shared), bridge, &link, &channel).await?),
            false => None,
        };
        let mut beat = interval(shared.settings.beat());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        let prefetch = options.prefetch.max(1);
        let session = Arc::new(Session { shared, channel, _turn: turn.as_ref().map(Turn::keeper) });
        let mut consumer = Self {
            bridge: bridge.clone(),
            prefetch,
            link,
            session,
            slots: Slots::new(prefetch),
            turn,
            lanes: None,
            gone,
            subscribing: None,
            looking: None,
            beat,
            taken_since_look: false,
            idle_looks: 0,
            ended: None,
        };
        if consumer.turn.is_none() {
            consumer.subscribe();
        }
        Ok(consumer)
    }

    fn subscribe(&mut self) {
        if self.lanes.is_none() && self.subscribing.is_none() {
            let subscribing = Subscriptions::start(
                Arc::clone(&self.link),
                Arc::clone(&self.session),
                self.bridge.clone(),
                self.prefetch,
            );
            self.subscribing = Some(subscribing.boxed());
        }
    }

    async fn step(&mut self) -> Step {
        let Self { gone, beat, looking, subscribing, turn, lanes, slots, .. } = self;
        tokio::select! {
            biased;
            () = gone => Step::Gone,
            outcome = maybe(looking.as_mut()) => Step::Looked(outcome),
            _ = beat.tick() => Step::Beat,
            outcome = maybe(subscribing.as_mut()) => Step::Subscribed(outcome),
            outcome = maybe(turn.as_mut().map(|turn| Box::pin(turn.token()))) => Step::Turn(outcome),
            (lane, slot, message) = maybe(lanes.as_mut().map(|lanes| Box::pin(lanes.take(slots)))) => Step::Came(lane, slot, message),
        }
    }

    /// Takes one step; answers a delivery if it gave one.
    async fn advance(&mut self) -> Result<Option<RabbitDelivery>, LaneError> {
        match self.step().await {
            Step::Gone => return Err(LaneError("the link to the broker was lost".into())),
            Step::Beat => self.on_beat(),
            Step::Looked(outcome) => {
                self.looking = None;
                self.judge(outcome?)?;
            }
            Step::Turn(outcome) => {
                outcome?;
                self.subscribe();
            }
            Step::Subscribed(outcome) => {
                self.subscribing = None;
                self.lanes = Some(outcome?);
            }
            Step::Came(lane, slot, message) => {
                self.taken_since_look = true;
                return Ok(RabbitDelivery::read(message?, &self.bridge, lane, Arc::clone(&self.session), slot));
            }
        }
        Ok(None)
    }

    fn on_beat(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.renew();
        }
        if self.looking.is_none() {
            let queues = match self.lanes {
                Some(_) => Lane::ALL.map(|lane| self.session.shared.topology.queue(&self.bridge, lane)).to_vec(),
                None => vec![self.session.shared.topology.turn_queue(&self.bridge)],
            };
            self.looking = Some(look(Arc::clone(&self.link), Arc::clone(&self.session), queues).boxed());
        }
    }

    /// `ready` nudges wait in the lanes. If that stays so while nothing is in hand and nothing comes, then the broker
    /// has forgotten us, whatever the connection says.
    fn judge(&mut self, ready: u64) -> Result<(), LaneError> {
        let idle = self.lanes.is_some() && ready > 0 && !self.taken_since_look && self.slots.all_free();
        self.taken_since_look = false;
        self.idle_looks = if idle { self.idle_looks + 1 } else { 0 };
        if self.idle_looks >= IDLE_LOOKS {
            return Err(LaneError(format!("{ready} nudges of {} wait and none is handed out", self.bridge)));
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, LaneError> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        loop {
            match self.advance().await {
                Ok(Some(delivery)) => return Ok(Box::new(delivery)),
                Ok(None) => {}
                Err(why) => {
                    self.ended = Some(why.clone());
                    self.session.shared.work.suspect();
                    return Err(why);
                }
            }
        }
    }
}

impl Drop for RabbitConsumer {
    fn drop(&mut self) {
        if let Some(lanes) = self.lanes.take() {
            give_back(lanes.end(), Arc::clone(&self.session));
        }
    }
}

/// On the consumer's own channel: are the queues there, does the broker know a consumer on them, how much waits?
async fn look(link: Arc<Link>, session: Arc<Session>, queues: Vec<String>) -> Result<u64, LaneError> {
    let mut ready = 0;
    for queue in queues {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let found =
            link.bounded(session.channel.queue_declare(queue.clone().into(), passive, FieldTable::default())).await;
        let found = found.map_err(|why| LaneError(format!("queue {queue}: {why}")))?;
        if found.consumer_count() == 0 {
            return Err(LaneError(format!("the broker knows no consumer of queue {queue} any more")));
        }
        ready += u64::from(found.message_count());
    }
    Ok(ready)
}

/// Twice what can be in hand, so that the next live nudge is here before the broker hears of an acknowledgement: it
/// answers one only once most of its members have written it down.
fn live_buffer(prefetch: u16) -> u16 {
    prefetch.saturating_mul(2)
}

struct Subscriptions {
    live: lapin::Consumer,
    bulk: lapin::Consumer,
}

impl Subscriptions {
    async fn start(link: Arc<Link>, session: Arc<Session>, bridge: BridgeId, prefetch: u16) -> Result<Self, LaneError> {
        let subscribe = async |lane: Lane, buffer: u16| -> Result<lapin::Consumer, LaneError> {
            // The prefetch holds for the consumers that are started after it, and must be there before the first
            // delivery: the client library's own buffer has no limit.
            link.bounded(session.channel.basic_qos(buffer, BasicQosOptions::default())).await?;
            let queue = session.shared.topology.queue(&bridge, lane);
            let consumed = session.channel.basic_consume(
                queue.clone().into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            );
            link.bounded(consumed).await.map_err(|why| LaneError(format!("queue {queue}: {why}")))
        };
        let live = subscribe(Lane::Live, live_buffer(prefetch)).await?;
        let bulk = subscribe(Lane::Bulk, bulk_share(prefetch)).await?;
        Ok(Self { live, bulk })
    }

    /// The next message for which there is a slot. Dropping the future loses nothing.
    async fn take(&mut self, slots: &Slots) -> (Lane, Slot, Result<Message, LaneError>) {
        let any = slots.any().await;
        let Self { live, bulk } = self;
        tokio::select! {
            biased;
            message = live.next() => (Lane::Live, Slot::of(any, None), opened(message)),
            (share, message) = async { (slots.bulk().await, bulk.next().await) } => (Lane::Bulk, Slot::of(any, Some(share)), opened(message)),
        }
    }

    /// Ends both subscriptions; answers what lay here unread.
    fn end(mut self) -> Vec<lapin::Acker> {
        let mut unread = Vec::new();
        for lane in [&mut self.live, &mut self.bulk] {
            while let Some(Some(Ok(message))) = lane.next().now_or_never() {
                unread.push(message.acker);
            }
        }
        unread
    }
}

fn opened(message: Option<lapin::Result<Message>>) -> Result<Message, LaneError> {
    match message {
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(lane_error(&error)),
        None => Err(LaneError("the broker ended the subscription; the queue may have been deleted".into())),
    }
}

async fn maybe<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_lane_may_hold_twice_what_can_be_in_hand() {
        assert_eq!([1, 8, u16::MAX].map(live_buffer), [2, 16, u16::MAX]);
    }
}
