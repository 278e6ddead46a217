//! Dead letters in RabbitMQ: how they get there, how they come back, how they are tidied.

use crate::bench::{Bench, SOON, next};
use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use tandem_core::ids::RecordKey;
use tandem_core::lane::{KeepFuture, Lane, Origin};
use tandem_testbed::signal::within;

/// Publishes and lets `count` nudges die.
async fn bury(bench: &Bench, count: usize) {
    bench.publish_some(Lane::Live, count).await;
    let mut consumer = bench.consume(4).await;
    for _ in 0..count {
        next(&mut *consumer).await.dead().await.expect("rejected");
    }
    drop(consumer);
    bench.depth_is(|depth| depth.dead == count as u64 && depth.live == 0).await;
}

#[tokio::test]
async fn a_dead_nudge_lands_in_the_dead_letter_queue_by_the_brokers_own_means() {
    let bench = Bench::rabbitmq().await;
    bury(&bench, 1).await;
    let door = bench.side_door().await;
    let letter =
        door.channel.basic_get(bench.name_of("dead").into(), BasicGetOptions::default()).await.unwrap().unwrap();
    let headers = letter.delivery.properties.headers().clone().expect("headers");
    assert!(headers.contains_key("x-death"));
    assert_eq!(letter.delivery.data, br#"{"v":1,"bridge":"b","kind":"customer","id":"live-0","lane":"live"}"#);
    drop(door);
    bench.end().await;
}

#[tokio::test]
async fn a_nudge_moved_back_inside_rabbitmq_says_that_it_comes_from_the_dead() {
    let bench = Bench::rabbitmq().await;
    bury(&bench, 1).await;
    let door = bench.side_door().await;
    let letter =
        door.channel.basic_get(bench.name_of("dead").into(), BasicGetOptions::default()).await.unwrap().unwrap();
    door.put(&bench.name_of("live"), &letter.delivery.data, letter.delivery.properties.clone()).await;
    letter.delivery.ack(BasicAckOptions::default()).await.unwrap();

    let mut consumer = bench.consume(1).await;
    let replay = next(&mut *consumer).await;
    assert_eq!(replay.origin(), Origin::FromDead);
    // And it can die again.
    replay.dead().await.expect("rejected");
    bench.depth_is(|depth| depth.dead == 1).await;
    drop((door, consumer));
    bench.end().await;
}

#[tokio::test]
async fn a_fresh_nudge_is_fresh_and_one_given_back_is_redelivered() {
    let bench = Bench::rabbitmq().await;
    bench.publish_some(Lane::Live, 1).await;
    let mut consumer = bench.consume(1).await;
    let first = next(&mut *consumer).await;
    assert_eq!(first.origin(), Origin::Fresh);
    drop(first);
    let again = next(&mut *consumer).await;
    assert_eq!(again.origin(), Origin::Redelivered);
    bench.finish(again).await;
    drop(consumer);
    bench.end().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_goes_to_the_dead_letters_and_work_goes_on() {
    let bench = Bench::rabbitmq().await;
    let door = bench.side_door().await;
    door.put(&bench.name_of("live"), b"\xff not a nudge", BasicProperties::default()).await;
    bench.publish_some(Lane::Live, 1).await;
    let mut consumer = bench.consume(1).await;
    bench.finish(next(&mut *consumer).await).await;
    bench.depth_is(|depth| depth.dead == 1 && depth.live == 0).await;
    drop((door, consumer));
    bench.end().await;
}

#[tokio::test]
async fn tidying_takes_out_the_letters_that_are_not_wanted_and_no_others() {
    let bench = Bench::rabbitmq().await;
    bury(&bench, 5).await;
    fn keep(keys: &[RecordKey]) -> KeepFuture<'_> {
        Box::pin(async move { keys.iter().map(|key| key.source_id.as_str() == "live-2").collect() })
    }
    assert_eq!(within(SOON, bench.lanes.tidy_dead(&bench.bridge, &keep)).await.expect("tidied"), 4);
    bench.depth_is(|depth| depth.dead == 1).await;
    // Again and again: what is kept stays, and is met once per pass.
    for _ in 0..30 {
        assert_eq!(within(SOON, bench.lanes.tidy_dead(&bench.bridge, &keep)).await.expect("tidied"), 0);
    }
    bench.depth_is(|depth| depth.dead == 1).await;
    bench.end().await;
}
