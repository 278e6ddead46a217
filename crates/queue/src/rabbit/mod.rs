//! Lanes over RabbitMQ 3.10 to 4.x.
//!
//! Two supervised links: one that only publishes, and one for everything else, since a broker in memory or disk
//! trouble stops whoever publishes on a connection from doing anything else on it. Nothing here trusts a connection's
//! own word: whatever is awaited from the broker has a limit, and silence is treated as loss.

mod consume;
mod dead;
mod delivery;
mod dial;
mod line;
mod publish;
mod settings;
mod topology;
mod turn;

pub use settings::RabbitSettings;

use async_trait::async_trait;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use line::Line;
use publish::Publisher;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::ids::{BridgeId, RecordKey};
use tandem_core::lane::{ConsumeOptions, Consumer, Depth, KeepFuture, Lane, LaneError, Lanes, Nudge, Published};
use tokio::time::Instant;
use topology::Topology;

/// How long the start of a service waits for the broker. It goes on without it.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// The lanes of an installation with a broker. Cloning is cheap and shares the links.
#[derive(Clone)]
pub struct RabbitLanes {
    shared: Arc<Shared>,
}

/// What the lanes, their consumers and their deliveries use together.
pub(crate) struct Shared {
    pub(crate) settings: Arc<RabbitSettings>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) work: Line,
}

impl Shared {
    /// When to stop waiting for a link in calls that have no patience of their own.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.settings.beat()
    }
}

impl RabbitLanes {
    /// Starts to connect and returns at once, also when the broker is down: connecting goes on for as long as the
    /// lanes or one of their consumers live. Must be called inside a tokio runtime.
    pub fn connect(settings: RabbitSettings) -> Self {
        let settings = Arc::new(settings);
        let topology = Arc::new(Topology::new(Arc::clone(&settings)));
        let publishing = Line::start("publishing", Arc::clone(&settings), None);
        let publisher = Arc::new(Publisher::new(publishing, Arc::clone(&settings), Arc::clone(&topology)));
        let work = Line::start("consuming", Arc::clone(&settings), Some(Arc::clone(&topology)));
        Self { shared: Arc::new(Shared { settings, topology, publisher, work }) }
    }

    /// Whether both links to the broker are up, as far as is known: a stall shows within the stall limit.
    pub fn is_connected(&self) -> bool {
        self.shared.work.is_up() && self.shared.publisher.line.is_up()
    }
}

impl fmt::Debug for RabbitLanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitLanes").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

#[async_trait]
impl Lanes for RabbitLanes {
    /// Remembers the bridges, so that they are declared after every reconnect and renewed when somebody deletes a
    /// queue, and declares them now. An error is no reason to stop: with the broker down they are declared as soon as
    /// it is back (waited for are three seconds), and a bridge whose queue the broker refuses does not keep the others from working.
    async fn prepare(&self, bridges: &[(BridgeId, ConsumeOptions)]) -> Result<(), LaneError> {
        for (bridge, _) in bridges {
            self.shared.topology.add(bridge)?;
        }
        let link = self.shared.work.link(Instant::now() + START_PATIENCE).await?;
        self.shared.topology.declare_all(&link).await
    }

    async fn publish(&self, nudges: &[Nudge], patience: Duration) -> Vec<Published> {
        let answers = self.shared.publisher.publish(nudges, patience).await;
        if answers.contains(&Published::Unroutable) {
            // A queue is missing. The topology is renewed at once, and the next publication finds it.
            self.shared.work.suspect();
        }
        answers
    }

    /// Waits up to a quarter of the stall limit for the broker.
    async fn consume(&self, bridge: &BridgeId, options: &ConsumeOptions) -> Result<Box<dyn Consumer>, LaneError> {
        let consumer = consume::RabbitConsumer::start(Arc::clone(&self.shared), bridge, options).await?;
        Ok(Box::new(consumer))
    }

    /// Counts what waits in the queues; what a consumer has in hand is not among it.
    async fn depth(&self, bridge: &BridgeId) -> Result<Depth, LaneError> {
        let shared = &self.shared;
        let link = shared.work.link(shared.deadline()).await?;
        let channel = link.channel().await?;
        let ready = async |queue: String| -> Result<u64, LaneError> {
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
            let declared =
                link.bounded(channel.queue_declare(queue.clone().into(), passive, FieldTable::default())).await;
            declared
                .map(|queue| u64::from(queue.message_count()))
                .map_err(|error| LaneError(format!("queue {queue}: {error}")))
        };
        Ok(Depth {
            live: ready(shared.topology.queue(bridge, Lane::Live)).await?,
            bulk: ready(shared.topology.queue(bridge, Lane::Bulk)).await?,
            dead: ready(shared.topology.dead_queue(bridge)).await?,
        })
    }

    async fn tidy_dead(
        &self,
        bridge: &BridgeId,
        keep: &(dyn for<'a> Fn(&'a [RecordKey]) -> KeepFuture<'a> + Send + Sync),
    ) -> Result<u64, LaneError> {
        dead::tidy(&self.shared, bridge, keep).await
    }

    fn name(&self) -> &'static str {
        "rabbitmq"
    }
}
