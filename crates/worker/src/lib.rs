//! The worker role: takes nudges from the lanes and lets the engine work on their records.
//!
//! It decides nothing about a record. It keeps the bridge's cap on concurrency, pauses while a circuit is open,
//! acknowledges after the outcome is committed, and on a stop finishes or gives back what it holds.

mod lane;

use lane::BridgeLane;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::lane::Lanes;
use tandem_engine::{Engine, Publisher};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a stop waits for records in hand before it gives them back (default 20 s; container runtimes kill after 30 s).
    pub grace: Duration,
    /// How often the circuits are read and probed (default 1 s).
    pub circuit_check: Duration,
    /// The wait before a broken consumer is made anew (default 1 s).
    pub reconsume_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(20),
            circuit_check: Duration::from_secs(1),
            reconsume_after: Duration::from_secs(1),
        }
    }
}

pub struct Worker {
    engine: Engine,
    lanes: Arc<dyn Lanes>,
    publisher: Publisher,
    settings: Settings,
}

impl Worker {
    pub fn new(engine: Engine, lanes: Arc<dyn Lanes>, publisher: Publisher, settings: Settings) -> Self {
        Self { engine, lanes, publisher, settings }
    }

    /// Works until `stop` is cancelled, then finishes what is in hand (at most `grace`) and returns.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for bridge in self.engine.register().iter() {
            let lane = BridgeLane {
                engine: self.engine.clone(),
                lanes: self.lanes.clone(),
                publisher: self.publisher.clone(),
                settings: self.settings.clone(),
                bridge: bridge.spec().id.clone(),
                options: bridge.spec().consume_options(),
            };
            tasks.spawn(lane.run(stop.clone()));
        }
        tasks.close();
        tasks.wait().await;
    }
}
