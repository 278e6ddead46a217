//! The checker must be able to fail: each of these worlds is wrong in one way, and it says so.

use serde_json::json;
use tandem_core::{State, Trigger};
use tandem_flows::{Line, World, mobile, person, pre_invoice, with};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::Contact;

/// One customer and one quote, both in step.
async fn in_step() -> (World, uuid::Uuid, uuid::Uuid) {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    let quote = world.quoted(id, &[Line::of("Product-1", "2", "100000")]).await;
    world.settle_and_check().await;
    (world, id, quote)
}

async fn complains_of(world: &World, word: &str) {
    let wrong = world.findings().await;
    assert!(wrong.iter().any(|line| line.contains(word)), "{word:?} is not among {wrong:#?}");
}

#[tokio::test]
async fn a_world_in_step_has_no_findings() {
    let (world, id, quote) = in_step().await;
    assert_eq!(world.finance.document_count(), 1);
    assert_eq!(world.contact_of(id).await.mobile_no.as_deref(), Some("09120000001"));
    world.expect(&pre_invoice(quote), State::Synced, &["100-"]).await;
}

#[tokio::test]
async fn a_doubled_document_is_found() {
    let (world, _, quote) = in_step().await;
    // Somebody sends the journaled save once more, past the engine.
    let entry = world.log(&pre_invoice(quote)).await.into_iter().find(|entry| entry.action.is_some()).unwrap();
    let plan = serde_json::from_value(entry.plan.unwrap()).unwrap();
    let tandem_core::Plan::Write { steps, .. } = plan else { panic!("the plan wrote nothing") };
    let row = world.row(&pre_invoice(quote)).await;
    let context = tandem_core::bridge::StepContext {
        row: &row,
        step: &steps[0],
        done: &[],
        stamp: &tandem_core::Stamp::new("twice"),
        now: world.now(),
    };
    tandem_core::Bridge::apply(&*world.bridge, context).await.unwrap();
    complains_of(&world, "was sent 2 times").await;
}

#[tokio::test]
async fn a_missing_customer_is_found() {
    let (world, id, _) = in_step().await;
    let code = world.contact_of(id).await.code;
    world.finance.delete_contact(code).unwrap();
    complains_of(&world, "with no contact behind it").await;
}

#[tokio::test]
async fn a_wrong_value_and_a_wrong_amount_are_found() {
    let (world, id, quote) = in_step().await;
    let code = world.contact_of(id).await.code;
    world.finance.edit_contact(code, |contact| contact.mobile_no = Some("09120000009".into())).unwrap();
    complains_of(&world, "the mobile is").await;
    world.crm.edit(quote, &json!({ "details": [Line::of("Product-1", "3", "100000").0] })).unwrap();
    complains_of(&world, "the sum is").await;
}

#[tokio::test]
async fn a_contact_and_a_document_that_nobody_asked_for_are_found() {
    let (world, ..) = in_step().await;
    world.finance.seed_contact(Contact::person("علی نمونه"));
    complains_of(&world, "belongs to 0 customers").await;
}

#[tokio::test]
async fn an_identity_that_nobody_made_is_found() {
    let (world, ..) = in_step().await;
    world.crm.create(Kind::Person, &person("زهرا نمونه")).unwrap();
    complains_of(&world, "was made for 0 contacts").await;
}

#[tokio::test]
async fn open_work_is_found() {
    let (world, id, _) = in_step().await;
    world.notice(&tandem_flows::customer(id), None, Trigger::Poll, tandem_core::Lane::Bulk).await;
    complains_of(&world, "left over").await;
}
