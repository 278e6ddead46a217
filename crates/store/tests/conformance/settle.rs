use crate::bench::*;
use serde_json::json;
use tandem_core::{Change, Effect, State, Trigger};
use tandem_store::{LogFilter, Settled};

crate::conformance!(
    a_settlement_in_step_stores_both_sides_and_ends_the_lease,
    what_a_settlement_leaves_out_is_kept,
    a_record_noticed_while_it_was_worked_on_stays_open_and_is_handed_back,
    a_retry_stays_open_until_its_time_and_keeps_what_was_settled,
    a_retry_keeps_its_time_even_if_noticed_meanwhile,
    a_parked_record_is_not_open,
    a_record_ignored_while_it_was_worked_on_stays_ignored,
    every_settlement_leaves_one_log_entry_with_the_operators_words,
    log_filters_narrow_and_follow,
    many_settlements_and_notices_at_once_lose_no_notice,
);

async fn a_settlement_in_step_stores_both_sides_and_ends_the_lease(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let mut s = synced(&row);
    (s.dest_id, s.source_version, s.hint) = (Some("42".into()), Some("v7".into()), Some("person".into()));
    let intent = b.store.open_intent(&lease, &step("update"), &fields("a"), &stamp(), now()).await.unwrap();
    let refs = json!({"number": 5}).as_object().unwrap().clone();
    s.closes = Some((intent, Effect { refs: refs.clone(), ..Effect::default() }));
    assert_eq!(b.settle(&lease, &s).await.unwrap(), Settled::default());
    let row = b.row("1").await;
    assert_eq!(
        (row.state, row.reason.as_str(), row.noticed, row.settled, row.is_open()),
        (State::Synced, "is SYNCED", 1, 1, false)
    );
    assert_eq!((row.dest_id, row.written_at, row.settled_at), (Some("42".into()), Some(now()), Some(now())));
    assert_eq!(row.refs, refs);
    assert_eq!(
        (row.source_version.as_deref(), row.hint.as_deref(), row.stamp),
        (Some("v7"), Some("person"), Some(stamp()))
    );
    assert_eq!((row.source_checksum, row.fields), (Some(fields("a").checksum()), Some(fields("a"))));
    assert_eq!((row.takes, row.lease_owner, row.lease_until), (0, None, None));
    assert!(b.store.leftovers(now()).await.unwrap().is_empty());
}

async fn what_a_settlement_leaves_out_is_kept(b: Bench) {
    let before = b.synced("1", "42").await;
    let (lease, row) = b.taken("1").await;
    b.settle(&lease, &outcome(&row, State::Dead)).await.unwrap();
    let after = b.row("1").await;
    assert_eq!((after.state, after.dest_id, after.refs), (State::Dead, before.dest_id, before.refs));
    assert_eq!(
        (after.source_checksum, after.fields, after.stamp),
        (before.source_checksum, before.fields, before.stamp)
    );
    assert_eq!((after.seen_checksum, after.written_at), (before.seen_checksum, before.written_at));
}

async fn a_record_noticed_while_it_was_worked_on_stays_open_and_is_handed_back(b: Bench) {
    let (lease, row) = b.taken("1").await;
    b.store.notice(&[notice("1")], now()).await.unwrap();
    let settled = b.store.settle(&lease, &synced(&row), later(3)).await.unwrap();
    let (nudge, due) = settled.still_open.expect("it was noticed again");
    assert_eq!((nudge.key, due), (key("1"), later(3)));
    let row = b.row("1").await;
    assert_eq!((row.state, row.reason.as_str(), row.noticed, row.settled), (State::Pending, "is SYNCED", 2, 1));
    assert_eq!(row.source_checksum, Some(fields("a").checksum()), "what was settled is stored nevertheless");
    assert_eq!(b.store.claim_due(&claim(), later(4)).await.unwrap(), [], "it is marked as published");
}

async fn a_retry_stays_open_until_its_time_and_keeps_what_was_settled(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let mut retry = outcome(&row, State::Retrying);
    (retry.attempts, retry.stays_open_until) = (2, Some(later(30)));
    let settled = b.settle(&lease, &retry).await.unwrap();
    assert_eq!(settled.still_open.map(|(_, due)| due), Some(later(30)));
    let row = b.row("1").await;
    assert_eq!(
        (row.state, row.attempts, row.settled, row.due_at, row.settled_at),
        (State::Retrying, 2, 0, later(30), None)
    );
    assert_eq!(b.store.claim_due(&claim(), later(29)).await.unwrap(), []);
    assert_eq!(b.store.claim_due(&claim(), later(30)).await.unwrap().len(), 1);
}

async fn a_retry_keeps_its_time_even_if_noticed_meanwhile(b: Bench) {
    let (lease, row) = b.taken("1").await;
    b.store.notice(&[notice("1")], now()).await.unwrap();
    let mut retry = outcome(&row, State::Retrying);
    retry.stays_open_until = Some(later(30));
    let settled = b.settle(&lease, &retry).await.unwrap();
    assert_eq!(settled.still_open.map(|(_, due)| due), Some(later(30)));
    assert_eq!(b.row("1").await.state, State::Retrying);
}

async fn a_parked_record_is_not_open(b: Bench) {
    for state in [State::Dead, State::NeedsReview, State::Duplicate, State::Superseded] {
        let (lease, row) = b.taken(state.as_str()).await;
        assert_eq!(b.settle(&lease, &outcome(&row, state)).await.unwrap().still_open, None);
        assert!(!b.row(state.as_str()).await.is_open());
    }
    assert!(b.store.leftovers(later(99)).await.unwrap().is_empty());
}

