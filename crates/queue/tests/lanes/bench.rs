//! Lanes to test, with a bridge of their own.

use async_trait::async_trait;
use lapin::options::{BasicPublishOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tandem_core::ids::{BridgeId, RecordKey};
use tandem_core::lane::{
    ConsumeOptions, Consumer, Delivery, Depth, DueRecords, Lane, LaneError, Lanes, Nudge, Published,
};
use tandem_queue::{EmbeddedLanes, RabbitLanes, RabbitSettings};
use tandem_testbed::rabbitmq::shared_url;
use tandem_testbed::signal::{eventually, within};

pub const SOON: Duration = Duration::from_secs(20);
pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn options(prefetch: u16) -> ConsumeOptions {
    ConsumeOptions { prefetch, single_active: false }
}

pub fn nudge(bridge: &BridgeId, lane: Lane, id: usize) -> Nudge {
    Nudge { key: RecordKey::new(bridge.clone(), "customer", format!("{lane}-{id}")), lane }
}

pub fn nudges(bridge: &BridgeId, lane: Lane, count: usize) -> Vec<Nudge> {
    (0..count).map(|id| nudge(bridge, lane, id)).collect()
}

/// Settings with a prefix that nobody else uses.
pub fn settings(url: &str) -> RabbitSettings {
    let mut settings = RabbitSettings::new(&url.to_owned().into()).expect("an address");
    settings.prefix = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    settings
}

pub async fn shared() -> RabbitSettings {
    settings(&shared_url().await.expect("a broker"))
}

pub async fn next(consumer: &mut dyn Consumer) -> Box<dyn Delivery> {
    within(SOON, consumer.next()).await.expect("a nudge")
}

/// What a ledger would do for the embedded lanes: it holds the open rows.
#[derive(Default)]
pub struct FakeLedger(Mutex<Vec<Nudge>>);

impl FakeLedger {
    fn open(&self, nudges: &[Nudge]) {
        self.0.lock().unwrap().extend_from_slice(nudges);
    }
    fn settle(&self, key: &RecordKey) {
        self.0.lock().unwrap().retain(|nudge| nudge.key != *key);
    }
}

#[async_trait]
impl DueRecords for FakeLedger {
    async fn due(&self, bridge: &BridgeId, limit: u16) -> Result<Vec<Nudge>, LaneError> {
        let mut due: Vec<_> =
            self.0.lock().unwrap().iter().filter(|nudge| nudge.key.bridge == *bridge).cloned().collect();
        due.sort_by_key(|nudge| nudge.lane);
        due.truncate(limit.into());
        Ok(due)
    }
    async fn depth(&self, bridge: &BridgeId) -> Result<Depth, LaneError> {
        let rows = self.0.lock().unwrap();
        let count = |lane| rows.iter().filter(|nudge| nudge.key.bridge == *bridge && nudge.lane == lane).count() as u64;
        Ok(Depth { live: count(Lane::Live), bulk: count(Lane::Bulk), dead: 0 })
    }
}

/// Lanes of either kind, and the bridge `b`.
pub struct Bench {
    pub lanes: Box<dyn Lanes>,
    pub bridge: BridgeId,
    ledger: Option<Arc<FakeLedger>>,
    settings: Option<RabbitSettings>,
}

impl Bench {
    pub fn embedded() -> Self {
        let ledger = Arc::new(FakeLedger::default());
        // A long poll: what comes sooner came by the bell.
        let lanes = EmbeddedLanes::new(ledger.clone(), Duration::from_secs(5));
        Self { lanes: Box::new(lanes), bridge: "b".into(), ledger: Some(ledger), settings: None }
    }

    pub async fn rabbitmq() -> Self {
        Self::over(shared().await).await
    }

    /// Prepared lanes over these settings.
    pub async fn over(settings: RabbitSettings) -> Self {
        let lanes = RabbitLanes::connect(settings.clone());
        let bench = Self { lanes: Box::new(lanes), bridge: "b".into(), ledger: None, settings: Some(settings) };
        bench.prepare().await;
        bench
    }

    /// Another copy of the service on the same broker.
    pub fn more_lanes(&self) -> RabbitLanes {
        RabbitLanes::connect(self.settings.clone().expect("a broker"))
    }

    pub async fn prepare(&self) {
        within(SOON, self.lanes.prepare(&[(self.bridge.clone(), options(1))])).await.expect("a declared bridge");
    }

    /// Notes the records as open and publishes; all must be stored.
    pub async fn publish(&self, nudges: &[Nudge]) {
        if let Some(ledger) = &self.ledger {
            ledger.open(nudges);
        }
        let answers = within(SOON, self.lanes.publish(nudges, PATIENCE)).await;
        assert_eq!(answers, vec![Published::Stored; nudges.len()]);
    }

    pub async fn publish_some(&self, lane: Lane, count: usize) -> Vec<Nudge> {
        let nudges = nudges(&self.bridge, lane, count);
        self.publish(&nudges).await;
        nudges
    }

    pub async fn consume(&self, prefetch: u16) -> Box<dyn Consumer> {
        within(SOON, self.lanes.consume(&self.bridge, &options(prefetch))).await.expect("a consumer")
    }

    /// Commits the outcome, then acknowledges.
    pub async fn finish(&self, delivery: Box<dyn Delivery>) {
        if let Some(ledger) = &self.ledger {
            ledger.settle(&delivery.nudge().key);
        }
        delivery.ack().await.expect("an acknowledgement");
    }

    /// For lanes that hand nudges out ahead of time: waits until this lane's are with the consumers.
    pub async fn handed_out(&self, lane: Lane) {
        if self.ledger.is_none() {
            self.depth_is(|depth| if lane == Lane::Live { depth.live == 0 } else { depth.bulk == 0 }).await;
        }
    }

    pub async fn depth_is(&self, wanted: impl Fn(&Depth) -> bool) -> Depth {
        eventually(SOON, || async { self.lanes.depth(&self.bridge).await.ok().filter(&wanted) }).await
    }

    pub fn prefix(&self) -> String {
        self.settings.as_ref().expect("a broker").prefix.clone()
    }

    pub fn name_of(&self, queue: &str) -> String {
        format!("{}.{}.{queue}", self.prefix(), self.bridge)
    }

    /// A connection of the test's own, as an operator's tool would have.
    pub async fn side_door(&self) -> SideDoor {
        let url = shared_url().await.expect("a broker");
        SideDoor::open(&url).await
    }

    /// Leaves nothing behind in a shared broker.
    pub async fn end(self) {
        if let Some(settings) = &self.settings {
            let door = self.side_door().await;
            // No supervisor may declare anew what is deleted here.
            drop(self.lanes);
            door.sweep(&settings.prefix, &[self.bridge.as_str()]).await;
        }
    }
}

pub struct SideDoor {
    _connection: Connection,
    pub channel: Channel,
}

impl SideDoor {
    pub async fn open(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a connection");
        let channel = connection.create_channel().await.expect("a channel");
        Self { _connection: connection, channel }
    }

    pub async fn put(&self, queue: &str, payload: &[u8], properties: BasicProperties) {
        let sent = self
            .channel
            .basic_publish("".into(), queue.into(), BasicPublishOptions::default(), payload, properties)
            .await;
        sent.expect("sent").await.expect("taken");
    }

    pub async fn delete(&self, queue: &str) {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("deleted");
    }

    pub async fn sweep(&self, prefix: &str, bridges: &[&str]) {
        for bridge in bridges {
            for queue in ["live", "bulk", "dead", "turn"] {
                self.delete(&format!("{prefix}.{bridge}.{queue}")).await;
            }
        }
        for exchange in [prefix.to_owned(), format!("{prefix}.dead")] {
            let _ = self.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await;
        }
    }
}
