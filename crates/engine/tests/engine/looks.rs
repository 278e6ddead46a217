//! One record at a time, over a bridge that misbehaves: what a look settles, gives back and leaves to a person.

use crate::scans::scan;
use crate::support::{Bad, Bench, DEADLINE, Gate, closed_ledger, key};
use chrono::TimeDelta;
use std::time::Duration;
use tandem_core::State;
use tandem_core::retry::RetryPolicy;
use tandem_engine::{Outcome, Policy};
use tandem_testbed::signal::within;

fn tries(max_retries: u32) -> Policy {
    Policy {
        retry: RetryPolicy { max_retries, base: Duration::from_secs(30), ..RetryPolicy::default() },
        ..Policy::default()
    }
}

#[tokio::test]
async fn a_panic_during_the_last_write_is_for_a_person_and_not_dead() {
    let bench = Bench::new(tries(0)).await;
    bench.bridge.sides().bad.push_back(Bad::Panics);
    bench.noticed("1", "a").await;
    bench.settle("1").await;
    let row = bench.row("1").await;
    assert_eq!(row.state, State::NeedsReview, "{}", row.reason);
    assert!(row.reason.contains("copy may or may not have happened"), "{}", row.reason);
    assert_eq!(bench.store.intents(row.id).await.unwrap().open.len(), 1);
}

#[tokio::test]
async fn a_write_that_panicked_and_happened_is_found_by_the_next_try() {
    let bench = Bench::new(tries(3)).await;
    bench.bridge.sides().bad.push_back(Bad::Panics);
    bench.noticed("1", "a").await;
    bench.settle("1").await;
    assert_eq!((bench.row("1").await.state, bench.bridge.sides().writes), (State::Synced, 1));
}

