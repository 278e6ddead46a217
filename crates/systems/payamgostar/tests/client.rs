//! The client against a stand-in that answers as the sheet says, and as badly as it warns of.

use payamgostar::{
    BillableKind, Find, IdentityDraft, IdentityKind, Operator, PayamgostarClient, Query, Settings, field,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tandem_core::FaultClass::{self, InDoubt, Permanent, Systemic, Transient};
use tandem_outbound::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;
use wiremock::matchers::{body_json, header, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const LOGIN: &str = "/api/v2/auth/login";
const PERSON_GET: &str = "/api/v2/crmobject/person/get";
const ORGANIZATION_GET: &str = "/api/v2/crmobject/organization/get";
const PERSON_CREATE: &str = "/api/v2/crmobject/person/create";
const PERSON_FIND: &str = "/api/v2/crmobject/person/find";
const ID: &str = "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001";

fn id() -> Uuid {
    ID.parse().unwrap()
}

fn settings(address: &str) -> Settings {
    let url = Url::parse(address).unwrap();
    let mut settings = Settings::new(url, "svc-sync", SecretString::from("not-a-real-one"), "tandem-01");
    settings.requests_per_second = None;
    settings
}

fn client(server: &MockServer) -> PayamgostarClient {
    PayamgostarClient::new(settings(&server.uri())).unwrap()
}

fn token(name: &str) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .insert_header("date", "Sun, 01 Feb 2026 06:13:53 GMT")
        .set_body_json(json!({"expiresAt":"2026-02-01T11:43:53.1385332+03:30","accessToken":name,"refreshToken":"r"}))
}

async fn server() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path(LOGIN)).respond_with(token("t1")).mount(&server).await;
    server
}

async fn answering(at: &str, answer: ResponseTemplate) -> MockServer {
    let server = server().await;
    Mock::given(path(at)).respond_with(answer).mount(&server).await;
    server
}

async fn requests(server: &MockServer, at: &str) -> usize {
    server.received_requests().await.unwrap().iter().filter(|request| request.url.path() == at).count()
}

fn person() -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"crmId": ID, "nickName": "نام نمونه", "customerNumber": "100-1042"}))
}

fn draft() -> IdentityDraft {
    IdentityDraft { type_code: "person".into(), first_name: Some("نام".into()), ..IdentityDraft::default() }
}

// ---- login ----

#[tokio::test]
async fn the_login_carries_what_the_sheet_asks_for_and_calls_carry_the_bearer_token() {
    let server = MockServer::start().await;
    let body = json!({"username":"svc-sync","password":"not-a-real-one","deviceId":"tandem-01","platformType":1,"os":"Linux","osVersion":"1.0","token":""});
    Mock::given(path(LOGIN)).and(body_json(body)).respond_with(token("t1")).expect(1).mount(&server).await;
    Mock::given(path(PERSON_GET))
        .and(header("authorization", "Bearer t1"))
        .and(body_json(json!({ "id": ID })))
        .respond_with(person())
        .expect(1)
        .mount(&server)
        .await;
    let found = client(&server).identity(IdentityKind::Person, id()).await.unwrap().unwrap();
    assert_eq!(found.customer_number.as_deref(), Some("100-1042"));
}

#[tokio::test]
async fn a_token_that_ends_under_twenty_calls_causes_one_login() {
    let server = MockServer::start().await;
    let logins = AtomicUsize::new(0);
    let answer = move |_: &Request| token(if logins.fetch_add(1, Ordering::SeqCst) == 0 { "t1" } else { "t2" });
    Mock::given(path(LOGIN)).respond_with(answer).mount(&server).await;
    Mock::given(path(PERSON_GET))
        .and(header("authorization", "Bearer t1"))
        .respond_with(ResponseTemplate::new(401))
        .mount(&server)
        .await;
    Mock::given(path(PERSON_GET)).and(header("authorization", "Bearer t2")).respond_with(person()).mount(&server).await;
    let client = client(&server);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.identity(IdentityKind::Person, id()).await })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap().unwrap().is_some());
    }
    assert_eq!(requests(&server, LOGIN).await, 2, "the first login and one after the token ended");
}

