//! The initial import: Siagh's contacts -> CRM, once, resumable, harmless when run twice.

use chrono::TimeDelta;
use serde_json::json;
use std::sync::Arc;
use tandem_bridges::siagh::{IMPORT, SIAGH, SWEEP};
use tandem_core::bridge::ScanFrom;
use tandem_core::{Bridge, Plan, RecordKey, State};
use tandem_engine::SystemClock;
use tandem_flows::{Setup, StandIn, World, contact, customer, mobile, organization, person, scan, with};
use tandem_simulators::company::Company;
use tandem_simulators::payamgostar::{Kind, TypeSeed};
use tandem_simulators::siagh::Contact;
use tandem_simulators::{Arm, Fault};
use tokio::sync::Semaphore;
use uuid::Uuid;

const SAVES: &str = "SaveFormData#2BFDA";
const LIST: &str = "GetAll";

fn ids(world: &World) -> Vec<Uuid> {
    world.crm.identities().iter().map(|identity| identity["crmId"].as_str().unwrap().parse().unwrap()).collect()
}

/// A company in Siagh, nothing in the CRM.
async fn company(size: usize) -> World {
    let world = World::new().await;
    for contact in Company::generate(7, size).contacts {
        world.contact(contact);
    }
    world
}

#[tokio::test]
async fn every_contact_but_the_administrators_becomes_a_customer_with_the_number_that_leads_back() {
    let world = company(120).await;
    let summary = world.import().await;
    assert_eq!((summary.seen, summary.noticed), (119, 119));
    world.settle_and_check().await;
    assert_eq!(world.crm.identity_count(), 119);
    for id in ids(&world) {
        let code = world.contact_of(id).await.code;
        let (_, identity) = world.crm.object(id).unwrap();
        assert_eq!(identity["customerNumber"], format!("100-{}", code + 1000));
        assert_eq!(identity["refId"], code.to_string());
    }
    assert_eq!(world.finance.calls_to(SAVES), 0, "nothing is written into Siagh");
}

#[tokio::test]
async fn the_crms_webhooks_about_our_own_creates_are_echoes() {
    let world = company(40).await;
    world.import().await;
    world.settle().await;
    for id in ids(&world) {
        world.tell_customer("Insert", id).await;
    }
    world.settle_and_check().await;
    for id in ids(&world) {
        world.expect(&customer(id), State::Unchanged, &[]).await;
    }
    assert_eq!(world.finance.calls_to(SAVES), 0);
}

#[tokio::test]
async fn a_webhook_that_overtakes_the_settling_of_its_create_does_no_harm() {
    let world = World::new().await;
    let code = world.contact(Contact { mobile_no: Some("09120000001".into()), ..Contact::person("علی نمونه") });
    world.import().await;
    let door = Arc::new(tandem_flows::Door::default());
    let bridge = StandIn::before(world.bridge.clone()).stopping_after_apply(door.clone());
    let engine = world.engine_with(Arc::new(bridge), world.clock.clone(), "importing");
    let key = contact(code);
    let importing = tokio::spawn(async move { engine.work(&key).await.unwrap() });
    door.reached().await;
    let id = ids(&world)[0];
    world.tell_customer("Insert", id).await;
    world.work(&customer(id)).await;
    door.open();
    importing.await.unwrap();
    world.settle_and_check().await;
    assert_eq!((world.crm.identity_count(), world.finance.contact_count()), (1, 1));
}

#[tokio::test]
async fn an_import_run_twice_changes_nothing() {
    let world = company(40).await;
    world.import().await;
    world.settle().await;
    let before = world.crm.identities();
    let again = world.import().await;
    assert_eq!(again.noticed, 0, "nothing has changed in Siagh");
    world.settle_and_check().await;
    assert_eq!(world.crm.identities(), before);
}

#[tokio::test]
async fn after_an_import_a_sweep_and_a_poll_find_everything_in_step() {
    let world = company(40).await;
    world.import().await;
    world.settle().await;
    let polled = world.poll().await;
    assert_eq!(polled.noticed, 0, "the poll knows what the import made");
    world.scan(SWEEP).await.unwrap();
    world.settle_and_check().await;
    for row in world.rows().await {
        assert!(!row.reason.contains("changed only in finance"), "{}: {}", row.key, row.reason);
    }
    assert_eq!(world.finance.calls_to(SAVES), 0);
}

