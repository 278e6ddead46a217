//! One nudge in hand, and the ways to let go of it.

use super::Shared;
use super::dial::bounded;
use crate::envelope;
use crate::slots::Slot;
use async_trait::async_trait;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Acker, BasicProperties, Channel, Consumer};
use std::sync::Arc;
use tandem_core::ids::BridgeId;
use tandem_core::lane::{Delivery, Lane, LaneError, Nudge, Origin};

/// What must stay open until the last delivery is settled: the channel, and with it our turn. A consumer that is
/// dropped while its work is still under way hands neither on before that work has ended.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) channel: Channel,
    pub(crate) _turn: Option<Consumer>,
}

pub(crate) struct RabbitDelivery {
    nudge: Nudge,
    origin: Origin,
    /// Taken when the delivery is settled.
    acker: Option<Acker>,
    session: Arc<Session>,
    _slot: Slot,
}

impl RabbitDelivery {
    /// Reads what came from a lane's queue, or rejects it into the dead letters: it would be no more readable the
    /// next time.
    pub(crate) fn read(
        message: lapin::message::Delivery,
        bridge: &BridgeId,
        lane: Lane,
        session: Arc<Session>,
        slot: Slot,
    ) -> Option<Self> {
        match envelope::read(&message.data, bridge) {
            Ok(nudge) => {
                // Where it lies is what counts: a message moved between the queues by hand changes its lane.
                let nudge = Nudge { lane, ..nudge };
                let origin = origin(&message, bridge, &session);
                Some(Self { nudge, origin, acker: Some(message.acker), session, _slot: slot })
            }
            Err(why) => {
                tracing::error!(%bridge, %lane, bytes = message.data.len(), "a message can't be read: {why}; it goes to the dead letters");
                let limit = session.shared.settings.beat();
                tokio::spawn(async move {
                    // On failure it comes again, and is rejected again.
                    let _ = bounded(limit, message.acker.reject(BasicRejectOptions { requeue: false })).await;
                });
                None
            }
        }
    }

    async fn settle(mut self: Box<Self>, how: Settle) -> Result<(), LaneError> {
        let Some(acker) = self.acker.take() else { return Ok(()) };
        let settled = bounded(self.session.shared.settings.beat(), async {
            match how {
                Settle::Done => acker.ack(BasicAckOptions::default()).await,
                Settle::Dead => acker.reject(BasicRejectOptions { requeue: false }).await,
            }
        });
        match settled.await {
            Ok(true) => Ok(()),
            // `false`: the channel was lost meanwhile, and nothing was sent.
            Ok(false) => Err(LaneError("the channel it came on is gone; it will come again".into())),
            Err(why) => {
                self.session.shared.work.suspect();
                Err(why)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Settle {
    Done,
    Dead,
}

#[async_trait]
impl Delivery for RabbitDelivery {
    fn nudge(&self) -> &Nudge {
        &self.nudge
    }

    fn origin(&self) -> Origin {
        self.origin
    }

    async fn ack(self: Box<Self>) -> Result<(), LaneError> {
        self.settle(Settle::Done).await
    }

    async fn dead(self: Box<Self>) -> Result<(), LaneError> {
        self.settle(Settle::Dead).await
    }
}

impl Drop for RabbitDelivery {
    fn drop(&mut self) {
        if let Some(acker) = self.acker.take() {
            give_back(vec![acker], Arc::clone(&self.session));
        }
    }
}

/// Puts deliveries back into their queue, in the background. Without a runtime the connection ends anyway, and the
/// broker puts them back itself.
pub(crate) fn give_back(ackers: Vec<Acker>, session: Arc<Session>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        for acker in ackers {
            let nack = acker.nack(BasicNackOptions { requeue: true, ..Default::default() });
            if bounded(session.shared.settings.beat(), nack).await.is_err() {
                break;
            }
        }
    });
}

fn origin(message: &lapin::message::Delivery, bridge: &BridgeId, session: &Session) -> Origin {
    let topology = &session.shared.topology;
    let queues = Lane::ALL.map(|lane| topology.queue(bridge, lane));
    if was_dead(&message.properties, &queues) {
        Origin::FromDead
    } else if message.redelivered || delivery_count(&message.properties) > 0 {
        Origin::Redelivered
    } else {
        Origin::Fresh
    }
}

/// Whether the broker's own headers tell of an earlier death in one of `queues`. `x-death` lists all deaths; brokers
/// that drop it from a message that is published again keep the plain header of the first one.
fn was_dead(properties: &BasicProperties, queues: &[String]) -> bool {
    let Some(headers) = properties.headers() else { return false };
    let one_of_ours = |queue: Option<&str>, reason: Option<&str>| {
        queue.is_some_and(|queue| queues.iter().any(|ours| ours == queue))
            && matches!(reason, Some("rejected" | "delivery_limit"))
    };
    if let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death")
        && deaths.as_slice().iter().any(|death| matches!(death, AMQPValue::FieldTable(death) if one_of_ours(text(death, "queue"), text(death, "reason"))))
    {
        return true;
    }
    one_of_ours(text(headers, "x-first-death-queue"), text(headers, "x-first-death-reason"))
}

fn text<'a>(table: &'a FieldTable, name: &str) -> Option<&'a str> {
    match table.inner().get(name)? {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok(),
        AMQPValue::ShortString(value) => Some(value.as_str()),
        _ => None,
    }
}

/// How often a quorum queue has handed the message out before. The integer's type differs between broker versions.
fn delivery_count(properties: &BasicProperties) -> i64 {
    let count = properties.headers().as_ref().and_then(|headers| headers.inner().get("x-delivery-count"));
    match count {
        Some(AMQPValue::LongLongInt(count)) => *count,
        Some(AMQPValue::LongInt(count)) => i64::from(*count),
        Some(AMQPValue::LongUInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortUInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortUInt(count)) => i64::from(*count),
        _ => 0,
    }
}
