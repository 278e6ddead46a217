//! What stands in the broker, and what happens when somebody else put or deleted something there.

use crate::bench::{Bench, PATIENCE, SOON, SideDoor, next, nudges, options, settings, shared};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use tandem_core::lane::{Lane, Lanes, Published};
use tandem_queue::RabbitLanes;
use tandem_testbed::rabbitmq::shared_url;
use tandem_testbed::signal::{eventually, within};

#[tokio::test]
async fn a_queue_with_other_arguments_stops_its_bridge_with_one_clear_line_and_no_other() {
    let settings = shared().await;
    let prefix = settings.prefix.clone();
    let door = SideDoor::open(&shared_url().await.unwrap()).await;
    let mut foreign = FieldTable::default();
    foreign.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let name = format!("{prefix}.odd.live");
    door.channel.queue_declare(name.clone().into(), QueueDeclareOptions::durable(), foreign).await.unwrap();

    let lanes = RabbitLanes::connect(settings);
    let error = within(SOON, lanes.prepare(&[("odd".into(), options(1)), ("sound".into(), options(1))]))
        .await
        .expect_err("one is odd");
    assert!(error.0.contains(&name) && error.0.contains("delete it"), "{error}");
    assert!(!error.0.contains('\n') && !error.0.contains("sound"), "{error}");
    assert!(within(SOON, lanes.consume(&"odd".into(), &options(1))).await.is_err());
    let answers = within(SOON, lanes.publish(&nudges(&"sound".into(), Lane::Live, 1), PATIENCE)).await;
    assert_eq!(answers, [Published::Stored]);

    // As the line says: delete it and it is declared anew.
    door.delete(&name).await;
    within(SOON, lanes.prepare(&[])).await.expect("all is well again");
    drop(lanes);
    door.sweep(&prefix, &["odd", "sound"]).await;
}

#[tokio::test]
async fn a_queue_deleted_under_a_consumer_is_declared_and_consumed_anew() {
    let bench = Bench::rabbitmq().await;
    let mut consumer = bench.consume(2).await;
    let door = bench.side_door().await;
    door.delete(&bench.name_of("live")).await;
    within(SOON, consumer.next()).await.err().expect("a consumer that knows of it");
    let mut consumer = bench.consume(2).await;
    bench.publish_some(Lane::Live, 1).await;
    bench.finish(next(&mut *consumer).await).await;
    drop((door, consumer));
    bench.end().await;
}

#[tokio::test]
async fn a_publication_that_finds_no_queue_has_it_declared_again() {
    let bench = Bench::rabbitmq().await;
    let door = bench.side_door().await;
    door.delete(&bench.name_of("bulk")).await;
    let nudges = nudges(&bench.bridge, Lane::Bulk, 1);
    assert_eq!(within(SOON, bench.lanes.publish(&nudges, PATIENCE)).await, [Published::Unroutable]);
    eventually(SOON, || async { (bench.lanes.publish(&nudges, PATIENCE).await == [Published::Stored]).then_some(()) })
        .await;
    drop(door);
    bench.end().await;
}

#[tokio::test]
async fn a_name_that_cannot_name_a_queue_is_refused_in_one_line() {
    let lanes = RabbitLanes::connect(shared().await);
    for name in ["", "a.b", "#", "with space", &"x".repeat(65)] {
        let error = lanes.prepare(&[(name.into(), options(1))]).await.expect_err("no such name");
        assert!(error.0.contains("bridge"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_login_is_told_without_the_password() {
    let url = shared_url().await.expect("a broker").replacen("guest:guest", "guest:hunter2", 1);
    let lanes = RabbitLanes::connect(settings(&url));
    let error = within(SOON, lanes.prepare(&[("b".into(), options(1))])).await.expect_err("a wrong password");
    assert!(error.0.contains("refused") && !error.0.contains("hunter2"), "{error}");
}
