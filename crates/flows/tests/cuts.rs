//! Our process dies wherever its work waits for something: at every such point of every flow, once. Afterwards a new
//! process with nothing but the ledger goes on, and everything must be there exactly once.

use serde_json::json;
use std::sync::Arc;
use tandem_bridges::siagh::IMPORT;
use tandem_core::{Lane, RecordKey, State, Trigger};
use tandem_flows::{
    Door, Line, Setup, StandIn, World, contact, customer, mobile, person, pre_invoice, run_until, scan, with,
};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::Contact;
use tandem_store::Resolution;

/// More waits than any flow has.
const MANY: u32 = 1_000;

/// Works on the record until its n-th wait; answers whether it got through.
async fn cut(world: &World, n: u32, key: &RecordKey) -> bool {
    run_until(n, world.engine.work(key)).await.is_some()
}

/// Afterwards: whatever still is on its way to the systems arrives or is lost; a new process, the lease runs out, everything is worked through and checked.
async fn recover(world: &mut World) {
    world.calm().await;
    world.restart();
    world.advance(chrono::TimeDelta::minutes(2));
    world.settle_and_check().await;
}

#[tokio::test]
async fn creating_a_customer_survives_a_cut_at_every_wait() {
    let mut world = World::new().await;
    for n in 1..MANY {
        let fields = with(person(&format!("علی نمونه {n}")), mobile(&format!("0912{n:07}")));
        let id = world.created(Kind::Person, &fields).await;
        let through = cut(&world, n, &customer(id)).await;
        recover(&mut world).await;
        assert_eq!(world.finance.contact_count(), n as usize, "cut at wait {n}");
        let (state, reason) = world.why(&customer(id)).await;
        assert!(state.is_in_step(), "cut at wait {n}: {state} {reason}");
        if through {
            assert!(n > 5, "the flow waits more often than that");
            return;
        }
    }
    panic!("the flow never came to its end");
}

#[tokio::test]
async fn creating_a_customer_without_phones_survives_a_cut_at_every_wait() {
    let mut world = World::new().await;
    // Another one of that name has been there for ever: it must not be taken for ours.
    world.contact(Contact::person("علی نمونه"));
    for n in 1..MANY {
        let id = world.created(Kind::Person, &person("علی نمونه")).await;
        let through = cut(&world, n, &customer(id)).await;
        recover(&mut world).await;
        let (state, reason) = world.why(&customer(id)).await;
        assert!(state.is_in_step(), "cut at wait {n}: {state} {reason}");
        assert_eq!(world.finance.contact_count(), n as usize + 1, "cut at wait {n}");
        if through {
            return;
        }
    }
    panic!("the flow never came to its end");
}

#[tokio::test]
async fn updating_a_customer_survives_a_cut_at_every_wait() {
    let mut world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    recover(&mut world).await;
    for n in 1..MANY {
        world.edited(id, &json!({ "email": format!("a{n}@example.test") })).await;
        let through = cut(&world, n, &customer(id)).await;
        recover(&mut world).await;
        assert_eq!(world.contact_of(id).await.email, Some(format!("a{n}@example.test")), "cut at wait {n}");
        assert_eq!(world.finance.contact_count(), 1, "cut at wait {n}");
        if through {
            return;
        }
    }
    panic!("the flow never came to its end");
}

#[tokio::test]
async fn linking_a_customer_survives_a_cut_at_every_wait() {
    let mut world = World::new().await;
    for n in 1..MANY {
        let (name, number) = (format!("علی نمونه {n}"), format!("0912{n:07}"));
        let code = world.contact(Contact { mobile_no: Some(number.clone()), ..Contact::person(&name) });
        let fields = with(with(person(&name), mobile(&number)), json!({ "email": format!("a{n}@example.test") }));
        let id = world.created(Kind::Person, &fields).await;
        let through = cut(&world, n, &customer(id)).await;
        recover(&mut world).await;
        assert_eq!(world.contact_of(id).await.code, code, "cut at wait {n}");
        assert_eq!(world.finance.contact_count(), n as usize, "cut at wait {n}");
        if through {
            return;
        }
    }
    panic!("the flow never came to its end");
}

