//! Several workers, workers that oversleep, bridges that panic, clocks that step.

use chrono::TimeDelta;
use serde_json::json;
use std::sync::Arc;
use tandem_core::State;
use tandem_engine::{Clock, ManualClock, NotNow, Outcome};
use tandem_flows::{Door, Line, Setup, StandIn, World, contact, customer, mobile, person, pre_invoice, with, work_due};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::Contact;

const SAVES: &str = "SaveFormData#2BFDA";
const SENDS: &str = "SaveFormData#43D81";

#[tokio::test]
async fn a_worker_that_was_paused_past_its_lease_can_not_settle() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    let door = Arc::new(Door::default());
    let bridge = StandIn::before(world.bridge.clone()).stopping_after_apply(door.clone());
    let sleeper = world.engine_with(Arc::new(bridge), world.clock.clone(), "sleeper");
    let key = customer(id);
    let sleeping = tokio::spawn({
        let key = key.clone();
        async move { sleeper.work(&key).await.unwrap().outcome }
    });
    door.reached().await;
    assert_eq!(world.work(&key).await, Outcome::NotNow(NotNow::Busy), "one worker per record");
    world.advance(TimeDelta::minutes(2));
    let taken_over = world.another("second").work(&key).await.unwrap().outcome;
    assert!(matches!(taken_over, Outcome::Settled { .. }), "{taken_over:?}");
    let settled = world.row(&key).await;
    door.open();
    assert_eq!(sleeping.await.unwrap(), Outcome::LeaseLost);
    let after = world.row(&key).await;
    assert_eq!((after.state, after.fence, after.settled_at), (settled.state, settled.fence, settled.settled_at));
    world.settle_and_check().await;
    assert_eq!((world.finance.calls_to(SAVES), world.finance.contact_count()), (1, 1));
}

#[tokio::test]
async fn a_send_that_oversleeps_its_lease_is_not_sent_by_the_next_worker() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    let quote = world.quoted(id, &[Line::of("Product-1", "1", "1000")]).await;
    let door = Arc::new(Door::default());
    let bridge = StandIn::before(world.bridge.clone()).stopping_before_apply(door.clone());
    let sleeper = world.engine_with(Arc::new(bridge), world.clock.clone(), "sleeper");
    let key = pre_invoice(quote);
    let sleeping = tokio::spawn({
        let key = key.clone();
        async move { sleeper.work(&key).await.unwrap().outcome }
    });
    door.reached().await;
    world.advance(TimeDelta::minutes(2));
    world.another("second").work(&key).await.unwrap();
    world.expect(&key, State::NeedsReview, &["the answer was lost"]).await;
    door.open();
    assert_eq!(sleeping.await.unwrap(), Outcome::LeaseLost);
    world.settle_and_check().await;
    assert_eq!(world.finance.calls_to(SENDS), 1);
}

#[tokio::test]
async fn a_panic_in_the_bridge_is_contained_to_its_record() {
    let mut world = World::new().await;
    let bad = world.created(Kind::Person, &person("علی نمونه")).await;
    let good = world.created(Kind::Person, &person("زهرا نمونه")).await;
    let bridge = StandIn::before(world.bridge.clone()).panicking_on(bad.to_string());
    world.engine = world.engine_with(Arc::new(bridge), world.clock.clone(), "panicking");
    world.settle_and_check().await;
    world.expect(&customer(good), State::Synced, &[]).await;
    world.expect(&customer(bad), State::Dead, &["failed unexpectedly"]).await;
    world.restart();
    world.sync(&customer(bad)).await;
    world.settle_and_check().await;
    world.expect(&customer(bad), State::Synced, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workers_over_many_records_write_each_once() {
    let world = World::new().await;
    let mut quotes = Vec::new();
    for n in 0..25 {
        let fields = with(person(&format!("علی نمونه {n}")), mobile(&format!("09120000{n:03}")));
        let id = world.create(Kind::Person, &fields);
        quotes.push(world.quoted(id, &[Line::of("Product-1", "1", &format!("{}", 1000 + n))]).await);
    }
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let engine = world.another(&format!("worker {n}"));
            tokio::spawn(async move { work_due(&engine).await })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    world.settle_and_check().await;
    for quote in quotes {
        world.expect(&pre_invoice(quote), State::Synced, &[]).await;
    }
    assert_eq!((world.finance.contact_count(), world.finance.document_count()), (25, 25));
}

#[tokio::test]
async fn a_change_that_is_noticed_during_the_work_is_worked_on_too() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    let door = Arc::new(Door::default());
    let bridge = StandIn::before(world.bridge.clone()).stopping_after_apply(door.clone());
    let slow = world.engine_with(Arc::new(bridge), world.clock.clone(), "slow");
    let key = customer(id);
    let working = tokio::spawn(async move { slow.work(&key).await.unwrap() });
    door.reached().await;
    world.edited(id, &json!({ "email": "meanwhile@example.test" })).await;
    door.open();
    let worked = working.await.unwrap();
    assert_eq!(worked.follow_ups.len(), 1, "{worked:?}");
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.email.as_deref(), Some("meanwhile@example.test"));
}

