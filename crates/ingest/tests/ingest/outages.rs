//! Days on which the broker or the database is away.

use crate::house::{FakeBridge, FakeLanes, House, ID, SOON, customer};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tandem_store::{Options, Store};
use tandem_testbed::postgres::Postgres;
use tandem_testbed::signal::{eventually, within};
use uuid::Uuid;

#[tokio::test]
async fn with_the_broker_down_calls_are_accepted_and_published_when_it_is_back() {
    let lanes = Arc::new(FakeLanes::default());
    lanes.away.store(true, Ordering::SeqCst);
    let house = House::with(FakeBridge::new("siagh", None), lanes.clone(), |_| {}).await;
    let ids: Vec<String> = (0..30).map(|_| Uuid::new_v4().to_string()).collect();
    for id in &ids {
        assert_eq!(house.notice(id).await, 200);
    }
    assert_eq!(house.get("/ready").await.0, 200);
    lanes.away.store(false, Ordering::SeqCst);
    for id in &ids {
        lanes.takes(&customer(id)).await;
    }
}

#[tokio::test]
async fn with_the_database_killed_calls_are_turned_away_quickly_and_taken_again_after_its_restart() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let store = Store::connect(&url, Options::default()).await.unwrap();
    store.migrate().await.unwrap();
    let house = House::over(store, FakeBridge::new("siagh", None), Arc::default(), |s| {
        s.accept.patience = Duration::from_millis(500);
    });
    assert_eq!(house.notice(ID).await, 200);
    assert_eq!(house.get("/ready").await.0, 200);

    server.kill().await;
    let lost = Uuid::new_v4().to_string();
    // Many at once: nobody waits for the others' time to run out.
    let statuses = within(SOON, join_all((0..300).map(|_| house.notice(&lost)))).await;
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    eventually(SOON, || async { (house.get("/ready").await.0 == 503).then_some(()) }).await;
    assert_eq!(house.get("/health").await.0, 200);

    server.restart().await.unwrap();
    let kept = Uuid::new_v4().to_string();
    eventually(SOON, || async { (house.notice(&kept).await == 200).then_some(()) }).await;
    assert!(house.row(&kept).await.is_some());
    assert!(house.row(&lost).await.is_none(), "what was answered with 503 must not be half kept");
    house.lanes.takes(&customer(&kept)).await;
    eventually(SOON, || async { (house.get("/ready").await.0 == 200).then_some(()) }).await;
}

#[tokio::test]
async fn a_database_that_is_not_migrated_turns_calls_away_and_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::connect(&format!("sqlite://{}", folder.path().join("empty.db").display()), Options::default())
        .await
        .unwrap();
    let house = House::over(store, FakeBridge::new("siagh", None), Arc::default(), |_| {});
    assert_eq!(house.notice(ID).await, 503);
    let (status, body) = house.get("/ready").await;
    assert_eq!(status, 503);
    assert!(body.contains("tandem migrate"), "{body}");
}

#[tokio::test]
async fn a_call_that_the_database_refuses_does_not_take_its_neighbours_with_it() {
    let url = tandem_testbed::postgres::shared_database().await.unwrap();
    let store = Store::connect(&url, Options::default()).await.unwrap();
    store.migrate().await.unwrap();
    let house = House::over(store, FakeBridge::new("siagh", None), Arc::default(), |s| s.accept.crowd = usize::MAX);
    let ids: Vec<String> = (0..40).map(|_| Uuid::new_v4().to_string()).collect();
    let calls = ids.iter().enumerate().map(|(place, id)| {
        let label = if place == 20 { "poison" } else { "fine" };
        let url = format!("{}?event=Update&id={id}&type=Identity&subtype={label}", house.hook("identity"));
        House::read(house.client.get(url))
    });
    let statuses: Vec<u16> = within(SOON, join_all(calls)).await.into_iter().map(|(status, _)| status).collect();
    for (place, (id, status)) in ids.iter().zip(statuses).enumerate() {
        assert_eq!(status, if place == 20 { 503 } else { 200 }, "call {place}");
        assert_eq!(house.row(id).await.is_some(), place != 20);
    }
}

#[tokio::test]
async fn a_caller_who_never_finishes_its_body_is_let_go() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let house = House::start(|s| s.http.patience = Duration::from_millis(300)).await;
    let mut stream = tokio::net::TcpStream::connect(house.addr).await.unwrap();
    let head = format!(
        "POST /webhook/crm/identity/{} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{",
        crate::house::TOKEN
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let read = within(SOON, stream.read(&mut answer)).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 408 "), "{:?}", String::from_utf8_lossy(&answer[..read]));
}
