//! The client against a stand-in that answers as the sheet says, and as badly as it warns of.

use rust_decimal::Decimal;
use secrecy::SecretString;
use serde_json::{Value, json};
use siagh::{
    ContactFilter, ContactForm, PreInvoiceHeader, PreInvoiceRow, SaveContact, Settings, SiaghClient, Suid,
    hash_password,
};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tandem_core::FaultClass::{InDoubt, Permanent, Systemic, Transient};
use tandem_outbound::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const LOGIN: &str = "/GeneralApi/LoginUser";
const SAVE: &str = "/BpmsApi/SaveFormData";
const LIST: &str = "/api/Sgh/GEN/Gn_Web_Users/GetAll";
const LOGIN_PAGE: &str = r#"<html><form><input name="p" type="password"></form></html>"#;

fn settings(address: &str) -> Settings {
    let hash = SecretString::from(hash_password("tandem-demo-1"));
    Settings::new(Url::parse(address).unwrap(), "کاربر نمونه", hash)
}

fn client(server: &MockServer) -> SiaghClient {
    SiaghClient::new(settings(&server.uri())).unwrap()
}

fn session(id: &str) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"SessionId": id, "Token": format!("{id}:0"), "UserCode": 1, "UserName": "کاربر نمونه",
        "BranchCode": 1, "IsAdminUser": true, "FiscalYear": 1404, "SystemDate": "1404/11/12", "SystemTime": "17:33"}))
}

async fn server() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path(LOGIN)).respond_with(session("s1")).mount(&server).await;
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

fn html(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "text/html")
}

fn raw(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "application/json; charset=utf-8")
}

/// sheet §2.4
fn saved(code: &str) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"Errors":[],"FinalMessages":[],"ReturnValue":true,"ReturnCode":code,"ReturnParams":code}))
}

fn refused(description: &str) -> Value {
    json!({"Errors":[{"ColName":"","Group":"","ErrorType":"ErrError","Description":description,"ErrorCode":-1,"MessageText":"","Solution":"","HelpIndex":""}],
        "FinalMessages":null,"ReturnValue":false,"ReturnCode":"","ReturnParams":""})
}

fn form() -> ContactForm {
    ContactForm { full_name: "شرکت نمونه الف".into(), active: true, ..ContactForm::default() }
}

fn lines() -> Vec<PreInvoiceRow> {
    vec![PreInvoiceRow {
        goods_code: "500100001".into(),
        unit: "عدد".into(),
        quantity: Decimal::TWO,
        price: Decimal::from(100_000),
        discount: Decimal::ZERO,
    }]
}

fn suid() -> Suid {
    Suid::from_digest(&[0xab; 32])
}

fn contacts(count: usize) -> String {
    let mut list = String::from("[");
    for code in 1..=count {
        let comma = if code == 1 { "" } else { "," };
        write!(list, r#"{comma}{{"Code":{code},"Name":"شرکت {code}","TowardType":true,"MobileNo":"0912{code:07}","IsActive":true,"Picture":"AAAA","AccountPartyCode":null}}"#).unwrap();
    }
    list.push(']');
    list
}

// ---- session ----

#[tokio::test]
async fn the_login_sends_the_hash_and_calls_carry_the_bare_session() {
    let server = MockServer::start().await;
    Mock::given(path(LOGIN))
        .and(body_json(json!({"UserName":"کاربر نمونه","Password":"6A03CCD0C813FB03ECAD5A210C7D5A8E"})))
        .respond_with(session("0f3c"))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path(SAVE))
        .and(header("authorization", "0f3c"))
        .respond_with(saved("9001"))
        .expect(1)
        .mount(&server)
        .await;
    let client = client(&server);
    assert_eq!(client.save_contact(SaveContact::Create, &form()).await.unwrap().code, 9001);
    let info = client.server_info().await.unwrap();
    assert_eq!((info.fiscal_year, info.system_date.as_deref()), (Some(1404), Some("1404/11/12")));
}

