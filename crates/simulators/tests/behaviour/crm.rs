//! Payamgostar: login, reads, writes, lists (payamgostar sheet §7.1 to §7.11, §7.14 to §7.16, §7.18).

use crate::support::{Crm, person};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tandem_simulators::{
    Arm, Fault,
    payamgostar::{Ban, Kind, Settings, TypeSeed},
};
use uuid::Uuid;

// 1
#[tokio::test]
async fn login_answers_with_an_expiry_in_tehran_time_with_seven_decimals() {
    let crm = Crm::quick().await;
    let body = crm.login("not-a-real-one").await.json::<Value>().await.unwrap();
    let expires = body["expiresAt"].as_str().unwrap();
    assert!(expires.ends_with("+03:30"), "{expires}");
    assert_eq!(expires.split('.').nth(1).unwrap().len(), 7 + 6, "{expires}");
    let left = expires.parse::<DateTime<Utc>>().unwrap() - Utc::now();
    assert!((left - TimeDelta::seconds(7200)).abs() < TimeDelta::seconds(5), "{left}");
    assert_eq!(body["accessToken"].as_str().unwrap().split('.').count(), 3);
}

#[tokio::test]
async fn the_legacy_login_takes_a_form_and_gives_a_token_that_works() {
    let mut crm = Crm::quick().await;
    let form = [("username", "svc-sync"), ("password", "not-a-real-one"), ("grant_type", "password")];
    let url = format!("{}/api/v1/auth", crm.sim.api_url());
    let body = crm.http.post(&url).form(&form).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(body["expires_in"], 7200);
    crm.token = body["access_token"].as_str().unwrap().to_owned();
    crm.person().await;
    let without_grant = crm.http.post(&url).form(&form[..2]).send().await.unwrap();
    assert_eq!(without_grant.status(), 400);
}

#[tokio::test]
async fn a_missing_unknown_or_expired_token_is_answered_with_401() {
    let mut crm = Crm::quick().await;
    let good = std::mem::take(&mut crm.token);
    assert_eq!(crm.call("identity/search", json!({})).await.0, 401);
    crm.token = "unknown".to_owned();
    assert_eq!(crm.call("identity/search", json!({})).await.0, 401);
    crm.token = good;
    assert_eq!(crm.call("identity/search", json!({})).await.0, 200);
    crm.admin.advance(TimeDelta::seconds(7201));
    assert_eq!(crm.call("identity/search", json!({})).await.0, 401);
}

#[tokio::test]
async fn tokens_can_be_expired_by_the_administrator() {
    let crm = Crm::quick().await;
    crm.admin.expire_sessions();
    assert_eq!(crm.call("identity/search", json!({})).await.0, 401);
}

#[tokio::test]
async fn a_refresh_works_only_where_it_is_switched_on() {
    let crm = Crm::quick().await;
    let tokens = crm.login("not-a-real-one").await.json::<Value>().await.unwrap();
    let path = "/api/v2/auth/token/refresh";
    assert_eq!(crm.send(Method::POST, path, &tokens).await.status(), 404);
    crm.admin.set_settings(Settings { refresh: true, ..Settings::quick() });
    let refreshed = crm.send(Method::POST, path, &tokens).await.json::<Value>().await.unwrap();
    assert_ne!(refreshed["accessToken"], tokens["accessToken"]);
    assert_eq!(crm.send(Method::POST, path, &tokens).await.status(), 401);
}

// 2
#[tokio::test]
async fn five_bad_logins_lock_the_user_for_fifteen_minutes_even_with_the_right_password() {
    let crm = Crm::quick().await;
    for _ in 0..5 {
        assert_eq!(crm.login("wrong").await.status(), 401);
    }
    assert_eq!(crm.login("not-a-real-one").await.status(), 403);
    crm.admin.advance(TimeDelta::minutes(14));
    assert_eq!(crm.login("not-a-real-one").await.status(), 403);
    crm.admin.advance(TimeDelta::minutes(2));
    assert_eq!(crm.login("not-a-real-one").await.status(), 200);
}