#[tokio::test]
async fn a_write_answered_401_was_not_done_and_is_sent_once_more() {
    let server = server().await;
    Mock::given(path(PERSON_CREATE)).respond_with(ResponseTemplate::new(401)).up_to_n_times(1).mount(&server).await;
    Mock::given(path(PERSON_CREATE))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"crmId": ID})))
        .mount(&server)
        .await;
    assert_eq!(client(&server).create_identity(IdentityKind::Person, &draft()).await.unwrap(), id());
    assert_eq!(requests(&server, PERSON_CREATE).await, 2);
}

#[tokio::test]
async fn a_second_401_stops_all_calls_for_a_while() {
    let server = answering(PERSON_GET, ResponseTemplate::new(401)).await;
    let client = client(&server);
    for _ in 0..5 {
        let fault = client.identity(IdentityKind::Person, id()).await.unwrap_err();
        assert_eq!((fault.class, fault.code), (Systemic, "payamgostar.token_refused"));
        assert!(fault.retry_after.is_some());
    }
    assert_eq!((requests(&server, LOGIN).await, requests(&server, PERSON_GET).await), (2, 2));
}

#[tokio::test]
async fn a_locked_user_causes_one_login_per_wait_and_the_wait_doubles() {
    let server = MockServer::start().await;
    Mock::given(path(LOGIN)).respond_with(ResponseTemplate::new(403)).mount(&server).await;
    let client = client(&server);
    for (logins, minutes) in [(1, 15), (2, 30), (3, 30)] {
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.probe().await })
            })
            .collect();
        for call in calls {
            let fault = call.await.unwrap().unwrap_err();
            assert_eq!((fault.class, fault.code), (Systemic, "payamgostar.login_locked"));
            let left = fault.retry_after.unwrap();
            assert!(
                left > Duration::from_secs(minutes * 60 - 30) && left <= Duration::from_secs(minutes * 60),
                "{left:?}"
            );
        }
        assert!(client.probe().await.is_err(), "and one that comes later");
        assert_eq!(requests(&server, LOGIN).await, logins);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(minutes * 60)).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn wrong_credentials_are_tried_once_and_not_again() {
    let server = MockServer::start().await;
    Mock::given(path(LOGIN)).respond_with(ResponseTemplate::new(401)).expect(1).mount(&server).await;
    let client = client(&server);
    for _ in 0..5 {
        let fault = client.probe().await.unwrap_err();
        assert_eq!((fault.class, fault.code), (Systemic, "payamgostar.login_refused"));
        assert!(!fault.message.contains("svc-sync") && !fault.message.contains("not-a-real-one"));
    }
}

