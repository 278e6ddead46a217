//! Single calls stay cheap among many contacts: benchmarks measure the engine, not the simulators.

use crate::support::{Crm, Finance, person};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tandem_simulators::{company::Company, payamgostar::Kind};

/// Generous for an unoptimised build: a scan of everything, or one per call, takes many times as long.
const FIVE_HUNDRED_CALLS: Duration = Duration::from_secs(5);
const CONTACTS: usize = 20_000;

#[tokio::test]
async fn siaghs_single_calls_do_not_slow_down_with_the_number_of_contacts() {
    let finance = Finance::quick().await;
    Company::generate(1, CONTACTS).seed_siagh(&finance.admin);
    let began = Instant::now();
    for code in 1..=125 {
        assert_eq!(finance.filtered(json!({ "Code": code })).await.len(), 1);
        finance.filtered(json!({ "MobileNo": format!("0900{code:07}") })).await;
        let controls = format!("Param1={code}|gn_web_users.fullname=الف|gn_web_users.isactive=1");
        assert_eq!(finance.save_contact(&controls, &code.to_string()).await["ReturnValue"], true);
        assert_eq!(finance.save_contact("gn_web_users.fullname=الف", "").await["ReturnValue"], true);
    }
    assert!(began.elapsed() < FIVE_HUNDRED_CALLS, "{:?}", began.elapsed());
    let response = finance.send(Method::GET, "/api/Sgh/GEN/Gn_Web_Users/GetAll", None).await;
    let announced = response.content_length();
    let body = response.bytes().await.unwrap();
    assert_eq!(announced, Some(body.len() as u64));
}

#[tokio::test]
async fn the_crms_single_calls_do_not_slow_down_with_the_number_of_identities() {
    let crm = Crm::quick().await;
    Company::generate(1, CONTACTS).seed_payamgostar(&crm.admin).unwrap();
    let since = crm.admin.now();
    let id = crm.admin.seed(Kind::Person, &person()).unwrap();
    let began = Instant::now();
    for code in 2..=126 {
        crm.get("person", &id.to_string()).await;
        let mut update = person();
        update["crmId"] = json!(id);
        assert_eq!(crm.call("person/update", update).await.0, 200);
        let by_ref =
            json!({ "queries": [{ "operator": 0, "field": "RefId", "value": code.to_string() }], "pageNumber": 1 });
        let persons = crm.call("person/find", by_ref.clone()).await.1["total"].as_u64();
        let organizations = crm.call("organization/find", by_ref).await.1["total"].as_u64();
        assert_eq!(persons.zip(organizations).map(|(one, other)| one + other), Some(1));
    }
    assert!(began.elapsed() < FIVE_HUNDRED_CALLS, "{:?}", began.elapsed());
    let local = (since + chrono::TimeDelta::minutes(210)).format("%Y-%m-%dT%H:%M:%S").to_string();
    let poll = json!({
        "typeKey": "person", "queries": [{ "operator": 2, "field": "ModifyDate", "value": local }],
        "orders": [{ "field": "ModifyDate", "order": 0 }], "pageNumber": 1, "pageSize": 100,
    });
    let (_, found) = crm.call("person/find", poll).await;
    assert!(found["total"].as_u64() >= Some(1) && found["total"].as_u64() < Some(CONTACTS as u64));
    let (_, light) = crm.call("identity/search", json!({ "pageNumber": 39, "pageSize": 500 })).await;
    assert_eq!(light.as_array().map(Vec::len), Some(500));
    assert_ne!(light[0]["identityId"], Value::Null);
}