#[tokio::test]
async fn bad_logins_older_than_five_minutes_do_not_count_towards_the_lock() {
    let crm = Crm::quick().await;
    for _ in 0..4 {
        crm.login("wrong").await;
    }
    crm.admin.advance(TimeDelta::minutes(6));
    crm.login("wrong").await;
    assert_eq!(crm.login("not-a-real-one").await.status(), 200);
}

#[tokio::test]
async fn a_licence_without_the_mobile_module_answers_402_on_login_v2_only() {
    let crm = Crm::quick().await;
    crm.admin.set_settings(Settings { without_mobile_module: true, ..Settings::quick() });
    assert_eq!(crm.login("not-a-real-one").await.status(), 402);
    let form = [("username", "svc-sync"), ("password", "not-a-real-one"), ("grant_type", "password")];
    let url = format!("{}/api/v1/auth", crm.sim.api_url());
    assert_eq!(crm.http.post(url).form(&form).send().await.unwrap().status(), 200);
}

// 3
#[tokio::test]
async fn one_login_more_than_the_session_cap_invalidates_the_oldest_token() {
    let crm = Crm::with(Settings { session_cap: Some(2), ..Settings::quick() }).await;
    crm.login("not-a-real-one").await;
    assert_eq!(crm.call("identity/search", json!({})).await.0, 200);
    crm.login("not-a-real-one").await;
    assert_eq!(crm.call("identity/search", json!({})).await.0, 401);
    assert_eq!(crm.admin.live_sessions(), 2);
}

// 4
#[tokio::test]
async fn data_endpoints_are_post_only() {
    let crm = Crm::quick().await;
    for path in ["identity/search", "person/get", "organization/find", "quote/sales/get", "invoice/sales/create"] {
        let response = crm.send(Method::GET, &format!("/api/v2/crmobject/{path}"), &json!({})).await;
        assert_eq!(response.status(), 405, "{path}");
    }
}

#[tokio::test]
async fn body_keys_are_read_without_case_unknown_ones_ignored_and_answers_are_camel_case() {
    let crm = Crm::quick().await;
    let body =
        json!({ "CrmObjectTypeCode": "person", "FIRSTNAME": "نام", "LastName": "نمونه", "nobodyKnows": { "a": 1 } });
    let id = crm.create("person", body).await;
    let (status, read) = crm.call("person/get", json!({ "Id": id })).await;
    assert_eq!((status, &read["firstName"]), (200, &json!("نام")));
    assert!(read.as_object().unwrap().keys().all(|key| key.starts_with(|first: char| first.is_ascii_lowercase())));
    assert!(read.get("creatDate").is_some() && read.get("createDate").is_none());
}

