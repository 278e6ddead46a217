//! Faults as a caller sees them, on both simulators alike.

use crate::support::{Crm, Finance, finance_1404, http, person};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tandem_simulators::{Arm, Fault, payamgostar::Settings};

async fn create(crm: &Crm) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/api/v2/crmobject/person/create", crm.sim.api_url());
    crm.http.post(url).bearer_auth(&crm.token).json(&person()).send().await
}

#[tokio::test]
async fn a_reset_after_commit_breaks_the_connection_while_the_effect_stays() {
    let crm = Crm::quick().await;
    crm.admin.arm(Arm::once(Fault::ResetAfterCommit).on("person/create"));
    let error = create(&crm).await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout() && error.status().is_none(), "{error:?}");
    assert_eq!(crm.admin.identity_count(), 1);
    assert_eq!(crm.admin.calls_to("person/create"), 1);
    assert_eq!(create(&crm).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_reset_before_breaks_the_connection_and_nothing_happened() {
    let crm = Crm::quick().await;
    crm.admin.arm(Arm::once(Fault::ResetBefore));
    assert!(create(&crm).await.unwrap_err().is_request());
    assert_eq!(crm.admin.identity_count(), 0);
}

#[tokio::test]
async fn a_lost_answer_leaves_exactly_one_document_in_siagh() {
    let finance = Finance::with(finance_1404()).await;
    finance.admin.arm(Arm::once(Fault::ResetAfterCommit).on("SaveFormData#43D81"));
    let url = format!("{}/BpmsApi/SaveFormData", finance.sim.api_url());
    let form = crate::support::Invoice::default().form();
    let sent = finance.http.post(url).header("Authorization", &finance.session).json(&form).send().await;
    assert!(sent.unwrap_err().is_request());
    assert_eq!(finance.admin.document_count(), 1);
}

#[tokio::test]
async fn an_error_page_comes_with_or_without_the_effect() {
    let crm = Crm::quick().await;
    for (committed, identities) in [(false, 0), (true, 1)] {
        crm.admin.arm(Arm::once(Fault::Status { code: 500, committed }));
        let response = create(&crm).await.unwrap();
        assert_eq!(response.status(), 500);
        assert!(response.text().await.unwrap().contains("<html>"));
        assert_eq!(crm.admin.identity_count(), identities);
    }
}

#[tokio::test]
async fn an_html_page_with_200_is_no_json() {
    let finance = Finance::quick().await;
    finance.admin.arm(Arm::once(Fault::HtmlPage { committed: false }).on("GetAll"));
    let response = finance.send(Method::GET, "/api/Sgh/GEN/Gn_Web_Users/GetAll", None).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(response.json::<Value>().await.is_err());
}

#[tokio::test]
async fn truncated_json_comes_with_200_and_the_effect() {
    let crm = Crm::quick().await;
    crm.admin.arm(Arm::once(Fault::TruncatedJson));
    let response = create(&crm).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.json::<Value>().await.is_err());
    assert_eq!(crm.admin.identity_count(), 1);
}

#[tokio::test]
async fn an_unauthorized_answer_leaves_the_session_alive() {
    let crm = Crm::quick().await;
    crm.admin.arm(Arm::once(Fault::Unauthorized));
    assert_eq!(create(&crm).await.unwrap().status(), 401);
    assert_eq!(create(&crm).await.unwrap().status(), 200);
}

#[tokio::test]
async fn siagh_can_refuse_inside_a_200() {
    let finance = Finance::quick().await;
    let text = "نشست کاربر منقضی شده است";
    finance.admin.arm(Arm::once(Fault::ErrorsInside { text: text.to_owned() }).on("SaveFormData"));
    let answer = finance.save_contact("gn_web_users.fullname=الف", "").await;
    assert_eq!((&answer["ReturnValue"], &answer["Errors"][0]["Description"]), (&json!(false), &json!(text)));
    assert_eq!(finance.admin.contact_count(), 1);
}

#[tokio::test]
async fn a_slow_answer_has_its_effect_before_the_caller_gives_up() {
    let crm = Crm::quick().await;
    crm.admin.arm(Arm::once(Fault::SlowAnswer { ms: 60_000 }));
    let url = format!("{}/api/v2/crmobject/person/create", crm.sim.api_url());
    let sent =
        crm.http.post(url).bearer_auth(&crm.token).json(&person()).timeout(Duration::from_millis(200)).send().await;
    assert!(sent.unwrap_err().is_timeout());
    assert_eq!(crm.admin.identity_count(), 1);
}

#[tokio::test]
async fn a_delayed_call_waits_before_its_effect() {
    let crm = Crm::quick().await;
    crm.admin.arm(Arm::once(Fault::Delay { ms: 150 }));
    let began = Instant::now();
    create(&crm).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn an_armed_fault_fires_only_for_its_endpoint_and_only_so_many_times() {
    let crm = Crm::quick().await;
    crm.admin.arm(Arm::times(2, Fault::Status { code: 503, committed: false }).on("person/create"));
    assert_eq!(crm.call("identity/search", json!({})).await.0, 200);
    for expected in [503, 503, 200] {
        assert_eq!(create(&crm).await.unwrap().status(), expected);
    }
    assert!(crm.admin.armed().is_empty());
}

#[tokio::test]
async fn faults_by_chance_repeat_with_the_seed() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let crm = Crm::with(Settings { seed: Some(5), ..Settings::quick() }).await;
        crm.admin.arm(Arm::chance(0.5, Fault::Status { code: 500, committed: false }));
        let mut run = Vec::new();
        for _ in 0..20 {
            run.push(create(&crm).await.unwrap().status().as_u16());
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&500) && runs[0].contains(&200));
}

#[tokio::test]
async fn in_a_maintenance_window_connecting_is_refused_and_afterwards_everything_is_as_before() {
    let crm = Crm::quick().await;
    crm.person().await;
    crm.admin.close().await;
    let fresh = http().get(crm.sim.api_url()).send().await.unwrap_err();
    assert!(fresh.is_connect(), "{fresh:?}");
    assert!(create(&crm).await.is_err());
    crm.admin.open().await.unwrap();
    assert_eq!(create(&crm).await.unwrap().status(), 200);
    assert_eq!(crm.admin.identity_count(), 2);
}

#[tokio::test]
async fn a_maintenance_window_can_end_by_itself() {
    let finance = Finance::quick().await;
    finance.admin.close_for(Duration::from_millis(200)).await;
    let url = format!("{}/customers", finance.sim.api_url());
    assert!(http().get(&url).send().await.unwrap_err().is_connect());
    let came_back = async { while http().get(&url).send().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), came_back).await.unwrap();
}

#[tokio::test]
async fn waiting_for_something_ends_when_it_happens() {
    let crm = Crm::quick().await;
    let waiter = tokio::spawn({
        let admin = crm.admin.clone();
        async move { admin.until(|admin| admin.calls_to("person/create") == 2).await }
    });
    create(&crm).await.unwrap();
    create(&crm).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), waiter).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopped_simulator_frees_its_ports() {
    let crm = Crm::quick().await;
    let (api, control) = (crm.sim.api_url(), crm.sim.control_url());
    crm.sim.stop().await;
    for url in [api, control] {
        assert!(http().get(url).send().await.unwrap_err().is_connect());
    }
}
