//! What a webhook call that is let in does.

use crate::house::{House, ID, SOON, TOKEN, customer};
use tandem_core::{Lane, State, Trigger};
use tandem_testbed::signal::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn the_crms_own_call_is_noticed_and_published() {
    let house = House::start(|_| {}).await;
    // Byte for byte as in payamgostar sheet §3: no User-Agent, no body, `+` for a space, Persian subtype.
    let call = format!(
        "GET /webhook/crm/identity/{TOKEN}?event=Update&id={ID}&type=Identity&subtype=%D9%85%D8%AE%D8%A7%D8%B7%D8%A8+%D8%AD%D9%82%DB%8C%D9%82%DB%8C+%D9%86%D9%85%D9%88%D9%86%D9%87 HTTP/1.1\r\nHost: receiver:3000\r\n\r\n"
    );
    let answer = raw(&house, call.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    house.lanes.takes(&customer(ID)).await;
    let row = house.row(ID).await.unwrap();
    assert_eq!((row.noticed, row.settled, row.state), (1, 0, State::Pending));
    assert_eq!((row.trigger, row.lane, row.actor.as_str()), (Trigger::Webhook, Lane::Live, "crm"));
    assert_eq!(row.hint.as_deref(), Some("person"));
    let event = house.events().await.remove(0);
    assert_eq!((event.route.as_str(), event.remote.as_str()), ("crm/identity", "127.0.0.1"));
    assert_eq!(event.label.as_deref(), Some("مخاطب حقیقی نمونه"));
    assert_eq!(event.key, Some(customer(ID)));
}

#[tokio::test]
async fn a_call_that_closes_its_connection_is_answered_too() {
    let house = House::start(|_| {}).await;
    let call = format!("GET /webhook/crm/identity/{TOKEN}?event=Insert&id={ID}&type=Identity HTTP/1.0\r\n\r\n");
    let answer = raw(&house, call.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(house.row(ID).await.is_some());
}

/// Sends bytes and reads the head of the answer.
async fn raw(house: &House, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(house.addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    within(SOON, async {
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            assert_ne!(
                stream.read_buf(&mut answer).await.unwrap(),
                0,
                "closed after {:?}",
                String::from_utf8_lossy(&answer)
            );
        }
    })
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_renamed_subtype_is_noticed_all_the_same() {
    let house = House::start(|_| {}).await;
    for label in ["مشتریان+ویژه", "", "%F0%9F%98%80"] {
        let (status, _) = house
            .get(&format!("/webhook/crm/identity/{TOKEN}?event=Update&id={ID}&type=Identity&subtype={label}"))
            .await;
        assert_eq!(status, 200);
    }
    assert_eq!(house.row(ID).await.unwrap().noticed, 3);
}

#[tokio::test]
async fn an_unknown_type_is_answered_well_and_kept_as_ignored() {
    let house = House::start(|_| {}).await;
    let (status, body) = house.get(&format!("/webhook/crm/identity/{TOKEN}?event=Update&id={ID}&type=Ticket")).await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"ignored","reason":"the type is not synced"}"#));
    let event = house.events().await.remove(0);
    assert_eq!((event.key, event.note.as_deref()), (None, Some("the type is not synced")));
    assert_eq!(house.store.counts().await.unwrap(), []);
}

#[tokio::test]
async fn a_missing_or_odd_id_gets_one_clear_line_and_nothing_is_stored() {
    let house = House::start(|_| {}).await;
    for (id, line) in [("", "missing"), ("&id=", "missing"), ("&id=42", "not a GUID"), ("&id=%ff%00%fe", "not a GUID")]
    {
        let (status, body) = house.get(&format!("/webhook/crm/identity/{TOKEN}?event=Update&type=Identity{id}")).await;
        assert_eq!(status, 400, "{body}");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(line), "{body}");
    }
    house.counted("crm/identity", 0, 4).await;
    assert_eq!(house.events().await, []);
    assert_eq!(house.store.counts().await.unwrap(), []);
}

#[tokio::test]
async fn a_post_may_carry_the_parameters_as_a_form_or_as_json() {
    let house = House::start(|_| {}).await;
    let form =
        house.client.post(house.hook("identity")).body(format!("event=Update&id={ID}&type=Identity&subtype=a+b"));
    assert_eq!(House::read(form).await.0, 200);
    let json = format!(r#"{{"Event":1,"ID":"{ID}","type":"Identity"}}"#);
    assert_eq!(House::read(house.client.post(house.hook("identity")).body(json)).await.0, 200);
    let in_the_query =
        house.client.post(format!("{}?id={ID}&type=Identity", house.hook("identity"))).body("{{{ not read");
    assert_eq!(House::read(in_the_query).await.0, 200);
    assert_eq!(house.row(ID).await.unwrap().noticed, 3);
    assert_eq!(house.events().await[1].event.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_body_that_makes_no_sense_gets_a_line_and_never_a_failure() {
    let house = House::start(|_| {}).await;
    let deep = format!("{{\"a\":{}", "[".repeat(200_000));
    for body in
        [&b"{\"id\":"[..], &b"{\"id\":\"\xff\xfe\"}"[..], &b"[1,2]"[..], &b"\xff\xfe\x00\x01"[..], deep.as_bytes()]
    {
        let (status, answer) = House::read(house.client.post(house.hook("identity")).body(body.to_vec())).await;
        assert_eq!(status, 400, "{answer}");
    }
    assert_eq!(house.events().await, []);
    assert_eq!(house.notice(ID).await, 200);
}

#[tokio::test]
async fn head_and_options_are_answered_without_effect() {
    let house = House::start(|_| {}).await;
    for method in [reqwest::Method::HEAD, reqwest::Method::OPTIONS] {
        let call =
            house.client.request(method, format!("{}?event=Update&id={ID}&type=Identity", house.hook("identity")));
        assert_eq!(House::read(call).await, (200, String::new()));
    }
    assert_eq!(house.events().await, []);
}

#[tokio::test]
async fn the_test_route_records_the_call_and_does_nothing() {
    let house = House::start(|_| {}).await;
    assert_eq!(house.get(&format!("/webhook/crm/test/{TOKEN}")).await.0, 200);
    let event = house.events().await.remove(0);
    assert_eq!((event.route.as_str(), event.note.as_deref()), ("crm/test", Some("a test call")));
    assert_eq!(house.store.counts().await.unwrap(), []);
}

#[tokio::test]
async fn a_bridge_that_panics_over_a_call_costs_that_call_only() {
    let house = House::start(|_| {}).await;
    let (status, _) = house.get(&format!("/webhook/crm/identity/{TOKEN}?event=Explode&id={ID}&type=Identity")).await;
    assert_eq!(status, 503);
    assert_eq!(house.notice(ID).await, 200);
}