// 5
#[tokio::test]
async fn identity_search_counts_pages_from_zero_and_answers_a_bare_array_in_a_stable_order() {
    let crm = Crm::quick().await;
    for _ in 0..5 {
        crm.person().await;
    }
    let page = async |number: u64| {
        let body = json!({ "pageNumber": number, "pageSize": 2, "searchTerm": "" });
        crm.call("identity/search", body).await.1.as_array().unwrap().clone()
    };
    let (first, second, third, fourth) = (page(0).await, page(1).await, page(2).await, page(3).await);
    assert_eq!([first.len(), second.len(), third.len(), fourth.len()], [2, 2, 1, 0]);
    let all: Vec<Value> = [first, second, third].concat();
    let ids: std::collections::HashSet<&str> = all.iter().map(|row| row["identityId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    assert_eq!(all[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["identityId", "nickName", "customerNo"]);
    assert_eq!(page(0).await, all[..2]);
}

#[tokio::test]
async fn identity_search_finds_by_name_and_number() {
    let crm = Crm::quick().await;
    crm.person().await;
    let body = json!({ "crmObjectTypeCode": "organization", "nickName": "شرکت نمونه ب", "customerNumber": "100-1042" });
    let id = crm.create("organization", body).await;
    for term in ["نمونه ب", "100-1042"] {
        let (_, rows) =
            crm.call("identity/search", json!({ "pageNumber": 0, "pageSize": 10, "searchTerm": term })).await;
        assert_eq!(rows[0]["identityId"], id.as_str(), "{term}");
        assert_eq!(rows.as_array().unwrap().len(), 1, "{term}");
    }
}

fn query(field: &str, operator: u8, value: &str) -> Value {
    json!({ "logicalOperator": 0, "operator": operator, "field": field, "value": value })
}

fn find(queries: Value, page: u64, size: u64) -> Value {
    json!({ "typeKey": "person", "queries": queries, "orders": [{ "field": "ModifyDate", "order": 0 }],
            "selectFields": null, "pageNumber": page, "pageSize": size })
}

#[tokio::test]
async fn find_counts_pages_from_one_and_answers_data_with_a_total() {
    let crm = Crm::quick().await;
    for _ in 0..5 {
        crm.person().await;
    }
    let mut seen = Vec::new();
    for (page, rows) in [(1, 2), (2, 2), (3, 1), (4, 0)] {
        let (status, found) = crm.call("person/find", find(json!([]), page, 2)).await;
        assert_eq!((status, &found["total"]), (200, &json!(5)));
        assert_eq!(found["data"].as_array().unwrap().len(), rows);
        seen.extend(found["data"].as_array().unwrap().iter().map(|row| row["crmId"].to_string()));
    }
    seen.dedup();
    assert_eq!(seen.len(), 5);
    assert_eq!(crm.call("person/find", find(json!([]), 0, 2)).await.0, 400);
}

#[tokio::test]
async fn find_refuses_field_names_that_are_not_pascal_case_with_500_and_html() {
    let crm = Crm::quick().await;
    for field in ["modifyDate", "customerNumber", "CUSTOMERNUMBER", "NoSuchField"] {
        let body = find(json!([query(field, 0, "2026-01-01T00:00:00")]), 1, 10);
        let response = crm.send(Method::POST, "/api/v2/crmobject/person/find", &body).await;
        assert_eq!(response.status(), 500, "{field}");
        assert!(response.text().await.unwrap().contains("<html>"), "{field}");
    }
}

#[tokio::test]
async fn find_refuses_unknown_operators_and_types_with_400() {
    let crm = Crm::quick().await;
    for operator in [8, 9, 10, 14, 15, 99] {
        assert_eq!(
            crm.call("person/find", find(json!([query("RefId", operator, "1")]), 1, 10)).await.0,
            400,
            "{operator}"
        );
    }
    assert_eq!(crm.call("person/find", json!({ "typeKey": "organization" })).await.0, 400);
}

#[tokio::test]
async fn find_by_modify_date_returns_what_changed_since_in_that_order() {
    let crm = Crm::quick().await;
    crm.admin.freeze(true);
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(crm.person().await);
        crm.admin.advance(TimeDelta::seconds(10));
    }
    crm.admin.touch(Uuid::parse_str(&ids[0]).unwrap()).unwrap();
    let watermark = crm.get("person", &ids[2]).await["modifyDate"].as_str().unwrap().to_owned();
    let (_, found) = crm.call("person/find", find(json!([query("ModifyDate", 2, &watermark)]), 1, 10)).await;
    let found: Vec<&str> = found["data"].as_array().unwrap().iter().map(|row| row["crmId"].as_str().unwrap()).collect();
    assert_eq!(found, [&ids[2], &ids[3], &ids[0]]);
    let (_, after) = crm.call("person/find", find(json!([query("ModifyDate", 1, &watermark)]), 1, 10)).await;
    assert_eq!(after["total"], 2);
    assert_eq!(crm.call("person/find", find(json!([query("ModifyDate", 2, "yesterday")]), 1, 10)).await.0, 400);
}

#[tokio::test]
async fn find_filters_by_any_property_or_user_key() {
    let crm = Crm::quick().await;
    crm.person().await;
    let wanted = crm
        .create(
            "person",
            json!({ "crmObjectTypeCode": "person", "firstName": "الف", "lastName": "ب", "refId": "42",
                    "customerNumber": "100-1042", "nationalCode": "0000000000", "email": "a@example.test",
                    "extendedProperties": [{ "userKey": "vip_level", "value": "gold" }] }),
        )
        .await;
    for (field, operator, value) in [
        ("RefId", 0, "42"),
        ("CustomerNumber", 0, "100-1042"),
        ("NationalCode", 0, "0000000000"),
        ("Email", 11, "a@"),
        ("LastName", 0, "ب"),
        ("CustomerNumber", 3, "100-7,100-1042"),
        ("vip_level", 0, "gold"),
        ("CrmId", 0, wanted.as_str()),
        ("CustomerNumber", 13, "1042"),
    ] {
        let (status, found) = crm.call("person/find", find(json!([query(field, operator, value)]), 1, 10)).await;
        assert_eq!((status, &found["total"]), (200, &json!(1)), "{field}");
        assert_eq!(found["data"][0]["crmId"], wanted.as_str(), "{field}");
    }
    let either =
        json!([query("RefId", 0, "42"), { "logicalOperator": 1, "operator": 0, "field": "RefId", "value": "" }]);
    assert_eq!(crm.call("person/find", find(either, 1, 10)).await.1["total"], 2);
    let both = json!([query("RefId", 0, "42"), query("LastName", 6, "ب")]);
    assert_eq!(crm.call("person/find", find(both, 1, 10)).await.1["total"], 0);
}

#[tokio::test]
async fn find_works_on_quotes_and_invoices_too() {
    let crm = Crm::quick().await;
    let identity = crm.person().await;
    for (kind, code) in [("quote/sales", "PI_5"), ("invoice/sales", "SalesInvoice")] {
        let id = crm.create(kind, json!({ "crmObjectTypeCode": code, "identityId": identity, "refId": "7" })).await;
        for (field, value) in [("IdentityId", identity.as_str()), ("RefId", "7")] {
            let body = json!({ "typeKey": code, "queries": [query(field, 0, value)], "pageNumber": 1, "pageSize": 10 });
            let (_, found) = crm.call(&format!("{kind}/find"), body).await;
            assert_eq!(found["data"][0]["crmId"], id.as_str(), "{kind} {field}");
        }
    }
}

#[tokio::test]
async fn a_page_larger_than_the_limit_is_refused() {
    let crm = Crm::quick().await;
    assert_eq!(crm.call("person/find", find(json!([]), 1, 501)).await.0, 400);
    assert_eq!(crm.call("identity/search", json!({ "pageNumber": 0, "pageSize": 501 })).await.0, 400);
}

// 6
#[tokio::test]
async fn get_wants_the_key_id_and_the_right_kind() {
    let crm = Crm::quick().await;
    let id = crm.person().await;
    assert_eq!(crm.call("person/get", json!({ "identityId": id })).await.0, 400);
    assert_eq!(crm.call("organization/get", json!({ "id": id })).await.0, 404);
    assert_eq!(crm.call("person/get", json!({ "id": Uuid::nil() })).await.0, 404);
    assert_eq!(crm.get("person", &id).await["crmId"], id.as_str());
}

// 7
#[tokio::test]
async fn create_answers_200_with_the_crm_id_and_refuses_what_the_site_does_not_know() {
    let crm = Crm::quick().await;
    let (status, created) = crm.call("person/create", person()).await;
    assert_eq!(status, 200);
    assert_eq!(created.as_object().unwrap().keys().collect::<Vec<_>>(), ["crmId"]);
    let mut without_type = person();
    without_type.as_object_mut().unwrap().remove("crmObjectTypeCode");
    let mut unknown_type = person();
    unknown_type["crmObjectTypeCode"] = "nobody".into();
    let mut unknown_category = person();
    unknown_category["categories"] = json!([{ "key": "syaghcontact" }]);
    let nameless = json!({ "crmObjectTypeCode": "person" });
    for (body, field) in [
        (without_type, "crmObjectTypeCode"),
        (unknown_type, "crmObjectTypeCode"),
        (unknown_category.clone(), "categories"),
        (nameless, "lastName"),
    ] {
        let (status, error) = crm.call("person/create", body).await;
        assert_eq!((status, &error["errorDetails"][0]["field"]), (400, &json!(field)));
    }
    crm.admin.add_category("syaghcontact", "مخاطب سیاق");
    assert_eq!(crm.call("person/create", unknown_category).await.0, 200);
}

fn numbered(number: &str) -> Value {
    let mut body = person();
    body["customerNumber"] = number.into();
    body
}

#[tokio::test]
async fn a_customer_number_is_unique_within_its_type_and_follows_the_template() {
    let crm = Crm::quick().await;
    crm.create("person", numbered("100-1042")).await;
    for number in ["100-1042", "1042", "100-12abc", "200-5"] {
        let (status, error) = crm.call("person/create", numbered(number)).await;
        assert_eq!((status, &error["errorDetails"][0]["field"]), (400, &json!("customerNumber")), "{number}");
    }
    let organization = json!({ "crmObjectTypeCode": "organization", "nickName": "الف", "customerNumber": "100-1042" });
    assert_eq!(crm.call("organization/create", organization).await.0, 200);
}

#[tokio::test]
async fn an_empty_number_stays_empty_or_becomes_the_highest_plus_one_by_setting() {
    let crm = Crm::quick().await;
    let id = crm.person().await;
    assert_eq!(crm.get("person", &id).await["customerNumber"], "");
    crm.admin.set_settings(Settings { number_identities: true, ..Settings::quick() });
    let first = crm.person().await;
    assert_eq!(crm.get("person", &first).await["customerNumber"], "100-1001");
    crm.create("person", numbered("100-5000")).await;
    let next = crm.person().await;
    assert_eq!(crm.get("person", &next).await["customerNumber"], "100-5001");
}

#[tokio::test]
async fn duplicate_bans_refuse_a_second_mobile() {
    let crm = Crm::with(Settings { bans: vec![Ban::Mobile], ..Settings::quick() }).await;
    let mut body = person();
    body["phoneContacts"] = json!([{ "default": true, "phoneType": "Mobile", "phoneNumber": "09000000001" }]);
    let id = crm.create("person", body.clone()).await;
    assert_eq!(crm.call("person/create", body.clone()).await.0, 400);
    body["crmId"] = id.into();
    assert_eq!(crm.call("person/update", body).await.0, 200);
}

#[tokio::test]
async fn places_outside_the_base_data_are_dropped_and_the_address_text_stays() {
    let crm = Crm::quick().await;
    crm.admin.add_place("تهران");
    let mut body = person();
    body["addressContacts"] =
        json!([{ "default": true, "state": "تهران", "city": "شهر ناشناس", "address": "نشانی نمونه" }]);
    let id = crm.create("person", body).await;
    let address = crm.get("person", &id).await["addressContacts"][0].clone();
    assert_eq!(
        (&address["state"], &address["city"], &address["address"]),
        (&json!("تهران"), &Value::Null, &json!("نشانی نمونه"))
    );
}

// 8
#[tokio::test]
async fn an_update_needs_crm_id_replaces_the_whole_object_and_bumps_the_modify_date() {
    let crm = Crm::quick().await;
    let mut body = person();
    body["email"] = "a@example.test".into();
    body["phoneContacts"] = json!([{ "default": true, "phoneType": "Mobile", "phoneNumber": "09000000001" }]);
    let id = crm.create("person", body).await;
    let before = crm.get("person", &id).await;
    let mut update = person();
    assert_eq!(crm.call("person/update", update.clone()).await.0, 400);
    update["id"] = id.clone().into();
    assert_eq!(crm.call("person/update", update.clone()).await.0, 400);
    update["crmId"] = id.clone().into();
    assert_eq!(crm.call("person/update", update).await, (200, json!({ "crmId": id })));
    let after = crm.get("person", &id).await;
    assert_eq!((&after["email"], &after["phoneContacts"]), (&Value::Null, &Value::Null));
    let time = |object: &Value, name: &str| object[name].as_str().unwrap().parse::<NaiveDateTime>().unwrap();
    assert!(time(&after, "modifyDate") > time(&before, "modifyDate"));
    assert_eq!(after["creatDate"], before["creatDate"]);
}

#[tokio::test]
async fn a_read_object_sent_back_as_a_whole_keeps_its_row_ids() {
    let crm = Crm::quick().await;
    let mut body = person();
    body["phoneContacts"] = json!([{ "default": true, "phoneType": "موبایل", "phoneNumber": "09000000001" }]);
    let id = crm.create("person", body).await;
    let read = crm.get("person", &id).await;
    let mut changed = read.clone();
    changed["refId"] = "42".into();
    changed["phoneContacts"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "phoneType": "Office", "phoneNumber": "02100000001" }));
    assert_eq!(crm.call("person/update", changed).await.0, 200);
    let after = crm.get("person", &id).await;
    assert_eq!(after["phoneContacts"][0], read["phoneContacts"][0]);
    assert!(Uuid::parse_str(after["phoneContacts"][1]["id"].as_str().unwrap()).is_ok());
    assert_eq!(after["refId"], "42");
}