#[tokio::test]
async fn a_licence_without_the_mobile_module_falls_back_to_the_old_login_for_good() {
    let server = MockServer::start().await;
    Mock::given(path(LOGIN)).respond_with(ResponseTemplate::new(402)).expect(1).mount(&server).await;
    Mock::given(path("/api/v1/auth"))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"access_token":"old","expires_in":7200})))
        .expect(2)
        .mount(&server)
        .await;
    Mock::given(path(PERSON_GET))
        .and(header("authorization", "Bearer old"))
        .respond_with(ResponseTemplate::new(401))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path(PERSON_GET))
        .and(header("authorization", "Bearer old"))
        .respond_with(person())
        .mount(&server)
        .await;
    assert!(client(&server).identity(IdentityKind::Person, id()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_licence_that_allows_no_login_at_all_is_systemic() {
    let server = MockServer::start().await;
    Mock::given(path(LOGIN)).respond_with(ResponseTemplate::new(402)).mount(&server).await;
    Mock::given(path("/api/v1/auth")).respond_with(ResponseTemplate::new(402)).expect(1).mount(&server).await;
    let client = client(&server);
    for _ in 0..3 {
        assert_eq!(client.probe().await.unwrap_err().code, "payamgostar.licence");
    }
}

#[tokio::test]
async fn a_token_is_replaced_a_minute_before_the_server_says_it_ends() {
    let server = answering(PERSON_GET, person()).await;
    let client = client(&server);
    // The answer's own Date and expiresAt are two hours apart; our clock says something else altogether.
    for (seconds, logins) in [(0, 1), (7100, 1), (41, 2)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
        client.identity(IdentityKind::Person, id()).await.unwrap();
        assert_eq!(requests(&server, LOGIN).await, logins, "after {seconds} s more");
    }
}

#[tokio::test]
async fn refreshing_is_used_only_when_switched_on_and_falls_back_to_a_login() {
    let server = answering(PERSON_GET, person()).await;
    let refresh = "/api/v2/auth/token/refresh";
    let body = json!({"accessToken":"t1","refreshToken":"r"});
    Mock::given(path(refresh)).and(body_json(body)).respond_with(ResponseTemplate::new(500)).mount(&server).await;
    for (switched_on, refreshes) in [(false, 0), (true, 1)] {
        let client =
            PayamgostarClient::new(Settings { refresh_tokens: switched_on, ..settings(&server.uri()) }).unwrap();
        client.identity(IdentityKind::Person, id()).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(7200)).await;
        tokio::time::resume();
        client.identity(IdentityKind::Person, id()).await.unwrap();
        assert_eq!(requests(&server, refresh).await, refreshes);
    }
    assert_eq!(requests(&server, LOGIN).await, 4);
}

// ---- reading ----

#[tokio::test]
async fn only_a_clear_word_makes_an_object_absent() {
    let said = |status: u16, body: Value| ResponseTemplate::new(status).set_body_json(body);
    let html = |status: u16| ResponseTemplate::new(status).set_body_raw("<html>not found</html>", "text/html");
    let cases: [(ResponseTemplate, Option<FaultClass>); 11] = [
        (ResponseTemplate::new(404), None),
        (said(404, json!({"message":"x"})), None),
        (said(200, Value::Null), None),
        (said(400, json!({"message":"Identity not found"})), None),
        (said(500, json!({"code":404,"message":"x"})), None),
        (html(404), Some(Transient)),
        (said(400, json!({"message":"bad request"})), Some(Permanent)),
        (said(400, json!({"message":"Field 'Id' not found"})), Some(Permanent)),
        (said(500, json!({"message":"Object reference not set to an instance of an object."})), Some(Transient)),
        (html(500), Some(Transient)),
        (ResponseTemplate::new(500), Some(Transient)),
    ];
    for (number, (answer, fault)) in cases.into_iter().enumerate() {
        let server = answering(PERSON_GET, answer).await;
        let result = client(&server).identity(IdentityKind::Person, id()).await;
        match fault {
            None => assert_eq!(result, Ok(None), "case {number}"),
            Some(class) => assert_eq!(result.unwrap_err().class, class, "case {number}"),
        }
    }
}

#[tokio::test]
async fn of_a_guessed_kind_the_other_one_is_asked_once() {
    let server = answering(PERSON_GET, ResponseTemplate::new(404)).await;
    Mock::given(path(ORGANIZATION_GET)).respond_with(person()).expect(1).mount(&server).await;
    let found = client(&server).identity_of_either_kind(IdentityKind::Person, id()).await.unwrap().unwrap();
    assert_eq!(found.kind, IdentityKind::Organization);

    let server = answering(PERSON_GET, ResponseTemplate::new(500)).await;
    Mock::given(path(ORGANIZATION_GET)).respond_with(ResponseTemplate::new(404)).expect(1).mount(&server).await;
    let fault = client(&server).identity_of_either_kind(IdentityKind::Person, id()).await.unwrap_err();
    assert_eq!(fault.class, Transient, "the first answer's fault stands");
}

#[tokio::test]
async fn a_quote_keeps_every_digit_and_its_times_keep_their_text() {
    // sheet §2.9, abridged
    let body = format!(
        r#"{{"crmId":"{ID}","number":"","crmObjectTypeCode":"PI_5","identityId":"{ID}","billableObjectStateIndex":1,"quoteDate":null,"expireDate":null,
        "creatDate":"2026-02-01T14:06:17.173","modifyDate":"2026-02-01T14:10:20.033","totalValue":100000.00,"discount":0.00,"totalDiscountPercent":0.0,
        "vat":9000.00,"vatPercent":9,"toll":0.00,"additionalCosts":null,"finalValue":109000.00,"processLifePaths":[],"color":null,
        "details":[{{"productCode":"Product-1","productId":"00000000-0000-0000-0000-000000000000","productName":"کالای نمونه","isService":false,"count":1.0000,
        "baseUnitPrice":100000.00,"totalDiscount":0.00,"totalVat":9000.00,"detailDescription":"","productUnitTypeName":"قطعه","serial":null}}]}}"#
    );
    let server = answering(
        "/api/v2/crmobject/quote/sales/get",
        ResponseTemplate::new(200).set_body_raw(body, "application/json"),
    )
    .await;
    let quote = client(&server).billable(BillableKind::Quote, id()).await.unwrap().unwrap();
    assert_eq!(quote.number, None);
    assert_eq!(quote.total_value.unwrap().to_string(), "100000.00");
    assert_eq!(quote.vat_percent.unwrap().to_string(), "9");
    assert_eq!((quote.additional_costs, quote.state_index), (None, Some(1)));
    let line = &quote.details[0];
    assert_eq!(
        (line.count.unwrap().to_string().as_str(), line.product_id, line.description.as_deref()),
        ("1.0000", None, None)
    );
    assert_eq!(
        quote.date().unwrap().text,
        "2026-02-01T14:06:17.173",
        "without a date of its own, the day it was entered"
    );
    assert_eq!(quote.modified.as_ref().unwrap().at.unwrap().to_rfc3339(), "2026-02-01T14:10:20.033+03:30");
    assert_eq!(quote.raw["finalValue"].to_string(), "109000.00");
}

