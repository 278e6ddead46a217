//! Starting a bridge's scan from the command line, also when another process is running the same one just now.

use crate::progress::Progress;
use anyhow::bail;
use std::time::{Duration, Instant};
use tandem_core::{BridgeId, JobId};
use tandem_engine::{Engine, Publisher, ScanProgress, ScanSummary};
use tokio_util::sync::CancellationToken;

/// How often a busy job is asked for again.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Runs a scan from its beginning or its last place, with progress. While another process runs it, waits for that to end:
/// it may have passed by what has changed since.
///
/// # Errors
/// When it fails, is stopped, or is still running elsewhere after `patience`.
pub async fn run(
    engine: &Engine,
    publisher: &Publisher,
    bridge: &BridgeId,
    job: &JobId,
    patience: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<ScanSummary> {
    let since = Instant::now();
    let mut progress = Progress::new("reading");
    loop {
        let mut tell = |at: &ScanProgress| progress.say(at.seen, at.total, &format!("{} to look at", at.noticed));
        let ended = engine.scan(bridge, job, true, Some(publisher), stop, &mut tell).await;
        if !matches!(ended, Ok(None)) {
            progress.finish();
        }
        match ended {
            Ok(Some(summary)) => return Ok(summary),
            Ok(None) if since.elapsed() > patience => bail!("another process is still running {bridge} {job}"),
            Ok(None) => {}
            Err(error) => return Err(error.into()),
        }
        if stop.run_until_cancelled(tokio::time::sleep(ASK_EVERY)).await.is_none() {
            bail!("stopped; another process is still running {bridge} {job}");
        }
    }
}