#[tokio::test]
async fn in_merge_mode_an_update_keeps_what_was_not_sent() {
    let crm = Crm::with(Settings { merge_updates: true, ..Settings::quick() }).await;
    let mut body = person();
    body["email"] = "a@example.test".into();
    let id = crm.create("person", body).await;
    assert_eq!(crm.call("person/update", json!({ "crmId": id, "refId": "42" })).await.0, 200);
    let after = crm.get("person", &id).await;
    assert_eq!((&after["email"], &after["refId"]), (&json!("a@example.test"), &json!("42")));
}

#[tokio::test]
async fn a_deleted_object_is_gone_from_reads_and_lists() {
    let crm = Crm::quick().await;
    let id = crm.person().await;
    assert_eq!(crm.call("person/delete", json!({ "id": id, "option": 1 })).await.0, 200);
    assert_eq!(crm.call("person/get", json!({ "id": id })).await.0, 404);
    assert_eq!(crm.call("identity/search", json!({ "pageNumber": 0, "pageSize": 10 })).await.1, json!([]));
    assert_eq!(crm.call("person/find", find(json!([]), 1, 10)).await.1["total"], 0);
}

// 9
#[tokio::test]
async fn the_server_clock_runs_with_its_skew_and_times_carry_no_zone() {
    let crm = Crm::with(Settings { skew_seconds: -208, ..Settings::quick() }).await;
    let id = crm.person().await;
    let text = crm.get("person", &id).await["creatDate"].as_str().unwrap().to_owned();
    assert!(!text.contains('+') && !text.contains('Z'), "{text}");
    let tehran = Utc::now().naive_utc() + TimeDelta::minutes(210);
    let behind = tehran - text.parse::<NaiveDateTime>().unwrap();
    assert!((behind - TimeDelta::seconds(208)).abs() < TimeDelta::seconds(5), "{behind}");
}

