//! One active consumer over all copies of the service, over both lanes.

use crate::bench::{Bench, SOON, next, options, settings};
use std::time::Duration;
use tandem_core::lane::{ConsumeOptions, Lane, Lanes};
use tandem_queue::RabbitLanes;
use tandem_testbed::proxy::ChaosProxy;
use tandem_testbed::rabbitmq::shared_url;
use tandem_testbed::signal::{never, within};

const ALONE: ConsumeOptions = ConsumeOptions { prefetch: 2, single_active: true };

#[tokio::test]
async fn only_one_copy_is_given_work_and_the_other_takes_over_when_it_is_gone() {
    let bench = Bench::rabbitmq().await;
    let other = bench.more_lanes();
    bench.publish_some(Lane::Live, 3).await;
    bench.publish_some(Lane::Bulk, 3).await;

    let mut active = within(SOON, bench.lanes.consume(&bench.bridge, &ALONE)).await.expect("a consumer");
    let in_hand = next(&mut *active).await;
    let mut standby = within(SOON, other.consume(&bench.bridge, &ALONE)).await.expect("a consumer");
    {
        let idle = tokio::sync::Mutex::new(standby.next());
        never(Duration::from_millis(500), || async { Some(idle.lock().await.as_mut().await.is_ok()) }).await;
    }
    // The active one goes on getting both lanes.
    bench.finish(in_hand).await;
    for _ in 0..3 {
        bench.finish(next(&mut *active).await).await;
    }
    // Its turn lasts until the last of its work is done, even if it asks for no more.
    let last = next(&mut *active).await;
    drop(active);
    {
        let idle = tokio::sync::Mutex::new(standby.next());
        never(Duration::from_millis(500), || async { Some(idle.lock().await.as_mut().await.is_ok()) }).await;
    }
    bench.finish(last).await;
    let taken_over = next(&mut *standby).await;
    bench.finish(taken_over).await;
    drop(standby);
    bench.end().await;
}

#[tokio::test]
async fn the_turn_passes_on_when_the_connection_of_the_active_copy_is_cut() {
    let bench = Bench::rabbitmq().await;
    let url = shared_url().await.expect("a broker");
    let place = url.split(['@', '/']).nth(3).expect("host and port");
    let mut proxy = ChaosProxy::start(place).await.expect("a proxy");
    let mut cut_off = settings(&proxy.through(&url).expect("an address"));
    cut_off.prefix = bench.prefix();
    let first = RabbitLanes::connect(cut_off);
    let mut active = within(SOON, first.consume(&bench.bridge, &ALONE)).await.expect("a consumer");
    bench.publish_some(Lane::Bulk, 4).await;
    let unfinished = next(&mut *active).await;
    let mut standby = within(SOON, bench.lanes.consume(&bench.bridge, &ALONE)).await.expect("a consumer");
    proxy.refuse(true).await.expect("closed");
    proxy.cut().await;
    for _ in 0..4 {
        bench.finish(next(&mut *standby).await).await;
    }
    assert!(unfinished.ack().await.is_err());
    drop(standby);
    bench.end().await;
}

#[tokio::test]
async fn changing_the_choice_needs_no_change_in_the_broker() {
    let bench = Bench::rabbitmq().await;
    bench.publish_some(Lane::Live, 2).await;
    let mut alone = within(SOON, bench.lanes.consume(&bench.bridge, &ALONE)).await.expect("a consumer");
    bench.finish(next(&mut *alone).await).await;
    drop(alone);
    let mut together = within(SOON, bench.lanes.consume(&bench.bridge, &options(2))).await.expect("a consumer");
    bench.finish(next(&mut *together).await).await;
    drop(together);
    bench.end().await;
}
