//! Many calls at once.

use crate::house::{FakeBridge, FakeLanes, House, ID, customer, sqlite};
use chrono::Utc;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use tandem_core::{Lane, Notice, Trigger};
use tandem_store::{InboxEntry, Options, Store};
use uuid::Uuid;

const CALLS: usize = 10_000;
const SENDERS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_for_one_record_are_one_row_and_few_nudges() {
    let url = tandem_testbed::postgres::shared_database().await.unwrap();
    let store = Store::connect(&url, Options::default()).await.unwrap();
    store.migrate().await.unwrap();
    let mut house = House::over(store, FakeBridge::new("siagh", None), Arc::default(), |_| {});
    // A broker that is slower than the callers.
    let slow = house.lanes.gate.lock().await;
    let statuses: Vec<u16> = stream::iter(0..CALLS).map(|_| house.notice(ID)).buffer_unordered(SENDERS).collect().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    house.all_entered().await;
    drop(slow);

    house.lanes.takes(&customer(ID)).await;
    let row = house.row(ID).await.unwrap();
    assert_eq!((row.noticed, row.settled), (CALLS as i64, 0));
    assert_eq!(house.store.counts().await.unwrap().len(), 1);
    house.counted("crm/identity", CALLS as u64, 0).await;
    house.stopped().await;
    let nudges = house.lanes.keys().len();
    assert!(nudges < CALLS / 500, "{nudges} nudges say what one says");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_records_at_once_are_all_there_and_all_published() {
    let house = House::start(|_| {}).await;
    let ids: Vec<String> = (0..500).map(|_| Uuid::new_v4().to_string()).collect();
    let statuses: Vec<u16> = stream::iter(&ids).map(|id| house.notice(id)).buffer_unordered(SENDERS).collect().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    for id in &ids {
        house.lanes.takes(&customer(id)).await;
    }
    assert_eq!(house.store.counts().await.unwrap()[0].count, 500);
}

#[tokio::test]
async fn what_was_answered_for_before_a_stop_is_stored_and_published() {
    let lanes = Arc::new(FakeLanes::default());
    let mut house = House::with(FakeBridge::new("siagh", None), lanes.clone(), |_| {}).await;
    let ids: Vec<String> = (0..50).map(|_| Uuid::new_v4().to_string()).collect();
    for id in &ids {
        assert_eq!(house.notice(id).await, 200);
    }
    house.stopped().await;
    let published = lanes.keys();
    for id in &ids {
        assert!(house.row(id).await.is_some());
        assert!(published.contains(&customer(id)), "{id} was not published");
    }
    assert!(house.client.get(house.url("/health")).send().await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_crowd_is_answered_at_once_and_is_in_the_ledger_and_the_lanes_soon_after() {
    let mut house = House::start(|s| s.accept.crowd = 0).await;
    let ids: Vec<String> = (0..50).map(|_| Uuid::new_v4().to_string()).collect();
    let statuses: Vec<u16> = stream::iter(&ids).map(|id| house.notice(id)).buffer_unordered(SENDERS).collect().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    for id in &ids {
        house.lanes.takes(&customer(id)).await;
        assert_eq!(house.row(id).await.unwrap().noticed, 1);
    }
    house.counted("crm/identity", 50, 0).await;
    assert_eq!(house.events().await.len(), 50);
    house.stopped().await;
}

#[tokio::test]
async fn what_a_crowd_was_answered_for_before_a_stop_is_entered_and_published() {
    let lanes = Arc::new(FakeLanes::default());
    let mut house = House::with(FakeBridge::new("siagh", None), lanes.clone(), |s| s.accept.crowd = 0).await;
    let ids: Vec<String> = (0..300).map(|_| Uuid::new_v4().to_string()).collect();
    let statuses: Vec<u16> = stream::iter(&ids).map(|id| house.notice(id)).buffer_unordered(SENDERS).collect().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    house.stopped().await;
    assert_eq!(house.store.leftovers(Utc::now()).await.unwrap().len(), 300, "open records, and no call in the spool");
    let published = lanes.keys();
    assert!(ids.iter().all(|id| published.contains(&customer(id))));
}

#[tokio::test]
async fn what_an_earlier_run_left_in_the_spool_is_entered_by_the_next() {
    let (store, _folder) = sqlite().await;
    let mut house = House::over(store.clone(), FakeBridge::new("siagh", None), Arc::default(), |_| {});
    house.stopped().await;
    let call = InboxEntry {
        id: Uuid::now_v7(),
        route: "crm/identity".into(),
        remote: "192.0.2.1".into(),
        event: None,
        kind_word: None,
        label: None,
        notice: Some(Notice {
            key: customer(ID),
            hint: None,
            trigger: Trigger::Webhook,
            actor: "crm".into(),
            lane: Lane::Live,
        }),
        note: None,
    };
    store.spool(&[call], Utc::now()).await.unwrap();
    let next = House::over(store, FakeBridge::new("siagh", None), Arc::default(), |_| {});
    next.lanes.takes(&customer(ID)).await;
    assert_eq!(next.row(ID).await.unwrap().noticed, 1);
}
