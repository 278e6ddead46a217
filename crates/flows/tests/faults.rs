//! Bad days of the two systems: what is retried, what is looked up, what pauses everything, and that nothing is doubled.

use chrono::TimeDelta;
use serde_json::json;
use std::time::Duration;
use tandem_core::{Lane, State, Trigger};
use tandem_engine::Outcome;
use tandem_flows::{Line, Setup, World, contact, customer, mobile, person, pre_invoice, siagh_id, with};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::Contact;
use tandem_simulators::{Arm, Fault};
use tandem_store::Resolution;
use uuid::Uuid;

const SAVES: &str = "SaveFormData#2BFDA";
const SENDS: &str = "SaveFormData#43D81";
const CRM_LOGIN: &str = "auth/login";
const LOGIN: &str = "LoginUser";

async fn with_customer() -> (World, Uuid) {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle().await;
    (world, id)
}

fn line() -> Line {
    Line::of("Product-1", "2", "1000")
}

/// Every way in which a save can happen and its answer be lost.
fn lost_after_the_commit() -> Vec<Fault> {
    vec![
        Fault::ResetAfterCommit,
        Fault::Status { code: 500, committed: true },
        Fault::HtmlPage { committed: true },
        Fault::TruncatedJson,
        Fault::EmptyCreated,
    ]
}

fn lost_before_the_commit() -> Vec<Fault> {
    vec![Fault::ResetBefore, Fault::Status { code: 500, committed: false }, Fault::HtmlPage { committed: false }]
}

#[tokio::test]
async fn a_contact_whose_create_answer_was_lost_is_adopted_and_not_made_again() {
    let world = World::new().await;
    for (n, fault) in lost_after_the_commit().into_iter().enumerate() {
        for phone in [true, false] {
            world.finance.arm(Arm::once(fault.clone()).on(SAVES));
            let name = format!("علی نمونه {n}{phone}");
            let fields = if phone { with(person(&name), mobile(&format!("0912000000{n}"))) } else { person(&name) };
            let before = world.finance.contact_count();
            let id = world.created(Kind::Person, &fields).await;
            world.work_due().await;
            world.expect(&customer(id), State::Retrying, &["whether it happened is looked up"]).await;
            world.settle_and_check().await;
            assert_eq!(world.finance.contact_count(), before + 1, "{fault:?}");
            assert_eq!(world.contact_of(id).await.name, name);
        }
    }
}

#[tokio::test]
async fn a_contact_whose_create_was_lost_on_the_way_is_made_once() {
    let world = World::new().await;
    for (n, fault) in lost_before_the_commit().into_iter().enumerate() {
        world.finance.arm(Arm::once(fault.clone()).on(SAVES));
        let before = world.finance.contact_count();
        let id = world.created(Kind::Person, &person(&format!("علی نمونه {n}"))).await;
        world.settle_and_check().await;
        assert_eq!(world.finance.contact_count(), before + 1, "{fault:?}");
        assert!(world.row(&customer(id)).await.state.is_in_step());
    }
}

#[tokio::test]
async fn a_lost_create_that_an_old_list_does_not_show_yet_is_waited_for_and_not_made_again() {
    let world = World::new().await;
    // Read once, so that what the list shows from now on is older than the create.
    world.finance.stale_list(Duration::from_secs(3_600));
    world.finance.arm(Arm::once(Fault::ResetAfterCommit).on(SAVES));
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.work_due().await;
    world.expect(&customer(id), State::Retrying, &["whether it happened is looked up"]).await;
    let attempts = world.row(&customer(id)).await.attempts;
    world.advance(TimeDelta::seconds(11));
    world.work_due().await;
    world.expect(&customer(id), State::Retrying, &["create_contact", "not to be seen", "an old list"]).await;
    assert_eq!(world.row(&customer(id)).await.attempts, attempts, "waiting is no try");
    world.finance.stale_list(Duration::ZERO);
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &[]).await;
    assert_eq!((world.finance.calls_to(SAVES), world.finance.contact_count()), (1, 1));
}