#[tokio::test]
async fn a_write_in_doubt_is_looked_up_also_when_it_was_the_last_try() {
    for (max_retries, unreadable) in [(0, 0), (3, 3)] {
        let bench = Bench::new(tries(max_retries)).await;
        bench.bridge.sides().unreadable = unreadable;
        bench.bridge.sides().bad.push_back(Bad::Unanswered);
        bench.noticed("1", "a").await;
        assert_eq!(bench.settle("1").await, unreadable + 2, "{max_retries}");
        let row = bench.row("1").await;
        assert_eq!((row.state, bench.bridge.sides().writes), (State::Synced, 1), "{max_retries}: {}", row.reason);
        assert_eq!(row.dest_id, Some("1".into()));
        assert!(bench.store.leftovers(bench.now()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_write_that_was_the_last_try_and_did_not_happen_is_given_up_and_not_sent_again() {
    for (max_retries, unreadable) in [(0, 0), (3, 3)] {
        let bench = Bench::new(tries(max_retries)).await;
        bench.bridge.sides().unreadable = unreadable;
        bench.bridge.sides().bad.push_back(Bad::Undelivered);
        bench.noticed("1", "a").await;
        assert_eq!(bench.settle("1").await, unreadable + 2, "{max_retries}");
        let row = bench.row("1").await;
        assert_eq!((row.state, bench.bridge.sides().writes), (State::Dead, 1), "{max_retries}: {}", row.reason);
        assert!(row.reason.contains(&format!("gave up after {} tr", max_retries + 1)), "{}", row.reason);
        assert_eq!(bench.store.intents(row.id).await.unwrap().open.len(), 0);
    }
}

#[tokio::test]
async fn a_repeatable_write_whose_answers_are_all_lost_comes_to_an_end() {
    for max_retries in [0, 3] {
        let bench = Bench::repeatable(tries(max_retries)).await;
        bench.bridge.sides().bad.extend([Bad::Undelivered; 15]);
        bench.noticed("1", "a").await;
        bench.settle("1").await;
        let row = bench.row("1").await;
        assert_eq!((row.state, bench.bridge.sides().writes), (State::NeedsReview, max_retries + 1), "{}", row.reason);
        // Asked for by a person, it is tried again.
        bench.bridge.sides().bad.clear();
        bench.store.reopen(&[key("1")], tandem_core::Trigger::Replay, &"op".into(), bench.now()).await.unwrap();
        bench.settle("1").await;
        assert_eq!(bench.row("1").await.state, State::Synced);
    }
}

#[tokio::test]
async fn a_break_of_our_own_database_is_no_death_of_a_worker() {
    let (bench, proxy) = Bench::behind_a_proxy().await;
    for n in 1.. {
        let id = n.to_string();
        bench.noticed(&id, "a").await;
        *bench.bridge.breaks.lock().unwrap() = Some(proxy.clone());
        let writes = bench.bridge.sides().writes;
        if bench.engine.work(&key(&id)).await.is_ok() {
            assert!(n < 10, "the link never broke under a settlement");
            continue;
        }
        let row = bench.row(&id).await;
        assert_eq!((row.is_open(), row.takes, row.attempts, row.lease_owner.clone()), (true, 0, 0, None));
        bench.settle(&id).await;
        assert_eq!((bench.row(&id).await.state, bench.bridge.sides().writes), (State::Synced, writes + 1));
        return;
    }
}

#[tokio::test]
async fn a_look_up_that_our_own_database_does_not_answer_costs_neither_a_try_nor_a_life() {
    let bench = Bench::new(Policy::default()).await;
    bench.noticed("1", "a").await;
    bench.bridge.sides().asks = Some(closed_ledger().await);
    for _ in 0..7 {
        let error = bench.engine.work(&key("1")).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        let row = bench.row("1").await;
        assert_eq!((row.is_open(), row.takes, row.attempts, row.lease_owner.clone()), (true, 0, 0, None));
        let preview = bench.engine.preview(&key("1")).await.unwrap_err();
        assert!(preview.is_unavailable(), "{preview}");
    }
    bench.bridge.sides().asks = None;
    bench.settle("1").await;
    assert_eq!((bench.row("1").await.state, bench.bridge.sides().writes), (State::Synced, 1));
}

#[tokio::test]
async fn a_worker_that_wakes_up_after_its_lease_sends_nothing_although_nobody_took_the_record() {
    let bench = Bench::new(Policy::default()).await;
    bench.noticed("1", "a").await;
    bench.bridge.read_gate.shut();
    let engine = bench.engine.clone();
    let sleeping = tokio::spawn(async move { engine.work(&key("1")).await.unwrap().outcome });
    within(DEADLINE, bench.bridge.read_gate.reached()).await;
    bench.clock.advance(TimeDelta::seconds(45));
    bench.bridge.read_gate.open();
    assert_eq!(within(DEADLINE, sleeping).await.unwrap(), Outcome::LeaseLost);
    let intents = bench.store.intents(bench.row("1").await.id).await.unwrap();
    assert_eq!((bench.bridge.sides().writes, intents.open.len()), (0, 1));
    // Whoever looks next finds that nothing was sent.
    bench.settle("1").await;
    assert_eq!((bench.row("1").await.state, bench.bridge.sides().writes), (State::Synced, 1));
}

/// One look whose worker dies at the gate.
async fn dies_at(bench: &Bench, gate: &Gate) {
    gate.shut();
    let engine = bench.another();
    let dying = tokio::spawn(async move { engine.work(&key("1")).await });
    within(DEADLINE, gate.reached()).await;
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    gate.open();
    bench.clock.advance(TimeDelta::minutes(1));
}

#[tokio::test]
async fn a_record_that_killed_its_workers_is_left_alone_by_scans_until_it_changes() {
    let bench = Bench::new(Policy::default()).await;
    bench.noticed("1", "a").await;
    for _ in 0..5 {
        dies_at(&bench, &bench.bridge.write_gate).await;
    }
    bench.work("1").await;
    let row = bench.row("1").await;
    assert_eq!(row.state, State::NeedsReview, "{}", row.reason);
    assert!(row.reason.contains("stopped 5 times"), "{}", row.reason);
    assert_eq!(scan(&bench, true).await.unwrap().unwrap().noticed, 0, "it would kill five more");
    bench.bridge.sides().source.insert("1".to_owned(), "b".to_owned());
    assert_eq!(scan(&bench, true).await.unwrap().unwrap().noticed, 1);
    bench.settle("1").await;
    assert_eq!((bench.row("1").await.state, bench.bridge.sides().writes), (State::Synced, 1));
}

#[tokio::test]
async fn a_record_that_kills_whoever_reads_it_is_parked_without_being_read_again() {
    let bench = Bench::new(Policy::default()).await;
    bench.noticed("1", "a").await;
    for _ in 0..6 {
        dies_at(&bench, &bench.bridge.read_gate).await;
    }
    bench.bridge.read_gate.shut();
    within(DEADLINE, bench.work("1")).await;
    let row = bench.row("1").await;
    assert_eq!(row.state, State::NeedsReview, "{}", row.reason);
    assert!(row.reason.contains("stopped 6 times"), "{}", row.reason);
}

#[tokio::test]
async fn a_plan_to_write_for_a_record_that_is_gone_is_for_a_person() {
    let bench = Bench::new(Policy::default()).await;
    bench.bridge.sides().writes_the_absent = true;
    bench.noticed("1", "a").await;
    bench.bridge.sides().source.clear();
    bench.settle("1").await;
    let row = bench.row("1").await;
    assert_eq!((row.state, bench.bridge.sides().writes), (State::NeedsReview, 0), "{}", row.reason);
    assert!(row.reason.contains("planned a write without a source record"), "{}", row.reason);
}

#[tokio::test]
async fn a_stop_gives_back_what_is_read_and_keeps_what_is_written() {
    let bench = Bench::new(Policy::default()).await;
    let work = |id: &'static str| {
        let engine = bench.engine.clone();
        tokio::spawn(async move { engine.work(&key(id)).await.unwrap().outcome })
    };
    bench.noticed("read", "a").await;
    bench.noticed("written", "a").await;
    bench.bridge.write_gate.shut();
    let writing = work("written");
    within(DEADLINE, bench.bridge.write_gate.reached()).await;
    within(DEADLINE, bench.bridge.read_gate.reached()).await;
    bench.bridge.read_gate.shut();
    let reading = work("read");
    within(DEADLINE, bench.bridge.read_gate.reached()).await;

    assert_eq!(bench.engine.release_held().await.unwrap(), 1);
    let row = bench.row("read").await;
    assert_eq!((row.is_open(), row.takes, row.lease_owner), (true, 0, None));
    assert_eq!(bench.row("written").await.lease_owner.as_deref(), Some("worker-1"));

    bench.bridge.read_gate.open();
    bench.bridge.write_gate.open();
    assert!(matches!(within(DEADLINE, writing).await.unwrap(), Outcome::Settled { state: State::Synced, .. }));
    assert_eq!(within(DEADLINE, reading).await.unwrap(), Outcome::LeaseLost);
    bench.settle("read").await;
    assert_eq!((bench.row("read").await.state, bench.bridge.sides().writes), (State::Synced, 2));
    assert!(bench.store.leftovers(bench.now()).await.unwrap().is_empty());
    assert_eq!(bench.engine.release_held().await.unwrap(), 0, "nothing is held any more");
}
