//! Looks after what nobody is waiting for: figures for people, dead letters that are none any more, old rows.

use crate::contain::contained;
use crate::ops;
use crate::settings::IngestSettings;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tandem_core::lane::{KeepFuture, Lanes};
use tandem_core::{BridgeId, KindId, RecordKey, SourceId, State};
use tandem_engine::Engine;
use tandem_store::{OpenWork, Retention, RowFilter, Store, StoreError};
use tandem_telemetry::metric::{self, Label, Metric};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const FIGURES_EVERY: Duration = Duration::from_secs(15);
/// Counting all rows by state costs more than the rest.
const COUNTS_EVERY: Duration = Duration::from_secs(300);
const LOG_EVERY: Duration = Duration::from_secs(3600);
const TIDY_DEAD_EVERY: Duration = Duration::from_secs(60);
const RETENTION_EVERY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn start(
    tasks: &TaskTracker,
    settings: &IngestSettings,
    engine: &Engine,
    lanes: &Arc<dyn Lanes>,
    stop: &CancellationToken,
) {
    let upkeep =
        Arc::new(Upkeep { engine: engine.clone(), lanes: lanes.clone(), retention: settings.retention.clone() });
    tasks.spawn(ops::tidy(stop.clone()));
    let (figures, counts, log, dead, old) = (upkeep.clone(), upkeep.clone(), upkeep.clone(), upkeep.clone(), upkeep);
    every(tasks, FIGURES_EVERY, stop, move || figures.clone().show_figures());
    every(tasks, COUNTS_EVERY, stop, move || counts.clone().show_counts());
    every(tasks, LOG_EVERY, stop, move || log.clone().log_figures());
    every(tasks, TIDY_DEAD_EVERY, stop, move || dead.clone().tidy_dead());
    every(tasks, RETENTION_EVERY, stop, move || old.clone().drop_old());
}

/// Runs `work` at once and then again and again, with `pause` between, until `stop`.
fn every<F, Fut>(tasks: &TaskTracker, pause: Duration, stop: &CancellationToken, work: F)
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let stop = stop.clone();
    tasks.spawn(async move {
        while !stop.is_cancelled() {
            stop.run_until_cancelled(contained(work())).await;
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    });
}

struct Upkeep {
    engine: Engine,
    lanes: Arc<dyn Lanes>,
    retention: Retention,
}

impl Upkeep {
    fn bridges(&self) -> Vec<BridgeId> {
        self.engine.register().iter().map(|bridge| bridge.spec().id.clone()).collect()
    }

    async fn show_figures(self: Arc<Self>) {
        for bridge in self.bridges() {
            let label = Label::Bridge(bridge.as_str());
            if let Ok(work) = self.engine.store().open_work(Some(&bridge), self.engine.now()).await {
                metric::set(Metric::Open, &[label], work.open as f64);
                metric::set(Metric::OldestOpen, &[label], self.age(&work) as f64);
                metric::set(Metric::Spooled, &[], work.spooled as f64);
            }
            if let Ok(depth) = self.lanes.depth(&bridge).await {
                for (lane, messages) in [("live", depth.live), ("bulk", depth.bulk), ("dead", depth.dead)] {
                    metric::set(Metric::LaneMessages, &[label, Label::Lane(lane)], messages as f64);
                }
            }
            let open = self.engine.circuits().is_open(&bridge);
            metric::set(Metric::CircuitOpen, &[label], f64::from(u8::from(open)));
        }
    }

    async fn show_counts(self: Arc<Self>) {
        let Ok(counts) = self.engine.store().counts().await else { return };
        let counted: BTreeMap<_, _> = counts.into_iter().map(|c| ((c.bridge, c.kind, c.state), c.count)).collect();
        for bridge in self.engine.register().iter() {
            let spec = bridge.spec();
            for (kind, state) in spec.kinds.iter().flat_map(|kind| State::ALL.iter().map(move |state| (kind, *state))) {
                let count = counted.get(&(spec.id.clone(), kind.id.clone(), state)).copied().unwrap_or_default();
                let labels =
                    [Label::Bridge(spec.id.as_str()), Label::Kind(kind.id.as_str()), Label::State(state.as_str())];
                metric::set(Metric::Records, &labels, count as f64);
            }
        }
    }

