//! What a look leaves behind: who goes on because of it, what a poll looks at again, and whose the record is meanwhile.

use chrono::TimeDelta;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::{Lane, State, Trigger};
use tandem_engine::{NotNow, Outcome, Policy, SystemClock};
use tandem_flows::{Line, Setup, World, customer, mobile, person, pre_invoice, siagh_id, with};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::{Arm, Fault};
use tandem_store::Resolution;
use uuid::Uuid;

const MOBILE: &str = "09120000001";
const SAVES: &str = "SaveFormData#2BFDA";
const SENDS: &str = "SaveFormData#43D81";

fn line() -> Line {
    Line::of("Product-1", "2", "1000")
}

/// A customer that a person declared to be another one.
async fn duplicate(world: &World) -> (Uuid, Uuid) {
    let winner = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.settle().await;
    let loser = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.settle().await;
    world.resolve(&customer(loser), Resolution::Duplicate(customer(winner))).await;
    (winner, loser)
}

#[tokio::test]
async fn a_quote_that_came_while_its_duplicate_customer_was_looked_at_again_goes_on() {
    let world = World::new().await;
    let (winner, loser) = duplicate(&world).await;
    world.notice(&customer(loser), None, Trigger::Poll, Lane::Bulk).await;
    let quote = world.quoted(loser, &[line()]).await;
    world.work(&pre_invoice(quote)).await;
    world.expect(&pre_invoice(quote), State::Waiting, &["waits for customer"]).await;
    world.settle().await;
    world.expect(&customer(loser), State::Duplicate, &[]).await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
    assert_eq!(world.finance.documents()[0].contact, world.contact_of(winner).await.code);
    assert!(world.store.leftovers(world.now()).await.unwrap().is_empty());
}

/// The record rests in `state`, polls leave it alone, and what a person asks or changes is worked on.
async fn stays_as_it_is(world: &World, id: Uuid, state: State) {
    let calls = (world.finance.calls_to(SAVES), world.log(&customer(id)).await.len());
    for _ in 0..2 {
        world.advance(TimeDelta::minutes(10));
        assert_eq!(world.poll().await.noticed, 0, "{state}: nothing has changed since it was looked at");
        world.settle_and_check().await;
    }
    assert_eq!((world.finance.calls_to(SAVES), world.log(&customer(id)).await.len()), calls, "{state}");
    world.expect(&customer(id), state, &[]).await;
}

#[tokio::test]
async fn a_refused_record_is_left_alone_by_polls_until_somebody_asks_or_changes_it() {
    let world = World::new().await;
    let refused = || Arm::always(Fault::ErrorsInside { text: "کد ملی درست وارد نشده است".into() }).on(SAVES);
    world.finance.arm(refused());
    let id = world.create(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE)));
    assert_eq!(world.poll().await.noticed, 1);
    world.settle_and_check().await;
    world.expect(&customer(id), State::Dead, &[]).await;
    stays_as_it_is(&world, id, State::Dead).await;
    // Asked for by a person, it is tried again.
    let saves = world.finance.calls_to(SAVES);
    world.sync(&customer(id)).await;
    world.settle_and_check().await;
    world.store.reopen(&[customer(id)], Trigger::Replay, &"op".into(), world.now()).await.unwrap();
    world.settle_and_check().await;
    assert_eq!(world.finance.calls_to(SAVES), saves + 2);
    world.expect(&customer(id), State::Dead, &[]).await;
    // Changed in the CRM, it is noticed.
    world.finance.disarm();
    world.crm.edit(id, &json!({ "email": "a@example.test" })).unwrap();
    assert_eq!(world.poll().await.noticed, 1);
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &[]).await;
}

#[tokio::test]
async fn a_record_that_was_given_up_after_its_tries_is_left_alone_by_polls() {
    let world = World::new().await;
    world.finance.arm(Arm::always(Fault::TruncatedJson).on("GetAll"));
    let id = world.create(Kind::Person, &person("علی نمونه"));
    world.poll().await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Dead, &["gave up after"]).await;
    stays_as_it_is(&world, id, State::Dead).await;
}

#[tokio::test]
async fn a_quote_in_doubt_is_left_alone_by_polls_also_after_it_was_changed() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    world.finance.arm(Arm::once(Fault::ResetAfterCommit).on(SENDS));
    let quote = world.quoted(id, &[line()]).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsReview, &["the answer was lost"]).await;
    world.poll().await;
    world.settle_and_check().await;
    for text in [None, Some("دیگر")] {
        if let Some(text) = text {
            world.crm.edit(quote, &json!({ "description": text })).unwrap();
            assert_eq!(world.poll().await.noticed, 1);
            world.settle_and_check().await;
        }
        world.advance(TimeDelta::minutes(10));
        assert_eq!(world.poll().await.noticed, 0, "{text:?}");
        world.expect(&pre_invoice(quote), State::NeedsReview, &["the answer was lost"]).await;
    }
}

#[tokio::test]
async fn a_finance_system_that_hangs_opens_the_circuit_and_no_record_dies_of_it() {
    let world = World::start(Setup { timeout: Duration::from_millis(150), ..Setup::default() }).await;
    world.finance.arm(Arm::always(Fault::Delay { ms: 20_000 }).on("GetAll"));
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(world.created(Kind::Person, &person(&format!("علی نمونه {n}"))).await);
    }
    let looks = world.work_due().await;
    assert!(world.engine.circuits().is_open(&siagh_id()), "after {looks} looks");
    assert_eq!(looks, 5, "the streak is the default of TANDEM_CIRCUIT_AFTER_FAULTS");
    assert_eq!(world.work_due().await, 0, "the bridge pauses");
    for id in &ids {
        let row = world.row(&customer(*id)).await;
        assert!(row.is_open() && row.attempts <= 1, "{}: {} after {}", row.state, row.reason, row.attempts);
    }
    world.finance.disarm();
    world.settle_and_check().await;
    for id in &ids {
        world.expect(&customer(*id), State::Synced, &[]).await;
    }
    assert_eq!(world.finance.contact_count(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_takes_longer_than_the_lease_is_waited_for_by_the_one_who_asked() {
    let policy = Policy { lease: TimeDelta::seconds(2), ..Policy::default() };
    let world = World::start(Setup { policy, ..Setup::default() }).await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.finance.arm(Arm::once(Fault::SlowAnswer { ms: 4_500 }).on(SAVES));
    let engine = |owner| world.engine_with(world.bridge.clone(), Arc::new(SystemClock), owner);
    let (one, two) = (engine("one"), engine("two"));
    let key = customer(id);
    let working = tokio::spawn({
        let key = key.clone();
        async move { one.work(&key).await.unwrap().outcome }
    });
    world.finance.until(|admin| admin.calls_to(SAVES) == 1).await;
    let mut tries = 0;
    tandem_testbed::signal::eventually(Duration::from_secs(20), || {
        let (key, two) = (key.clone(), two.clone());
        tries += 1;
        async move {
            match two.work(&key).await.unwrap().outcome {
                Outcome::NotNow(NotNow::Busy) => None,
                other => Some(other),
            }
        }
    })
    .await;
    assert!(tries > 3, "it was asked again and again");
    let outcome = working.await.unwrap();
    assert!(matches!(outcome, Outcome::Settled { state: State::Synced, .. }), "{outcome:?}");
    let row = world.row(&key).await;
    assert_eq!((row.fence, row.state, world.finance.calls_to(SAVES)), (1, State::Synced, 1));
    world.settle_and_check().await;
}
