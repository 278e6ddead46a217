//! The pollers: run the bridges' scans when they are due.
//!
//! Each job has a task that asks now and then; whether it is due, switched off or running in another copy is decided by
//! the job's lease in the database, never here.

use crate::contain::contained;
use std::time::Duration;
use tandem_core::{BridgeId, JobId};
use tandem_engine::{Engine, Publisher, ScanError};
use tandem_telemetry::metric::{self, Label, Metric};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts a task for each job. A job without a period of its own becomes due only if an operator gives it one.
pub(crate) fn start(
    tasks: &TaskTracker,
    check: Duration,
    engine: &Engine,
    publisher: &Publisher,
    stop: &CancellationToken,
) {
    for bridge in engine.register().iter() {
        let spec = bridge.spec();
        for job in &spec.jobs {
            let poller = Poller {
                engine: engine.clone(),
                publisher: publisher.clone(),
                bridge: spec.id.clone(),
                job: job.id.clone(),
                check: check.max(Duration::from_millis(1)),
            };
            tasks.spawn(poller.run(stop.clone()));
        }
    }
}

struct Poller {
    engine: Engine,
    publisher: Publisher,
    bridge: BridgeId,
    job: JobId,
    check: Duration,
}

impl Poller {
    async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let _ = contained(self.look(&stop)).await;
            stop.run_until_cancelled(tokio::time::sleep(self.check)).await;
        }
    }

    async fn look(&self, stop: &CancellationToken) {
        let (bridge, job) = (&self.bridge, &self.job);
        let ended = self.engine.scan(bridge, job, false, Some(&self.publisher), stop, &mut |_| {}).await;
        let outcome = match ended {
            Ok(None) => return,
            Ok(Some(scan)) if scan.incomplete => {
                tracing::warn!(%bridge, %job, seen = scan.seen, noticed = scan.noticed, "a scan could not read everything; its run in the ledger says what");
                "incomplete"
            }
            Ok(Some(scan)) => {
                tracing::info!(%bridge, %job, seen = scan.seen, noticed = scan.noticed, "a scan is done");
                "done"
            }
            Err(ScanError::Stopped) => return,
            Err(ScanError::Store(error)) => {
                tracing::debug!(%bridge, %job, %error, "the ledger can't be reached for a scan");
                return;
            }
            // The sentence is another system's and stays in the ledger: it may name a customer.
            Err(ScanError::Source(fault)) => {
                tracing::warn!(%bridge, %job, code = %fault.code, "a scan failed; it is tried again when it is next due");
                "failed"
            }
            Err(error @ (ScanError::UnknownJob { .. } | ScanError::UnknownBridge(_))) => {
                tracing::error!(%bridge, %job, %error, "a scan can't be run");
                "failed"
            }
        };
        metric::count(Metric::Scans, &[Label::Bridge(bridge.as_str()), Label::Outcome(outcome)], 1);
    }
}
