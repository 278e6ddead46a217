//! The signed intake.

use crate::house::{House, ID, SECRET, customer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tandem_core::Trigger;

fn sign(secret: &[u8], content: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(content.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

fn body(id: &str) -> String {
    format!(r#"{{"id": "{id}",  "kind": "customer", "source_id": "{ID}", "event": "Update", "timestamp": 1}}"#)
}

/// A call as Standard Webhooks has it.
fn standard(house: &House, secret: &[u8], id: &str, time: i64, body: &str) -> reqwest::RequestBuilder {
    let signature = STANDARD.encode(sign(secret, &format!("{id}.{time}.{body}")));
    let call = house.client.post(house.url("/webhook/signed/siagh")).body(body.to_owned());
    call.header("webhook-id", id)
        .header("webhook-timestamp", time.to_string())
        .header("webhook-signature", format!("v1,{signature}"))
}

/// A call in the simple form.
fn simple(house: &House, time: i64, body: &str, prefix: &str) -> reqwest::RequestBuilder {
    let signature = hex::encode(sign(SECRET.as_bytes(), &format!("{time}.{body}")));
    let call = house.client.post(house.url("/webhook/signed/siagh")).body(body.to_owned());
    call.header("x-webhook-timestamp", time.to_string()).header("x-webhook-signature", format!("{prefix}{signature}"))
}

#[tokio::test]
async fn both_forms_of_signature_are_good() {
    let house = House::start(|_| {}).await;
    assert_eq!(House::read(standard(&house, SECRET.as_bytes(), "m1", now(), &body("e1"))).await.0, 200);
    assert_eq!(House::read(simple(&house, now(), &body("e2"), "")).await.0, 200);
    assert_eq!(House::read(simple(&house, now(), &body("e3"), "sha256=")).await.0, 200);
    house.lanes.takes(&customer(ID)).await;
    let row = house.row(ID).await.unwrap();
    assert_eq!((row.noticed, row.trigger, row.actor.as_str()), (3, Trigger::Webhook, "signed"));
    assert_eq!(house.events().await[0].route, "signed/siagh");
}

#[tokio::test]
async fn a_replayed_call_is_answered_well_and_notices_nothing() {
    let house = House::start(|_| {}).await;
    let time = now();
    let call = || standard(&house, SECRET.as_bytes(), "m1", time, &body("e1"));
    assert_eq!(House::read(call()).await, (200, r#"{"status":"accepted"}"#.to_owned()));
    assert_eq!(House::read(call()).await, (200, r#"{"status":"accepted"}"#.to_owned()));
    // The simple form has no name for the call but the one in its body.
    assert_eq!(House::read(simple(&house, now(), &body("e9"), "")).await.1, r#"{"status":"accepted"}"#);
    assert_eq!(House::read(simple(&house, now(), &body("e9"), "")).await.1, r#"{"status":"accepted"}"#);
    assert_eq!(house.row(ID).await.unwrap().noticed, 2);
    assert_eq!(house.events().await.len(), 2);
}

#[tokio::test]
async fn without_an_id_a_second_save_with_the_same_body_and_a_new_time_is_a_second_notice() {
    let house = House::start(|_| {}).await;
    let (time, content) = (now(), format!(r#"{{"kind": "customer", "source_id": "{ID}"}}"#));
    let say = async |time: i64| House::read(simple(&house, time, &content, "")).await.1;
    assert_eq!(say(time - 1).await, r#"{"status":"accepted"}"#);
    assert_eq!(say(time).await, r#"{"status":"accepted"}"#);
    assert_eq!(say(time).await, r#"{"status":"accepted"}"#);
    assert_eq!((house.row(ID).await.unwrap().noticed, house.events().await.len()), (2, 2));
}

#[tokio::test]
async fn what_is_not_signed_by_us_and_now_is_refused_and_leaves_nothing() {
    let house = House::start(|_| {}).await;
    let secret = SECRET.as_bytes();
    let tampered = standard(&house, secret, "m", now(), &body("e")).body(body("e").replace("  ", " "));
    let calls = [
        ("another secret", standard(&house, b"another secret", "m", now(), &body("e"))),
        ("too old", standard(&house, secret, "m", now() - 310, &body("e"))),
        ("too young", standard(&house, secret, "m", now() + 310, &body("e"))),
        ("a body that is not the signed bytes", tampered),
        ("too old, simple", simple(&house, now() - 310, &body("e"), "")),
        ("no signature", house.client.post(house.url("/webhook/signed/siagh")).body(body("e"))),
        (
            "no time",
            house.client.post(house.url("/webhook/signed/siagh")).header("x-webhook-signature", "00").body(body("e")),
        ),
        ("an odd time", simple(&house, i64::MIN, &body("e"), "")),
        (
            "no hex",
            house
                .client
                .post(house.url("/webhook/signed/siagh"))
                .header("x-webhook-timestamp", now())
                .header("x-webhook-signature", "zz"),
        ),
    ];
    for (what, call) in calls {
        let (status, answer) = House::read(call).await;
        assert_eq!(status, 401, "{what}");
        assert!(!answer.contains("detail"), "{answer}");
    }
    house.counted("signed/siagh", 0, 9).await;
    assert_eq!(house.events().await, []);
}

#[tokio::test]
async fn each_secret_is_good_while_one_is_being_replaced_also_in_its_coded_form() {
    let coded = format!("whsec_{}", STANDARD.encode(b"the next secret"));
    let house = House::start(|s| s.webhooks.signing_secrets.push(coded.into())).await;
    assert_eq!(House::read(standard(&house, SECRET.as_bytes(), "m1", now(), &body("e"))).await.0, 200);
    assert_eq!(House::read(standard(&house, b"the next secret", "m2", now(), &body("e"))).await.0, 200);
    // Several signatures in one header: one that fits is enough.
    let (time, content) = (now(), body("e"));
    let good = STANDARD.encode(sign(SECRET.as_bytes(), &format!("m3.{time}.{content}")));
    let call = house.client.post(house.url("/webhook/signed/siagh")).body(content);
    let call = call.header("webhook-id", "m3").header("webhook-timestamp", time);
    assert_eq!(House::read(call.header("webhook-signature", format!("v1a,xx v1,AAAA v1,{good}"))).await.0, 200);
}

#[tokio::test]
async fn without_a_secret_the_intake_is_off() {
    for secrets in [vec![], vec!["".into()], vec!["   ".into()]] {
        let house = House::start(|s| s.webhooks.signing_secrets = secrets).await;
        assert_eq!(House::read(standard(&house, b"", "m1", now(), &body("e"))).await.0, 404);
        assert_eq!(house.events().await, []);
    }
}

#[tokio::test]
async fn a_signed_body_that_makes_no_sense_gets_one_line() {
    let house = House::start(|_| {}).await;
    let deep = format!("{{\"kind\":{}", "[".repeat(100_000));
    let long = format!(r#"{{"kind":"customer","source_id":"{}"}}"#, "9".repeat(300));
    let bodies = [
        "",
        "{",
        "[]",
        "\"x\"",
        r#"{"kind":"customer"}"#,
        r#"{"kind":1,"source_id":2}"#,
        r#"{"kind":"customer","source_id":" "}"#,
        &deep,
        &long,
    ];
    for (place, content) in bodies.iter().enumerate() {
        let (status, answer) =
            House::read(standard(&house, SECRET.as_bytes(), &format!("m{place}"), now(), content)).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains("detail"), "{answer}");
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let bytes = b"{\"kind\":\"customer\",\"source_id\":\"\xff\xfe\"}";
    let time = now();
    mac.update(format!("{time}.").as_bytes());
    mac.update(bytes);
    let call = house.client.post(house.url("/webhook/signed/siagh")).body(bytes.to_vec());
    let call = call
        .header("x-webhook-timestamp", time)
        .header("x-webhook-signature", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(House::read(call).await.0, 400);
    assert_eq!(house.events().await, []);
}

#[tokio::test]
async fn an_unknown_kind_is_kept_as_ignored_and_says_which_are_known() {
    let house = House::start(|_| {}).await;
    let content = format!(r#"{{"kind":"ticket","source_id":"{ID}"}}"#);
    let (status, answer) = House::read(standard(&house, SECRET.as_bytes(), "m", now(), &content)).await;
    assert_eq!(status, 200);
    assert!(answer.contains("ignored") && answer.contains("customer, pre_invoice"), "{answer}");
}

#[tokio::test]
async fn a_guid_in_capitals_is_the_same_record() {
    let house = House::start(|_| {}).await;
    let content = body("e").replace(ID, &ID.to_uppercase());
    assert_eq!(House::read(standard(&house, SECRET.as_bytes(), "m", now(), &content)).await.0, 200);
    assert!(house.row(ID).await.is_some());
}

#[tokio::test]
async fn a_secret_that_is_not_what_it_says_stops_the_start() {
    let (store, _folder) = crate::house::sqlite().await;
    let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        House::over(store, crate::house::FakeBridge::new("siagh", None), Default::default(), |s| {
            s.webhooks.signing_secrets = vec!["whsec_*not base64*".into()];
        })
    }));
    let said = started.err().and_then(|panic| panic.downcast::<String>().ok()).expect("the start fails");
    assert!(said.contains("whsec_") && !said.contains("not base64*"), "{said}");
}