#[tokio::test]
async fn sending_a_quote_survives_a_cut_at_every_wait_with_a_person_deciding_what_cannot_be_known() {
    let mut world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    let mut asked = (0, 0);
    for n in 1..MANY {
        let quote = world.quoted(id, &[Line::of("Product-1", "2", &format!("{}", 1000 + n))]).await;
        let before = world.finance.document_count();
        let through = cut(&world, n, &pre_invoice(quote)).await;
        recover(&mut world).await;
        let (state, reason) = world.why(&pre_invoice(quote)).await;
        if state == State::NeedsReview {
            assert!(reason.contains("look in Siagh for a pre-invoice"), "cut at wait {n}: {reason}");
            if world.finance.document_count() > before {
                asked.0 += 1;
                let number = world.finance.documents().last().unwrap().number.to_string();
                let refs = json!({ "number": number }).as_object().unwrap().clone();
                world.resolve(&pre_invoice(quote), Resolution::Exists { dest_id: None, refs }).await;
            } else {
                asked.1 += 1;
                world.resolve(&pre_invoice(quote), Resolution::Again).await;
            }
            recover(&mut world).await;
        }
        assert!(world.row(&pre_invoice(quote)).await.state.is_in_step(), "cut at wait {n}");
        assert_eq!(world.finance.document_count(), before + 1, "cut at wait {n}");
        if through {
            assert!(asked.0 + asked.1 > 0, "no doubt was met");
            return;
        }
    }
    panic!("the flow never came to its end");
}

#[tokio::test]
async fn importing_a_new_contact_survives_a_cut_at_every_wait() {
    let mut world = World::new().await;
    for n in 1..MANY {
        let name = format!("علی نمونه {n}");
        let code = world.contact(Contact { mobile_no: Some(format!("0912{n:07}")), ..Contact::person(&name) });
        world.notice(&contact(code), None, Trigger::Import, Lane::Bulk).await;
        let through = cut(&world, n, &contact(code)).await;
        recover(&mut world).await;
        assert_eq!(world.crm.identity_count(), n as usize, "cut at wait {n}");
        if through {
            return;
        }
    }
    panic!("the flow never came to its end");
}

#[tokio::test]
async fn importing_a_contact_that_the_crm_knows_survives_a_cut_at_every_wait() {
    let mut world = World::new().await;
    for n in 1..MANY {
        let name = format!("علی نمونه {n}");
        let code = world.contact(Contact::person(&name));
        let number = json!({ "customerNumber": format!("100-{}", code + 1000) });
        let id = world.create(Kind::Person, &with(person(&name), number));
        world.notice(&contact(code), None, Trigger::Import, Lane::Bulk).await;
        let through = cut(&world, n, &contact(code)).await;
        recover(&mut world).await;
        assert_eq!(world.crm.identity_count(), n as usize, "cut at wait {n}");
        let log = world.log(&contact(code)).await;
        assert!(world.store.row(&customer(id)).await.unwrap().is_some(), "cut at wait {n}: {log:#?}");
        assert_eq!(world.contact_of(id).await.code, code, "cut at wait {n}");
        if through {
            return;
        }
    }
    panic!("the flow never came to its end");
}

#[tokio::test]
async fn a_poll_that_is_cut_anywhere_notices_everything_in_the_end() {
    let mut setup = Setup::default();
    setup.bridge.page_size = 3;
    let mut world = World::start(setup).await;
    for n in 1..MANY {
        for extra in 0..4 {
            world.create(Kind::Person, &person(&format!("علی نمونه {n} {extra}")));
        }
        let through = run_until(n, scan(&world.engine, "poll")).await.is_some();
        world.calm().await;
        world.restart();
        world.advance(chrono::TimeDelta::minutes(5));
        world.poll().await;
        world.settle_and_check().await;
        assert_eq!(world.finance.contact_count(), world.crm.identity_count(), "cut at wait {n}");
        // The scan grows with each round; some dozens of points are all that it has between two pages.
        if through || n > 60 {
            return;
        }
    }
}

#[tokio::test]
async fn an_import_scan_that_is_cut_anywhere_imports_everything_in_the_end() {
    let mut world = World::new().await;
    for n in 1..MANY {
        world.contact(Contact::person(&format!("علی نمونه {n}")));
        let through = run_until(n, scan(&world.engine, IMPORT)).await.is_some();
        world.calm().await;
        world.restart();
        world.advance(chrono::TimeDelta::minutes(5));
        world.import().await;
        world.settle_and_check().await;
        assert_eq!(world.crm.identity_count(), n as usize, "cut at wait {n}");
        if through {
            return;
        }
    }
    panic!("the scan never came to its end");
}

/// Works on the record with a process that dies after the destination answered and before the ledger knows of it.
async fn die_after_the_answer(world: &World, key: &RecordKey) {
    let door = Arc::new(Door::default());
    let bridge = StandIn::before(world.bridge.clone()).stopping_after_apply(door.clone());
    let engine = world.engine_with(Arc::new(bridge), world.clock.clone(), "dying");
    tokio::select! {
        worked = engine.work(key) => panic!("it was to die: {worked:?}"),
        () = door.reached() => {}
    }
}

