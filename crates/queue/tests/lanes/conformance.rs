//! What both kinds of lanes promise.

use crate::bench::{Bench, next, nudge, options};
use futures_util::FutureExt;
use std::collections::HashSet;
use std::time::Duration;
use tandem_core::lane::Lane;
use tandem_testbed::signal::{never, within};

/// Each behaviour as a test over RabbitMQ and as one over the embedded lanes.
macro_rules! both {
    ($($behaviour:ident),* $(,)?) => {
        mod rabbitmq {
            $(#[tokio::test] async fn $behaviour() { super::$behaviour(crate::bench::Bench::rabbitmq().await).await; })*
        }
        mod embedded {
            $(#[tokio::test] async fn $behaviour() { super::$behaviour(crate::bench::Bench::embedded()).await; })*
        }
    };
}

both!(
    each_published_nudge_is_delivered_once,
    a_waiting_consumer_is_woken_by_a_publication,
    what_was_not_acknowledged_comes_again_to_the_next_consumer,
    a_dropped_delivery_comes_again_to_the_same_consumer,
    a_live_nudge_overtakes_waiting_bulk,
    bulk_never_takes_the_last_slot_from_live,
    no_more_than_the_prefetch_is_in_hand,
    depth_counts_what_waits_per_lane,
    a_dropped_call_of_next_loses_nothing,
    a_delivery_can_be_acknowledged_after_its_consumer_is_gone,
    preparing_twice_is_harmless,
);

async fn each_published_nudge_is_delivered_once(bench: Bench) {
    let published: HashSet<_> = bench.publish_some(Lane::Live, 40).await.into_iter().collect();
    let mut consumer = bench.consume(8).await;
    let mut seen = HashSet::new();
    for _ in 0..published.len() {
        let delivery = next(&mut *consumer).await;
        assert!(seen.insert(delivery.nudge().clone()), "{} came twice", delivery.nudge().key);
        bench.finish(delivery).await;
    }
    assert_eq!(seen, published);
    // A later nudge is the next to come: nothing of the others is left.
    let last = nudge(&bench.bridge, Lane::Live, 1000);
    bench.publish(std::slice::from_ref(&last)).await;
    let delivery = next(&mut *consumer).await;
    assert_eq!(*delivery.nudge(), last);
    bench.finish(delivery).await;
    bench.depth_is(|depth| depth.live == 0).await;
    bench.end().await;
}

async fn a_waiting_consumer_is_woken_by_a_publication(bench: Bench) {
    let mut consumer = bench.consume(1).await;
    let waiting = consumer.next();
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    bench.publish_some(Lane::Live, 1).await;
    let delivery = within(Duration::from_secs(4), waiting).await.expect("a nudge");
    bench.finish(delivery).await;
    bench.end().await;
}

async fn what_was_not_acknowledged_comes_again_to_the_next_consumer(bench: Bench) {
    let published = bench.publish_some(Lane::Live, 3).await;
    let mut first = bench.consume(3).await;
    for _ in 0..3 {
        drop(next(&mut *first).await);
    }
    drop(first);
    let mut second = bench.consume(3).await;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let delivery = next(&mut *second).await;
        seen.insert(delivery.nudge().clone());
        bench.finish(delivery).await;
    }
    assert_eq!(seen, published.into_iter().collect());
    bench.end().await;
}

async fn a_dropped_delivery_comes_again_to_the_same_consumer(bench: Bench) {
    bench.publish_some(Lane::Live, 1).await;
    let mut consumer = bench.consume(1).await;
    let first = next(&mut *consumer).await.nudge().clone();
    let again = next(&mut *consumer).await;
    assert_eq!(*again.nudge(), first);
    bench.finish(again).await;
    bench.end().await;
}

async fn a_live_nudge_overtakes_waiting_bulk(bench: Bench) {
    bench.publish_some(Lane::Bulk, 20).await;
    let mut consumer = bench.consume(1).await;
    let bulk = next(&mut *consumer).await;
    assert_eq!(bulk.nudge().lane, Lane::Bulk);
    bench.publish_some(Lane::Live, 2).await;
    bench.handed_out(Lane::Live).await;
    bench.finish(bulk).await;
    for _ in 0..2 {
        let live = next(&mut *consumer).await;
        assert_eq!(live.nudge().lane, Lane::Live);
        bench.finish(live).await;
    }
    let bulk = next(&mut *consumer).await;
    assert_eq!(bulk.nudge().lane, Lane::Bulk);
    drop(bulk);
    drop(consumer);
    bench.end().await;
}

async fn bulk_never_takes_the_last_slot_from_live(bench: Bench) {
    bench.publish_some(Lane::Bulk, 20).await;
    let mut consumer = bench.consume(4).await;
    let mut in_hand = Vec::new();
    for _ in 0..3 {
        in_hand.push(next(&mut *consumer).await);
    }
    bench.publish_some(Lane::Live, 1).await;
    let live = next(&mut *consumer).await;
    assert_eq!(live.nudge().lane, Lane::Live);
    drop((in_hand, live, consumer));
    bench.end().await;
}

async fn no_more_than_the_prefetch_is_in_hand(bench: Bench) {
    bench.publish_some(Lane::Live, 6).await;
    let mut consumer = bench.consume(2).await;
    let first = next(&mut *consumer).await;
    let second = next(&mut *consumer).await;
    {
        let third = tokio::sync::Mutex::new(consumer.next());
        never(Duration::from_millis(300), || async { Some(third.lock().await.as_mut().await.is_ok()) }).await;
    }
    bench.finish(first).await;
    let third = next(&mut *consumer).await;
    drop((second, third, consumer));
    bench.end().await;
}

async fn depth_counts_what_waits_per_lane(bench: Bench) {
    bench.publish_some(Lane::Live, 3).await;
    bench.publish_some(Lane::Bulk, 5).await;
    let depth = bench.depth_is(|depth| depth.live == 3 && depth.bulk == 5).await;
    assert_eq!(depth.dead, 0);
    bench.end().await;
}

async fn a_dropped_call_of_next_loses_nothing(bench: Bench) {
    let mut consumer = bench.consume(4).await;
    let mut seen = HashSet::new();
    for id in 0..50 {
        bench.publish(&[nudge(&bench.bridge, Lane::Live, id)]).await;
        // Dropped at whatever point it has reached by now.
        if let Some(delivery) = consumer.next().now_or_never() {
            let delivery = delivery.expect("a nudge");
            seen.insert(delivery.nudge().key.clone());
            bench.finish(delivery).await;
        }
    }
    while seen.len() < 50 {
        let delivery = next(&mut *consumer).await;
        seen.insert(delivery.nudge().key.clone());
        bench.finish(delivery).await;
    }
    drop(consumer);
    bench.depth_is(|depth| depth.live == 0).await;
    bench.end().await;
}

async fn a_delivery_can_be_acknowledged_after_its_consumer_is_gone(bench: Bench) {
    bench.publish_some(Lane::Live, 3).await;
    let mut consumer = bench.consume(3).await;
    let delivery = next(&mut *consumer).await;
    drop(consumer);
    bench.finish(delivery).await;
    bench.depth_is(|depth| depth.live == 2).await;
    bench.end().await;
}

async fn preparing_twice_is_harmless(bench: Bench) {
    for _ in 0..2 {
        bench.lanes.prepare(&[(bench.bridge.clone(), options(3))]).await.expect("prepared");
    }
    bench.publish_some(Lane::Live, 1).await;
    let mut consumer = bench.consume(1).await;
    bench.finish(next(&mut *consumer).await).await;
    drop(consumer);
    bench.end().await;
}
