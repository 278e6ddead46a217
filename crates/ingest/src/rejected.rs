//! Counts the calls that were turned away, per route.
//!
//! The routes are the bridges' own: a call to any other address is counted by the metric alone, so no caller decides what
//! is kept. Counting is done in memory and told to the ledger every few seconds, so that a flood of forged calls costs it
//! next to nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tandem_engine::{Engine, Register};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(2);
/// Calls that one flush tells the ledger of at most, over all routes; the others are told by the next ones.
const AT_ONCE: u32 = 100;

pub(crate) struct Rejections(BTreeMap<String, AtomicU64>);

impl Rejections {
    pub(crate) fn of(register: &Register) -> Self {
        let plain = register.iter().filter_map(|bridge| bridge.spec().webhooks.as_ref()).flat_map(|webhooks| {
            webhooks.routes.iter().chain(&["test"]).map(|route| route_name(webhooks.system, route))
        });
        let signed = register.iter().map(|bridge| route_name("signed", bridge.spec().id.as_str()));
        Self(plain.chain(signed).map(|route| (route, AtomicU64::new(0))).collect())
    }

    pub(crate) fn count(&self, route: &str) {
        if let Some(count) = self.0.get(route) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn tell(&self, engine: &Engine) {
        let mut left = AT_ONCE;
        for (route, count) in &self.0 {
            while left > 0 && count.load(Ordering::Relaxed) > 0 {
                if let Err(error) = engine.store().count_rejected(route).await {
                    tracing::debug!(%error, "rejected calls can't be counted now; they are counted later");
                    return;
                }
                count.fetch_sub(1, Ordering::Relaxed);
                left -= 1;
            }
        }
    }
}

/// The name of a route in the ledger and the metrics.
pub(crate) fn route_name(system: &str, route: &str) -> String {
    format!("{system}/{route}")
}

/// Tells the ledger now and then until `stop`, and once more then.
pub(crate) async fn flush(rejections: Arc<Rejections>, engine: Engine, stop: CancellationToken) {
    loop {
        let stopped = stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none();
        rejections.tell(&engine).await;
        if stopped {
            return;
        }
    }
}