#[tokio::test]
async fn emitted_times_have_fractions_of_different_lengths() {
    let crm = Crm::with(Settings { fraction_digits: None, ..Settings::quick() }).await;
    let mut lengths = std::collections::HashSet::new();
    for _ in 0..16 {
        let id = crm.person().await;
        let text = crm.get("person", &id).await["modifyDate"].as_str().unwrap().to_owned();
        lengths.insert(text.split_once('.').map_or(0, |(_, fraction)| fraction.len()));
    }
    assert!(lengths.contains(&0) && lengths.len() > 2 && lengths.iter().all(|length| *length <= 7), "{lengths:?}");
}

// 10 and 11
fn quote(identity: &str) -> Value {
    json!({
        "crmObjectTypeCode": "PI_5", "identityId": identity, "subject": "سفارش نمونه", "totalValue": 100000, "discount": 0,
        "vat": 9000, "vatPercent": 9, "toll": 0, "tollPercent": 0, "finalValue": 109000,
        "details": [{ "productCode": "Product-1", "productName": "کالای نمونه", "count": 1, "baseUnitPrice": 100000,
                      "finalUnitPrice": 109000, "totalUnitPrice": 100000, "totalVat": 9000, "productUnitTypeName": "قطعه" }],
    })
}

#[tokio::test]
async fn decimals_are_emitted_with_trailing_zeros_and_totals_as_they_were_sent() {
    let crm = Crm::quick().await;
    let identity = crm.person().await;
    let id = crm.create("quote/sales", quote(&identity)).await;
    let body = json!({ "id": id });
    let text = crm.send(Method::POST, "/api/v2/crmobject/quote/sales/get", &body).await.text().await.unwrap();
    for part in [
        r#""totalValue":100000.00"#,
        r#""finalValue":109000.00"#,
        r#""vatPercent":9,"#,
        r#""count":1.0000"#,
        r#""returnedCount":0.0,"#,
        r#""baseUnitPrice":100000.00"#,
        r#""additionalCosts":null"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_quote_is_pending_and_without_a_number_until_it_is_numbered_and_approved() {
    let crm = Crm::quick().await;
    crm.admin.set_clock("2026-02-01T08:30:00Z".parse().unwrap());
    let identity = crm.person().await;
    let id = crm.create("quote/sales", quote(&identity)).await;
    let fresh = crm.get("quote/sales", &id).await;
    assert_eq!((&fresh["number"], &fresh["billableObjectStateIndex"]), (&json!(""), &json!(1)));
    assert_eq!((&fresh["crmObjectTypeIndex"], &fresh["identityId"]), (&json!(8), &json!(identity)));
    for (verb, state) in [("make-approved", 2), ("make-rejected", 3), ("make-pending", 1), ("make-numbered", 1)] {
        assert_eq!(crm.call(&format!("quote/sales/{verb}"), json!({ "id": id })).await.0, 200);
        assert_eq!(crm.get("quote/sales", &id).await["billableObjectStateIndex"], state, "{verb}");
    }
    assert_eq!(crm.get("quote/sales", &id).await["number"], "100-1404/1");
}

#[tokio::test]
async fn editing_an_approved_quote_throws_it_back_to_pending() {
    let crm = Crm::quick().await;
    let identity = crm.person().await;
    let id = crm.create("quote/sales", quote(&identity)).await;
    crm.call("quote/sales/make-approved", json!({ "id": id })).await;
    let mut update = quote(&identity);
    update["crmId"] = id.clone().into();
    assert_eq!(crm.call("quote/sales/update", update).await.0, 200);
    assert_eq!(crm.get("quote/sales", &id).await["billableObjectStateIndex"], 1);
}

#[tokio::test]
async fn a_quote_for_a_lead_or_for_nobody_is_refused() {
    let crm = Crm::quick().await;
    let identity = crm.person().await;
    crm.admin.set_lead(Uuid::parse_str(&identity).unwrap(), true).unwrap();
    assert_eq!(crm.call("quote/sales/create", quote(&identity)).await.0, 400);
    assert_eq!(crm.call("quote/sales/create", quote(&Uuid::nil().to_string())).await.0, 400);
    crm.admin.set_lead(Uuid::parse_str(&identity).unwrap(), false).unwrap();
    assert_eq!(crm.call("quote/sales/create", quote(&identity)).await.0, 200);
}

// 15
#[tokio::test]
async fn the_legacy_identities_endpoint_answers_201_and_an_empty_text() {
    let crm = Crm::quick().await;
    let response = crm.send(Method::POST, "/api/v2/Identities", &person()).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.text().await.unwrap(), "\"\"");
}