#[tokio::test]
async fn an_amount_that_is_no_number_is_refused_and_not_guessed() {
    let body = json!({"crmId": ID, "totalValue": {"amount": 1}});
    let server = answering("/api/v2/crmobject/invoice/sales/get", ResponseTemplate::new(200).set_body_json(body)).await;
    let fault = client(&server).billable(BillableKind::Invoice, id()).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (Permanent, "payamgostar.unexpected_shape"));
    assert!(fault.message.contains("totalValue"));
}

#[tokio::test]
async fn the_light_list_is_asked_for_by_pages_from_zero() {
    let server = server().await;
    let rows = json!([{"identityId": ID, "nickName": "x", "customerNo": ""}]);
    Mock::given(path("/api/v2/crmobject/identity/search"))
        .and(body_json(json!({"pageNumber":0,"pageSize":150,"searchTerm":""})))
        .respond_with(ResponseTemplate::new(200).set_body_json(rows))
        .expect(1)
        .mount(&server)
        .await;
    let stubs = client(&server).search_identities("", 0, 150).await.unwrap();
    assert_eq!((stubs[0].identity_id, stubs[0].customer_no.as_deref()), (id(), None));
}

#[tokio::test]
async fn wrong_answers_to_a_read_are_classed_by_what_they_mean() {
    let html = |status: u16| ResponseTemplate::new(status).set_body_raw("<!DOCTYPE html><html></html>", "text/html");
    let raw = |body: &str| ResponseTemplate::new(200).set_body_raw(body, "application/json");
    for (answer, class, code) in [
        (html(200), Systemic, "payamgostar.not_the_api"),
        (raw(r#"{"crmId":"7b0c"#), Transient, "payamgostar.bad_answer"),
        (raw(""), Transient, "payamgostar.bad_answer"),
        (raw("{}"), Permanent, "payamgostar.unexpected_shape"),
        (raw(r#"{"crmId":"11111111-1111-4111-8111-111111111111"}"#), Permanent, "payamgostar.unexpected_shape"),
        (ResponseTemplate::new(302).insert_header("location", "/login"), Systemic, "payamgostar.not_the_api"),
        (ResponseTemplate::new(402), Systemic, "payamgostar.licence"),
        (ResponseTemplate::new(403), Systemic, "payamgostar.forbidden"),
        (ResponseTemplate::new(429).insert_header("retry-after", "30"), Systemic, "payamgostar.rate_limited"),
    ] {
        let server = answering(PERSON_GET, answer).await;
        let fault = client(&server).identity(IdentityKind::Person, id()).await.unwrap_err();
        assert_eq!((fault.class, fault.code), (class, code));
        let asked = (code == "payamgostar.rate_limited").then_some(Duration::from_secs(30));
        assert_eq!(fault.retry_after, asked, "{code}: only the CRM's own wish is one");
    }
}

// ---- find ----

#[tokio::test]
async fn a_find_is_sent_as_the_sheet_shows() {
    let server = server().await;
    // sheet §2.4
    let body = json!({"typeKey":"person",
        "queries":[{"logicalOperator":0,"operator":2,"field":"ModifyDate","value":"2026-02-01T08:00:00"}],
        "orders":[{"field":"ModifyDate","order":0}],
        "selectFields":null,"pageNumber":1,"pageSize":100});
    Mock::given(path(PERSON_FIND))
        .and(body_json(body))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"data":[{"crmId": ID}],"total":1})))
        .expect(1)
        .mount(&server)
        .await;
    let find = Find::new(IdentityKind::Person, "person")
        .query(Query::changed_since("2026-02-01T04:30:00Z".parse().unwrap()))
        .ascending(field::MODIFY_DATE);
    let mut pages = client(&server).find(find);
    assert_eq!(pages.next_page().await.unwrap().unwrap().len(), 1);
    assert_eq!(pages.next_page().await.unwrap(), None);
}