#[tokio::test]
async fn a_clock_that_is_stepped_back_delays_no_change_for_ever() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    world.advance(TimeDelta::days(-30));
    world.edited(id, &json!({ "email": "a@example.test" })).await;
    world.work_due().await;
    world.expect(&customer(id), State::Synced, &["email"]).await;
    world.check().await;
    world.edited(id, &json!({ "email": "b@example.test" })).await;
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.email.as_deref(), Some("b@example.test"));
}

#[tokio::test]
async fn workers_whose_clocks_differ_do_not_take_each_others_records() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    let ahead = Arc::new(ManualClock::at(world.now() + TimeDelta::seconds(20)));
    let door = Arc::new(Door::default());
    let bridge = StandIn::before(world.bridge.clone()).stopping_after_apply(door.clone());
    let engine = world.engine_with(Arc::new(bridge), world.clock.clone(), "slow");
    let key = customer(id);
    let working = tokio::spawn({
        let key = key.clone();
        async move { engine.work(&key).await.unwrap().outcome }
    });
    door.reached().await;
    let other = world.engine_with(world.bridge.clone(), ahead.clone(), "ahead");
    assert!(ahead.now() > world.now());
    assert_eq!(other.work(&key).await.unwrap().outcome, Outcome::NotNow(NotNow::Busy));
    door.open();
    assert!(matches!(working.await.unwrap(), Outcome::Settled { .. }));
    world.settle_and_check().await;
}

#[tokio::test]
async fn every_flow_run_twice_writes_once() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    let quote = world.quoted(id, &[Line::of("Product-1", "1", "1000")]).await;
    let code = world.contact(Contact::person("زهرا نمونه"));
    world.notice(&contact(code), None, tandem_core::Trigger::Import, tandem_core::Lane::Bulk).await;
    world.settle_and_check().await;
    world.advance(TimeDelta::minutes(1));
    let (saves, sends, creates) =
        (world.finance.calls_to(SAVES), world.finance.calls_to(SENDS), world.crm.calls_to("create"));
    for _ in 0..2 {
        for key in [customer(id), pre_invoice(quote), contact(code)] {
            world.sync(&key).await;
            world.notice(&key, None, tandem_core::Trigger::Webhook, tandem_core::Lane::Live).await;
        }
        world.settle_and_check().await;
    }
    assert_eq!(
        (world.finance.calls_to(SAVES), world.finance.calls_to(SENDS), world.crm.calls_to("create")),
        (saves, sends, creates)
    );
}

#[tokio::test]
async fn the_code_is_written_back_into_the_crm_where_the_site_wants_it_and_comes_back_as_an_echo() {
    let mut setup = Setup::default();
    setup.bridge.write_ref_id = true;
    setup.bridge.stamp_property = Some("TandemStamp".into());
    let mut world = World::start(setup).await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle_and_check().await;
    let (_, identity) = world.crm.object(id).unwrap();
    assert_eq!(identity["refId"], world.contact_of(id).await.code.to_string());
    world.tell_customer("Update", id).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Unchanged, &[]).await;
    for n in 1..200 {
        let fields = with(person(&format!("زهرا نمونه {n}")), mobile(&format!("0912{n:07}9")));
        let id = world.created(Kind::Person, &fields).await;
        let through = tandem_flows::run_until(n, world.engine.work(&customer(id))).await.is_some();
        world.calm().await;
        world.restart();
        world.advance(TimeDelta::minutes(2));
        world.settle_and_check().await;
        assert_eq!(world.finance.contact_count(), n as usize + 1, "cut at wait {n}");
        if through {
            return;
        }
    }
    panic!("the flow never came to its end");
}

#[tokio::test]
async fn a_write_back_that_the_crm_refuses_makes_no_second_contact() {
    let mut setup = Setup::default();
    setup.bridge.write_ref_id = true;
    let world = World::start(setup).await;
    let refused = tandem_simulators::Fault::Status { code: 400, committed: false };
    world.crm.arm(tandem_simulators::Arm::once(refused).on("person/update"));
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Dead, &["400"]).await;
    world.sync(&customer(id)).await;
    world.settle_and_check().await;
    assert!(world.row(&customer(id)).await.state.is_in_step());
    assert_eq!(world.finance.contact_count(), 1);
}