// 16
#[tokio::test]
async fn the_guessed_endpoints_do_not_exist() {
    let crm = Crm::quick().await;
    for path in
        ["/crm/customers", "/crm/quotes?updatedSince=1", "/webhooks", "/api/webhooks", "/api/v2/crmobject/person/list"]
    {
        for method in [Method::GET, Method::POST] {
            assert_eq!(crm.send(method, path, &json!({})).await.status(), 404, "{path}");
        }
    }
}

// 17
#[tokio::test]
async fn a_converted_person_is_read_from_the_other_endpoint_under_the_same_id() {
    let crm = Crm::quick().await;
    let id = crm.person().await;
    assert_eq!(crm.admin.convert(Uuid::parse_str(&id).unwrap()).unwrap(), Kind::Organization);
    assert_eq!(crm.call("person/get", json!({ "id": id })).await.0, 404);
    let organization = crm.get("organization", &id).await;
    assert_eq!(
        (&organization["nickName"], &organization["crmObjectTypeCode"]),
        (&json!("نام نمونه"), &json!("organization"))
    );
    assert!(organization.get("firstName").is_none());
}

#[tokio::test]
async fn an_administrator_can_edit_numbers_and_add_types() {
    let crm = Crm::quick().await;
    let id = crm.create("person", numbered("100-1042")).await;
    let uuid = Uuid::parse_str(&id).unwrap();
    crm.admin.edit(uuid, &json!({ "customerNumber": "100-1043" })).unwrap();
    assert_eq!(crm.get("person", &id).await["customerNumber"], "100-1043");
    assert!(crm.admin.edit(uuid, &json!({ "customerNumber": "1043" })).is_err());
    crm.admin.add_type(TypeSeed::new("vip", Kind::Person, "مخاطب ویژه")).unwrap();
    let vip = json!({ "crmObjectTypeCode": "vip", "lastName": "ویژه", "customerNumber": "any" });
    assert_eq!(crm.call("person/create", vip).await.0, 200);
}

