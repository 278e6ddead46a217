//! Whose turn it is: one consumer over all copies of the service.
//!
//! A bridge has two lanes, and RabbitMQ's single active consumer is a property of one queue: with it on both lanes,
//! one copy could be active on the live lane and another on the bulk lane, and the bridge's cap would be doubled. So
//! each bridge has a small queue of its own, `<prefix>.<bridge>.turn`, with a single active consumer and nothing in it
//! but tokens. Who receives a token is the active one and takes both lanes; the others wait. What the lanes' queues
//! are declared with does not depend on the choice, so it can be changed without touching the broker.
//!
//! The holder keeps its token unacknowledged: when its channel ends, the broker hands the token to the next one. With
//! every beat the token is exchanged for a new one, because the broker closes a channel that holds a message for half
//! an hour.

use super::Shared;
use super::dial::Link;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use std::sync::Arc;
use tandem_core::ids::BridgeId;
use tandem_core::lane::LaneError;

/// A place in the queue for the turn.
pub(crate) struct Turn {
    shared: Arc<Shared>,
    bridge: BridgeId,
    tokens: Consumer,
    held: Option<Delivery>,
}

impl Turn {
    /// Queues up. `channel` must not be used for anything before.
    pub(crate) async fn queue_up(
        shared: Arc<Shared>,
        bridge: &BridgeId,
        link: &Link,
        channel: &Channel,
    ) -> Result<Self, LaneError> {
        link.bounded(channel.basic_qos(1, BasicQosOptions::default())).await?;
        let queue = shared.topology.turn_queue(bridge);
        let consumed =
            channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let tokens = link.bounded(consumed).await?;
        let turn = Self { shared, bridge: bridge.clone(), tokens, held: None };
        turn.offer_and_release(None);
        Ok(turn)
    }

    /// A handle that keeps the turn for as long as it lives.
    pub(crate) fn keeper(&self) -> Consumer {
        self.tokens.clone()
    }

    /// Waits for a token and holds it: from then on it is our turn.
    pub(crate) async fn token(&mut self) -> Result<(), LaneError> {
        match self.tokens.next().await {
            Some(Ok(token)) => {
                self.held = Some(token);
                Ok(())
            }
            Some(Err(error)) => Err(super::dial::lane_error(&error)),
            None => Err(LaneError(format!("the broker ended our place in the turn queue of {}", self.bridge))),
        }
    }

    /// Once per beat: lays out a new token, then gives up the old one.
    pub(crate) fn renew(&mut self) {
        let held = self.held.take();
        self.offer_and_release(held);
    }

    fn offer_and_release(&self, held: Option<Delivery>) {
        let publisher = Arc::clone(&self.shared.publisher);
        let bridge = self.bridge.clone();
        tokio::spawn(async move {
            publisher.offer_turn(&bridge).await;
            if let Some(token) = held {
                // A failure means that the channel is gone, and the token is back in the queue.
                let _ = token.ack(BasicAckOptions::default()).await;
            }
        });
    }
}
