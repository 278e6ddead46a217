//! What operators do by hand, from the first import to the last decision, by exit codes and JSON alone.

use crate::check;
use crate::house::{Doubt, Ground, House, PRODUCT, quote};
use serde_json::{Value, json};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::{CONTACT_FORM, Contact, INVOICE_FORM};
use tandem_simulators::{Arm, Fault};
use uuid::Uuid;

fn state(house: &House, kind: &str, id: Uuid) -> Value {
    house.run(&["why", "siagh", kind, &id.to_string(), "--json"]).ok().json()["record"]["state"].clone()
}

#[test]
fn a_site_is_set_up_and_kept_in_step_by_commands_alone() {
    let house = House::new(Ground::One);
    house.stock();
    for n in 0..10 {
        let mobile_no = Some(format!("090000000{n:02}"));
        house.finance.seed_contact(Contact { mobile_no, ..Contact::person(&format!("نفر{n} نمونه")) });
    }
    let checked = house.run(&["check", "--json"]).ok().json();
    assert!(checked.as_array().unwrap().iter().all(|line| line["ok"] == json!(true)), "{checked}");

    let planned = house.run(&["import", "siagh", "--plan", "--json"]).ok().json();
    assert_eq!((&planned["seen"], &planned["complete"]), (&json!(10), &json!(true)), "{planned}");
    assert_eq!(house.crm.identity_count(), 0);
    let imported = house.run(&["import", "siagh", "--json"]).ok().json();
    assert_eq!((&imported["worked"]["SYNCED"], &imported["status"]["open"]), (&json!(10), &json!(0)), "{imported}");

    // The poll sees what the import made and knows it for its own.
    let polled = house.run(&["run", "siagh", "poll", "--wait", "--json"]).ok().json();
    assert_eq!((&polled["seen"], &polled["noticed"]), (&json!(10), &json!(0)), "{polled}");

    let customer = house.seed_person("علی نمونه", "09000000077");
    let id = customer.to_string();
    let plan = house.run(&["plan", "siagh", "customer", &id, "--json"]).ok().json();
    assert_eq!((&plan["state"], &plan["plan"]["decision"]), (&json!(null), &json!("write")), "{plan}");
    let synced = house.run(&["sync", "siagh", "customer", &id, "--json"]).ok().json();
    assert_eq!(
        synced,
        json!([{ "bridge": "siagh", "kind": "customer", "id": id, "state": "SYNCED", "reason": synced[0]["reason"] }])
    );
    let all = house.run(&["sync", "siagh", "customer", "--all", "--json"]).ok().json();
    assert_eq!((&all["worked"], &all["finished"]), (&json!({ "UNCHANGED": 11 }), &json!(true)), "{all}");
    house.agrees(Doubt::None);
}

#[test]
fn a_dead_letter_is_replayed_once_its_reason_is_gone() {
    let house = House::new(Ground::One);
    let refused = Fault::ErrorsInside { text: "مشتری مجاز نیست".to_owned() };
    house.finance.arm(Arm::always(refused).on(format!("#{CONTACT_FORM}")));
    let id = house.seed_person("علی نمونه", "09000000001");
    let ran = house.run(&["run", "siagh", "--wait", "--json"]).fails_with(1).json();
    assert_eq!(ran["worked"], json!({ "DEAD": 1 }), "{ran}");
    let dead = house.run(&["dead", "list", "--json"]).ok().json();
    assert_eq!(dead[0]["key"]["source_id"], json!(id.to_string()), "{dead}");
    assert!(dead[0]["reason"].as_str().unwrap().contains("مشتری مجاز نیست"), "in Siagh's own words: {dead}");

    house.run(&["dead", "replay", "--all"]).fails_with(2);
    let again = house.run(&["dead", "replay", "--all", "--yes", "--json"]).ok().json();
    assert_eq!(again, json!({ "matching": 1, "replayed": 1 }));
    house.run(&["run", "siagh", "--wait"]).fails_with(1);
    house.finance.disarm();
    house.run(&["dead", "replay", "siagh", "customer", &id.to_string()]).ok();
    house.run(&["run", "siagh", "--wait"]).ok();
    assert_eq!(state(&house, "customer", id), "SYNCED");
    house.run(&["dead", "replay", "siagh", "customer", &id.to_string()]).fails_with(1);
    house.agrees(Doubt::None);
}

/// A quote whose pre-invoice is sent on a day on which `fault` spoils the answer.
fn in_doubt(house: &House, customer: Uuid, fault: Fault) -> Uuid {
    house.finance.arm(Arm::once(fault).on(format!("#{INVOICE_FORM}")));
    let id = house.crm.seed(Kind::Quote, &quote(customer, 2)).unwrap();
    house.crm.number(id).unwrap();
    house.run(&["sync", "siagh", "pre_invoice", &id.to_string()]).fails_with(1);
    house.run(&["run", "siagh", "--wait"]).ok();
    assert_eq!(state(house, "pre_invoice", id), "NEEDS_REVIEW");
    id
}

#[test]
fn documents_in_doubt_are_decided_by_whoever_looked() {
    let house = House::new(Ground::One);
    house.stock();
    let customer = house.seed_person("علی نمونه", "09000000001");
    house.run(&["run", "siagh", "--wait"]).ok();

    let there = in_doubt(&house, customer, Fault::ResetAfterCommit).to_string();
    let documents = house.finance.documents();
    let number = documents.iter().find(|document| check::is_of(document, &there)).unwrap().number.to_string();
    let resolve = |id: &str, decision: &[&str]| {
        house.run(&[&["review", "resolve", "siagh", "pre_invoice", id], decision].concat())
    };
    let why = house.run(&["why", "siagh", "pre_invoice", &there]).ok().out;
    assert!(why.contains("review resolve siagh pre_invoice") && why.contains("--exists"), "it says what to do: {why}");
    resolve(&there, &[]).fails_with(2);
    resolve(&there, &["--accept"]).fails_with(1);
    resolve(&there, &["--exists", &number]).ok();
    house.run(&["run", "siagh", "--wait"]).ok();
    assert_eq!(house.finance.document_count(), 1);

    let not_there = in_doubt(&house, customer, Fault::ResetBefore).to_string();
    assert_eq!(house.finance.document_count(), 1);
    resolve(&not_there, &["--again"]).ok();
    house.run(&["run", "siagh", "--wait"]).ok();
    assert_eq!(house.finance.document_count(), 2);
    resolve(&not_there, &["--again"]).fails_with(1);
    house.agrees(Doubt::None);
}

#[test]
fn a_quote_that_lacks_a_mapping_goes_on_when_it_is_set() {
    let house = House::new(Ground::One);
    house.stock();
    house.run(&["mapping", "delete", "siagh", "goods", PRODUCT]).ok();
    let customer = house.seed_person("علی نمونه", "09000000001");
    let id = house.crm.seed(Kind::Quote, &quote(customer, 2)).unwrap();
    house.crm.number(id).unwrap();
    house.run(&["run", "siagh", "--wait"]).ok();
    assert_eq!(state(&house, "pre_invoice", id), "NEEDS_MAPPING");
    house.run(&["mapping", "set", "siagh", "goods", PRODUCT, "500100001"]).ok();
    house.run(&["run", "siagh", "--wait"]).ok();
    assert_eq!(state(&house, "pre_invoice", id), "SYNCED");
    house.agrees(Doubt::None);
}