// 18
#[tokio::test]
async fn the_same_seed_and_clock_give_the_same_ids_and_times() {
    let settings =
        Settings { seed: Some(9), frozen_at: Some("2026-02-01T08:30:00Z".parse().unwrap()), ..Settings::quick() };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let crm = Crm::with(settings.clone()).await;
        let id = crm.person().await;
        seen.push((crm.token.clone(), crm.get("person", &id).await));
        assert_eq!(seen[0].1["creatDate"], "2026-02-01T12:00:00");
    }
    assert_eq!(seen[0], seen[1]);
}

// 14
#[tokio::test]
async fn the_faithful_settings_make_a_call_take_its_time() {
    let crm = Crm::with(Settings { latency: Settings::default().latency, ..Settings::quick() }).await;
    let began = std::time::Instant::now();
    crm.person().await;
    assert!(began.elapsed().as_millis() >= 50);
}

#[tokio::test]
async fn an_empty_created_answer_hides_an_object_that_exists() {
    let crm = Crm::quick().await;
    crm.admin.arm(Arm::once(Fault::EmptyCreated).on("person/create"));
    let response = crm.send(Method::POST, "/api/v2/crmobject/person/create", &numbered("100-1042")).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.text().await.unwrap(), "\"\"");
    let (_, found) = crm.call("person/find", find(json!([query("CustomerNumber", 0, "100-1042")]), 1, 10)).await;
    assert_eq!(found["total"], 1);
}