#[tokio::test]
async fn a_session_that_ends_under_twenty_calls_causes_one_login() {
    let server = MockServer::start().await;
    let logins = AtomicUsize::new(0);
    let answer = move |_: &Request| session(if logins.fetch_add(1, Ordering::SeqCst) == 0 { "s1" } else { "s2" });
    Mock::given(path(LOGIN)).respond_with(answer).mount(&server).await;
    Mock::given(path(SAVE))
        .and(header("authorization", "s1"))
        .respond_with(ResponseTemplate::new(401))
        .mount(&server)
        .await;
    Mock::given(path(SAVE)).and(header("authorization", "s2")).respond_with(saved("7")).mount(&server).await;
    let client = client(&server);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.save_contact(SaveContact::Create, &form()).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(requests(&server, LOGIN).await, 2);
}

#[tokio::test]
async fn every_way_of_saying_that_the_session_ended_leads_to_one_replay() {
    for ended in [
        ResponseTemplate::new(401),
        ResponseTemplate::new(403),
        ResponseTemplate::new(302).insert_header("location", "/Account/Login?ReturnUrl=x"),
        html(LOGIN_PAGE),
        ResponseTemplate::new(200).set_body_json(refused("نشست شما به پایان رسیده است، دوباره ورود کنید")),
        ResponseTemplate::new(200).set_body_json(refused("Session expired")),
    ] {
        let server = server().await;
        Mock::given(path(SAVE)).respond_with(ended).up_to_n_times(1).mount(&server).await;
        Mock::given(path(SAVE)).respond_with(saved("9001")).mount(&server).await;
        assert_eq!(client(&server).save_contact(SaveContact::Create, &form()).await.unwrap().code, 9001);
        assert_eq!((requests(&server, LOGIN).await, requests(&server, SAVE).await), (2, 2));
    }
}

#[tokio::test]
async fn a_new_session_that_is_refused_too_stops_all_calls_for_a_while() {
    let server = answering(SAVE, ResponseTemplate::new(401)).await;
    let client = client(&server);
    for _ in 0..5 {
        let fault = client.save_contact(SaveContact::Create, &form()).await.unwrap_err();
        assert_eq!((fault.class, fault.code), (Systemic, "siagh.session_refused"));
    }
    assert_eq!((requests(&server, LOGIN).await, requests(&server, SAVE).await), (2, 2));
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again_before_its_wait_is_over() {
    for (status, code) in [(401, "siagh.login_refused"), (403, "siagh.login_locked")] {
        let server = MockServer::start().await;
        let said = json!({"Message":"Invalid username or password"});
        Mock::given(path(LOGIN)).respond_with(ResponseTemplate::new(status).set_body_json(said)).mount(&server).await;
        let client = client(&server);
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.probe().await })
            })
            .collect();
        for call in calls {
            let fault = call.await.unwrap().unwrap_err();
            assert_eq!((fault.class, fault.code), (Systemic, code));
        }
        assert_eq!(requests(&server, LOGIN).await, 1);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(15 * 60)).await;
        tokio::time::resume();
        assert!(client.server_info().await.is_err());
        assert_eq!(requests(&server, LOGIN).await, 2);
    }
}

#[tokio::test]
async fn a_login_without_a_session_id_is_a_failure_whatever_the_token_says() {
    for body in [json!({"SessionId":"","Token":"x:0"}), json!({"SessionId":null,"Token":"x:0"}), json!({"Token":"x:0"})]
    {
        let server = MockServer::start().await;
        Mock::given(path(LOGIN)).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
        assert_eq!(client(&server).server_info().await.unwrap_err().code, "siagh.not_the_api");
    }
}

#[tokio::test]
async fn an_old_session_is_replaced_so_that_the_fiscal_year_stays_true() {
    let server = server().await;
    let client = client(&server);
    client.server_info().await.unwrap();
    client.server_info().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    tokio::time::resume();
    client.server_info().await.unwrap();
    assert_eq!(requests(&server, LOGIN).await, 2);
}

