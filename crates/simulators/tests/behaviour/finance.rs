//! Siagh: login, sessions, the contact list and the contact form (siagh sheet §7.1 to §7.10, §7.15 to §7.18).

use crate::support::{Finance, contact_form, finance_1404};
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tandem_simulators::{
    Arm, Fault, Latency,
    siagh::{Contact, Settings},
};

const CONTROLS: &str = "NickName=dbgrid1.#nickname#|gn_web_users.isactive=1|gn_web_users.fullname=نام نمونه|\
                        gn_web_users.mobileno=09000000002|gn_web_users.telno=02100000002|gn_web_users.passno=0000000000|\
                        gn_web_users.tmpid=7|gn_web_users.taraftype=0";

// 1
#[tokio::test]
async fn login_wants_the_upper_case_md5_and_answers_thirteen_members() {
    let finance = Finance::with(finance_1404()).await;
    let body = finance.login("6A03CCD0C813FB03ECAD5A210C7D5A8E").await.json::<Value>().await.unwrap();
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        [
            "SessionId",
            "Token",
            "UserCode",
            "UserName",
            "ContactCode",
            "ContactName",
            "BranchCode",
            "BranchName",
            "IsAdminUser",
            "FiscalYear",
            "MobileNo",
            "SystemDate",
            "SystemTime",
        ]
    );
    let session = body["SessionId"].as_str().unwrap();
    assert!(session.len() == 32 && session.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    assert_eq!(body["Token"], format!("{session}:0"));
    assert_eq!((&body["SystemDate"], &body["SystemTime"]), (&json!("1404/11/12"), &json!("12:00")));
    assert_eq!((&body["FiscalYear"], &body["MobileNo"]), (&json!(1404), &json!("9000000001")));
}

