//! Nothing secret and nothing personal gets out of our processes: everything they say is read for marked values.

use crate::house::{Ground, House, PATIENCE, TOKEN, quote};
use crate::world::World;
use serde_json::{Value, json};
use tandem_simulators::payamgostar::{Kind, Outcome};
use tandem_simulators::{Arm, Fault};
use tandem_testbed::postgres::Postgres;
use tandem_testbed::signal::poll;

const CRM_USER: &str = "canary-crm-user";
const CRM_PASSWORD: &str = "canary-crm-password";
const FINANCE_PASSWORD: &str = "canary-finance-password";
const DATABASE_PASSWORD: &str = "canary-database-password";
const BROKER_PASSWORD: &str = "canary-broker-password";
const SIGNING: &str = "canary-signing-secret";
const WRONG_TOKEN: &str = "canary-wrong-token-wrong";
const FIRST: &str = "قناری‌نام";
const LAST: &str = "قناری‌فامیل";
const MOBILE: &str = "09007654321";
const NATIONAL_CODE: &str = "0012345678";
const MAIL: &str = "canary-mail@example.test";

fn secrets() -> Vec<String> {
    let hash = ::siagh::hash_password(FINANCE_PASSWORD);
    let others = [CRM_PASSWORD, FINANCE_PASSWORD, DATABASE_PASSWORD, BROKER_PASSWORD, SIGNING, TOKEN, WRONG_TOKEN];
    others.into_iter().map(str::to_owned).chain([hash]).collect()
}

/// As people, the CRM and Siagh write them.
const PERSONAL: [&str; 6] = [FIRST, LAST, MOBILE, "9007654321", NATIONAL_CODE, MAIL];

fn site(house: House) -> House {
    house.crm.add_user(CRM_USER, CRM_PASSWORD);
    house.finance.add_user("canary-finance-user", FINANCE_PASSWORD);
    house
        .with("CRM_USERNAME", CRM_USER)
        .with("CRM_PASSWORD", CRM_PASSWORD)
        .with("FINANCE_USERNAME", "canary-finance-user")
        .with("FINANCE_PASSWORD", &::siagh::hash_password(FINANCE_PASSWORD))
        .with("TANDEM_WEBHOOK_SIGNING_SECRET", SIGNING)
        .with("TANDEM_LOG", "debug")
}

/// Customers and quotes with marked values, on a day on which much goes wrong.
fn a_bad_day(house: &House) {
    house.stock();
    for fault in [
        Fault::Status { code: 500, committed: false },
        Fault::TruncatedJson,
        Fault::ResetAfterCommit,
        Fault::Unauthorized,
    ] {
        house.crm.arm(Arm::once(fault.clone()).on("person/get"));
        house.finance.arm(Arm::once(fault.clone()).on("SaveFormData"));
        house.finance.arm(Arm::once(fault).on("GetAll"));
    }
    for n in 0..5 {
        let fields = json!({
            "crmObjectTypeCode": "person", "firstName": FIRST, "lastName": format!("{LAST} {n}"),
            "nickName": format!("{FIRST} {LAST} {n}"), "nationalCode": format!("{NATIONAL_CODE}{n}"), "email": MAIL,
            "phoneContacts": [{ "default": true, "phoneType": "Mobile", "phoneNumber": format!("{MOBILE}{n}") }],
        });
        let id = house.crm.create(Kind::Person, &fields).unwrap();
        let quote = house.crm.create(Kind::Quote, &quote(id, 2)).unwrap();
        house.crm.number(quote).unwrap();
    }
    let refusal = format!("تلفن همراه {MOBILE} تکراری است {FIRST}");
    house.finance.arm(Arm::once(Fault::ErrorsInside { text: refusal }).on("SaveFormData"));
    house.block_on(house.crm.deliveries_drained());
    // Nothing has to come out well here, only to an end.
    let left = || async { house.store.leftovers(chrono::Utc::now()).await.unwrap() };
    let ended = house.block_on(poll(PATIENCE, || async { left().await.is_empty().then_some(()) }));
    assert!(ended.is_some(), "{:#?} {:?}", house.block_on(left()), house.run(&["status"]).out);
}