async fn a_record_ignored_while_it_was_worked_on_stays_ignored(b: Bench) {
    let (lease, row) = b.taken("1").await;
    b.store.ignore(&key("1"), &"reza".into(), "", now()).await.unwrap();
    let mut s = synced(&row);
    s.dest_id = Some("42".into());
    assert_eq!(b.settle(&lease, &s).await.unwrap().still_open, None);
    let row = b.row("1").await;
    assert_eq!((row.state, row.reason.as_str(), row.is_open()), (State::Ignored, "ignored by reza", false));
    assert_eq!(row.dest_id, Some("42".into()), "what the worker did is known nevertheless");
}

async fn every_settlement_leaves_one_log_entry_with_the_operators_words(b: Bench) {
    let words = [
        (State::Synced, "SUCCESS"),
        (State::Unchanged, "SKIPPED"),
        (State::Duplicate, "SKIPPED"),
        (State::Dead, "FAILED"),
        (State::NeedsReview, "FAILED"),
        (State::Retrying, "FAILED"),
    ];
    for (state, _) in words {
        let (lease, row) = b.taken(state.as_str()).await;
        let mut s = outcome(&row, state);
        s.log.action = Some("create_contact".into());
        s.log.plan = Some(json!({"decision": "write"}));
        s.log.changes = vec![Change { field: "name".into(), old: json!("a"), new: json!("b") }];
        s.log.notes = vec!["cut".into()];
        (s.log.fault_code, s.log.attempt, s.log.stamp) = (Some("siagh.refused"), 2, Some(stamp()));
        s.stays_open_until = (state == State::Retrying).then(|| later(9));
        b.settle(&lease, &s).await.unwrap();
        let log =
            b.store.log(&LogFilter { source_id: Some(state.as_str().into()), ..LogFilter::default() }).await.unwrap();
        assert_eq!(log.len(), 1);
        let e = &log[0];
        let word = words.iter().find(|(s, _)| *s == state).unwrap().1;
        assert_eq!(
            (e.status.as_str(), e.state, e.reason.as_str(), e.duration_ms),
            (word, state, format!("is {state}").as_str(), 12)
        );
        assert_eq!((e.changes.clone(), e.notes.clone(), e.plan.clone()), (s.log.changes, s.log.notes, s.log.plan));
        assert_eq!(
            (e.fault_code.as_deref(), e.attempt, e.stamp.clone(), e.trigger),
            (Some("siagh.refused"), 2, Some(stamp()), Trigger::Webhook)
        );
    }
}

async fn log_filters_narrow_and_follow(b: Bench) {
    for id in ["1", "2", "3"] {
        b.synced(id, id).await;
    }
    let (lease, row) = b.taken("4").await;
    b.settle(&lease, &outcome(&row, State::Dead)).await.unwrap();
    let log = |filter: LogFilter| {
        let store = b.store.clone();
        async move {
            store.log(&filter).await.unwrap().into_iter().map(|e| e.key.source_id.into_string()).collect::<Vec<_>>()
        }
    };
    assert_eq!(log(LogFilter { limit: 2, ..LogFilter::default() }).await, ["4", "3"]);
    assert_eq!(log(LogFilter { status: Some("FAILED".into()), ..LogFilter::default() }).await, ["4"]);
    assert_eq!(
        log(LogFilter { state: Some(State::Synced), trigger: Some(Trigger::Webhook), ..LogFilter::default() })
            .await
            .len(),
        3
    );
    assert_eq!(log(LogFilter { since: Some(later(1)), ..LogFilter::default() }).await.len(), 0);
    assert_eq!(
        log(LogFilter { bridge: Some("siagh".into()), kind: Some("pre_invoice".into()), ..LogFilter::default() })
            .await
            .len(),
        0
    );
    let all = b.store.log(&LogFilter { ascending: true, ..LogFilter::default() }).await.unwrap();
    assert_eq!(log(LogFilter { after: Some(all[1].id), ascending: true, ..LogFilter::default() }).await, ["3", "4"]);
}

async fn many_settlements_and_notices_at_once_lose_no_notice(b: Bench) {
    const EACH: i64 = 40;
    let ids = ["a", "b", "c"];
    let mut tasks = Vec::new();
    for n in 0..3 {
        let store = b.another().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..EACH {
                // In another order each, so that lock order is put to the test.
                let batch: Vec<_> = (0..3).map(|k| notice(ids[(k + n) % 3])).collect();
                store.notice(&batch, now()).await.unwrap();
            }
        }));
    }
    for _ in 0..2 {
        let store = b.another().await;
        tasks.push(tokio::spawn(async move {
            for n in 0..EACH {
                let id = ids[usize::try_from(n).unwrap() % 3];
                if let tandem_store::Leased::Taken(row) = store.lease(&key(id), "w", ttl(), now()).await.unwrap() {
                    store.settle(&tandem_store::Lease::of(&row), &synced(&row), now()).await.unwrap();
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for id in ids {
        let row = b.row(id).await;
        assert_eq!(row.noticed, 3 * EACH);
        if row.is_open() {
            let (lease, row) = b.take(id).await;
            b.settle(&lease, &synced(&row)).await.unwrap();
        }
    }
    assert!(b.store.leftovers(now()).await.unwrap().is_empty());
}
