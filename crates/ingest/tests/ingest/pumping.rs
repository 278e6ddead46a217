//! The pump's sweep.

use crate::house::{FakeBridge, FakeLanes, House, ID, SOON, customer, sqlite};
use chrono::{TimeDelta, Utc};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tandem_core::{Actor, Lane, Notice, RecordKey, Trigger};
use tandem_store::{Circuit, Store};
use tandem_testbed::signal::eventually;

fn notice(key: RecordKey, lane: Lane) -> Notice {
    Notice { key, hint: None, trigger: Trigger::Poll, actor: Actor::new("tandem"), lane }
}

/// Notices records and forgets the nudges, as a process does that dies after its commit.
async fn notice_and_die(store: &Store, keys: &[RecordKey], lane: Lane) {
    let notices: Vec<_> = keys.iter().map(|key| notice(key.clone(), lane)).collect();
    store.notice(&notices, Utc::now() - TimeDelta::seconds(60)).await.unwrap();
}

#[tokio::test]
async fn bulk_work_that_nobody_published_is_swept_up() {
    let house = House::start(|_| {}).await;
    notice_and_die(&house.store, &[customer("1"), customer("2")], Lane::Bulk).await;
    house.lanes.takes(&customer("1")).await;
    house.lanes.takes(&customer("2")).await;
}

#[tokio::test]
async fn a_nudge_that_got_lost_is_published_again_once_its_lane_is_empty() {
    let lanes = Arc::new(FakeLanes::default());
    lanes.waiting.store(7, Ordering::SeqCst);
    let house = House::with(FakeBridge::new("siagh", None), lanes.clone(), |_| {}).await;
    notice_and_die(&house.store, &[customer("lost")], Lane::Live).await;
    // A later call shows that the pump has been at work meanwhile.
    assert_eq!(house.notice(ID).await, 200);
    lanes.takes(&customer(ID)).await;
    assert_eq!(lanes.keys(), [], "the lane holds messages: the nudge may be among them");
    lanes.waiting.store(0, Ordering::SeqCst);
    lanes.takes(&customer("lost")).await;
}

#[tokio::test]
async fn a_nudge_that_is_too_old_is_published_again_whatever_its_lane_holds() {
    let lanes = Arc::new(FakeLanes::default());
    lanes.waiting.store(7, Ordering::SeqCst);
    let house =
        House::with(FakeBridge::new("siagh", None), lanes, |s| s.pump.republish_after = TimeDelta::seconds(30)).await;
    notice_and_die(&house.store, &[customer("lost")], Lane::Live).await;
    house.lanes.takes(&customer("lost")).await;
}

#[tokio::test]
async fn a_paused_bridge_is_left_alone_and_goes_on_when_its_circuit_closes() {
    let house = House::start(|_| {}).await;
    let now = Utc::now();
    let circuit = Circuit {
        bridge: "siagh".into(),
        reason: "away".into(),
        code: "test.away".into(),
        opened_at: now,
        probe_at: now + TimeDelta::hours(1),
        failures: 1,
    };
    house.store.open_circuit(&circuit).await.unwrap();
    house.engine.circuits().refresh().await.unwrap();
    assert_eq!(house.notice(ID).await, 200);
    notice_and_die(&house.store, &[customer("1")], Lane::Bulk).await;
    assert_eq!(house.lanes.keys(), []);
    house.store.close_circuit(&"siagh".into()).await.unwrap();
    house.lanes.takes(&customer(ID)).await;
    house.lanes.takes(&customer("1")).await;
}

#[tokio::test]
async fn work_of_a_bridge_that_does_not_run_here_is_left_alone() {
    let (store, _folder) = sqlite().await;
    let foreign = RecordKey::new("elsewhere", "customer", "1");
    notice_and_die(&store, std::slice::from_ref(&foreign), Lane::Bulk).await;
    let house = House::over(store, FakeBridge::new("siagh", None), Arc::default(), |_| {});
    notice_and_die(&house.store, &[customer("1")], Lane::Bulk).await;
    house.lanes.takes(&customer("1")).await;
    assert!(!house.lanes.keys().contains(&foreign));
}

#[tokio::test]
async fn the_lanes_are_declared_at_the_start() {
    let house = House::start(|_| {}).await;
    let declared = || async { (*house.lanes.prepared.lock().unwrap() == ["siagh".into()]).then_some(()) };
    eventually(SOON, declared).await;
}
