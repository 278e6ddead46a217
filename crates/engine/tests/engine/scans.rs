//! Scans: when one may start, and how it tells what it could not read.

use crate::support::{Bench, JOB};
use tandem_core::{Fault, State};
use tandem_engine::{Policy, ScanError, ScanSummary};
use tokio_util::sync::CancellationToken;

pub async fn scan(bench: &Bench, force: bool) -> Result<Option<ScanSummary>, ScanError> {
    let stop = CancellationToken::new();
    bench.engine.scan(&"copy".into(), &JOB.into(), force, None, &stop, &mut |_| {}).await
}

#[tokio::test]
async fn a_scan_does_not_start_while_the_circuit_is_open_unless_a_person_asks() {
    let bench = Bench::new(Policy::default()).await;
    bench.bridge.sides().scan_fault = Some(Fault::systemic("copy.login_refused", "the source refuses logins"));
    scan(&bench, false).await.unwrap_err();
    assert!(bench.engine.circuits().is_open(&"copy".into()));
    bench.bridge.sides().scan_fault = None;
    bench.clock.advance(chrono::TimeDelta::hours(1));
    assert_eq!(scan(&bench, false).await.unwrap(), None);
    // Another process sees it as well.
    let another = bench.another();
    let stop = CancellationToken::new();
    let theirs = another.scan(&"copy".into(), &JOB.into(), false, None, &stop, &mut |_| {}).await.unwrap();
    assert_eq!((theirs, bench.bridge.sides().scans), (None, 1));
    assert!(scan(&bench, true).await.unwrap().is_some());
    // Once the probe has closed the circuit, the scan is as due as it was.
    assert!(bench.engine.probe_if_due(&"copy".into()).await.unwrap());
    bench.clock.advance(chrono::TimeDelta::hours(1));
    assert!(scan(&bench, false).await.unwrap().is_some());
}

#[tokio::test]
async fn a_scan_with_gaps_says_that_it_is_incomplete() {
    let bench = Bench::new(Policy::default()).await;
    bench.noticed("1", "a").await;
    bench.settle("1").await;
    assert!(!scan(&bench, true).await.unwrap().unwrap().incomplete);
    bench.bridge.sides().gaps.push("the source does not list \"b\"".to_owned());
    let summary = scan(&bench, true).await.unwrap().unwrap();
    assert!(summary.incomplete);
    assert_eq!((summary.seen, summary.noticed), (1, 0));
    let runs = bench.store.runs(None, 1).await.unwrap();
    assert!(runs[0].error.as_deref().unwrap().contains("does not list"), "{runs:?}");
    assert_eq!(bench.row("1").await.state, State::Synced);
}
