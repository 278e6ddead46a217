//! The most important flows once more, with the ledger on Postgres.

use serde_json::json;
use tandem_core::State;
use tandem_flows::{Database, Line, Setup, World, customer, mobile, person, pre_invoice, run_until, soup, with};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::Contact;

fn on_postgres() -> Setup {
    Setup { database: Database::Postgres, ..Setup::default() }
}

#[tokio::test]
async fn the_daily_flows_on_postgres() {
    let world = World::start(on_postgres()).await;
    for n in 0..10 {
        world.contact(Contact::person(&format!("رضا نمونه {n}")));
    }
    world.import().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    let quote = world.quoted(id, &[Line::of("Product-1", "2.5", "1000")]).await;
    let unmapped = world.quoted(id, &[Line::of("Product-9", "1", "1000")]).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
    world.expect(&pre_invoice(unmapped), State::NeedsMapping, &["Product-9"]).await;
    world.map("goods", "Product-9", tandem_flows::GOOD).await;
    world.edited(id, &json!({ "email": "a@example.test" })).await;
    world.requoted(quote, &json!({ "description": "دیگر" })).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(unmapped), State::Synced, &[]).await;
    world.expect(&pre_invoice(quote), State::NeedsReview, &["changed after"]).await;
    world.expect(&customer(id), State::Synced, &["email"]).await;
    world.poll().await;
    world.settle_and_check().await;
    assert_eq!((world.crm.identity_count(), world.finance.document_count()), (11, 2));
}

#[tokio::test]
async fn creating_a_customer_on_postgres_survives_a_cut_at_every_wait() {
    let mut world = World::start(on_postgres()).await;
    for n in 1..1_000 {
        let fields = with(person(&format!("علی نمونه {n}")), mobile(&format!("0912{n:07}")));
        let id = world.created(Kind::Person, &fields).await;
        let through = run_until(n, world.engine.work(&customer(id))).await.is_some();
        world.calm().await;
        world.restart();
        world.advance(chrono::TimeDelta::minutes(2));
        world.settle_and_check().await;
        assert_eq!(world.finance.contact_count(), n as usize, "cut at wait {n}");
        if through {
            return;
        }
    }
    panic!("the flow never came to its end");
}

#[tokio::test]
async fn random_histories_on_postgres_end_in_step() {
    for seed in 100..106 {
        println!("seed {seed}");
        soup(on_postgres(), seed, 60).await;
    }
}
