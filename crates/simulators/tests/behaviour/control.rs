//! The control ports (payamgostar sheet §7.17, siagh sheet §7.18).

use crate::support::{Crm, Finance, Receiver, finance_1404};
use reqwest::Method;
use serde_json::{Value, json};
use tandem_simulators::{company::Company, payamgostar::Kind};

struct Control(String);

impl Control {
    async fn send(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = crate::support::http().request(method, format!("{}{path}", self.0)).json(&body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(Method::POST, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send(Method::GET, path, json!(null)).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }
}

#[tokio::test]
async fn the_crms_control_port_seeds_edits_converts_and_lists() {
    let crm = Crm::quick().await;
    let control = Control(crm.sim.control_url());
    let seeded = control
        .post(
            "/seed",
            json!({
                "users": [{ "username": "other", "password": "not-a-real-one" }],
                "types": [{ "code": "PI_6", "kind": "quote", "label": "پیش فاکتور", "template": "6-{*(AN)}" }],
                "categories": [{ "key": "syaghcontact", "name": "مخاطب سیاق" }],
                "places": ["تهران"],
                "persons": [{ "lastName": "نمونه", "crmId": "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001",
                              "categories": [{ "key": "syaghcontact" }] }],
                "quotes": [{ "crmObjectTypeCode": "PI_6", "identityId": "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001",
                             "totalValue": 1000.5 }],
            }),
        )
        .await;
    let person = seeded["crmIds"][0].as_str().unwrap();
    let quote = seeded["crmIds"][1].as_str().unwrap();
    assert_eq!(person, "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001");
    let numbered = control.post(&format!("/objects/{quote}/number"), json!(null)).await;
    assert_eq!((&numbered["kind"], &numbered["object"]["number"]), (&json!("quote"), &json!("6-1")));
    let edited = control.post(&format!("/objects/{person}"), json!({ "email": "a@example.test" })).await;
    assert_eq!(edited["object"]["email"], "a@example.test");
    assert_eq!(control.post(&format!("/objects/{person}/convert"), json!(null)).await["kind"], "organization");
    assert_eq!(control.get("/organizations").await.as_array().unwrap().len(), 1);
    assert_eq!(control.get("/identities").await.as_array().unwrap().len(), 1);
    assert_eq!(control.send(Method::DELETE, &format!("/objects/{person}"), json!(null)).await.0, 200);
    assert_eq!(control.get("/identities").await, json!([]));
}

#[tokio::test]
async fn the_control_port_sets_webhooks_and_shows_the_delivery_log() {
    let (crm, mut receiver) = (Crm::quick().await, Receiver::start().await);
    let control = Control(crm.sim.control_url());
    control.post("/types/person", json!({ "label": "مشتری", "webhook": { "address": receiver.address } })).await;
    control.post("/faults", json!({ "fault": "duplicate_delivery" })).await;
    control.post("/persons", json!({ "lastName": "نمونه" })).await;
    receiver.next().await;
    receiver.next().await;
    control.post("/deliveries/drained", json!(null)).await;
    let log = control.get("/deliveries").await;
    assert_eq!((&log["pending"], log["deliveries"].as_array().unwrap().len()), (&json!(0), 2));
    assert_eq!(log["deliveries"][0]["outcome"], json!({ "answered": 200 }));
}

#[tokio::test]
async fn the_control_port_arms_faults_counts_calls_moves_the_clock_and_expires_sessions() {
    let crm = Crm::quick().await;
    let control = Control(crm.sim.control_url());
    let armed = control
        .post("/faults", json!({ "fault": { "status": { "code": 500, "committed": false } }, "on": "search", "how": { "times": 1 } }))
        .await;
    assert_eq!(armed.as_array().unwrap().len(), 1);
    assert_eq!(crm.call("identity/search", json!({})).await.0, 500);
    assert_eq!(crm.call("identity/search", json!({})).await.0, 200);
    assert_eq!(control.get("/calls").await["/api/v2/crmobject/identity/search"], 2);
    control.post("/clock", json!({ "at": "2026-02-01T08:30:00Z", "freeze": true })).await;
    control.post("/clock", json!({ "advanceSeconds": 60, "skewSeconds": -208 })).await;
    assert_eq!(control.get("/clock").await["local"], "2026-02-01T11:57:32+03:30");
    control.post("/sessions/expire", json!(null)).await;
    assert_eq!(crm.call("identity/search", json!({})).await.0, 401);
}

#[tokio::test]
async fn settings_change_over_the_control_port_and_a_wrong_name_is_one_clear_line() {
    let crm = Crm::quick().await;
    let control = Control(crm.sim.control_url());
    assert_eq!(control.post("/settings", json!({ "mergeUpdates": true })).await["mergeUpdates"], true);
    let (status, error) = control.send(Method::POST, "/settings", json!({ "mergeUpdate": true })).await;
    assert_eq!((status, error), (400, json!({ "error": "there is no setting mergeUpdate" })));
    assert_eq!(control.send(Method::GET, "/nothing", json!(null)).await.0, 404);
}

#[tokio::test]
async fn the_control_port_closes_and_opens_the_api() {
    let crm = Crm::quick().await;
    let control = Control(crm.sim.control_url());
    control.post("/maintenance", json!({ "open": false })).await;
    assert!(crate::support::http().get(crm.sim.api_url()).send().await.unwrap_err().is_connect());
    control.post("/maintenance", json!({ "open": true })).await;
    assert_eq!(crm.call("identity/search", json!({})).await.0, 200);
}

#[tokio::test]
async fn siaghs_control_port_seeds_edits_and_lists_contacts_and_documents() {
    let finance = Finance::with(finance_1404()).await;
    let control = Control(finance.sim.control_url());
    let seeded = control
        .post(
            "/seed",
            json!({
                "contacts": [{ "Code": 8327, "Name": "شرکت نمونه ب", "TowardType": true, "IsActive": true, "tmpid": "9" }],
                "goods": [{ "code": "500100002", "name": "کالای دیگر", "listPrice": 1000 }],
                "tables": { "sales_centres": ["5", "7"] },
            }),
        )
        .await;
    assert_eq!(seeded["codes"], json!([8327]));
    let edited = control.post("/contacts/8327", json!({ "MobileNo": "09000000009" })).await;
    assert_eq!(
        (&edited["MobileNo"], &edited["tmpid"], &edited["Name"]),
        (&json!("09000000009"), &json!("9"), &json!("شرکت نمونه ب"))
    );
    finance
        .save_invoice(|invoice| {
            invoice.set("codemarkazforush", "7");
            invoice.cell("codekala", json!("500100002"));
        })
        .await;
    let documents = control.get("/documents").await;
    assert_eq!(documents.as_array().unwrap().len(), 1);
    assert_eq!((&documents[0]["number"], &documents[0]["rows"][0]["quantity"]), (&json!(2501), &json!(2)));
    assert_eq!(control.post("/fiscal-year", json!({ "year": 1405 })).await["year"], 1405);
    assert_eq!(control.send(Method::GET, "/contacts/1", json!(null)).await.0, 404);
}

#[tokio::test]
async fn the_company_fits_into_both_systems_and_its_quotes_are_accepted() {
    let (crm, finance) = (Crm::quick().await, Finance::quick().await);
    let company = Company::generate(1, 60);
    company.seed_siagh(&finance.admin);
    let ids = company.seed_payamgostar(&crm.admin).unwrap();
    assert_eq!(finance.admin.contact_count(), 60);
    assert_eq!(crm.admin.identity_count(), 59);
    assert!(!company.quotes.is_empty());
    for quote in &company.quotes {
        crm.admin.create(Kind::Quote, &quote.fields(ids[&quote.customer])).unwrap();
    }
    assert_eq!(crm.admin.quotes().len(), company.quotes.len());
}