#[tokio::test]
async fn a_probe_asks_for_a_login_and_never_for_the_list() {
    let server = server().await;
    let client = client(&server);
    client.probe().await.unwrap();
    client.probe().await.unwrap();
    assert_eq!(requests(&server, LOGIN).await, 2);
    assert_eq!(requests(&server, LIST).await, 0);
}

// ---- list ----

#[tokio::test]
async fn a_list_of_a_hundred_thousand_contacts_is_handed_out_row_by_row() {
    let server = answering(LIST, raw(&contacts(100_000))).await;
    let mut sum = 0;
    let count = client(&server).contacts_each(None, |contact| sum += contact.code).await.unwrap();
    assert_eq!((count, sum), (100_000, 5_000_050_000));
}

#[tokio::test]
async fn the_whole_list_is_a_get_and_a_filter_is_a_post_checked_again_here() {
    let server = server().await;
    Mock::given(method("GET")).and(path(LIST)).respond_with(raw("[]")).expect(1).mount(&server).await;
    for body in [json!({"Code": 7}), json!({"MobileNo": "09120000007"}), json!({"TelNo": "021"})] {
        Mock::given(method("POST"))
            .and(path(LIST))
            .and(body_json(body))
            .respond_with(raw(&contacts(20)))
            .expect(1)
            .mount(&server)
            .await;
    }
    let client = client(&server);
    assert_eq!(client.contacts_each(None, |_| ()).await.unwrap(), 0);
    for (filter, codes) in [
        (ContactFilter::Code(7), vec![7]),
        (ContactFilter::MobileNo("09120000007".into()), vec![7]),
        (ContactFilter::TelNo("021".into()), vec![]),
    ] {
        let mut found = Vec::new();
        client.contacts_each(Some(&filter), |contact| found.push(contact.code)).await.unwrap();
        assert_eq!(found, codes);
    }
}

