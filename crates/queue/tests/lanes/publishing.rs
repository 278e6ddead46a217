//! The four outcomes of a publication to RabbitMQ.

use crate::bench::{Bench, PATIENCE, SOON, nudges, settings, shared};
use std::time::{Duration, Instant};
use tandem_core::lane::{Lane, Lanes, Published};
use tandem_queue::RabbitLanes;
use tandem_testbed::signal::within;

#[tokio::test]
async fn only_the_nudges_without_a_queue_are_unroutable() {
    let bench = Bench::rabbitmq().await;
    let known = nudges(&bench.bridge, Lane::Live, 60);
    let unknown = nudges(&"nowhere".into(), Lane::Live, 60);
    let mixed: Vec<_> = known.into_iter().zip(unknown).flat_map(|(known, unknown)| [known, unknown]).collect();
    let answers = within(SOON, bench.lanes.publish(&mixed, PATIENCE)).await;
    for (place, answer) in answers.into_iter().enumerate() {
        let wanted = if place % 2 == 0 { Published::Stored } else { Published::Unroutable };
        assert_eq!(answer, wanted, "at {place}");
    }
    bench.depth_is(|depth| depth.live == 60).await;
    bench.end().await;
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let mut settings = shared().await;
    settings.max_length = 5;
    let bench = Bench::over(settings).await;
    let nudges = nudges(&bench.bridge, Lane::Live, 40);
    // One after the other: a batch may slip in before the queue has counted.
    let mut answers = Vec::new();
    for one in nudges.chunks(1) {
        answers.extend(within(SOON, bench.lanes.publish(one, PATIENCE)).await);
    }
    let stored = answers.iter().filter(|answer| **answer == Published::Stored).count();
    assert!((5..=7).contains(&stored), "{stored} stored at a limit of 5");
    assert_eq!(answers.iter().filter(|answer| **answer == Published::Refused).count(), 40 - stored);
    bench.end().await;
}

#[tokio::test]
async fn with_the_broker_away_the_outcome_is_unknown_within_the_patience() {
    // Nobody listens on the discard port of this machine.
    let lanes = RabbitLanes::connect(settings("amqp://guest:guest@127.0.0.1:9/%2f"));
    let nudges = nudges(&"b".into(), Lane::Live, 3);
    let since = Instant::now();
    let answers = lanes.publish(&nudges, Duration::from_millis(300)).await;
    assert_eq!(answers, vec![Published::Unknown; 3]);
    assert!(since.elapsed() < Duration::from_secs(3));
    assert!(!lanes.is_connected());
}

#[tokio::test]
async fn a_large_batch_keeps_its_order_of_answers_and_loses_nothing() {
    let bench = Bench::rabbitmq().await;
    bench.publish_some(Lane::Bulk, 3_000).await;
    bench.depth_is(|depth| depth.bulk == 3_000).await;
    bench.end().await;
}

#[tokio::test]
async fn many_may_publish_at_once() {
    let bench = Bench::rabbitmq().await;
    let batch = nudges(&bench.bridge, Lane::Live, 20);
    let all = (0..10).map(|_| bench.lanes.publish(&batch, PATIENCE));
    let answers = within(SOON, futures_util::future::join_all(all)).await;
    assert!(answers.concat().iter().all(|answer| *answer == Published::Stored));
    bench.depth_is(|depth| depth.live == 200).await;
    bench.end().await;
}

#[tokio::test]
async fn nothing_to_publish_is_no_work() {
    let lanes = RabbitLanes::connect(settings("amqp://guest:guest@127.0.0.1:9/%2f"));
    assert!(lanes.publish(&[], Duration::from_secs(60)).await.is_empty());
}
