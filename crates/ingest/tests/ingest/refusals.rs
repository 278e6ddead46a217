//! Who is not let in, and that nothing is left of it.

use crate::house::{House, ID, TOKEN};
use reqwest::header::HeaderValue;
use secrecy::SecretString;
use tandem_ingest::RateCap;

async fn nothing_is_stored(house: &House) {
    assert_eq!(house.events().await, []);
    assert_eq!(house.store.counts().await.unwrap(), []);
}

#[tokio::test]
async fn without_the_token_nobody_is_let_in_and_learns_why() {
    let house = House::start(|_| {}).await;
    let query = format!("?event=Update&id={ID}&type=Identity");
    for (path, expected) in
        [("/wrong", 404), ("", 403), ("/", 403), (&format!("/{TOKEN}x"), 404), (&format!("/{TOKEN}/x"), 404)]
    {
        let (status, body) = house.get(&format!("/webhook/crm/identity{path}{query}")).await;
        assert_eq!(status, expected, "{path}");
        assert!(!body.contains("detail"), "{body}");
    }
    house.counted("crm/identity", 0, 5).await;
    nothing_is_stored(&house).await;
}

#[tokio::test]
async fn unknown_addresses_leave_no_trace_in_the_ledger() {
    let house = House::start(|_| {}).await;
    for path in
        ["/webhook/crm/nonsense/x", "/webhook/other/identity/x", "/webhook/signed/nobody", "/webhook", "/wp-login.php"]
    {
        assert_eq!(house.get(path).await.0, 404, "{path}");
    }
    assert_eq!(House::read(house.client.post(house.url("/webhook/signed/nobody")).body("{}")).await.0, 404);
    // A call that is counted comes last: once it shows, the others would show too.
    assert_eq!(house.get("/webhook/crm/quote/wrong").await.0, 404);
    house.counted("crm/quote", 0, 1).await;
    let routes: Vec<_> = house.store.webhook_routes().await.unwrap().into_iter().map(|r| r.route).collect();
    assert_eq!(routes, ["crm/quote"]);
    nothing_is_stored(&house).await;
}

#[tokio::test]
async fn other_methods_are_not_taken() {
    let house = House::start(|_| {}).await;
    for method in [reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::PATCH] {
        let good = format!("{}?event=Update&id={ID}&type=Identity", house.hook("identity"));
        let (status, _) = House::read(house.client.request(method, good)).await;
        assert_eq!(status, 404);
    }
    nothing_is_stored(&house).await;
}

