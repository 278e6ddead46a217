//! Counts how calls ended, per route.
//!
//! The routes are the bridges' own: a call to any other address is counted by the metric alone, so no caller decides what
//! is kept. Counting is done in memory and told to the ledger every few seconds: a counter that every accepted call had to
//! change would make commits wait for each other, and a flood of forged calls costs the ledger next to nothing. What was
//! not told yet is lost with a process that is killed; the calls themselves are not.

use crate::answer::Answer;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tandem_engine::{Engine, Register};
use tandem_store::WebhookRoute;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(2);

/// What is not told yet.
pub(crate) struct Tally(BTreeMap<String, Mutex<WebhookRoute>>);

impl Tally {
    pub(crate) fn of(register: &Register) -> Self {
        let plain = register.iter().filter_map(|bridge| bridge.spec().webhooks.as_ref()).flat_map(|webhooks| {
            webhooks.routes.iter().chain(&["test"]).map(|route| route_name(webhooks.system, route))
        });
        let signed = register.iter().map(|bridge| route_name("signed", bridge.spec().id.as_str()));
        Self(plain.chain(signed).map(|route| (route.clone(), Mutex::new(WebhookRoute::silent(route)))).collect())
    }

    pub(crate) fn count(&self, route: &str, answer: &Answer, now: DateTime<Utc>) {
        let Some(count) = self.0.get(route) else { return };
        let mut count = held(count);
        match answer {
            Answer::Accepted => (count.accepted, count.last_at) = (count.accepted + 1, Some(now)),
            Answer::Ignored(_) => (count.ignored, count.last_at) = (count.ignored + 1, Some(now)),
            refused if refused.is_rejection() => count.rejected += 1,
            _ => {}
        }
    }

    async fn tell(&self, engine: &Engine) {
        let take = |(route, count): (&String, &Mutex<WebhookRoute>)| {
            std::mem::replace(&mut *held(count), WebhookRoute::silent(route.clone()))
        };
        let counts: Vec<WebhookRoute> = self.0.iter().map(take).filter(|count| !count.is_silent()).collect();
        if let Err(error) = engine.store().count_calls(&counts).await {
            tracing::debug!(%error, "calls can't be counted now; they are counted later");
            for count in &counts {
                held(&self.0[&count.route]).add(count);
            }
        }
    }
}

/// Counters are whole after any panic: each change to them is one assignment.
fn held(count: &Mutex<WebhookRoute>) -> MutexGuard<'_, WebhookRoute> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of a route in the ledger and the metrics.
pub(crate) fn route_name(system: &str, route: &str) -> String {
    format!("{system}/{route}")
}

/// Tells the ledger now and then until `stop`, and once more then.
pub(crate) async fn flush(tally: Arc<Tally>, engine: Engine, stop: CancellationToken) {
    loop {
        let stopped = stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none();
        tally.tell(&engine).await;
        if stopped {
            return;
        }
    }
}