    async fn log_figures(self: Arc<Self>) {
        for bridge in self.bridges() {
            match self.engine.store().open_work(Some(&bridge), self.engine.now()).await {
                Ok(work) => self.log_one(&bridge, &work).await,
                Err(error) => tracing::warn!(%bridge, %error, "open work can't be counted"),
            }
        }
    }

    async fn log_one(&self, bridge: &BridgeId, work: &OpenWork) {
        let (open, in_work, spooled, oldest_s) = (work.open, work.leased, work.spooled, self.age(work));
        match self.lanes.depth(bridge).await {
            Ok(depth) => {
                tracing::info!(%bridge, open, in_work, spooled, oldest_s, live = depth.live, bulk = depth.bulk, dead = depth.dead, "open work");
            }
            Err(error) => {
                tracing::warn!(%bridge, open, in_work, spooled, oldest_s, %error, "open work; the lanes do not answer")
            }
        }
    }

    fn age(&self, work: &OpenWork) -> i64 {
        let oldest = work.oldest.into_iter().chain(work.spooled_since).min();
        oldest.map_or(0, |since| (self.engine.now() - since).num_seconds().max(0))
    }

    async fn tidy_dead(self: Arc<Self>) {
        let store = self.engine.store().clone();
        let keep = keeper(move |keys| {
            let store = store.clone();
            Box::pin(async move { still_dead(&store, keys).await })
        });
        for bridge in self.bridges() {
            match self.lanes.tidy_dead(&bridge, &keep).await {
                Ok(0) => {}
                Ok(gone) => {
                    tracing::info!(%bridge, gone, "dead letters of records that are not dead any more were dropped")
                }
                Err(error) => tracing::debug!(%bridge, %error, "the dead letters can't be looked through now"),
            }
        }
    }

    async fn drop_old(self: Arc<Self>) {
        if let Err(error) = self.engine.store().upkeep(self.engine.now(), &self.retention).await {
            tracing::warn!(%error, "old rows can't be dropped now; it is tried again tomorrow");
        }
    }
}

/// Says to the compiler that the closure takes keys of any lifetime.
fn keeper<F: for<'a> Fn(&'a [RecordKey]) -> KeepFuture<'a>>(keep: F) -> F {
    keep
}

/// For each record whether it is DEAD. A record that can't be looked up keeps its dead letter.
async fn still_dead(store: &Store, keys: &[RecordKey]) -> Vec<bool> {
    match dead_among(store, keys).await {
        Ok(dead) => keys.iter().map(|key| dead.contains(key)).collect(),
        Err(_) => vec![true; keys.len()],
    }
}

async fn dead_among(store: &Store, keys: &[RecordKey]) -> Result<HashSet<RecordKey>, StoreError> {
    let mut by_kind: BTreeMap<(BridgeId, KindId), Vec<SourceId>> = BTreeMap::new();
    for key in keys {
        by_kind.entry((key.bridge.clone(), key.kind.clone())).or_default().push(key.source_id.clone());
    }
    let mut dead = HashSet::new();
    for ((bridge, kind), source_ids) in by_kind {
        let limit = u32::try_from(source_ids.len()).unwrap_or(u32::MAX);
        let filter = RowFilter {
            bridge: Some(bridge),
            kind: Some(kind),
            states: vec![State::Dead],
            source_ids,
            limit,
            ..RowFilter::default()
        };
        dead.extend(store.rows(&filter).await?.into_iter().map(|row| row.key));
    }
    Ok(dead)
}