/// Lists `count` rows, one per id, `size` to a page, the first page being `base`.
fn listing(base: usize, count: usize, announces: bool) -> impl Fn(&Request) -> ResponseTemplate {
    move |request: &Request| {
        let body: Value = request.body_json().unwrap();
        let size = body["pageSize"].as_u64().unwrap() as usize;
        let page = body["pageNumber"].as_u64().unwrap() as usize;
        let from = page.saturating_sub(base) * size;
        let data: Vec<Value> =
            (from..count.min(from + size)).map(|n| json!({"CrmId": Uuid::from_u128(n as u128 + 1)})).collect();
        let total = if announces { json!(count) } else { Value::Null };
        ResponseTemplate::new(200).set_body_json(json!({"data": data, "total": total}))
    }
}

async fn collect(server: &MockServer, page_size: u32) -> Vec<Value> {
    let mut find = Find::new(IdentityKind::Person, "person").query(Query::new("X", Operator::Equals, "y"));
    find.page_size = page_size;
    let mut pages = client(server).find(find);
    let mut rows = Vec::new();
    while let Some(page) = pages.next_page().await.unwrap() {
        rows.extend(page);
    }
    rows
}

#[tokio::test]
async fn every_row_comes_exactly_once_whether_pages_count_from_zero_or_from_one() {
    for base in [0, 1] {
        for announces in [true, false] {
            for count in [0, 1, 4, 10, 11] {
                let server = server().await;
                Mock::given(path(PERSON_FIND)).respond_with(listing(base, count, announces)).mount(&server).await;
                let mut ids: Vec<String> =
                    collect(&server, 4).await.iter().map(|row| row["crmId"].to_string()).collect();
                ids.sort();
                ids.dedup();
                assert_eq!(ids.len(), count, "base {base}, total announced {announces}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_ignores_page_numbers_does_not_keep_us_for_ever() {
    let server = server().await;
    let same = json!({"data":[{"crmId": ID},{"crmId": ID},{"noId": 1}],"total":1000});
    Mock::given(path(PERSON_FIND)).respond_with(ResponseTemplate::new(200).set_body_json(same)).mount(&server).await;
    assert_eq!(collect(&server, 4).await.len(), 1);
    assert!(requests(&server, PERSON_FIND).await <= 3);
}

#[tokio::test]
async fn a_customer_number_is_compared_again_on_our_side() {
    let rows = json!({"data":[{"crmId": ID, "customerNumber":"۱۰۰-۱۰۴۲"},{"crmId": Uuid::from_u128(7), "customerNumber":"100-10421"}],"total":2});
    let server = answering(PERSON_FIND, ResponseTemplate::new(200).set_body_json(rows)).await;
    let found =
        client(&server).identities_by_customer_number(IdentityKind::Person, "person", "100-1042").await.unwrap();
    assert_eq!(found.iter().map(|identity| identity.crm_id).collect::<Vec<_>>(), [id()]);
}

// ---- writing ----

#[tokio::test]
async fn a_success_without_an_id_leaves_a_create_in_doubt() {
    for answer in [
        ResponseTemplate::new(201),
        ResponseTemplate::new(201).set_body_json(json!("")),
        ResponseTemplate::new(200).set_body_json(json!({"id": ID})),
        ResponseTemplate::new(200).set_body_json(json!({"crmId":"00000000-0000-0000-0000-000000000000"})),
        ResponseTemplate::new(200).set_body_raw("<html></html>", "text/html"),
        ResponseTemplate::new(200).set_body_raw(r#"{"crmId":"7b0"#, "application/json"),
        ResponseTemplate::new(500),
        ResponseTemplate::new(503),
    ] {
        let server = answering(PERSON_CREATE, answer).await;
        let fault = client(&server).create_identity(IdentityKind::Person, &draft()).await.unwrap_err();
        assert_eq!(fault.class, InDoubt, "{fault}");
        assert_eq!(requests(&server, PERSON_CREATE).await, 1, "never sent again");
    }
}

#[tokio::test]
async fn a_refused_create_carries_the_field_and_the_crms_own_words() {
    let refusal = |field: &str, said: &str| {
        ResponseTemplate::new(400).set_body_json(
            json!({"code":1,"message":"خطا","errorDetails":[{"statusCode":400,"field":field,"message":said}]}),
        )
    };
    for (answer, code) in [
        (refusal("CustomerNumber", "شماره مشتری تکراری است"), "payamgostar.duplicate_customer_number"),
        (refusal("email", "already exists"), "payamgostar.duplicate"),
        (refusal("categories", "unknown key"), "payamgostar.refused"),
    ] {
        let server = answering(PERSON_CREATE, answer).await;
        let fault = client(&server).create_identity(IdentityKind::Person, &draft()).await.unwrap_err();
        assert_eq!((fault.class, fault.code), (Permanent, code));
    }
    let server = answering(PERSON_CREATE, refusal("CustomerNumber", "شماره مشتری تکراری است")).await;
    let fault = client(&server).create_identity(IdentityKind::Person, &draft()).await.unwrap_err();
    assert!(fault.message.contains("CustomerNumber: شماره مشتری تکراری است"), "{fault}");
}

#[tokio::test]
async fn an_update_sends_back_what_it_does_not_know() {
    let server = server().await;
    let whole = json!({"crmId": ID, "nickName": "a", "phoneContacts": [{"id": ID, "phoneNumber": "1"}], "unknown": {"x": 1.50}});
    Mock::given(path(PERSON_GET)).respond_with(ResponseTemplate::new(200).set_body_json(&whole)).mount(&server).await;
    let mut sent = whole.clone();
    sent["nickName"] = json!("b");
    Mock::given(path("/api/v2/crmobject/person/update"))
        .and(body_json(&sent))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"crmId": ID})))
        .expect(1)
        .mount(&server)
        .await;
    let client = client(&server);
    let mut raw = client.identity(IdentityKind::Person, id()).await.unwrap().unwrap().raw;
    raw["nickName"] = json!("b");
    client.update_identity(IdentityKind::Person, &raw).await.unwrap();
}

#[tokio::test]
async fn an_update_without_an_id_is_not_sent_and_one_answered_with_another_id_is_in_doubt() {
    let other = json!({"crmId": Uuid::from_u128(9)});
    let server = answering("/api/v2/crmobject/person/update", ResponseTemplate::new(200).set_body_json(other)).await;
    let client = client(&server);
    let fault = client.update_identity(IdentityKind::Person, &json!({"nickName":"x"})).await.unwrap_err();
    assert_eq!((fault.class, requests(&server, LOGIN).await), (Permanent, 0));
    let fault = client.update_identity(IdentityKind::Person, &json!({"crmId": ID})).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (InDoubt, "payamgostar.other_id"));
}

#[tokio::test]
async fn a_reset_connection_is_transient_for_a_read_and_in_doubt_for_a_write() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 8192];
                let length = socket.read(&mut buffer).await.unwrap_or(0);
                if String::from_utf8_lossy(&buffer[..length]).starts_with("POST /api/v2/auth/login") {
                    let body = r#"{"accessToken":"t"}"#;
                    let head =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                    let _ = socket.write_all(head.as_bytes()).await;
                }
            });
        }
    });
    let client = PayamgostarClient::new(settings(&address)).unwrap();
    let fault = client.identity(IdentityKind::Person, id()).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (Transient, "payamgostar.connection_lost"));
    let fault = client.create_identity(IdentityKind::Person, &draft()).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (InDoubt, "payamgostar.answer_lost"));
}

#[test]
fn debug_output_shows_no_credentials() {
    let settings = settings("http://crm.example.test");
    let shown = format!("{settings:?} {:?}", PayamgostarClient::new(settings.clone()).unwrap());
    assert!(!shown.contains("not-a-real-one") && !shown.contains("svc-sync"));
    assert!(shown.contains("crm.example.test"));
}
