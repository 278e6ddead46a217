//! Publishing with confirms, and telling the four outcomes apart.
//!
//! A batch goes out through a window, so that the broker's disk is waited for once per batch and not once per nudge.
//! A channel with unanswered confirms is never used again: a late answer must not be taken for a later nudge's.

use super::dial::Link;
use super::line::Line;
use super::settings::RabbitSettings;
use super::topology::{Topology, routing_key};
use crate::envelope;
use futures_util::{StreamExt, stream};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tandem_core::ids::BridgeId;
use tandem_core::lane::{Nudge, Published};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

const PERSISTENT: u8 = 2;
/// Idle channels that are kept; more are opened when more publish at once.
const IDLE_CHANNELS: usize = 4;

/// Publishes over a line of its own: a broker in memory or disk trouble blocks connections that publish, and
/// acknowledgements must still get through.
pub(crate) struct Publisher {
    pub(crate) line: Line,
    settings: Arc<RabbitSettings>,
    topology: Arc<Topology>,
    idle: Mutex<Vec<(Weak<Link>, Channel)>>,
}

impl Publisher {
    pub(crate) fn new(line: Line, settings: Arc<RabbitSettings>, topology: Arc<Topology>) -> Self {
        Self { line, settings, topology, idle: Mutex::default() }
    }

    /// Publishes all; the answers are in the order of the nudges. Whatever has no answer after `patience` is unknown.
    pub(crate) async fn publish(&self, nudges: &[Nudge], patience: Duration) -> Vec<Published> {
        let deadline = Instant::now() + patience;
        let mut answers = vec![Published::Unknown; nudges.len()];
        if nudges.is_empty() {
            return answers;
        }
        let Ok(link) = self.line.link(deadline).await else { return answers };
        if link.connection.status().blocked() {
            answers.fill(Published::Refused);
            return answers;
        }
        let Ok(Some(channel)) = timeout_at(deadline, self.channel(&link)).await else {
            self.line.suspect();
            return answers;
        };
        self.send_all(&channel, nudges, deadline, &mut answers).await;
        if answers.contains(&Published::Unknown) {
            self.line.suspect();
            warn_of_silent_queues(nudges, &answers);
        } else {
            self.put_back(&link, channel);
        }
        answers
    }

    async fn send_all(&self, channel: &Channel, nudges: &[Nudge], deadline: Instant, answers: &mut [Published]) {
        let ids: Vec<ShortString> = nudges.iter().map(|_| Uuid::new_v4().to_string().into()).collect();
        let mut returned = Vec::new();
        let sent = (0..nudges.len()).map(|place| self.send(channel, place, &nudges[place], ids[place].clone()));
        let mut confirmed = stream::iter(sent).buffer_unordered(self.settings.window.max(1));
        while let Ok(Some((place, answer, came_back))) = timeout_at(deadline, confirmed.next()).await {
            answers[place] = answer;
            returned.extend(came_back);
        }
        if returned.is_empty() {
            return;
        }
        // One acknowledgement may confirm many nudges, and the client library hangs a returned message on any of
        // them. The message id says which nudge it really was.
        let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
        for id in returned {
            if let Some(&place) = places.get(id.as_str()) {
                answers[place] = Published::Unroutable;
            }
        }
    }

    async fn send(
        &self,
        channel: &Channel,
        place: usize,
        nudge: &Nudge,
        id: ShortString,
    ) -> (usize, Published, Option<ShortString>) {
        let key = routing_key(&nudge.key.bridge, nudge.lane);
        let Ok(key) = ShortString::try_new(key) else { return (place, Published::Unroutable, None) };
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_message_id(id);
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let payload = envelope::write(nudge);
        let confirmation =
            match channel.basic_publish(self.topology.exchange().into(), key, options, &payload, properties).await {
                Ok(confirm) => confirm.await,
                Err(error) => Err(error),
            };
        match confirmation {
            Ok(Confirmation::Ack(None)) => (place, Published::Stored, None),
            Ok(Confirmation::Ack(Some(message))) => match message.delivery.properties.message_id().clone() {
                Some(id) => (place, Published::Stored, Some(id)),
                None => (place, Published::Unroutable, None),
            },
            Ok(Confirmation::Nack(message)) => {
                (place, Published::Refused, message.and_then(|m| m.delivery.properties.message_id().clone()))
            }
            Ok(Confirmation::NotRequested) => {
                tracing::error!("a channel without confirms was used for publishing");
                (place, Published::Unknown, None)
            }
            Err(_) => (place, Published::Unknown, None),
        }
    }

    /// Lays one token into the bridge's turn queue. Nobody waits for it: it is repeated with each beat.
    pub(crate) async fn offer_turn(&self, bridge: &BridgeId) {
        let deadline = Instant::now() + self.settings.beat();
        let Ok(link) = self.line.link(deadline).await else { return };
        if link.connection.status().blocked() {
            return;
        }
        let Ok(Some(channel)) = timeout_at(deadline, self.channel(&link)).await else { return };
        let offered = async {
            let queue = self.topology.turn_queue(bridge);
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            channel
                .basic_publish("".into(), queue.into(), BasicPublishOptions::default(), b"turn", properties)
                .await?
                .await
        };
        if let Ok(Ok(_)) = timeout_at(deadline, offered).await {
            self.put_back(&link, channel);
        }
    }

    /// An idle channel of this link, or a new one with confirms on.
    async fn channel(&self, link: &Arc<Link>) -> Option<Channel> {
        while let Some((of, channel)) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            if std::ptr::eq(of.as_ptr(), Arc::as_ptr(link)) && channel.status().connected() {
                return Some(channel);
            }
        }
        let channel = link.channel().await.ok()?;
        link.bounded(channel.confirm_select(ConfirmSelectOptions::default())).await.ok()?;
        Some(channel)
    }

    fn put_back(&self, link: &Arc<Link>, channel: Channel) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CHANNELS {
            idle.push((Arc::downgrade(link), channel));
        }
    }
}

/// Names the queues without an answer: with the link in order, it is the queue that has trouble.
fn warn_of_silent_queues(nudges: &[Nudge], answers: &[Published]) {
    let silent = nudges.iter().zip(answers).filter(|(_, answer)| **answer == Published::Unknown);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (nudge, _) in silent {
        *counts.entry(routing_key(&nudge.key.bridge, nudge.lane)).or_default() += 1;
    }
    for (queue, nudges) in counts {
        tracing::warn!(%queue, nudges, "the broker has not confirmed these nudges in time; they are published again");
    }
}