#[tokio::test]
async fn planning_an_import_counts_and_writes_nothing() {
    let world = company(20).await;
    world.import().await;
    let mut planned = 0;
    for row in world.rows().await {
        let preview = world.engine.preview(&row.key).await.unwrap();
        planned += usize::from(matches!(preview.plan, Ok(Plan::Write { .. })));
    }
    assert_eq!((planned, world.crm.identity_count()), (19, 0));
}

#[tokio::test]
async fn planning_an_import_asks_both_systems_for_lists_and_not_for_each_contact() {
    let world = company(600).await;
    // As `tandem import siagh --plan` does it: by the real clock, and the ledger knows none of them.
    let engine = world.engine_with(world.bridge.clone(), Arc::new(SystemClock), "planning");
    let (mut planned, mut page) = (0, None::<String>);
    loop {
        let from = ScanFrom { watermark: None, page: page.as_deref() };
        let read = world.bridge.scan(&IMPORT.into(), from, &world.store).await.unwrap();
        for sighting in read.sightings {
            let preview = engine.preview(&RecordKey::new(SIAGH, sighting.kind, sighting.source_id)).await.unwrap();
            assert!(matches!(preview.plan, Ok(Plan::Write { .. })), "{preview:?}");
            planned += 1;
        }
        page = read.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!(planned, 599);
    let calls = (world.finance.calls_to(LIST), world.crm.calls_to("crmobject"));
    assert_eq!(calls, (2, 1), "one list to page through, one with all values, one of the CRM's numbers");
}

#[tokio::test]
async fn an_import_reads_siaghs_list_a_few_times_and_not_for_each_contact() {
    let world = company(600).await;
    world.import().await;
    world.settle_and_check().await;
    assert_eq!((world.crm.identity_count(), world.finance.calls_to(LIST)), (599, 2));
}

#[tokio::test]
async fn a_contact_that_was_corrected_within_a_minute_is_imported_as_it_is_now() {
    let world = World::new().await;
    let code = world.contact(Contact { toward_type: None, ..Contact::person("علی نمونه") });
    let other = world.contact(Contact::person("زهرا نمونه"));
    world.import().await;
    world.settle().await;
    world.expect(&contact(code), State::NeedsReview, &[]).await;
    world.finance.edit_contact(code, |contact| contact.toward_type = Some(false)).unwrap();
    world.finance.edit_contact(other, |contact| contact.email = Some("a@example.test".into())).unwrap();
    world.advance(TimeDelta::seconds(1));
    assert_eq!(world.import().await.noticed, 2);
    world.settle_and_check().await;
    world.expect(&contact(code), State::Synced, &["create a CRM person"]).await;
    assert_eq!(world.import().await.noticed, 0, "what was looked at is what is there");
}

#[tokio::test]
async fn what_the_crm_knows_is_linked_and_what_does_not_agree_is_for_a_person() {
    let world = World::new().await;
    let agrees = world.contact(Contact { code: 42, ..Contact::organization("شرکت نمونه الف") });
    let differs = world.contact(Contact { code: 43, ..Contact::organization("شرکت نمونه ب") });
    let numbered = |name: &str, number: &str| with(organization(name), json!({ "customerNumber": number }));
    let linked = world.create(Kind::Organization, &numbered("شركت نمونه الف", "100-1042"));
    world.create(Kind::Organization, &numbered("بازرگانی دریا", "100-1043"));
    world.import().await;
    world.settle_and_check().await;
    world.expect(&contact(agrees), State::Synced, &["link to CRM customer", "100-1042"]).await;
    assert_eq!(world.contact_of(linked).await.code, 42);
    world.expect(&contact(differs), State::NeedsReview, &["has the number 100-1043"]).await;
    assert_eq!(world.crm.identity_count(), 2);
}

#[tokio::test]
async fn a_contact_of_unknown_kind_is_imported_by_a_person() {
    let world = World::new().await;
    let code = world.contact(Contact { toward_type: None, ..Contact::person("علی نمونه") });
    world.import().await;
    world.settle_and_check().await;
    world.expect(&contact(code), State::NeedsReview, &["does not say whether it is a person or an organization"]).await;
    assert_eq!(world.crm.identity_count(), 0);
}

#[tokio::test]
async fn of_several_crm_customers_with_one_number_a_person_chooses() {
    let world = World::new().await;
    world.contact(Contact { code: 42, ..Contact::person("علی نمونه") });
    let number = json!({ "customerNumber": "100-1042" });
    world.create(Kind::Person, &with(person("علی نمونه"), number.clone()));
    world.create(Kind::Organization, &with(organization("علی نمونه"), number));
    world.import().await;
    world.settle_and_check().await;
    world.expect(&contact(42), State::NeedsReview, &["2 CRM customers have the number 100-1042"]).await;
    assert_eq!(world.crm.identity_count(), 2);
}

#[tokio::test]
async fn a_lost_create_whose_number_two_customers_bear_by_now_is_for_a_person() {
    let world = World::new().await;
    world.crm.add_type(TypeSeed::new("vip", Kind::Person, "مشتری ویژه")).unwrap();
    world.contact(Contact { code: 42, ..Contact::person("علی نمونه") });
    world.crm.arm(Arm::once(Fault::ResetAfterCommit).on("person/create"));
    world.import().await;
    world.work_due().await;
    world.expect(&contact(42), State::Retrying, &["whether it happened is looked up"]).await;
    let other = json!({ "customerNumber": "100-1042", "crmObjectTypeCode": "vip" });
    world.create(Kind::Person, &with(person("زهرا نمونه"), other));
    world.settle().await;
    let words = &["the answer was lost", "2 CRM customers have the number 100-1042; keep one"];
    world.expect(&contact(42), State::NeedsReview, words).await;
    assert_eq!(world.crm.identity_count(), 2, "nobody was made a second time");
}

#[tokio::test]
async fn a_customer_that_was_linked_takes_the_crms_values_at_its_next_change() {
    let world = World::new().await;
    world.contact(Contact { code: 42, email: Some("old@example.test".into()), ..Contact::person("علی نمونه") });
    let more = json!({ "customerNumber": "100-1042", "email": "crm@example.test" });
    let id = world.create(Kind::Person, &with(person("علی نمونه"), more));
    world.import().await;
    world.settle().await;
    world.excuse(&customer(id));
    world.check().await;
    world.edited(id, &mobile("09120000001")).await;
    world.settle().await;
    let contact = world.contact_of(id).await;
    assert_eq!(
        (contact.email.as_deref(), contact.mobile_no.as_deref()),
        (Some("crm@example.test"), Some("09120000001"))
    );
}

#[tokio::test]
async fn a_number_that_somebody_took_during_the_import_is_linked_or_asked_and_not_dead() {
    let world = World::new().await;
    world.contact(Contact { code: 41, ..Contact::person("زهرا نمونه") });
    world.contact(Contact { code: 42, ..Contact::person("علی نمونه") });
    world.contact(Contact { code: 43, ..Contact::person("رضا نمونه") });
    world.import().await;
    world.work(&contact(41)).await;
    // The CRM's numbers have been read; now a user types these in.
    let numbered = |name: &str, number: &str| with(person(name), json!({ "customerNumber": number }));
    let same = world.create(Kind::Person, &numbered("علی نمونه", "100-1042"));
    world.create(Kind::Person, &numbered("مینا دریایی", "100-1043"));
    world.settle_and_check().await;
    assert_eq!(world.contact_of(same).await.code, 42);
    world.expect(&contact(43), State::NeedsReview, &["100-1043"]).await;
}

#[tokio::test]
async fn an_imported_customer_that_is_edited_updates_its_contact() {
    let world = company(20).await;
    world.import().await;
    world.settle().await;
    let id = ids(&world)[3];
    let before = world.contact_of(id).await;
    world.edited(id, &json!({ "email": "new@example.test" })).await;
    world.settle_and_check().await;
    let after = world.contact_of(id).await;
    assert_eq!((after.code, after.email.as_deref()), (before.code, Some("new@example.test")));
    assert_eq!((after.name, after.description), (before.name, before.description.or(Some(String::new()))));
}

#[tokio::test]
async fn a_customer_that_came_by_webhook_before_the_import_is_not_imported_again() {
    let world = World::new().await;
    world.contact(Contact { code: 42, mobile_no: Some("09120000001".into()), ..Contact::person("علی نمونه") });
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle().await;
    let made_here = world.created(Kind::Person, &person("زهرا نمونه")).await;
    world.settle().await;
    world.import().await;
    world.settle_and_check().await;
    world.expect(&contact(42), State::Unchanged, &["already paired with CRM customer", &id.to_string()]).await;
    assert_eq!(world.crm.identity_count(), 2);
    assert_ne!(world.contact_of(made_here).await.code, 42);
}

#[tokio::test]
async fn an_import_that_is_killed_between_two_pages_goes_on_where_it_was() {
    let mut world = World::new().await;
    for n in 0..1_203 {
        world.contact(Contact::person(&format!("علی نمونه {n}")));
    }
    let permits = Arc::new(Semaphore::new(1));
    let bridge = StandIn::before(world.bridge.clone()).scanning_with(permits.clone());
    let engine = world.engine_with(Arc::new(bridge), world.clock.clone(), "dying");
    let scanning = tokio::spawn(async move { scan(&engine, IMPORT).await });
    let listed = || async { (world.rows().await.len() >= 500).then_some(()) };
    tandem_testbed::signal::eventually(std::time::Duration::from_secs(20), listed).await;
    scanning.abort();
    assert!(scanning.await.unwrap_err().is_cancelled());
    assert!(world.scan(IMPORT).await.unwrap().is_none(), "its lease still runs");
    // Meanwhile somebody removes a contact that was listed already: nobody may be skipped for it.
    let first = world.finance.contacts()[0].code;
    world.finance.delete_contact(first).unwrap();
    world.restart();
    world.advance(TimeDelta::minutes(5));
    let rest = world.import().await;
    assert!(rest.seen < 1_000, "{} seen: it began anew", rest.seen);
    assert_eq!(world.rows().await.len(), 1_203);
}

#[tokio::test]
async fn two_imports_at_once_are_one() {
    let world = company(30).await;
    let other = world.another("two");
    let (one, two) = tokio::join!(world.scan(IMPORT), scan(&other, IMPORT));
    let ran = [one.unwrap(), two.unwrap()].into_iter().flatten().count();
    assert_eq!(ran, 1);
    world.settle_and_check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_working_on_one_import_make_nobody_twice() {
    let world = Arc::new(company(60).await);
    world.import().await;
    let workers = (0..3).map(|n| {
        let engine = world.another(&format!("worker {n}"));
        tokio::spawn(async move { tandem_flows::work_due(&engine).await })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    world.settle_and_check().await;
    assert_eq!(world.crm.identity_count(), 59);
}

#[tokio::test]
async fn the_stamp_property_carries_our_mark_where_the_site_has_one() {
    let mut setup = Setup::default();
    setup.bridge.stamp_property = Some("TandemStamp".into());
    let world = World::start(setup).await;
    world.contact(Contact::person("علی نمونه"));
    world.import().await;
    world.settle_and_check().await;
    let identity = world.crm.identities().remove(0);
    assert_eq!(identity["extendedProperties"][0]["userKey"], "TandemStamp");
    world.tell_customer("Insert", ids(&world)[0]).await;
    world.settle_and_check().await;
    world.expect(&customer(ids(&world)[0]), State::Unchanged, &[]).await;
}

#[tokio::test]
async fn what_the_crm_says_of_a_customer_that_the_import_links_arrives_in_finance() {
    let world = World::new().await;
    let code = world.contact(Contact { code: 42, ..Contact::person("علی نمونه") });
    let fields = json!({ "customerNumber": "100-1042", "email": "newer@example.test" });
    let id = world.create(Kind::Person, &with(person("علی نمونه"), fields));
    world.import().await;
    world.settle_and_check().await;
    let contact = world.contact_of(id).await;
    assert_eq!((contact.code, contact.email.as_deref()), (code, Some("newer@example.test")));
}
