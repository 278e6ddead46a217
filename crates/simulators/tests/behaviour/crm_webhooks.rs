//! Payamgostar's webhooks and their faults (payamgostar sheet §7.12, §7.13).

use crate::support::{Crm, Receiver, person};
use serde_json::json;
use std::time::Duration;
use tandem_simulators::{
    Arm, Fault, Latency,
    payamgostar::{Event, Events, Kind, Outcome, Settings, Webhook},
};

async fn crm_and_receiver() -> (Crm, Receiver) {
    let (crm, receiver) = (Crm::quick().await, Receiver::start().await);
    for code in ["person", "organization", "PI_5"] {
        crm.admin.set_webhook(code, Some(Webhook::to(&receiver.address))).unwrap();
    }
    (crm, receiver)
}

#[tokio::test]
async fn a_webhook_is_a_bare_get_with_four_parameters_and_plus_for_space() {
    let (crm, mut receiver) = crm_and_receiver().await;
    crm.admin.rename_type("person", "مخاطب حقیقی").unwrap();
    let id = crm.person().await;
    let head = receiver.next().await;
    let host = receiver.address.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let subtype = "%D9%85%D8%AE%D8%A7%D8%B7%D8%A8+%D8%AD%D9%82%DB%8C%D9%82%DB%8C";
    let expected = format!(
        "GET /webhook/crm?event=Insert&id={id}&type=Identity&subtype={subtype} HTTP/1.1\r\nHost: {host}\r\n\
         Connection: Keep-Alive\r\n\r\n"
    );
    assert_eq!(head, expected);
}

#[tokio::test]
async fn inserts_updates_and_deletes_are_reported_also_when_the_api_causes_them() {
    let (crm, mut receiver) = crm_and_receiver().await;
    let id = crm.person().await;
    let mut update = person();
    update["crmId"] = id.clone().into();
    crm.call("person/update", update).await;
    crm.call("person/delete", json!({ "id": id, "option": 1 })).await;
    for event in ["Insert", "Update", "Delete"] {
        assert_eq!(receiver.next_event().await, (event.to_owned(), id.clone()));
    }
}

#[tokio::test]
async fn a_type_without_an_address_and_a_masked_event_send_nothing() {
    let (crm, mut receiver) = crm_and_receiver().await;
    let only_updates = Events { insert: false, update: true, delete: false };
    crm.admin.set_webhook("person", Some(Webhook { address: receiver.address.clone(), events: only_updates })).unwrap();
    crm.admin.set_webhook("organization", None).unwrap();
    crm.create("organization", json!({ "crmObjectTypeCode": "organization", "nickName": "الف" })).await;
    let id = crm.person().await;
    crm.admin.touch(id.parse().unwrap()).unwrap();
    crm.admin.deliveries_drained().await;
    assert_eq!(receiver.next_event().await, ("Update".to_owned(), id));
    assert_eq!(receiver.unread(), 0);
}

#[tokio::test]
async fn a_quote_is_reported_as_type_quote() {
    let (crm, mut receiver) = crm_and_receiver().await;
    let identity = crm.admin.seed(Kind::Person, &person()).unwrap();
    crm.create("quote/sales", json!({ "crmObjectTypeCode": "PI_5", "identityId": identity })).await;
    assert!(receiver.next().await.contains("&type=Quote&"));
}

#[tokio::test]
async fn a_failing_receiver_gets_one_attempt_and_the_failure_is_only_counted() {
    let crm = Crm::quick().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    crm.admin.set_webhook("person", Some(Webhook::to(format!("http://{closed}/x")))).unwrap();
    crm.person().await;
    crm.admin.deliveries_drained().await;
    let deliveries = crm.admin.deliveries();
    assert_eq!(deliveries.len(), 1);
    assert!(matches!(deliveries[0].outcome, Outcome::Failed(_)), "{:?}", deliveries[0]);
}

