//! The pollers.

use crate::house::{FakeBridge, FakeLanes, House, SOON, customer, sqlite};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tandem_core::Fault;
use tandem_core::bridge::ScanPage;
use tandem_core::ledger::Sighting;
use tandem_testbed::signal::eventually;

const OFTEN: Duration = Duration::from_millis(1);
const RARELY: Duration = Duration::from_secs(3600);

fn page(id: &str) -> ScanPage {
    let seen = Sighting { kind: "customer".into(), source_id: id.into(), hint: None, checksum: None };
    ScanPage { sightings: vec![seen], ..ScanPage::default() }
}

fn polled(every: Duration, pages: Vec<Result<ScanPage, Fault>>) -> FakeBridge {
    let bridge = FakeBridge::new("siagh", Some(every));
    bridge.pages.lock().unwrap().extend(pages);
    bridge
}

#[tokio::test]
async fn a_scan_that_is_due_runs_and_what_it_notices_is_published() {
    let house = House::with(polled(RARELY, vec![Ok(page("1"))]), Arc::default(), |_| {}).await;
    house.lanes.takes(&customer("1")).await;
}

#[tokio::test]
async fn a_scan_that_fails_is_tried_again_at_its_next_time() {
    let fault = Fault::transient("crm.broken", "the source said no");
    let house = House::with(polled(OFTEN, vec![Err(fault), Ok(page("1"))]), Arc::default(), |_| {}).await;
    house.lanes.takes(&customer("1")).await;
    let runs = house.store.runs(None, 10).await.unwrap();
    assert!(runs.iter().any(|run| run.error.as_deref().is_some_and(|e| e.contains("the source said no"))), "{runs:?}");
}

#[tokio::test]
async fn of_two_copies_only_one_polls() {
    let (store, _folder) = sqlite().await;
    let first = House::over(store.clone(), polled(RARELY, vec![]), Arc::new(FakeLanes::default()), |_| {});
    let second = House::over(store, polled(RARELY, vec![]), Arc::new(FakeLanes::default()), |_| {});
    eventually(SOON, || async { (!first.store.runs(None, 10).await.unwrap().is_empty()).then_some(()) }).await;
    // Both have looked several times when a call has gone through each.
    for house in [&first, &second] {
        for _ in 0..5 {
            assert_eq!(house.notice(crate::house::ID).await, 200);
        }
    }
    let scans = |house: &House| house.bridge.scans.load(Ordering::SeqCst);
    assert_eq!(scans(&first) + scans(&second), 1);
}
