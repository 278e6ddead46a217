//! What stands in the broker: two exchanges, and four queues per bridge, each with every argument said.
//!
//! Defaults differ between RabbitMQ 3.10 and 4.x (the delivery limit is one that loses messages), so none is relied
//! on. Declaring what exists changes nothing; declaring with other arguments is refused by the broker, and then only
//! that bridge stands still.

use super::dial::Link;
use super::settings::RabbitSettings;
use futures_util::future::join_all;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, ExchangeKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tandem_core::ids::BridgeId;
use tandem_core::lane::{Lane, LaneError};

/// Deliveries of one nudge without an acknowledgement before the broker moves it to the dead letters by itself. High,
/// since nudges that merely shared a crashing worker count too; a record that kills workers is caught in the ledger.
const DELIVERY_LIMIT: i64 = 100;
/// The same for queues whose messages are taken out and put back as a matter of course.
const NO_DELIVERY_LIMIT: i64 = 1_000_000_000;
/// The longest name of a bridge and the longest prefix; AMQP allows 255 bytes for the whole name of a queue.
const LONGEST_NAME: usize = 64;

/// The names and arguments of everything, and the bridges that are in use.
pub(crate) struct Topology {
    settings: Arc<RabbitSettings>,
    bridges: Mutex<BTreeSet<BridgeId>>,
    /// What was last said about a bridge's trouble, so that each beat does not say it again.
    complaints: Mutex<BTreeMap<BridgeId, String>>,
}

impl Topology {
    pub(crate) fn new(settings: Arc<RabbitSettings>) -> Self {
        Self { settings, bridges: Mutex::default(), complaints: Mutex::default() }
    }

    pub(crate) fn exchange(&self) -> String {
        self.settings.prefix.clone()
    }

    pub(crate) fn queue(&self, bridge: &BridgeId, lane: Lane) -> String {
        format!("{}.{bridge}.{lane}", self.settings.prefix)
    }

    pub(crate) fn dead_queue(&self, bridge: &BridgeId) -> String {
        format!("{}.{bridge}.dead", self.settings.prefix)
    }

    /// The queue that says whose turn it is to consume; see [`super::turn`].
    pub(crate) fn turn_queue(&self, bridge: &BridgeId) -> String {
        format!("{}.{bridge}.turn", self.settings.prefix)
    }

    fn dead_exchange(&self) -> String {
        format!("{}.dead", self.settings.prefix)
    }

    /// Adds a bridge to those that are declared after each connect and renewed with each beat.
    pub(crate) fn add(&self, bridge: &BridgeId) -> Result<(), LaneError> {
        check_name("a bridge's name", bridge.as_str(), "")?;
        check_name("the broker prefix", &self.settings.prefix, ".")?;
        lock(&self.bridges).insert(bridge.clone());
        Ok(())
    }

    /// Declares all bridges. One that can't be declared does not keep the others from it; the error names each.
    pub(crate) async fn declare_all(&self, link: &Link) -> Result<(), LaneError> {
        let bridges = lock(&self.bridges).clone();
        // Side by side: a queue that does not answer costs the others nothing, and the link's examination one wait.
        let outcomes = join_all(bridges.iter().map(|bridge| self.declare(link, bridge))).await;
        let troubles: Vec<String> = outcomes.into_iter().filter_map(|outcome| outcome.err().map(|why| why.0)).collect();
        if troubles.is_empty() { Ok(()) } else { Err(LaneError(troubles.join("; "))) }
    }

    /// Declares one bridge. Trouble is also logged, once until it changes.
    pub(crate) async fn declare(&self, link: &Link, bridge: &BridgeId) -> Result<(), LaneError> {
        let outcome = self.try_declare(link, bridge).await;
        let mut complaints = lock(&self.complaints);
        match &outcome {
            Ok(()) => drop(complaints.remove(bridge)),
            Err(trouble) if complaints.get(bridge) != Some(&trouble.0) => {
                tracing::error!(%bridge, "{trouble}");
                complaints.insert(bridge.clone(), trouble.0.clone());
            }
            Err(_) => {}
        }
        outcome
    }

    async fn try_declare(&self, link: &Link, bridge: &BridgeId) -> Result<(), LaneError> {
        // A channel of its own: the broker closes it when it refuses something.
        let channel = link.channel().await?;
        for (exchange, kind) in [(self.exchange(), ExchangeKind::Topic), (self.dead_exchange(), ExchangeKind::Direct)] {
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            let declared = channel.exchange_declare(exchange.clone().into(), kind, options, FieldTable::default());
            link.bounded(declared).await.map_err(|error| other_arguments("exchange", &exchange, error))?;
        }
        // The dead letters first, so that nothing can be dead-lettered into nowhere.
        self.declare_queue(link, &channel, &self.dead_queue(bridge), self.dead_arguments()).await?;
        self.bind(link, &channel, &self.dead_queue(bridge), &self.dead_exchange(), bridge.as_str()).await?;
        self.declare_queue(link, &channel, &self.turn_queue(bridge), turn_arguments()).await?;
        for lane in Lane::ALL {
            let queue = self.queue(bridge, lane);
            self.declare_queue(link, &channel, &queue, self.lane_arguments(bridge)).await?;
            self.bind(link, &channel, &queue, &self.exchange(), &routing_key(bridge, lane)).await?;
        }
        Ok(())
    }