#[tokio::test]
async fn webhooks_come_after_the_commit_with_a_delay() {
    let settings = Settings { webhook_delay: Latency::between(150, 200), ..Settings::quick() };
    let (crm, mut receiver) = (Crm::with(settings).await, Receiver::start().await);
    crm.admin.set_webhook("person", Some(Webhook::to(&receiver.address))).unwrap();
    let began = std::time::Instant::now();
    crm.person().await;
    assert_eq!(crm.admin.pending_deliveries(), 1);
    receiver.next().await;
    assert!(began.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_duplicated_delivery_arrives_twice() {
    let (crm, mut receiver) = crm_and_receiver().await;
    crm.admin.arm(Arm::once(Fault::DuplicateDelivery));
    let id = crm.person().await;
    assert_eq!(receiver.next_event().await, ("Insert".to_owned(), id.clone()));
    assert_eq!(receiver.next_event().await, ("Insert".to_owned(), id));
}

#[tokio::test]
async fn a_lost_delivery_never_arrives_and_is_in_the_log() {
    let (crm, mut receiver) = crm_and_receiver().await;
    crm.admin.arm(Arm::once(Fault::LoseDelivery));
    crm.person().await;
    let second = crm.person().await;
    assert_eq!(receiver.next_event().await.1, second);
    crm.admin.deliveries_drained().await;
    assert_eq!(receiver.unread(), 0);
    assert_eq!(crm.admin.deliveries()[0].outcome, Outcome::Lost);
}

#[tokio::test]
async fn a_reordered_insert_arrives_after_the_update() {
    let (crm, mut receiver) = crm_and_receiver().await;
    crm.admin.arm(Arm::once(Fault::ReorderDelivery).on("insert"));
    let id = crm.person().await;
    crm.admin.touch(id.parse().unwrap()).unwrap();
    assert_eq!(receiver.next_event().await, ("Update".to_owned(), id.clone()));
    assert_eq!(receiver.next_event().await, ("Insert".to_owned(), id));
}

#[tokio::test]
async fn a_reordered_delivery_without_a_follower_still_arrives() {
    let (crm, mut receiver) = crm_and_receiver().await;
    crm.admin.arm(Arm::once(Fault::ReorderDelivery));
    let id = crm.person().await;
    assert_eq!(receiver.next_event().await, ("Insert".to_owned(), id));
}

#[tokio::test]
async fn an_insert_can_be_followed_by_a_burst_of_updates_with_later_modify_dates() {
    let (crm, mut receiver) = crm_and_receiver().await;
    crm.admin.arm(Arm::once(Fault::BurstOfUpdates { count: 3 }).on("Insert"));
    let id = crm.person().await;
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(receiver.next_event().await.0);
    }
    assert_eq!(events, ["Insert", "Update", "Update", "Update"]);
    let object = crm.get("person", &id).await;
    assert_ne!(object["creatDate"], object["modifyDate"]);
}

#[tokio::test]
async fn an_object_can_be_reported_before_it_is_readable() {
    let (crm, mut receiver) = crm_and_receiver().await;
    crm.admin.arm(Arm::once(Fault::BeforeReadable { ms: 300 }));
    let id = crm.person().await;
    receiver.next().await;
    let find = || crm.call("person/find", json!({ "pageNumber": 1, "pageSize": 10 }));
    assert_eq!(crm.call("person/get", json!({ "id": id })).await.0, 404);
    assert_eq!(find().await.1["total"], 0);
    // The one thing under test here is the passing of time itself.
    tokio::time::timeout(Duration::from_secs(10), async {
        while crm.call("person/get", json!({ "id": id })).await.0 == 404 {}
    })
    .await
    .unwrap();
    assert_eq!(find().await.1["total"], 1);
}

#[tokio::test]
async fn a_renamed_type_reports_the_same_object_under_another_label() {
    let (crm, _receiver) = crm_and_receiver().await;
    let id = crm.person().await;
    crm.admin.rename_type("person", "مشتری").unwrap();
    crm.admin.touch(id.parse().unwrap()).unwrap();
    let labels: Vec<String> = crm.admin.deliveries().into_iter().map(|delivery| delivery.subtype).collect();
    assert_eq!(labels, ["مخاطب حقیقی", "مشتری"]);
}

#[tokio::test]
async fn seeding_is_silent_and_a_users_work_is_not() {
    let (crm, mut receiver) = crm_and_receiver().await;
    crm.admin.seed(Kind::Person, &person()).unwrap();
    let id = crm.admin.create(Kind::Person, &person()).unwrap();
    assert_eq!(receiver.next_event().await, ("Insert".to_owned(), id.to_string()));
    assert_eq!(crm.admin.deliveries().len(), 1);
    assert_eq!(crm.admin.deliveries()[0].event, Event::Insert);
}