/// What all processes of the house have said.
fn said(house: &House) -> String {
    let files = std::fs::read_dir(house.world.site.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|ext| ext == "out" || ext == "err"));
    logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[track_caller]
fn is_clean(what: &str, text: &str, marks: &[&str]) {
    for mark in marks {
        let leak = text.lines().find(|line| line.contains(mark));
        assert_eq!(leak, None, "{mark} is in {what}");
    }
}

fn commands_are_clean(house: &House) {
    let secrets = secrets();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let id = house.crm.identities()[0]["crmId"].as_str().unwrap().to_owned();
    for args in [
        &["status", "--json"][..],
        &["check", "--json"],
        &["settings", "--json"],
        &["webhooks", "urls"],
        &["webhooks", "list"],
        &["log", "--json"],
        &["why", "siagh", "customer", &id, "--json"],
        &["dead", "list", "--json"],
        &["review", "list", "--json"],
    ] {
        let ran = house.run(args);
        is_clean(&args.join(" "), &format!("{}{}", ran.out, ran.err), &secrets);
    }
    // Plans and changes hold the values, for those who may read the database; sentences do not, unless they repeat
    // Siagh's own words about a fault.
    let log = house.run(&["log", "--json", "--limit", "1000"]).ok().json();
    let ours = log.as_array().unwrap().iter().filter(|entry| entry["fault_code"] == json!(null));
    let sentences: Vec<&Value> = ours.map(|entry| &entry["reason"]).collect();
    assert!(sentences.len() >= 10, "{log}");
    is_clean("the sentences of the log", &format!("{sentences:#?}"), &PERSONAL[2..]);
}

#[test]
fn what_one_process_says_on_a_bad_day_holds_nothing_secret_and_nothing_personal() {
    let house = site(House::new(Ground::One));
    let services = house.start_all();
    a_bad_day(&house);
    house.crm.set_webhook("person", None).unwrap();
    commands_are_clean(&house);
    house.stop_all(services);
    let said = said(&house);
    assert!(said.contains("SaveFormData") || said.lines().count() > 50, "the log was listened to: {said}");
    let secrets = secrets();
    is_clean("the log", &said, &secrets.iter().map(String::as_str).chain(PERSONAL).collect::<Vec<_>>());
}

#[test]
fn what_services_say_of_private_servers_that_are_away_holds_no_password() {
    let world = World::with(0);
    let mut server = world.runtime.block_on(Postgres::start()).unwrap();
    let database = world.runtime.block_on(server.fresh_database()).unwrap();
    let with_password = database.replacen("app@", &format!("app:{DATABASE_PASSWORD}@"), 1);
    assert_ne!(database, with_password);
    let broker = format!("amqp://canary:{BROKER_PASSWORD}@127.0.0.1:1/%2f");
    let house = site(House::on(world, &with_password, &broker)).with("TANDEM_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "1");
    let ingest = house.start_ingest("ingest");
    let worker = house.start("worker");
    let id = house.create_person(&format!("{FIRST} {LAST}"), MOBILE);
    house.block_on(house.crm.deliveries_drained());
    house.block_on(server.kill());
    house.crm.touch(id).unwrap();
    house.block_on(house.crm.deliveries_drained());
    assert_eq!(house.crm.deliveries().last().unwrap().outcome, Outcome::Answered(503));
    for args in [&["status"][..], &["check"], &["migrate"], &["run", "siagh"]] {
        let ran = house.run(args).fails_with(1);
        let secrets = secrets();
        is_clean(
            &args.join(" "),
            &format!("{}{}", ran.out, ran.err),
            &secrets.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    house.block_on(server.restart()).unwrap();
    house.stop_all(vec![ingest, worker]);
    let (said, secrets) = (said(&house), secrets());
    assert!(said.contains("webhooks can't be stored"), "{said}");
    is_clean("the log", &said, &secrets.iter().map(String::as_str).chain(PERSONAL).collect::<Vec<_>>());
}