#[tokio::test]
async fn each_token_is_good_while_one_is_being_replaced() {
    let house = House::start(|s| s.webhooks.tokens = vec![TOKEN.into(), "the-next-token-to-be".into()]).await;
    for token in [TOKEN, "the-next-token-to-be"] {
        let (status, _) = house.get(&format!("/webhook/crm/identity/{token}?id={ID}&type=Identity")).await;
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn an_address_on_the_list_needs_no_token_but_a_wrong_one_is_wrong_there_too() {
    let house = House::start(|s| s.webhooks.allow_from = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let query = format!("?id={ID}&type=Identity");
    assert_eq!(house.get(&format!("/webhook/crm/identity{query}")).await.0, 200);
    assert_eq!(house.get(&format!("/webhook/crm/identity/{query}")).await.0, 200);
    assert_eq!(house.get(&format!("/webhook/crm/identity/wrong{query}")).await.0, 404);
}

#[tokio::test]
async fn with_a_list_alone_any_path_suffix_is_taken_from_it() {
    let house = House::start(|s| {
        s.webhooks.tokens.clear();
        s.webhooks.allow_from = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    assert_eq!(house.get(&format!("/webhook/crm/identity/whatever?id={ID}&type=Identity")).await.0, 200);
}

#[tokio::test]
async fn an_address_off_the_list_is_refused_and_a_forged_header_does_not_help() {
    let house = House::start(|s| {
        s.webhooks.tokens.clear();
        s.webhooks.allow_from = vec!["192.0.2.7/32".parse().unwrap()];
    })
    .await;
    let call = |forwarded: &str| {
        let url = house.url(&format!("/webhook/crm/identity?id={ID}&type=Identity"));
        house.client.get(url).header("x-forwarded-for", forwarded)
    };
    assert_eq!(House::read(call("192.0.2.7")).await.0, 403);
    nothing_is_stored(&house).await;
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_the_caller() {
    let house = House::start(|s| {
        s.webhooks.allow_from = vec!["192.0.2.7/32".parse().unwrap()];
        s.webhooks.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let call = |forwarded: &str| {
        let url = house.url(&format!("/webhook/crm/identity?id={ID}&type=Identity"));
        house.client.get(url).header("x-forwarded-for", forwarded)
    };
    assert_eq!(House::read(call("192.0.2.7")).await.0, 200);
    assert_eq!(House::read(call("192.0.2.7, 198.51.100.1")).await.0, 403);
    assert_eq!(house.events().await[0].remote, "192.0.2.7");
}

#[tokio::test]
async fn what_a_caller_wrote_into_a_forwarding_header_of_its_own_lets_it_in_nowhere() {
    let house = House::start(|s| {
        s.webhooks.tokens.clear();
        s.webhooks.allow_from = vec!["192.0.2.7/32".parse().unwrap(), "127.0.0.1/32".parse().unwrap()];
        s.webhooks.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let call = || house.client.get(house.url(&format!("/webhook/crm/identity?id={ID}&type=Identity")));
    // The proxy adds a line of its own, and the caller's stays first.
    let two = call().header("x-forwarded-for", "192.0.2.7").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(House::read(two).await.0, 403);
    // The proxy adds to a line that is no text.
    let odd = HeaderValue::from_bytes(b"\xff, 203.0.113.9").unwrap();
    assert_eq!(House::read(call().header("x-forwarded-for", odd)).await.0, 403);
    nothing_is_stored(&house).await;
}

#[tokio::test]
async fn with_neither_token_nor_list_the_unsigned_intake_is_off() {
    for tokens in [vec![], vec![SecretString::from("")], vec![SecretString::from("  ")]] {
        let house = House::start(|s| s.webhooks.tokens = tokens).await;
        for path in ["", "/", "/x", "/%20"] {
            let (status, _) = house.get(&format!("/webhook/crm/identity{path}?id={ID}&type=Identity")).await;
            assert_eq!(status, 404, "{path}");
        }
        nothing_is_stored(&house).await;
    }
}

#[tokio::test]
async fn switched_off_means_off_whatever_else_is_set() {
    let house = House::start(|s| s.webhooks.enabled = false).await;
    assert_eq!(house.notice(ID).await, 404);
    assert_eq!(House::read(house.client.post(house.url("/webhook/signed/siagh")).body("{}")).await.0, 404);
    assert_eq!(house.get("/health").await.0, 200);
}

#[tokio::test]
async fn what_is_too_long_is_not_read() {
    let house = House::start(|_| {}).await;
    let announced = house.client.post(house.hook("identity")).body(vec![b'a'; 300 * 1024]);
    assert_eq!(House::read(announced).await.0, 413);
    let url = house.client.get(format!("{}?id={ID}&x={}", house.hook("identity"), "a".repeat(9_000)));
    assert_eq!(House::read(url).await.0, 414);
    let head = house.client.get(format!("{}?id={ID}", house.hook("identity"))).header("x-long", "a".repeat(20_000));
    assert_eq!(House::read(head).await.0, 431);
    house.counted("crm/identity", 0, 3).await;
    nothing_is_stored(&house).await;
}

#[tokio::test]
async fn a_body_that_does_not_announce_its_length_is_cut_off_at_the_limit() {
    let house = House::start(|s| s.http.body_limit = 1_000).await;
    let parts = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b'a'; 100])));
    let call = house.client.post(house.hook("identity")).body(reqwest::Body::wrap_stream(parts));
    assert_eq!(House::read(call).await.0, 413);
}

#[tokio::test]
async fn strangers_are_capped_and_the_known_caller_beside_them_is_not() {
    let house = House::start(|s| s.webhooks.rates.strangers = Some(RateCap { per_second: 1, burst: 3 })).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(house.get(&format!("/webhook/crm/identity/wrong?id={ID}")).await.0);
    }
    assert_eq!(statuses[..3], [404, 404, 404]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
    assert_eq!(house.notice(ID).await, 200);
}

#[tokio::test]
async fn known_callers_have_a_cap_of_their_own() {
    let house = House::start(|s| s.webhooks.rates.known = Some(RateCap { per_second: 1, burst: 2 })).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(house.notice(ID).await);
    }
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses[2..].contains(&429), "{statuses:?}");
}
