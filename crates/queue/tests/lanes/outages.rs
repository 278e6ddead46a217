//! The broker restarted, killed, wiped, or merely silent.

use crate::bench::{Bench, PATIENCE, SOON, next, nudge, options, settings};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tandem_core::ids::{BridgeId, RecordKey};
use tandem_core::lane::{Lane, Lanes, Published};
use tandem_queue::RabbitLanes;
use tandem_testbed::proxy::ChaosProxy;
use tandem_testbed::rabbitmq::RabbitMq;
use tandem_testbed::signal::{eventually, poll, within};

const LONG: Duration = Duration::from_secs(90);
/// How many nudges the publisher is ahead of the consumer before it only trickles: a few this often.
const LEAD: usize = 1_000;
const CALM: Duration = Duration::from_millis(500);

/// A publisher and a consumer that go on whatever happens, as the pump and the worker do.
struct Load {
    lanes: RabbitLanes,
    stored: Arc<Mutex<HashSet<RecordKey>>>,
    seen: Arc<Mutex<HashSet<RecordKey>>>,
    unanswered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    publisher: tokio::task::JoinHandle<()>,
    consumer: tokio::task::JoinHandle<()>,
}

impl Load {
    fn start(lanes: RabbitLanes) -> Self {
        let bridge = BridgeId::from("b");
        let stored = Arc::new(Mutex::new(HashSet::new()));
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let unanswered = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let said = Said { stored: stored.clone(), seen: seen.clone(), unanswered: unanswered.clone() };
        let publisher = tokio::spawn(publish_on(lanes.clone(), bridge.clone(), said, stop.clone()));
        let consumer = tokio::spawn(consume_on(lanes.clone(), bridge, seen.clone()));
        Self { lanes, stored, seen, unanswered, stop, publisher, consumer }
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    async fn more_is_seen(&self, more: usize) {
        let from = self.seen();
        eventually(LONG, || async { (self.seen() >= from + more).then_some(()) }).await;
    }

    /// Stops publishing and waits until all that was stored has been seen.
    async fn all_stored_is_seen(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        within(LONG, self.publisher).await.unwrap();
        let stored = self.stored.lock().unwrap().clone();
        let missing = || stored.difference(&self.seen.lock().unwrap()).count();
        if poll(LONG, || async { (missing() == 0).then_some(()) }).await.is_none() {
            let depth = self.lanes.depth(&"b".into()).await;
            panic!("{} of {} that were stored were not seen; the lanes hold {depth:?}", missing(), stored.len());
        }
        self.consumer.abort();
        stored.len()
    }
}

/// What the publisher writes down, and what it looks at.
struct Said {
    stored: Arc<Mutex<HashSet<RecordKey>>>,
    seen: Arc<Mutex<HashSet<RecordKey>>>,
    unanswered: Arc<AtomicUsize>,
}

impl Said {
    /// A broker takes nudges several times as fast as it hands them out: without a limit to its lead, what waits at the
    /// end of a test takes minutes.
    fn is_far_ahead(&self) -> bool {
        self.stored.lock().unwrap().len() > self.seen.lock().unwrap().len() + LEAD
    }
}

async fn publish_on(lanes: RabbitLanes, bridge: BridgeId, said: Said, stop: Arc<AtomicBool>) {
    for batch in 0.. {
        poll(CALM, || async { (stop.load(Ordering::SeqCst) || !said.is_far_ahead()).then_some(()) }).await;
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let nudges: Vec<_> = (0..20)
            .map(|one| nudge(&bridge, if one % 2 == 0 { Lane::Live } else { Lane::Bulk }, batch * 20 + one))
            .collect();
        let answers = lanes.publish(&nudges, Duration::from_secs(2)).await;
        for (nudge, answer) in nudges.into_iter().zip(answers) {
            match answer {
                Published::Stored => drop(said.stored.lock().unwrap().insert(nudge.key)),
                _ => drop(said.unanswered.fetch_add(1, Ordering::SeqCst)),
            }
        }
    }
}

async fn consume_on(lanes: RabbitLanes, bridge: BridgeId, seen: Arc<Mutex<HashSet<RecordKey>>>) {
    loop {
        let Ok(mut consumer) = lanes.consume(&bridge, &options(16)).await else { continue };
        while let Ok(delivery) = consumer.next().await {
            seen.lock().unwrap().insert(delivery.nudge().key.clone());
            // A failure means that it comes again.
            let _ = delivery.ack().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_loses_nothing_that_was_confirmed() {
    let mut broker = RabbitMq::start().await.expect("a broker");
    let bench = Bench::over(settings(&broker.url())).await;
    let load = Load::start(bench.more_lanes());
    load.more_is_seen(200).await;
    broker.restart().await.expect("restarted");
    load.more_is_seen(200).await;
    assert!(load.unanswered.load(Ordering::SeqCst) > 0, "the restart was not under load");
    assert!(load.all_stored_is_seen().await > 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_under_load_loses_nothing_that_was_confirmed() {
    let mut broker = RabbitMq::start().await.expect("a broker");
    let bench = Bench::over(settings(&broker.url())).await;
    // The broker writes down lazily which quorum queues it has: one that is declared in the seconds before a crash may
    // be left without a process. An orderly restart brings all to disk.
    broker.restart().await.expect("restarted");
    let load = Load::start(bench.more_lanes());
    load.more_is_seen(200).await;
    broker.kill().await;
    broker.restart().await.expect("started again");
    load.more_is_seen(200).await;
    assert!(load.unanswered.load(Ordering::SeqCst) > 0, "the crash was not under load");
    assert!(load.all_stored_is_seen().await > 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_under_load_lose_nothing_that_was_confirmed() {
    let broker = RabbitMq::start().await.expect("a broker");
    let proxy = ChaosProxy::start(format!("127.0.0.1:{}", broker.port())).await.expect("a proxy");
    let lanes = RabbitLanes::connect(settings(&proxy.through(&broker.url()).unwrap()));
    within(SOON, lanes.prepare(&[("b".into(), options(16))])).await.expect("prepared");
    let load = Load::start(lanes);
    for _ in 0..5 {
        load.more_is_seen(100).await;
        proxy.cut().await;
    }
    load.more_is_seen(100).await;
    assert!(load.all_stored_is_seen().await > 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_link_is_noticed_and_healed_within_the_stall_limit() {
    let broker = RabbitMq::start().await.expect("a broker");
    let proxy = ChaosProxy::start(format!("127.0.0.1:{}", broker.port())).await.expect("a proxy");
    let mut settings = settings(&proxy.through(&broker.url()).unwrap());
    settings.stall_limit = Duration::from_secs(4);
    let limit = settings.stall_limit;
    let lanes = RabbitLanes::connect(settings);
    let bridge = BridgeId::from("b");
    let mut consumer = within(SOON, lanes.consume(&bridge, &options(2))).await.expect("a consumer");
    within(SOON, lanes.publish(&[nudge(&bridge, Lane::Live, 1)], PATIENCE)).await;
    let in_hand = next(&mut *consumer).await;
    assert!(lanes.is_connected());

    proxy.blackhole(true);
    let since = Instant::now();
    // The consumer, which only waits, learns of it without anybody's help.
    within(limit, consumer.next()).await.err().expect("a stall that is noticed");
    eventually(limit, || async { (!lanes.is_connected()).then_some(()) }).await;
    assert!(since.elapsed() < limit, "noticed after {:?}", since.elapsed());
    assert!(in_hand.ack().await.is_err());

    proxy.blackhole(false);
    let since = Instant::now();
    let answers = within(SOON, lanes.publish(&[nudge(&bridge, Lane::Live, 2)], PATIENCE)).await;
    assert_eq!(answers, [Published::Stored]);
    let mut consumer = within(SOON, lanes.consume(&bridge, &options(2))).await.expect("a consumer");
    let mut seen = HashSet::new();
    while seen.len() < 2 {
        let delivery = next(&mut *consumer).await;
        seen.insert(delivery.nudge().key.clone());
        delivery.ack().await.expect("an acknowledgement");
    }
    assert!(since.elapsed() < limit, "healed after {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_over_a_silent_link_is_unknown_within_the_patience() {
    let broker = RabbitMq::start().await.expect("a broker");
    let proxy = ChaosProxy::start(format!("127.0.0.1:{}", broker.port())).await.expect("a proxy");
    let bench = Bench::over(settings(&proxy.through(&broker.url()).unwrap())).await;
    bench.publish_some(Lane::Live, 1).await;
    proxy.blackhole(true);
    let since = Instant::now();
    let answers = bench.lanes.publish(&[nudge(&bench.bridge, Lane::Live, 2)], Duration::from_millis(500)).await;
    assert_eq!(answers, [Published::Unknown]);
    assert!(since.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_broker_lost_all_its_data_the_lanes_are_there_again() {
    let mut broker = RabbitMq::start().await.expect("a broker");
    let bench = Bench::over(settings(&broker.url())).await;
    bench.publish_some(Lane::Live, 5).await;
    broker.wipe().await.expect("wiped");
    let one = [nudge(&bench.bridge, Lane::Live, 7)];
    eventually(LONG, || async { (bench.lanes.publish(&one, PATIENCE).await == [Published::Stored]).then_some(()) })
        .await;
    let mut consumer = bench.consume(1).await;
    let delivery = next(&mut *consumer).await;
    assert_eq!(delivery.nudge().key.source_id.as_str(), "live-7");
    delivery.dead().await.expect("rejected");
    bench.depth_is(|depth| depth.dead == 1 && depth.live == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_started_before_its_broker_works_as_soon_as_it_is_there() {
    let mut broker = RabbitMq::start().await.expect("a broker");
    broker.stop().await;
    let mut settings = settings(&broker.url());
    settings.stall_limit = Duration::from_secs(4);
    let lanes = RabbitLanes::connect(settings);
    let bridge = BridgeId::from("b");
    assert!(within(SOON, lanes.prepare(&[(bridge.clone(), options(1))])).await.is_err());
    broker.restart().await.expect("started");
    let one = [nudge(&bridge, Lane::Live, 1)];
    eventually(LONG, || async { (lanes.publish(&one, PATIENCE).await == [Published::Stored]).then_some(()) }).await;
}