#[tokio::test]
async fn a_wrong_or_lower_case_hash_is_refused_with_exactly_the_sheets_body() {
    let finance = Finance::quick().await;
    for hash in ["6a03ccd0c813fb03ecad5a210c7d5a8e", "tandem-demo-1", ""] {
        let response = finance.login(hash).await;
        assert_eq!(response.status(), 401);
        assert_eq!(response.text().await.unwrap(), r#"{"Message":"Invalid username or password"}"#);
    }
    finance.admin.set_settings(Settings { accept_lower_case_hash: true, ..Settings::quick() });
    assert_eq!(finance.login("6a03ccd0c813fb03ecad5a210c7d5a8e").await.status(), 200);
}

#[tokio::test]
async fn the_fiscal_year_follows_the_jalali_calendar_or_the_administrator() {
    let finance = Finance::with(finance_1404()).await;
    let year = async || {
        let body = finance.login("6A03CCD0C813FB03ECAD5A210C7D5A8E").await.json::<Value>().await.unwrap();
        (body["FiscalYear"].clone(), body["SystemDate"].clone())
    };
    finance.admin.set_clock("2026-03-20T20:00:00Z".parse().unwrap());
    assert_eq!(year().await, (json!(1404), json!("1404/12/29")));
    finance.admin.set_clock("2026-03-20T20:30:00Z".parse().unwrap());
    assert_eq!(year().await, (json!(1405), json!("1405/01/01")));
    finance.admin.set_fiscal_year(Some(1404));
    assert_eq!(year().await, (json!(1404), json!("1405/01/01")));
}

// 2
#[tokio::test]
async fn only_the_bare_session_id_is_a_session() {
    let mut finance = Finance::quick().await;
    let session = finance.session.clone();
    let status =
        async |finance: &Finance| finance.send(Method::GET, "/api/Sgh/GEN/Gn_Web_Users/GetAll", None).await.status();
    assert_eq!(status(&finance).await, 200);
    for wrong in [format!("Bearer {session}"), format!("{session}:0"), "0123".to_owned(), String::new()] {
        finance.session = wrong;
        assert_eq!(status(&finance).await, 401);
    }
}

#[tokio::test]
async fn a_session_ends_after_being_idle_and_lives_on_while_used() {
    let finance = Finance::with(finance_1404()).await;
    let status = async || finance.send(Method::GET, "/api/Sgh/GEN/Gn_Web_Users/GetAll", None).await.status();
    for _ in 0..3 {
        finance.admin.advance(TimeDelta::minutes(29));
        assert_eq!(status().await, 200);
    }
    finance.admin.advance(TimeDelta::minutes(31));
    assert_eq!(status().await, 401);
}

#[tokio::test]
async fn sessions_can_be_expired_by_the_administrator() {
    let finance = Finance::quick().await;
    finance.admin.expire_sessions();
    let response = finance.send(Method::POST, "/BpmsApi/SaveFormData", Some(&contact_form(CONTROLS, ""))).await;
    assert_eq!(response.status(), 401);
    assert_eq!(finance.admin.contact_count(), 1);
}

// 3
#[tokio::test]
async fn the_list_is_a_whole_bare_array_without_the_write_only_members() {
    let finance = Finance::quick().await;
    finance.admin.seed_contacts((0..3_000).map(|_| Contact::person("نام")));
    let response = finance.send(Method::GET, "/api/Sgh/GEN/Gn_Web_Users/GetAll", None).await;
    assert!(response.headers().contains_key("content-length"));
    let rows: Vec<Value> = response.json().await.unwrap();
    assert_eq!(rows.len(), 3_001);
    let row = &rows[0];
    assert_eq!((&row["Code"], &row["TowardType"], &row["NickName"]), (&json!(42), &json!(true), &Value::Null));
    for hidden in ["tmpid", "Tmpid", "TmpId", "tarafType", "TarafType"] {
        assert!(row.get(hidden).is_none(), "{hidden}");
    }
    for shown in ["RecordId", "WebSiteAddress", "MobileNo2", "HasDisCount", "AccountPartyCode", "GiveCoinToParentCode"]
    {
        assert!(row.get(shown).is_some(), "{shown}");
    }
}

#[tokio::test]
async fn a_posted_filter_compares_exactly_and_ignores_members_it_does_not_know() {
    let finance = Finance::quick().await;
    finance.admin.seed_contact(Contact { code: 43, ..Contact::person("نام") });
    for (filter, codes) in [
        (json!({ "TelNo": "02100000001" }), vec![42]),
        (json!({ "MobileNo": "09000000001" }), vec![42]),
        (json!({ "MobileNo": "0900000000" }), vec![]),
        (json!({ "Code": 43 }), vec![43]),
        (json!({ "Code": "43", "Name": "نام" }), vec![43]),
        (json!({ "Code": 43, "TowardType": true }), vec![]),
        (json!({ "NoSuchMember": 1 }), vec![42, 43]),
        (json!({}), vec![42, 43]),
    ] {
        let found: Vec<Value> = finance.filtered(filter.clone()).await.iter().map(|row| row["Code"].clone()).collect();
        assert_eq!(json!(found), json!(codes), "{filter}");
    }
}

// 4
#[tokio::test]
async fn the_addresses_of_the_guides_do_not_exist_unless_the_alias_is_on() {
    let finance = Finance::quick().await;
    for path in ["/GeneralApi/SaveFormData", "/GeneralApi/GetAllUsers", "/customers", "/preinvoices"] {
        assert_eq!(finance.send(Method::POST, path, Some(&json!({}))).await.status(), 404, "{path}");
    }
    finance.admin.set_settings(Settings { aliases: true, ..Settings::quick() });
    assert_eq!(finance.send(Method::POST, "/GeneralApi/GetAllUsers", Some(&json!({}))).await.status(), 200);
    assert_eq!(finance.send(Method::POST, "/customers", Some(&json!({}))).await.status(), 404);
}

fn refused(answer: &Value) -> &str {
    assert_eq!((&answer["ReturnValue"], &answer["ReturnCode"]), (&json!(false), &json!("")), "{answer}");
    assert_eq!(answer["Errors"][0]["ErrorType"], "ErrError", "{answer}");
    answer["Errors"][0]["Description"].as_str().unwrap()
}

// 5
#[tokio::test]
async fn an_envelope_with_a_missing_member_bad_json_or_an_unknown_form_is_refused() {
    let finance = Finance::quick().await;
    for member in ["formId", "ctrlValues", "parameters", "dataRows", "attachments", "postCode", "flowId"] {
        let mut body = contact_form(CONTROLS, "");
        body.as_object_mut().unwrap().remove(member);
        let response = finance.send(Method::POST, "/BpmsApi/SaveFormData", Some(&body)).await;
        assert_eq!(response.status(), 500, "{member}");
        assert!(response.text().await.unwrap().contains("<html>"));
    }
    for (member, value) in [("dataRows", "["), ("attachments", ""), ("formId", "FFFFF")] {
        let mut body = contact_form(CONTROLS, "");
        body[member] = value.into();
        refused(&finance.save(&body).await);
    }
    assert_eq!(finance.admin.contact_count(), 1);
}

// 6
#[tokio::test]
async fn a_pipe_in_a_value_corrupts_the_controls_behind_it() {
    let finance = Finance::quick().await;
    let answer = finance.save_contact("gn_web_users.fullname=الف|ب|gn_web_users.taraftype=1", "").await;
    let code = answer["ReturnCode"].as_str().unwrap().parse().unwrap();
    assert_eq!(finance.admin.contact(code).unwrap().name, "الف");
}

// 7
#[tokio::test]
async fn a_created_contact_gets_the_highest_code_plus_one_as_text() {
    let finance = Finance::quick().await;
    let answer = finance.save_contact(CONTROLS, "").await;
    assert_eq!(
        answer,
        json!({ "Errors": [], "FinalMessages": [], "ReturnValue": true, "ReturnCode": "43", "ReturnParams": "43" })
    );
    let row = &finance.filtered(json!({ "Code": 43 })).await[0];
    assert_eq!(
        (&row["Name"], &row["NationalCode"], &row["IsActive"]),
        (&json!("نام نمونه"), &json!("0000000000"), &json!(true))
    );
}

#[tokio::test]
async fn a_contact_needs_a_full_name() {
    let finance = Finance::quick().await;
    refused(&finance.save_contact("gn_web_users.isactive=1", "").await);
    assert_eq!(finance.admin.contact_count(), 1);
}

// 7 and 17
#[tokio::test]
async fn a_mobile_or_phone_of_another_contact_is_refused_with_the_persian_sentence() {
    let finance = Finance::quick().await;
    for (control, sentence) in [
        ("mobileno=09000000001", "شماره موبایل نمی تواند تکراری باشد."),
        ("telno=02100000001", "شماره تلفن نمی تواند تکراری باشد."),
    ] {
        let answer = finance.save_contact(&format!("gn_web_users.fullname=الف|gn_web_users.{control}"), "").await;
        assert_eq!(refused(&answer), sentence);
        assert_eq!(answer["Errors"][0]["ErrorCode"], -1);
    }
    for _ in 0..2 {
        assert_eq!(
            finance.save_contact("gn_web_users.fullname=الف|gn_web_users.mobileno=", "").await["ReturnValue"],
            true
        );
    }
}

// 8
#[tokio::test]
async fn an_update_without_param1_makes_a_second_contact_and_reports_success() {
    let finance = Finance::quick().await;
    let answer = finance.save_contact("gn_web_users.fullname=الف|gn_web_users.isactive=1", "42").await;
    assert_eq!((&answer["ReturnValue"], &answer["ReturnCode"]), (&json!(true), &json!("43")));
    assert_eq!(finance.admin.contact(42).unwrap().name, "شرکت نمونه الف");
}

#[tokio::test]
async fn an_update_needs_param1_and_code_main_to_be_the_same_known_code() {
    let finance = Finance::quick().await;
    for (param, code_main) in [("42", ""), ("42", "43"), ("77", "77")] {
        refused(&finance.save_contact(&format!("Param1={param}|gn_web_users.fullname=الف"), code_main).await);
    }
    let answer = finance.save_contact("Param1=42|gn_web_users.fullname=الف", "42").await;
    assert_eq!((&answer["ReturnValue"], &answer["ReturnCode"]), (&json!(true), &json!("42")));
    assert_eq!(finance.admin.contact_count(), 1);
}

// 9
#[tokio::test]
async fn an_update_overwrites_every_control_also_with_nothing() {
    let finance = Finance::quick().await;
    finance.save_contact("Param1=42|gn_web_users.fullname=الف|gn_web_users.mobileno=09000000001", "42").await;
    let contact = finance.admin.contact(42).unwrap();
    assert_eq!((contact.email.as_deref(), contact.tel_no.as_deref()), (Some(""), Some("")));
    assert_eq!((contact.is_active, contact.toward_type), (false, Some(false)));
    assert_eq!(contact.account_party_code, Some(5_500_042));
    // The number it gave up is free for another.
    let answer = finance.save_contact("gn_web_users.fullname=ب|gn_web_users.telno=02100000001", "").await;
    assert_eq!(answer["ReturnValue"], true);
}

#[tokio::test]
async fn tmpid_is_stored_only_under_its_full_name() {
    let finance = Finance::quick().await;
    finance.save_contact("gn_web_users.fullname=الف|tmpid=7", "").await;
    finance.save_contact("gn_web_users.fullname=ب|gn_web_users.tmpid=7", "").await;
    assert_eq!(finance.admin.contact(43).unwrap().tmpid.as_deref(), Some(""));
    assert_eq!(finance.admin.contact(44).unwrap().tmpid.as_deref(), Some("7"));
}

// 10
#[tokio::test]
async fn taraftype_one_is_an_organization_in_the_list() {
    let finance = Finance::quick().await;
    finance.save_contact("gn_web_users.fullname=الف|gn_web_users.taraftype=1", "").await;
    finance.save_contact("gn_web_users.fullname=ب|gn_web_users.taraftype=0", "").await;
    let kinds: Vec<Value> = finance.list().await.iter().map(|row| row["TowardType"].clone()).collect();
    assert_eq!(kinds, [true, true, false]);
}

// 15
#[tokio::test]
async fn a_third_save_waits_until_one_of_two_is_done() {
    let settings = Settings { save_latency: Latency::between(200, 200), ..Settings::quick() };
    let finance = Finance::with(settings).await;
    let began = Instant::now();
    let save = |name: &'static str| finance.save_contact(name, "");
    tokio::join!(save("gn_web_users.fullname=الف"), save("gn_web_users.fullname=ب"), save("gn_web_users.fullname=پ"));
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    assert_eq!(finance.admin.contact_count(), 4);
}

// 16
#[tokio::test]
async fn a_session_dropped_in_the_middle_stays_unknown() {
    let mut finance = Finance::quick().await;
    finance.admin.arm(Arm::once(Fault::DropSession).on("SaveFormData"));
    let form = contact_form(CONTROLS, "");
    for _ in 0..2 {
        assert_eq!(finance.send(Method::POST, "/BpmsApi/SaveFormData", Some(&form)).await.status(), 401);
    }
    finance.session = finance.open_session().await;
    assert_eq!(finance.save(&form).await["ReturnValue"], true);
}

#[tokio::test]
async fn a_stale_list_shows_the_contacts_of_a_while_ago() {
    let finance = Finance::quick().await;
    finance.admin.stale_list(Duration::from_secs(3_600));
    finance.save_contact(CONTROLS, "").await;
    assert_eq!(finance.list().await.len(), 1);
    assert!(finance.filtered(json!({ "MobileNo": "09000000002" })).await.is_empty());
    finance.admin.stale_list(Duration::ZERO);
    assert_eq!(finance.list().await.len(), 2);
}

#[tokio::test]
async fn answers_are_utf8_json() {
    let finance = Finance::quick().await;
    let response = finance.send(Method::GET, "/api/Sgh/GEN/Gn_Web_Users/GetAll", None).await;
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
}

#[tokio::test]
async fn five_bad_logins_lock_the_user() {
    let finance = Finance::quick().await;
    for _ in 0..5 {
        assert_eq!(finance.login("wrong").await.status(), 401);
    }
    assert_eq!(finance.login("6A03CCD0C813FB03ECAD5A210C7D5A8E").await.status(), 403);
    finance.admin.advance(TimeDelta::minutes(16));
    assert_eq!(finance.login("6A03CCD0C813FB03ECAD5A210C7D5A8E").await.status(), 200);
}