#[tokio::test]
async fn a_list_in_place_of_which_a_login_is_asked_for_is_read_again() {
    for ended in [
        ResponseTemplate::new(401),
        ResponseTemplate::new(302),
        html(LOGIN_PAGE),
        ResponseTemplate::new(200).set_body_json(refused("session expired")),
    ] {
        let server = server().await;
        Mock::given(path(LIST)).respond_with(ended).up_to_n_times(1).mount(&server).await;
        Mock::given(path(LIST)).respond_with(raw(&contacts(3))).mount(&server).await;
        let mut codes = Vec::new();
        client(&server).contacts_each(None, |contact| codes.push(contact.code)).await.unwrap();
        assert_eq!(codes, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_list_that_is_no_whole_list_is_never_taken_for_one() {
    let whole = contacts(10);
    for (answer, class) in [
        (raw(&whole[..whole.len() - 1]), Transient),
        (raw(&whole[..whole.len() / 2]), Transient),
        (raw(""), Transient),
        (raw("null"), Systemic),
        (raw("{}"), Systemic),
        (html("<html>maintenance</html>"), Systemic),
        (raw(r#"[{"Name":"without a code"}]"#), Systemic),
        (raw("[1,2]"), Transient),
        (ResponseTemplate::new(500).set_body_raw("<html></html>", "text/html"), Transient),
        (ResponseTemplate::new(404), Systemic),
    ] {
        let server = answering(LIST, answer).await;
        let fault = client(&server).contacts_each(None, |_| ()).await.unwrap_err();
        assert_eq!(fault.class, class, "{fault}");
    }
}

// ---- saves ----

#[tokio::test]
async fn a_contact_is_saved_in_an_envelope_of_seven_texts() {
    let server = answering(SAVE, saved("42")).await;
    client(&server).save_contact(SaveContact::Update { code: 42 }, &form()).await.unwrap();
    let sent: Value = server.received_requests().await.unwrap().last().unwrap().body_json().unwrap();
    assert!(
        sent["ctrlValues"]
            .as_str()
            .unwrap()
            .starts_with("Param1=42|NickName=dbgrid1.#nickname#|gn_web_users.isactive=1|")
    );
    let rest: Vec<_> = sent
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "ctrlValues")
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    assert_eq!(
        rest,
        [
            ("formId", "2BFDA"),
            ("parameters", "CodeMain=42"),
            ("dataRows", "[]"),
            ("attachments", "[]"),
            ("postCode", "1110"),
            ("flowId", "")
        ]
    );
}

#[tokio::test]
async fn a_pre_invoice_gives_all_three_identifiers_and_the_net() {
    // sheet §2.7
    let answer = json!({"Errors":[{"ColName":"","Group":"","ErrorType":"ErrSuccs","Description":"پیش فاکتور فروش با موفقیت به شماره 2501 ثبت گردید خالص سند: 5,720,000",
        "ErrorCode":0,"MessageText":"","Solution":"","HelpIndex":""}],
        "FinalMessages":["پیش فاکتور فروش با موفقیت به شماره 2501 ثبت گردید"],"ReturnValue":true,"ReturnCode":"15460","ReturnParams":"458650"});
    let server = answering(SAVE, raw(&format!("\u{feff}{answer}"))).await;
    let saved = client(&server).save_pre_invoice(&PreInvoiceHeader::default(), &lines(), &suid()).await.unwrap();
    assert_eq!(
        (saved.return_code.as_str(), saved.return_params.as_deref(), saved.number.as_deref()),
        ("15460", Some("458650"), Some("2501"))
    );
    assert_eq!(saved.net, Some(Decimal::from(5_720_000)));
    let sent: Value = server.received_requests().await.unwrap().last().unwrap().body_json().unwrap();
    assert_eq!(sent["parameters"], format!("_In_EditKeys=|_In_Suid={}|nocheck=", "AB".repeat(16)));
    assert_eq!(sent["formId"], "43D81");
}

#[tokio::test]
async fn codes_may_be_numbers_and_lists_may_be_null() {
    let server = answering(
        SAVE,
        raw(r#"{"Errors":null,"ReturnValue":true,"ReturnCode":9001,"ReturnParams":9001,"New":{"x":1}}"#),
    )
    .await;
    assert_eq!(client(&server).save_contact(SaveContact::Create, &form()).await.unwrap().code, 9001);
}

#[tokio::test]
async fn a_warning_is_a_success_with_a_note() {
    let answer =
        json!({"Errors":[{"ErrorType":"ErrWarning","Description":"هشدار"}],"ReturnValue":true,"ReturnCode":"5"});
    let server = answering(SAVE, ResponseTemplate::new(200).set_body_json(answer)).await;
    assert_eq!(client(&server).save_contact(SaveContact::Create, &form()).await.unwrap().warnings, ["هشدار"]);
}

#[tokio::test]
async fn the_catalogue_of_refusals_is_told_apart() {
    let price = json!({"Errors":[{"ColName":"Price","ErrorType":"ErrError","Description":"نامعتبر","ErrorCode":-1}],"ReturnValue":false,"ReturnCode":""});
    for (body, code) in [
        (refused("شماره موبایل نمی تواند تکراری باشد."), "siagh.duplicate_mobile"),
        (refused("شماره موبايل نمي‌تواند تکراري باشد."), "siagh.duplicate_mobile"),
        (refused("شماره تلفن نمی تواند تکراری باشد."), "siagh.duplicate_phone"),
        (refused("قیمت ردیف 1 درست وارد نشده است"), "siagh.bad_price"),
        (price, "siagh.bad_price"),
        (
            refused(
                " پیامهای سرویس : RUNTIME ERROR\nField 'Code' not found when evaluating instruction CallProc\nStack content is: []",
            ),
            "siagh.script_crash",
        ),
        (refused("چیز دیگری"), "siagh.refused"),
        (json!({"Errors":[],"ReturnValue":false}), "siagh.refused"),
    ] {
        let server = answering(SAVE, ResponseTemplate::new(200).set_body_json(body)).await;
        let fault = client(&server).save_contact(SaveContact::Create, &form()).await.unwrap_err();
        assert_eq!((fault.class, fault.code), (Permanent, code));
        assert_eq!(requests(&server, SAVE).await, 1);
        assert!(!fault.message.contains('\n'));
    }
}

#[tokio::test]
async fn whatever_leaves_a_save_open_is_in_doubt_and_not_sent_again() {
    let both = json!({"Errors":[{"ErrorType":"ErrError","Description":"x"}],"ReturnValue":true,"ReturnCode":"5"});
    for answer in [
        raw(r#"{"Errors":[],"ReturnValue":tr"#),
        raw(""),
        ResponseTemplate::new(201),
        raw(r#"{"Errors":[]}"#),
        raw(r#"{"Errors":[],"ReturnValue":true,"ReturnCode":" "}"#),
        raw(r#"{"Errors":[],"ReturnValue":true}"#),
        raw(r#"{"Errors":[],"ReturnValue":true,"ReturnCode":"abc"}"#),
        ResponseTemplate::new(200).set_body_json(both),
        html("<html>maintenance</html>"),
        ResponseTemplate::new(500).set_body_raw("<html></html>", "text/html"),
        ResponseTemplate::new(302).insert_header("location", "/somewhere"),
    ] {
        let server = answering(SAVE, answer).await;
        let fault = client(&server).save_contact(SaveContact::Create, &form()).await.unwrap_err();
        assert_eq!(fault.class, InDoubt, "{fault}");
        assert_eq!(requests(&server, SAVE).await, 1);
    }
}

#[tokio::test]
async fn an_update_answered_with_another_code_is_an_alarm() {
    let server = answering(SAVE, saved("8391")).await;
    let fault = client(&server).save_contact(SaveContact::Update { code: 42 }, &form()).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (Permanent, "siagh.update_created_duplicate"));
    assert!(fault.message.contains("42") && fault.message.contains("8391"));
}

#[tokio::test]
async fn lines_that_siagh_can_not_hold_are_not_sent() {
    let server = server().await;
    let fault = client(&server).save_pre_invoice(&PreInvoiceHeader::default(), &[], &suid()).await.unwrap_err();
    assert_eq!((fault.code, requests(&server, LOGIN).await), ("siagh.bad_row", 0));
}

#[tokio::test]
async fn a_wrong_path_concerns_everything_and_a_bad_request_only_this_save() {
    for (status, class, code) in
        [(404, Systemic, "siagh.not_the_api"), (400, Permanent, "siagh.refused"), (429, Systemic, "siagh.rate_limited")]
    {
        let server = answering(SAVE, ResponseTemplate::new(status)).await;
        let fault = client(&server).save_contact(SaveContact::Create, &form()).await.unwrap_err();
        assert_eq!((fault.class, fault.code), (class, code));
    }
}

#[tokio::test]
async fn a_reset_connection_is_transient_for_a_list_and_in_doubt_for_a_save() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 8192];
                let length = socket.read(&mut buffer).await.unwrap_or(0);
                if String::from_utf8_lossy(&buffer[..length]).contains(LOGIN) {
                    let body = r#"{"SessionId":"s"}"#;
                    let head =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                    let _ = socket.write_all(head.as_bytes()).await;
                }
            });
        }
    });
    let client = SiaghClient::new(settings(&address)).unwrap();
    let fault = client.contacts_each(None, |_| ()).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (Transient, "siagh.connection_lost"));
    let fault = client.save_contact(SaveContact::Create, &form()).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (InDoubt, "siagh.answer_lost"));
}

#[test]
fn debug_output_shows_no_credentials() {
    let settings = settings("http://siagh.example.test:8090");
    let shown = format!("{settings:?} {:?}", SiaghClient::new(settings.clone()).unwrap());
    assert!(!shown.contains("6A03CCD0") && !shown.contains("کاربر"));
    assert!(shown.contains("siagh.example.test:8090"));
}
