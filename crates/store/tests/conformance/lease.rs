use crate::bench::*;
use tandem_core::{Effect, State};
use tandem_store::{IntentOutcome, Lease, Leased, StoreError};

crate::conformance!(
    a_lease_answers_why_it_was_not_given,
    of_many_who_try_at_once_one_gets_the_record,
    a_lease_that_ran_out_goes_to_the_next_with_a_higher_fence,
    whoever_slept_past_the_lease_can_do_nothing_any_more,
    a_late_worker_whose_record_nobody_took_may_finish,
    a_release_gives_back_without_counting,
    a_release_keeps_why_a_record_is_ignored,
    an_idle_record_is_given_back_and_one_with_a_write_on_its_way_is_not,
    takes_count_leases_since_the_last_outcome,
);

async fn a_lease_answers_why_it_was_not_given(b: Bench) {
    let lease = |id: &'static str, at| {
        let store = b.store.clone();
        async move { store.lease(&key(id), "other", ttl(), at).await.unwrap() }
    };
    assert_eq!(lease("1", now()).await, Leased::Unknown);
    let (first, _) = b.taken("1").await;
    assert_eq!(lease("1", now()).await, Leased::Busy);
    b.store.release(&first, later(30), None).await.unwrap();
    assert_eq!(lease("1", now()).await, Leased::NotDue(later(30)));
    b.synced("2", "42").await;
    assert_eq!(lease("2", now()).await, Leased::Settled(State::Synced));
}

async fn of_many_who_try_at_once_one_gets_the_record(b: Bench) {
    b.store.notice(&[notice("1")], now()).await.unwrap();
    let stores = [b.another().await, b.another().await];
    let tries = (0..16).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move {
            matches!(store.lease(&key("1"), &format!("w{n}"), ttl(), now()).await.unwrap(), Leased::Taken(_))
        })
    });
    let mut got = 0;
    for one in tries.collect::<Vec<_>>() {
        got += usize::from(one.await.unwrap());
    }
    assert_eq!((got, b.row("1").await.fence), (1, 1));
}

async fn a_lease_that_ran_out_goes_to_the_next_with_a_higher_fence(b: Bench) {
    let (old, _) = b.taken("1").await;
    b.store.renew(&old, later(120)).await.unwrap();
    assert_eq!(b.store.lease(&key("1"), "next", ttl(), later(61)).await.unwrap(), Leased::Busy);
    let Leased::Taken(row) = b.store.lease(&key("1"), "next", ttl(), later(120)).await.unwrap() else {
        panic!("not to be had")
    };
    assert_eq!((row.fence, row.takes, row.lease_owner.as_deref()), (old.fence + 1, 2, Some("next")));
}