#[tokio::test]
async fn a_contact_that_was_created_just_before_the_end_is_adopted() {
    let mut world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    die_after_the_answer(&world, &customer(id)).await;
    assert_eq!(world.finance.contact_count(), 1);
    recover(&mut world).await;
    assert_eq!(world.finance.contact_count(), 1);
    let log = world.log(&customer(id)).await;
    assert!(world.row(&customer(id)).await.state.is_in_step(), "{log:?}");
}

#[tokio::test]
async fn a_contact_that_was_edited_after_its_create_was_lost_gets_the_edit_too() {
    let mut world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    die_after_the_answer(&world, &customer(id)).await;
    world.edited(id, &json!({ "email": "later@example.test" })).await;
    recover(&mut world).await;
    assert_eq!(world.contact_of(id).await.email.as_deref(), Some("later@example.test"));
    assert_eq!(world.finance.contact_count(), 1);
}

#[tokio::test]
async fn a_pre_invoice_that_was_sent_just_before_the_end_is_for_a_person_and_not_sent_again() {
    let mut world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    let quote = world.quoted(id, &[Line::of("Product-1", "2", "1000")]).await;
    die_after_the_answer(&world, &pre_invoice(quote)).await;
    recover(&mut world).await;
    world
        .expect(&pre_invoice(quote), State::NeedsReview, &["over 2000 before VAT", "CRM:", "--exists", "--again"])
        .await;
    // Further webhooks change nothing about that.
    world.tell_quote("Update", quote).await;
    recover(&mut world).await;
    world.expect(&pre_invoice(quote), State::NeedsReview, &["look in Siagh"]).await;
    let document = world.finance.documents().remove(0);
    let refs = json!({ "number": document.number.to_string() }).as_object().unwrap().clone();
    world.resolve(&pre_invoice(quote), Resolution::Exists { dest_id: Some(document.return_code.into()), refs }).await;
    recover(&mut world).await;
    assert!(world.row(&pre_invoice(quote)).await.state.is_in_step());
    assert_eq!(world.finance.document_count(), 1);
}

#[tokio::test]
async fn a_quote_that_was_edited_while_its_send_was_in_doubt_says_what_changed_once_that_is_decided() {
    let mut world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    let quote = world.quoted(id, &[Line::of("Product-1", "2", "1000")]).await;
    die_after_the_answer(&world, &pre_invoice(quote)).await;
    world.requoted(quote, &json!({ "details": [Line::of("Product-1", "5", "1000").0] })).await;
    recover(&mut world).await;
    world.expect(&pre_invoice(quote), State::NeedsReview, &["over 2000 before VAT"]).await;
    let refs = json!({ "number": "1" }).as_object().unwrap().clone();
    world.resolve(&pre_invoice(quote), Resolution::Exists { dest_id: None, refs }).await;
    recover(&mut world).await;
    world
        .expect(&pre_invoice(quote), State::NeedsReview, &["changed after it was sent as pre-invoice 1", "lines"])
        .await;
    assert_eq!(world.finance.document_count(), 1);
}

#[tokio::test]
async fn an_identity_that_the_import_created_just_before_the_end_is_adopted() {
    let mut world = World::new().await;
    let code = world.contact(Contact::person("علی نمونه"));
    world.notice(&contact(code), None, Trigger::Import, Lane::Bulk).await;
    die_after_the_answer(&world, &contact(code)).await;
    assert_eq!(world.crm.identity_count(), 1);
    // The CRM's webhook about our own create overtakes the recovery.
    let id = world.crm.identities()[0]["crmId"].as_str().unwrap().parse().unwrap();
    world.tell_customer("Insert", id).await;
    recover(&mut world).await;
    assert_eq!((world.crm.identity_count(), world.finance.contact_count()), (1, 1));
}

#[tokio::test]
async fn a_record_that_kills_its_worker_again_and_again_is_parked() {
    let mut world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    let key = customer(id);
    for _ in 0..5 {
        let door = Arc::new(Door::default());
        let bridge = StandIn::before(world.bridge.clone()).stopping_before_apply(door.clone());
        let engine = world.engine_with(Arc::new(bridge), world.clock.clone(), "dying");
        tokio::select! {
            worked = engine.work(&key) => panic!("it was to die: {worked:?}"),
            () = door.reached() => {}
        }
        world.advance(chrono::TimeDelta::minutes(2));
    }
    recover(&mut world).await;
    world.expect(&customer(id), State::NeedsReview, &["its worker stopped 5 times"]).await;
    world.sync(&customer(id)).await;
    recover(&mut world).await;
    assert!(world.row(&customer(id)).await.state.is_in_step());
}
