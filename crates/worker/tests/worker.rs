//! The worker role over a lane and a bridge that the test plays by hand.

mod support;

use std::time::Duration;
use support::{DEADLINE, End, Running, key};
use tandem_core::lane::Origin;
use tandem_core::{Fault, State};
use tandem_telemetry::metric;
use tandem_testbed::signal::eventually;
use tandem_worker::Settings;

fn acked(id: &str) -> End {
    End::Acked(id.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_is_acknowledged_after_its_record_is_settled() {
    let run = Running::start().await;
    run.notice("1").await;
    run.ended(acked("1")).await;
    assert_eq!(run.lane.acked_in.lock().unwrap().get("1"), Some(&State::Synced), "as it was when the ack went out");
    assert!(run.store.leftovers(chrono::Utc::now()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_without_open_work_does_nothing_and_is_acknowledged() {
    let run = Running::start().await;
    run.notice("1").await;
    run.ended(acked("1")).await;
    run.lane.nudge("1", Origin::Redelivered);
    run.ended_times(acked("1"), 2).await;
    run.lane.nudge("unknown", Origin::Fresh);
    run.ended(acked("unknown")).await;
    assert_eq!(*run.bridge.written.lock().unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_the_failure_of_its_record_and_the_neighbours_finish() {
    let run = Running::start().await;
    run.bridge.panics.lock().unwrap().insert("bad".into());
    for id in ["1", "bad", "2"] {
        run.notice(id).await;
    }
    for id in ["1", "bad", "2"] {
        run.ended(acked(id)).await;
    }
    let bad = run.row("bad").await;
    assert_eq!((bad.state, bad.attempts, bad.lease_owner.clone()), (State::Retrying, 1, None));
    assert_eq!(run.lane.acked_in.lock().unwrap().get("bad"), Some(&State::Retrying));
    assert_eq!(run.row("2").await.state, State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_record_goes_to_the_dead_letters_and_comes_back_as_a_replay() {
    let run = Running::start().await;
    run.bridge.refuses.lock().unwrap().insert("1".into(), Fault::permanent("hand.no", "it will never do"));
    run.notice("1").await;
    run.ended(End::Dead("1".into())).await;
    assert_eq!((run.row("1").await.state, run.row("1").await.reason.as_str()), (State::Dead, "it will never do"));
    // Redelivered after a crash between settling and rejecting: it belongs to the dead letters still.
    run.lane.ends.lock().unwrap().clear();
    run.lane.nudge("1", Origin::Redelivered);
    run.ended(End::Dead("1".into())).await;
    // Mended, and the message moved back by hand in the broker.
    run.bridge.refuses.lock().unwrap().clear();
    run.lane.nudge("1", Origin::FromDead);
    run.ended(acked("1")).await;
    assert_eq!(run.row("1").await.state, State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_pauses_the_bridge_costs_no_attempt_and_closes_after_a_probe() {
    let run = Running::start().await;
    *run.bridge.away.lock().unwrap() = true;
    run.notice("1").await;
    run.ended(acked("1")).await;
    let row = run.row("1").await;
    assert_eq!((row.state, row.attempts, row.is_open()), (State::Pending, 0, true));
    eventually(DEADLINE, || async { (*run.bridge.probes.lock().unwrap() >= 2).then_some(()) }).await;
    *run.bridge.away.lock().unwrap() = false;
    eventually(DEADLINE, || async { run.store.circuits().await.unwrap().is_empty().then_some(()) }).await;
    run.lane.nudge("1", Origin::Fresh);
    eventually(DEADLINE, || async { (run.row("1").await.state == State::Synced).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_in_hand_and_takes_nothing_new() {
    let run = Running::start().await;
    run.bridge.gate.forget_permits(1_000);
    run.notice("1").await;
    run.bridge.entered.notified().await;
    run.stop.cancel();
    run.notice("2").await;
    run.bridge.gate.add_permits(1_000);
    tandem_testbed::signal::within(DEADLINE, run.worker).await.unwrap();
    assert_eq!(*run.bridge.written.lock().unwrap(), ["1"]);
    let (one, two) =
        (run.store.row(&key("1")).await.unwrap().unwrap(), run.store.row(&key("2")).await.unwrap().unwrap());
    assert_eq!((one.state, one.lease_owner), (State::Synced, None));
    assert!(two.is_open() && two.lease_owner.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_every_place_is_taken_by_a_write_that_hangs() {
    let run = Running::start_with(Settings { grace: Duration::from_millis(50), ..Settings::default() }).await;
    run.bridge.gate.forget_permits(1_000);
    for id in ["1", "2", "3", "4"] {
        run.notice(id).await;
    }
    run.inside(4).await;
    run.stop.cancel();
    // Nothing is let through: the stop alone ends it.
    tandem_testbed::signal::within(DEADLINE, run.worker).await.unwrap();
    assert!(run.bridge.written.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_link_to_the_lane_does_not_double_what_is_worked_on_at_once() {
    let settings = Settings { reconsume_after: Duration::from_millis(10), ..Settings::default() };
    let run = Running::start_with(settings).await;
    run.bridge.gate.forget_permits(1_000);
    let ids: Vec<String> = (1..=8).map(|n| n.to_string()).collect();
    for id in &ids[..3] {
        run.notice(id).await;
    }
    run.inside(3).await;
    run.lane.break_the_link();
    for id in &ids[3..] {
        run.notice(id).await;
    }
    run.inside(4).await;
    let too_many = || async { (run.bridge.inside.lock().unwrap().1 > 4).then_some(()) };
    assert_eq!(tandem_testbed::signal::poll(Duration::from_millis(300), too_many).await, None, "four at once");
    run.bridge.gate.add_permits(1_000);
    for id in &ids {
        run.ended(acked(id)).await;
    }
    assert_eq!(run.bridge.inside.lock().unwrap().1, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_settled_records_are_counted_as_settled() {
    metric::install();
    let run = Running::start().await;
    run.bridge.refuses.lock().unwrap().insert("later".into(), Fault::transient("hand.later", "not now"));
    run.notice("later").await;
    run.notice("now").await;
    run.ended(acked("later")).await;
    run.ended(acked("now")).await;
    let counted: Vec<String> = metric::render()
        .lines()
        .filter(|line| line.starts_with("tandem_settled_records_total{"))
        .map(str::to_owned)
        .collect();
    assert!(counted.iter().any(|line| line.contains("SYNCED")), "{counted:?}");
    assert!(!counted.iter().any(|line| line.contains("RETRYING")), "{counted:?}");
}
