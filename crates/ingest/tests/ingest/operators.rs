//! What operators ask.

use crate::house::{FakeBridge, FakeLanes, House, ID, SOON, TOKEN, sqlite};
use chrono::{TimeDelta, Utc};
use std::sync::Arc;
use tandem_core::lane::Lanes;
use tandem_core::{Actor, Lane, Notice, RecordKey, Trigger};
use tandem_ingest::ops_server;
use tandem_testbed::signal::{eventually, within};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn health_says_who_is_alive_and_since_when_the_answer_is() {
    let house = House::start(|_| {}).await;
    let (status, body) = house.get("/health").await;
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &health["status"], &health["service"]), (200, &"ok".into(), &"tandem-ingest".into()));
    assert!(chrono::DateTime::parse_from_rfc3339(health["timestamp"].as_str().unwrap()).is_ok());
}

#[tokio::test]
async fn ready_tells_what_is_there() {
    let house = House::start(|_| {}).await;
    let (status, body) = house.get("/ready").await;
    assert_eq!(status, 200, "{body}");
    let ready: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(ready["lanes"], serde_json::json!({"ok": true, "kind": "fake"}));
    assert_eq!(ready["migrations"]["ok"], true);
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_and_still_ready() {
    let house = House::start(|_| {}).await;
    house.lanes.away.store(true, std::sync::atomic::Ordering::SeqCst);
    let (status, body) = house.get("/ready").await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#""lanes":{"ok":false"#), "{body}");
}

#[tokio::test]
async fn metrics_count_calls_by_route_and_show_open_work() {
    let house = House::start(|_| {}).await;
    assert_eq!(house.notice(ID).await, 200);
    house.get("/webhook/crm/quote/wrong").await;
    let body = eventually(SOON, || async {
        let (_, body) = house.get("/metrics").await;
        (body.contains("tandem_open_records{") && body.contains("tandem_records{")).then_some(body)
    })
    .await;
    assert!(body.contains(r#"tandem_webhooks_total{route="crm/identity",outcome="accepted"}"#), "{body}");
    assert!(body.contains(r#"tandem_webhooks_total{route="crm/quote",outcome="refused"}"#), "{body}");
    assert!(!body.contains(TOKEN) && !body.contains(ID), "{body}");
}

#[tokio::test]
async fn metrics_show_how_deep_each_lane_is_and_how_old_the_oldest_open_record() {
    let (store, _folder) = sqlite().await;
    let (key, seen_at) = (RecordKey::new("figures", "customer", ID), Utc::now() - TimeDelta::minutes(10));
    let (trigger, actor) = (Trigger::Webhook, Actor::new("test"));
    store.notice(&[Notice { key, hint: None, trigger, actor, lane: Lane::Bulk }], seen_at).await.unwrap();
    let lanes = Arc::new(FakeLanes::default());
    lanes.waiting.store(7, std::sync::atomic::Ordering::SeqCst);
    let house = House::over(store, FakeBridge::new("figures", None), lanes, |_| {});
    let figure = |body: &str, name: &str| -> Option<f64> {
        body.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    eventually(SOON, || async {
        let (_, body) = house.get("/metrics").await;
        let oldest = figure(&body, r#"tandem_oldest_open_seconds{bridge="figures"}"#)?;
        let lane = |lane: &str| figure(&body, &format!(r#"tandem_lane_messages{{bridge="figures",lane="{lane}"}}"#));
        assert!((600.0..900.0).contains(&oldest), "{oldest}");
        assert_eq!([lane("live")?, lane("bulk")?, lane("dead")?], [7.0, 0.0, 0.0]);
        (figure(&body, r#"tandem_open_records{bridge="figures"}"#)? == 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn another_role_answers_the_same_questions_on_a_port_of_its_own_and_takes_no_webhooks() {
    let house = House::start(|_| {}).await;
    let lanes: Arc<dyn Lanes> = house.lanes.clone();
    let server = ops_server(([127, 0, 0, 1], 0).into(), "tandem-worker", house.engine.clone(), lanes).unwrap();
    let (addr, stop) = (server.addr(), CancellationToken::new());
    let running = tokio::spawn(server.run_until_stopped(stop.clone()));
    let ask = |path: &str| House::read(house.client.get(format!("http://{addr}{path}")));
    assert!(ask("/health").await.1.contains("tandem-worker"));
    assert_eq!(ask("/ready").await.0, 200);
    assert_eq!(ask("/metrics").await.0, 200);
    assert_eq!(ask(&format!("/webhook/crm/identity/{TOKEN}")).await.0, 404);
    stop.cancel();
    within(SOON, running).await.unwrap().unwrap();
}