async fn whoever_slept_past_the_lease_can_do_nothing_any_more(b: Bench) {
    let (asleep, row) = b.taken("1").await;
    let intent = b.store.open_intent(&asleep, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    let Leased::Taken(next) = b.store.lease(&key("1"), "next", ttl(), later(61)).await.unwrap() else {
        panic!("not to be had")
    };
    let effect = Effect { dest_id: Some("42".into()), ..Effect::default() };
    let mut settlement = synced(&row);
    settlement.closes = Some((intent, effect.clone()));
    let before = b.row("1").await;
    let lost = [
        b.store.settle(&asleep, &settlement, later(62)).await.map(drop),
        b.store.settle(&asleep, &outcome(&row, State::Dead), later(62)).await.map(drop),
        b.store.close_intent(&asleep, intent, IntentOutcome::Happened(effect), later(62)).await,
        b.store.close_intent(&asleep, intent, IntentOutcome::DidNotHappen, later(62)).await,
        b.store.open_intent(&asleep, &step("more"), &fields("a"), &stamp(), later(62)).await.map(drop),
        b.store.renew(&asleep, later(500)).await,
        b.store.release(&asleep, later(62), None).await,
    ];
    for (n, outcome) in lost.into_iter().enumerate() {
        assert!(matches!(outcome, Err(StoreError::LostLease)), "call {n}: {outcome:?}");
    }
    assert_eq!(b.row("1").await, before, "nothing was changed");
    let intents = b.store.intents(before.id).await.unwrap();
    assert_eq!((intents.open.len(), intents.done.len()), (1, 0));
    assert!(b.store.log(&Default::default()).await.unwrap().is_empty());
    b.store.settle(&Lease::of(&next), &synced(&next), later(63)).await.unwrap();
}

async fn a_late_worker_whose_record_nobody_took_may_finish(b: Bench) {
    let (lease, row) = b.taken("1").await;
    b.store.settle(&lease, &synced(&row), later(500)).await.unwrap();
    let again = b.store.settle(&lease, &synced(&row), later(501)).await;
    assert!(matches!(again, Err(StoreError::LostLease)), "once settled, the lease is over: {again:?}");
}

async fn a_release_gives_back_without_counting(b: Bench) {
    let (lease, _) = b.taken("1").await;
    b.store.release(&lease, later(5), Some("the bridge is paused")).await.unwrap();
    let row = b.row("1").await;
    assert_eq!(
        (row.state, row.attempts, row.takes, row.due_at, row.reason.as_str()),
        (State::Pending, 0, 0, later(5), "the bridge is paused")
    );
    assert_eq!((row.lease_owner, row.settled), (None, 0));
    assert_eq!(b.store.claim_due(&claim(), later(5)).await.unwrap().len(), 1, "the sweep takes it when it is due");
}

async fn a_release_keeps_why_a_record_is_ignored(b: Bench) {
    let (lease, _) = b.taken("1").await;
    b.store.ignore(&key("1"), &"reza".into(), "", now()).await.unwrap();
    b.store.release(&lease, later(5), Some("the bridge is paused")).await.unwrap();
    let row = b.row("1").await;
    assert_eq!((row.state, row.reason.as_str(), row.lease_owner), (State::Ignored, "ignored by reza", None));
}

async fn an_idle_record_is_given_back_and_one_with_a_write_on_its_way_is_not(b: Bench) {
    let (idle, _) = b.taken("idle").await;
    assert!(b.store.release_idle(&idle, later(5)).await.unwrap());
    let row = b.row("idle").await;
    assert_eq!((row.is_open(), row.takes, row.due_at, row.lease_owner), (true, 0, later(5), None));
    assert!(!b.store.release_idle(&idle, later(5)).await.unwrap(), "it is in nobody's hands any more");

    let (sending, _) = b.taken("sending").await;
    let intent = b.store.open_intent(&sending, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    assert!(!b.store.release_idle(&sending, later(5)).await.unwrap());
    assert_eq!(b.row("sending").await.lease_owner.as_deref(), Some("worker"));
    b.store.close_intent(&sending, intent, IntentOutcome::DidNotHappen, now()).await.unwrap();
    assert!(b.store.release_idle(&sending, later(5)).await.unwrap());

    let (asleep, _) = b.taken("late").await;
    let Leased::Taken(next) = b.store.lease(&key("late"), "next", ttl(), later(61)).await.unwrap() else {
        panic!("not to be had")
    };
    assert!(!b.store.release_idle(&asleep, later(62)).await.unwrap());
    assert_eq!(b.row("late").await.lease_owner.as_deref(), Some("next"));
    assert_eq!(b.row("late").await.fence, next.fence);
}

async fn takes_count_leases_since_the_last_outcome(b: Bench) {
    b.taken("1").await;
    for crash in 1..=3 {
        let Leased::Taken(row) = b.store.lease(&key("1"), "w", ttl(), later(crash * 100)).await.unwrap() else {
            panic!("not to be had")
        };
        assert_eq!(i64::from(row.takes), crash + 1);
    }
}