#[tokio::test]
async fn a_lost_create_with_a_phone_is_not_waited_for_because_siagh_itself_would_refuse_a_second_one() {
    let world = World::new().await;
    world.finance.arm(Arm::once(Fault::ResetBefore).on(SAVES));
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.work_due().await;
    world.advance(TimeDelta::seconds(11));
    world.work_due().await;
    world.expect(&customer(id), State::Synced, &["create a contact"]).await;
    world.settle_and_check().await;
    // Also where the list is old: the refusal leads back to the contact.
    world.finance.stale_list(Duration::from_secs(3_600));
    world.finance.arm(Arm::once(Fault::ResetAfterCommit).on(SAVES));
    let late = world.created(Kind::Person, &with(person("زهرا نمونه"), mobile("09120000002"))).await;
    world.work_due().await;
    world.advance(TimeDelta::seconds(11));
    world.work_due().await;
    world.expect(&customer(late), State::Retrying, &["شماره موبایل نمی تواند تکراری باشد"]).await;
    world.finance.stale_list(Duration::ZERO);
    world.settle_and_check().await;
    assert_eq!(world.finance.contact_count(), 2);
}

#[tokio::test]
async fn a_lost_create_does_not_adopt_an_old_contact_of_the_same_name() {
    let world = World::new().await;
    let old = world.contact(Contact::person("علی نمونه"));
    world.finance.arm(Arm::once(Fault::ResetBefore).on(SAVES));
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle_and_check().await;
    assert_ne!(world.contact_of(id).await.code, old);
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_ends_with_the_values_of_the_crm() {
    let (world, id) = with_customer().await;
    for (n, fault) in [lost_after_the_commit(), lost_before_the_commit()].concat().into_iter().enumerate() {
        world.advance(TimeDelta::minutes(1));
        world.finance.arm(Arm::once(fault.clone()).on(SAVES));
        world.edited(id, &json!({ "email": format!("a{n}@example.test") })).await;
        world.settle_and_check().await;
        assert_eq!(world.contact_of(id).await.email, Some(format!("a{n}@example.test")), "{fault:?}");
    }
    assert_eq!(world.finance.contact_count(), 1);
}

#[tokio::test]
async fn a_quote_whose_answer_was_lost_is_for_a_person_and_exists_settles_it() {
    let (world, id) = with_customer().await;
    for (n, fault) in lost_after_the_commit().into_iter().enumerate() {
        world.finance.arm(Arm::once(fault.clone()).on(SENDS));
        let quote = world.quoted(id, &[Line::of("Product-1", "2", &format!("{}", 1000 + n))]).await;
        world.settle_and_check().await;
        let net = (2 * (1000 + n)).to_string();
        world.expect(&pre_invoice(quote), State::NeedsReview, &["the answer was lost", &net, "--exists"]).await;
        world.sync(&pre_invoice(quote)).await;
        world.settle_and_check().await;
        let document = world.finance.documents().pop().unwrap();
        let refs = json!({ "number": document.number.to_string() }).as_object().unwrap().clone();
        world.resolve(&pre_invoice(quote), Resolution::Exists { dest_id: None, refs }).await;
        world.settle_and_check().await;
        assert!(world.row(&pre_invoice(quote)).await.state.is_in_step());
        assert_eq!(world.finance.document_count(), n + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_quote_that_was_lost_on_the_way_is_sent_when_a_person_says_again() {
    let (world, id) = with_customer().await;
    for (n, fault) in lost_before_the_commit().into_iter().enumerate() {
        world.finance.arm(Arm::once(fault.clone()).on(SENDS));
        let quote = world.quoted(id, &[line()]).await;
        world.settle_and_check().await;
        world.expect(&pre_invoice(quote), State::NeedsReview, &["--again"]).await;
        world.resolve(&pre_invoice(quote), Resolution::Again).await;
        world.settle_and_check().await;
        world.expect(&pre_invoice(quote), State::Synced, &[]).await;
        assert_eq!(world.finance.document_count(), n + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_is_replaced_once_and_nothing_is_lost() {
    let (world, id) = with_customer().await;
    let (crm, finance) = (world.crm.calls_to(CRM_LOGIN), world.finance.calls_to(LOGIN));
    for n in 0..4 {
        world.advance(TimeDelta::minutes(1));
        match n % 2 {
            0 => {
                world.crm.expire_sessions();
                world.finance.expire_sessions();
            }
            _ => {
                world.crm.arm(Arm::once(Fault::DropSession).on("person/get"));
                world.finance.arm(Arm::once(Fault::DropSession).on(SAVES));
            }
        }
        world.edited(id, &json!({ "email": format!("a{n}@example.test") })).await;
        world.work_due().await;
        world.expect(&customer(id), State::Synced, &[]).await;
    }
    world.settle_and_check().await;
    assert_eq!((world.crm.calls_to(CRM_LOGIN) - crm, world.finance.calls_to(LOGIN) - finance), (4, 4));
}

#[tokio::test]
async fn a_lock_out_costs_one_login_and_no_record_an_attempt() {
    let world = World::new().await;
    world.finance.arm(Arm::always(Fault::Status { code: 403, committed: false }).on(LOGIN));
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(world.created(Kind::Person, &person(&format!("علی نمونه {n}"))).await);
    }
    world.work_due().await;
    // Workers that had their record in hand when the circuit opened.
    for id in &ids {
        let outcome = world.work(&customer(*id)).await;
        assert!(matches!(outcome, Outcome::Paused { .. }), "{outcome:?}");
    }
    assert_eq!(world.finance.calls_to(LOGIN), 1);
    assert!(world.engine.circuits().is_open(&siagh_id()));
    for id in &ids {
        let row = world.row(&customer(*id)).await;
        assert_eq!((row.attempts, row.is_open()), (0, true));
        assert!(row.reason.contains("refuses logins of this user"), "{}", row.reason);
    }
    let circuit = world.engine.circuits().get(&siagh_id()).unwrap();
    assert!(circuit.probe_at - world.now() > TimeDelta::minutes(14), "the client's own wait counts");
}

#[tokio::test]
async fn a_page_of_html_keeps_the_bridge_away_no_longer_than_the_operator_said() {
    for fault in [Fault::HtmlPage { committed: false }, Fault::Status { code: 405, committed: false }] {
        let mut setup = Setup::default();
        setup.policy.probe_longest = Duration::from_secs(60);
        let world = World::start(setup).await;
        let id = world.created(Kind::Person, &person("علی نمونه")).await;
        world.crm.arm(Arm::always(fault.clone()));
        for _ in 0..6 {
            world.work_due().await;
            let circuit = world.engine.circuits().get(&siagh_id()).unwrap();
            assert!(circuit.probe_at - world.now() <= TimeDelta::seconds(60), "{fault:?}: {circuit:?}");
            world.advance(TimeDelta::seconds(61));
        }
        world.crm.disarm();
        world.settle_and_check().await;
        world.expect(&customer(id), State::Synced, &[]).await;
    }
}

#[tokio::test]
async fn a_circuit_closes_after_its_probe_and_the_bridge_goes_on_in_another_process_too() {
    let setup = Setup { refused_wait: Duration::ZERO, ..Setup::default() };
    for crm in [true, false] {
        let mut world = World::start(Setup { refused_wait: setup.refused_wait, ..Setup::default() }).await;
        let locked = |on| Arm::always(Fault::Status { code: 403, committed: false }).on(on);
        if crm {
            world.crm.arm(locked(CRM_LOGIN))
        } else {
            world.finance.arm(locked(LOGIN))
        }
        let id = world.created(Kind::Person, &person("علی نمونه")).await;
        world.work_due().await;
        assert!(world.engine.circuits().is_open(&siagh_id()));
        world.restart();
        assert_eq!(world.work_due().await, 0, "a restart starts no new storm of logins");
        for _ in 0..5 {
            world.advance(TimeDelta::minutes(6));
            assert_eq!(world.work_due().await, 0);
        }
        assert!(world.crm.calls_to(CRM_LOGIN) + world.finance.calls_to(LOGIN) <= 8);
        world.crm.disarm();
        world.finance.disarm();
        world.settle_and_check().await;
        assert_eq!(world.row(&customer(id)).await.attempts, 0);
        world.expect(&customer(id), State::Synced, &[]).await;
    }
}

#[tokio::test]
async fn a_maintenance_window_of_either_system_costs_no_record_an_attempt() {
    let (world, id) = with_customer().await;
    for n in 0..2 {
        world.advance(TimeDelta::minutes(1));
        if n == 0 {
            world.crm.close().await
        } else {
            world.finance.close().await
        }
        world.crm.edit(id, &json!({ "email": format!("a{n}@example.test") })).unwrap();
        world.tell_customer("Update", id).await;
        world.work_due().await;
        assert!(world.engine.circuits().is_open(&siagh_id()), "window {n}");
        world.advance(TimeDelta::hours(60));
        world.work_due().await;
        assert_eq!(world.row(&customer(id)).await.attempts, 0);
        world.crm.open().await.unwrap();
        world.finance.open().await.unwrap();
        world.settle_and_check().await;
        assert_eq!(world.contact_of(id).await.email, Some(format!("a{n}@example.test")));
    }
}

#[tokio::test]
async fn a_read_that_fails_for_a_while_is_tried_again_and_then_given_up_with_the_words_of_the_crm() {
    let (world, id) = with_customer().await;
    world.advance(TimeDelta::minutes(1));
    world.crm.edit(id, &json!({ "email": "a@example.test" })).unwrap();
    for fault in [Fault::Status { code: 500, committed: false }, Fault::TruncatedJson] {
        world.crm.arm(Arm::times(2, fault).on("person/get"));
        world.tell_customer("Update", id).await;
        world.work_due().await;
        world.expect(&customer(id), State::Retrying, &["try 1 of 4 failed"]).await;
        world.settle().await;
        let (state, reason) = world.why(&customer(id)).await;
        assert!(state.is_in_step(), "{state}: {reason}");
    }
    world.check().await;
    world.advance(TimeDelta::minutes(1));
    world.crm.edit(id, &json!({ "email": "b@example.test" })).unwrap();
    world.crm.arm(Arm::always(Fault::Status { code: 500, committed: false }).on("person/get"));
    world.tell_customer("Update", id).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Dead, &["gave up after 4 tries", "500"]).await;
    world.crm.disarm();
    world.store.reopen(&[customer(id)], Trigger::Replay, &"op".into(), world.now()).await.unwrap();
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &[]).await;
}

#[tokio::test]
async fn an_html_page_instead_of_a_record_is_no_absence_and_no_death() {
    let (world, id) = with_customer().await;
    world.advance(TimeDelta::minutes(1));
    for fault in [Fault::HtmlPage { committed: false }, Fault::Status { code: 404, committed: false }] {
        world.crm.arm(Arm::times(3, fault.clone()).on("person/get"));
        world.edited(id, &json!({ "description": format!("{fault:?}") })).await;
        world.settle_and_check().await;
        world.expect(&customer(id), State::Synced, &[]).await;
        world.advance(TimeDelta::minutes(1));
    }
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_our_patience_is_looked_up_and_not_sent_again() {
    let setup = Setup { timeout: Duration::from_millis(400), ..Setup::default() };
    let world = World::start(setup).await;
    world.finance.arm(Arm::once(Fault::SlowAnswer { ms: 1_500 }).on(SAVES));
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle_and_check().await;
    assert_eq!(world.finance.calls_to(SAVES), 1);
    world.finance.arm(Arm::once(Fault::SlowAnswer { ms: 1_500 }).on(SENDS));
    let quote = world.quoted(id, &[line()]).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsReview, &["the answer was lost"]).await;
    assert_eq!(world.finance.calls_to(SENDS), 1);
}

#[tokio::test]
async fn an_import_whose_create_was_answered_with_nothing_finds_its_customer() {
    let world = World::new().await;
    for (n, fault) in [lost_after_the_commit(), lost_before_the_commit()].concat().into_iter().enumerate() {
        world.crm.arm(Arm::once(fault.clone()).on("person/create"));
        let code = world.contact(Contact::person(&format!("علی نمونه {n}")));
        world.notice(&contact(code), None, Trigger::Import, Lane::Bulk).await;
        world.settle_and_check().await;
        assert_eq!(world.crm.identity_count(), n + 1, "{fault:?}");
        assert!(world.row(&contact(code)).await.state.is_in_step());
    }
}

#[tokio::test]
async fn a_webhook_that_comes_before_its_record_is_readable_is_looked_at_again() {
    let world = World::new().await;
    let id = world.create(Kind::Person, &person("علی نمونه"));
    // 404 in JSON for both kinds, once.
    let missing = || Uuid::new_v4();
    let unknown = missing();
    world.tell_customer("Insert", unknown).await;
    world.work_due().await;
    world.expect(&customer(unknown), State::Retrying, &["does not show this record (yet)"]).await;
    let fields = with(person("زهرا نمونه"), json!({ "crmId": unknown }));
    let seeded = world.crm.seed(Kind::Person, &fields).unwrap();
    assert_eq!(seeded, unknown);
    world.tell_customer("Insert", id).await;
    world.settle().await;
    world.expect(&customer(unknown), State::Synced, &["create a contact"]).await;
}

#[tokio::test]
async fn a_webhook_for_a_record_that_never_was_ends_quietly() {
    let world = World::new().await;
    let nobody = Uuid::new_v4();
    world.tell_customer("Insert", nobody).await;
    world.settle_and_check().await;
    world.expect(&customer(nobody), State::Unchanged, &["no such record"]).await;
    world.tell_quote("Insert", nobody).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(nobody), State::Unchanged, &["no such record"]).await;
}

#[tokio::test]
async fn an_id_that_is_no_guid_is_dead_with_one_clear_sentence() {
    let world = World::new().await;
    let key = tandem_core::RecordKey::new("siagh", "customer", "42");
    world.sync(&key).await;
    world.settle().await;
    world.expect(&key, State::Dead, &["\"42\" is not the id of a CRM record"]).await;
}

#[tokio::test]
async fn a_lost_write_that_can_not_be_looked_up_is_for_a_person_and_not_dead() {
    let world = World::new().await;
    // As long as it is tried, the list breaks off.
    world.finance.arm(Arm::once(Fault::ResetAfterCommit).on(SAVES));
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.work_due().await;
    world.finance.arm(Arm::always(Fault::TruncatedJson).on("GetAll"));
    world.settle().await;
    world.expect(&customer(id), State::NeedsReview, &["create_contact", "may or may not have happened"]).await;
    world.finance.disarm();
    world.sync(&customer(id)).await;
    world.settle_and_check().await;
    assert_eq!(world.finance.contact_count(), 1);
    // The record itself can't be read, for good.
    world.crm.arm(Arm::once(Fault::ResetAfterCommit).on("person/create"));
    let code = world.contact(Contact::person("زهرا نمونه"));
    world.notice(&contact(code), None, Trigger::Import, Lane::Bulk).await;
    world.work_due().await;
    world.crm.arm(Arm::always(Fault::EmptyCreated).on("/get"));
    world.settle().await;
    world.expect(&contact(code), State::NeedsReview, &["create_identity", "may or may not have happened"]).await;
    world.crm.disarm();
    world.sync(&contact(code)).await;
    world.settle_and_check().await;
    assert_eq!(world.crm.identity_count(), 2);
}

#[tokio::test]
async fn a_name_that_is_put_back_after_its_answer_was_lost_is_put_back_in_finance_too() {
    let (world, id) = with_customer().await;
    world.advance(TimeDelta::minutes(1));
    let before = world.crm.object(id).unwrap().1["nickName"].clone();
    let was = world.contact_of(id).await.name;
    world.finance.arm(Arm::once(Fault::ResetAfterCommit).on(SAVES));
    world.edited(id, &json!({ "nickName": "نام دیگر", "lastName": "دیگر" })).await;
    world.work_due().await;
    assert_ne!(world.contact_of(id).await.name, was);
    world.edited(id, &json!({ "nickName": before })).await;
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.name, was);
}