    async fn declare_queue(
        &self,
        link: &Link,
        channel: &Channel,
        queue: &str,
        arguments: FieldTable,
    ) -> Result<(), LaneError> {
        let declared = channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments);
        link.bounded(declared).await.map_err(|error| other_arguments("queue", queue, error)).map(drop)
    }

    async fn bind(
        &self,
        link: &Link,
        channel: &Channel,
        queue: &str,
        exchange: &str,
        key: &str,
    ) -> Result<(), LaneError> {
        let bound = channel.queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        link.bounded(bound).await
    }

    fn lane_arguments(&self, bridge: &BridgeId) -> FieldTable {
        let mut table = quorum(i64::from(self.settings.max_length), DELIVERY_LIMIT, "reject-publish");
        // At-least-once dead-lettering works only together with reject-publish; otherwise the broker falls back to
        // at-most-once without a word to the client.
        table.insert("x-dead-letter-exchange".into(), text(&self.dead_exchange()));
        table.insert("x-dead-letter-routing-key".into(), text(bridge.as_str()));
        table.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        table
    }

    fn dead_arguments(&self) -> FieldTable {
        quorum(i64::from(self.settings.max_length), NO_DELIVERY_LIMIT, "reject-publish")
    }
}

/// Two tokens at most, the newest ones; exactly one consumer gets them.
fn turn_arguments() -> FieldTable {
    let mut table = quorum(2, NO_DELIVERY_LIMIT, "drop-head");
    table.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    table
}

fn quorum(max_length: i64, delivery_limit: i64, overflow: &str) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    table.insert("x-queue-leader-locator".into(), text("balanced"));
    table.insert("x-max-length".into(), AMQPValue::LongLongInt(max_length));
    table.insert("x-overflow".into(), text(overflow));
    table.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(delivery_limit));
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// The key under which a bridge's nudges are published.
pub(crate) fn routing_key(bridge: &BridgeId, lane: Lane) -> String {
    format!("{bridge}.{lane}")
}

fn other_arguments(what: &str, name: &str, error: LaneError) -> LaneError {
    if !error.0.contains("PRECONDITION_FAILED") {
        return LaneError(format!("{what} {name}: {error}"));
    }
    let advice = "delete it in the broker and it is declared anew; nothing is lost, since open work is published again from the ledger";
    LaneError(format!("{what} {name} exists with other settings than this version uses: {advice} ({error})"))
}

fn check_name(what: &str, name: &str, also: &str) -> Result<(), LaneError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || also.contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(fits) {
        return Err(LaneError(format!("{what} must be 1 to {LONGEST_NAME} letters, digits, - or _ to name a queue")));
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both maps are whole after any panic: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(arguments: &FieldTable) -> Vec<String> {
        let value = |value: &AMQPValue| match value {
            AMQPValue::LongString(text) => text.to_string(),
            AMQPValue::LongLongInt(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        arguments.inner().iter().map(|(name, given)| format!("{name}={}", value(given))).collect()
    }

    /// What is not said is decided by the broker's version: 4.0 limits redeliveries to 20 where 3.x has no limit, and each
    /// has leader placement of its own.
    #[test]
    fn every_argument_whose_default_differs_between_versions_is_said() {
        let settings = RabbitSettings::new(&"amqp://a:b@h".to_owned().into()).unwrap();
        let topology = Topology::new(Arc::new(settings));
        let common = ["x-delivery-limit", "x-max-length", "x-overflow", "x-queue-leader-locator", "x-queue-type"];
        let (lane, dead) = (told(&topology.lane_arguments(&"siagh".into())), told(&topology.dead_arguments()));
        for arguments in [&lane, &dead, &told(&turn_arguments())] {
            for name in common {
                assert!(arguments.iter().any(|a| a.starts_with(&format!("{name}="))), "{name} is not in {arguments:?}");
            }
            assert!(arguments.contains(&"x-queue-type=quorum".to_owned()), "{arguments:?}");
        }
        let dead_lettering = [
            format!("x-dead-letter-exchange={}", topology.dead_exchange()),
            "x-dead-letter-routing-key=siagh".to_owned(),
            "x-dead-letter-strategy=at-least-once".to_owned(),
            "x-overflow=reject-publish".to_owned(),
        ];
        assert!(dead_lettering.iter().all(|argument| lane.contains(argument)), "{lane:?}");
        assert!(dead.contains(&format!("x-delivery-limit={NO_DELIVERY_LIMIT}")), "letters are never dropped: {dead:?}");
    }
}
