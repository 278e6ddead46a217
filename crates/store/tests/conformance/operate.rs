use crate::bench::*;
use serde_json::json;
use tandem_core::bridge::Lookups;
use tandem_core::lane::DueRecords;
use tandem_core::{Lane, LedgerRow, Notice, State, Trigger};
use tandem_store::{LogFilter, Resolution, Resolved, RowFilter, StoreError};

crate::conformance!(
    rows_are_listed_by_every_filter,
    counts_and_open_work_add_up,
    ignoring_is_logged_and_reopening_undoes_it,
    only_a_dead_record_can_be_discarded,
    reopening_hands_back_all_but_the_held_and_the_unknown,
    resolving_with_a_link_binds_and_looks_again,
    resolving_a_write_that_exists_puts_the_record_in_step_with_what_was_written,
    resolving_with_again_forgets_the_write_in_doubt,
    accepting_takes_the_version_last_seen_as_in_step,
    what_a_person_made_by_hand_is_in_step_with_the_version_last_seen,
    none_of_the_candidates_is_remembered_and_looked_at_again,
    a_new_one_takes_the_place_of_a_counterpart,
    a_write_in_doubt_is_decided_before_anything_else,
    only_a_record_under_review_is_decided_about,
    a_duplicate_is_settled_under_the_name_of_its_winner,
    nobody_is_a_duplicate_of_itself_of_a_stranger_or_of_another_duplicate,
    a_resolution_is_refused_while_a_worker_has_the_record,
    look_ups_find_rows_by_key_and_by_counterpart,
    due_records_come_live_first_then_longest_due,
);

async fn parked(b: &Bench, id: &str, state: State) -> LedgerRow {
    let (lease, row) = b.taken(id).await;
    let mut s = outcome(&row, state);
    s.seen_checksum = Some(fields("seen").checksum());
    b.settle(&lease, &s).await.unwrap();
    b.row(id).await
}

async fn rows_are_listed_by_every_filter(b: Bench) {
    for (id, state) in [("1", State::Dead), ("2", State::Dead), ("3", State::NeedsReview)] {
        parked(&b, id, state).await;
    }
    b.store.notice(&[notice("4")], now()).await.unwrap();
    let ids = |filter: RowFilter| {
        let store = b.store.clone();
        async move {
            store.rows(&filter).await.unwrap().into_iter().map(|r| r.key.source_id.into_string()).collect::<Vec<_>>()
        }
    };
    assert_eq!(ids(RowFilter::default()).await, ["1", "2", "3", "4"]);
    assert_eq!(ids(RowFilter { states: vec![State::Dead], ..RowFilter::default() }).await, ["1", "2"]);
    assert_eq!(ids(RowFilter { source_ids: vec!["3".into(), "4".into()], ..RowFilter::default() }).await, ["3", "4"]);
    assert_eq!(ids(RowFilter { reason_contains: Some("is needs".into()), ..RowFilter::default() }).await, ["3"]);
    assert_eq!(ids(RowFilter { due_before: Some(later(1)), ..RowFilter::default() }).await, ["4"]);
    assert_eq!(ids(RowFilter { bridge: Some("asanito".into()), ..RowFilter::default() }).await.len(), 0);
    assert_eq!(ids(RowFilter { kind: Some("pre_invoice".into()), ..RowFilter::default() }).await.len(), 0);
    let page = b.store.rows(&RowFilter { limit: 2, ..RowFilter::default() }).await.unwrap();
    assert_eq!(ids(RowFilter { after_id: page[1].id, ..RowFilter::default() }).await, ["3", "4"]);
}

async fn counts_and_open_work_add_up(b: Bench) {
    parked(&b, "1", State::Dead).await;
    b.store.notice(&[notice("2"), notice("3")], later(-5)).await.unwrap();
    let (lease, _) = b.take("3").await;
    let (later_lease, _) = b.taken("4").await;
    b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    b.store.release(&later_lease, later(50), None).await.unwrap();
    let counts: Vec<_> = b.store.counts().await.unwrap().into_iter().map(|c| (c.state, c.count)).collect();
    assert_eq!(counts, [(State::Dead, 1), (State::Pending, 3)]);
    for bridge in [None, Some("siagh".into())] {
        let work = b.store.open_work(bridge.as_ref(), now()).await.unwrap();
        assert_eq!(
            (work.open, work.leased, work.journaled, work.oldest, work.next_due),
            (3, 1, 1, Some(later(-5)), Some(later(50)))
        );
    }
    let none = b.store.open_work(Some(&"asanito".into()), now()).await.unwrap();
    assert_eq!(none, Default::default());
    assert_eq!(b.store.leftovers(now()).await.unwrap().len(), 3);
}

async fn ignoring_is_logged_and_reopening_undoes_it(b: Bench) {
    assert!(!b.store.ignore(&key("1"), &"reza".into(), "x", now()).await.unwrap(), "unknown");
    b.store.notice(&[notice("1")], now()).await.unwrap();
    assert!(b.store.ignore(&key("1"), &"reza".into(), "a test customer", now()).await.unwrap());
    let log = b.store.log(&LogFilter::default()).await.unwrap();
    assert_eq!(
        (log[0].state, log[0].reason.as_str(), log[0].actor.as_str()),
        (State::Ignored, "ignored by reza: a test customer", "reza")
    );
    let nudges = b.store.reopen(&[key("1")], Trigger::Manual, &"sara".into(), later(1)).await.unwrap();
    assert_eq!(nudges.len(), 1);
    let row = b.row("1").await;
    assert_eq!(
        (row.state, row.is_open(), row.trigger, row.actor.as_str(), row.due_at),
        (State::Pending, true, Trigger::Manual, "sara", later(1))
    );
}

async fn only_a_dead_record_can_be_discarded(b: Bench) {
    b.synced("1", "42").await;
    assert!(!b.store.discard(&key("1"), &"reza".into(), "x", now()).await.unwrap());
    parked(&b, "2", State::Dead).await;
    assert!(b.store.discard(&key("2"), &"reza".into(), "x", now()).await.unwrap());
    assert_eq!(b.row("2").await.state, State::Ignored);
}

async fn reopening_hands_back_all_but_the_held_and_the_unknown(b: Bench) {
    parked(&b, "dead", State::Dead).await;
    let (lease, row) = b.taken("held").await;
    b.store.notice(&[bulk("bulk")], now()).await.unwrap();
    let keys = ["dead", "held", "bulk", "unknown", "dead"].map(key);
    let mut nudges = b.store.reopen(&keys, Trigger::Replay, &"reza".into(), now()).await.unwrap();
    nudges.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(
        nudges.iter().map(|n| (n.key.source_id.as_str(), n.lane)).collect::<Vec<_>>(),
        [("bulk", Lane::Bulk), ("dead", Lane::Live)]
    );
    assert_eq!(b.row("dead").await.noticed, 2, "named twice, noticed once");
    let settled = b.settle(&lease, &synced(&row)).await.unwrap();
    assert!(settled.still_open.is_some(), "the held one comes again when its worker is done");
}

async fn resolving_with_a_link_binds_and_looks_again(b: Bench) {
    b.synced("other", "41").await;
    parked(&b, "1", State::NeedsReview).await;
    let taken = b.store.resolve(&key("1"), &Resolution::Link("41".into()), &"reza".into(), now()).await;
    assert!(matches!(&taken, Err(StoreError::DestTaken { by }) if *by == key("other")), "{taken:?}");
    let done = b.store.resolve(&key("1"), &Resolution::Link("42".into()), &"reza".into(), now()).await.unwrap();
    assert!(matches!(&done, Resolved::Done { state: State::Pending, nudges } if nudges.len() == 1), "{done:?}");
    let row = b.row("1").await;
    assert_eq!((row.is_open(), row.dest_id, row.trigger), (true, Some("42".into()), Trigger::Manual));
}

async fn in_doubt(b: &Bench, id: &str) -> LedgerRow {
    let (lease, row) = b.taken(id).await;
    let intent = b.store.open_intent(&lease, &step("create"), &fields("written"), &stamp(), now()).await.unwrap();
    b.store.answer_lost(intent).await.unwrap();
    b.settle(&lease, &outcome(&row, State::NeedsReview)).await.unwrap();
    row
}

async fn resolving_a_write_that_exists_puts_the_record_in_step_with_what_was_written(b: Bench) {
    let row = in_doubt(&b, "1").await;
    let (lease, waiter) = b.taken("waiter").await;
    let mut waits = outcome(&waiter, State::Waiting);
    waits.waits_for = Some(tandem_core::ledger::waits_for_record(&key("1")));
    b.settle(&lease, &waits).await.unwrap();
    let exists =
        Resolution::Exists { dest_id: Some("42".into()), refs: json!({"number": 9}).as_object().unwrap().clone() };
    let Resolved::Done { state, nudges } = b.store.resolve(&key("1"), &exists, &"reza".into(), now()).await.unwrap()
    else {
        panic!("not done")
    };
    assert_eq!((state, nudges.len()), (State::Synced, 2), "the record itself once more, and who waited for it");
    assert_eq!(b.store.intents(row.id).await.unwrap(), Default::default());
    let row = b.row("1").await;
    assert_eq!(
        (row.dest_id.clone(), row.source_checksum.clone(), row.fields.clone()),
        (Some("42".into()), Some(fields("written").checksum()), Some(fields("written")))
    );
    assert_eq!(
        (row.is_open(), row.trigger.is_deliberate(), row.refs["number"].clone(), row.stamp),
        (true, false, json!(9), Some(stamp()))
    );
    assert!(b.row("waiter").await.is_open());
    let again = b.store.resolve(&key("1"), &exists, &"reza".into(), now()).await.unwrap();
    assert_eq!(again, Resolved::NotUnderReview(State::Synced));
}

async fn what_a_person_made_by_hand_is_in_step_with_the_version_last_seen(b: Bench) {
    parked(&b, "1", State::NeedsReview).await;
    let refs = json!({"number": "7"}).as_object().unwrap().clone();
    let exists = Resolution::Exists { dest_id: None, refs };
    let done = b.store.resolve(&key("1"), &exists, &"reza".into(), now()).await.unwrap();
    assert_eq!(done, Resolved::Done { state: State::Synced, nudges: vec![] });
    let row = b.row("1").await;
    assert_eq!((row.source_checksum, row.refs["number"].clone()), (Some(fields("seen").checksum()), json!("7")));
}

async fn none_of_the_candidates_is_remembered_and_looked_at_again(b: Bench) {
    parked(&b, "1", State::NeedsReview).await;
    let done = b.store.resolve(&key("1"), &Resolution::New, &"reza".into(), now()).await.unwrap();
    assert!(matches!(done, Resolved::Done { state: State::Pending, .. }));
    let row = b.row("1").await;
    assert_eq!(row.refs["decided"], json!("new"));
}

async fn a_new_one_takes_the_place_of_a_counterpart(b: Bench) {
    parked(&b, "1", State::NeedsReview).await;
    b.store.resolve(&key("1"), &Resolution::Link("42".into()), &"reza".into(), now()).await.unwrap();
    let (lease, row) = b.take("1").await;
    b.settle(&lease, &outcome(&row, State::NeedsReview)).await.unwrap();
    b.store.resolve(&key("1"), &Resolution::New, &"reza".into(), now()).await.unwrap();
    let row = b.row("1").await;
    assert_eq!((row.dest_id, row.source_checksum, row.fields), (None, None, None));
}

async fn a_write_in_doubt_is_decided_before_anything_else(b: Bench) {
    in_doubt(&b, "1").await;
    for resolution in [Resolution::New, Resolution::Accept, Resolution::Duplicate(key("2"))] {
        let refused = b.store.resolve(&key("1"), &resolution, &"reza".into(), now()).await.unwrap();
        assert_eq!(refused, Resolved::InDoubt, "{resolution:?}");
    }
    b.store.resolve(&key("1"), &Resolution::Link("42".into()), &"reza".into(), now()).await.unwrap();
    let row = b.row("1").await;
    assert_eq!((row.dest_id, b.store.intents(row.id).await.unwrap()), (Some("42".into()), Default::default()));
}

async fn resolving_with_again_forgets_the_write_in_doubt(b: Bench) {
    let row = in_doubt(&b, "1").await;
    let done = b.store.resolve(&key("1"), &Resolution::Again, &"reza".into(), now()).await.unwrap();
    assert!(matches!(done, Resolved::Done { state: State::Pending, .. }));
    assert_eq!((b.store.intents(row.id).await.unwrap().open.len(), b.row("1").await.is_open()), (0, true));
    parked(&b, "2", State::NeedsReview).await;
    assert_eq!(
        b.store.resolve(&key("2"), &Resolution::Again, &"reza".into(), now()).await.unwrap(),
        Resolved::NothingInDoubt
    );
}

async fn accepting_takes_the_version_last_seen_as_in_step(b: Bench) {
    b.synced("1", "42").await;
    b.store.notice(&[notice("1")], now()).await.unwrap();
    parked(&b, "1", State::NeedsReview).await;
    b.store.resolve(&key("1"), &Resolution::Accept, &"reza".into(), now()).await.unwrap();
    let row = b.row("1").await;
    assert_eq!(
        (row.state, row.is_open(), row.source_checksum),
        (State::Synced, false, Some(fields("seen").checksum()))
    );
    parked(&b, "2", State::NeedsReview).await;
    assert_eq!(
        b.store.resolve(&key("2"), &Resolution::Accept, &"reza".into(), now()).await.unwrap(),
        Resolved::NeverSent
    );
    assert_eq!(
        b.store.resolve(&key("3"), &Resolution::Accept, &"reza".into(), now()).await.unwrap(),
        Resolved::Unknown
    );
    // A link that was said and never came true.
    b.store.resolve(&key("2"), &Resolution::Link("9999".into()), &"reza".into(), now()).await.unwrap();
    let (lease, row) = b.take("2").await;
    b.settle(&lease, &outcome(&row, State::NeedsReview)).await.unwrap();
    assert_eq!(
        b.store.resolve(&key("2"), &Resolution::Accept, &"reza".into(), now()).await.unwrap(),
        Resolved::NeverSent
    );
}

async fn only_a_record_under_review_is_decided_about(b: Bench) {
    parked(&b, "1", State::Waiting).await;
    let refused = b.store.resolve(&key("1"), &Resolution::Accept, &"reza".into(), now()).await.unwrap();
    assert_eq!(refused, Resolved::NotUnderReview(State::Waiting));
}

async fn a_duplicate_is_settled_under_the_name_of_its_winner(b: Bench) {
    parked(&b, "1", State::NeedsReview).await;
    b.store.notice(&[notice("2")], now()).await.unwrap();
    b.store.resolve(&key("1"), &Resolution::Duplicate(key("2")), &"reza".into(), now()).await.unwrap();
    let row = b.row("1").await;
    assert_eq!(
        (row.state, row.is_open(), row.reason.as_str()),
        (State::Duplicate, false, "duplicate of siagh customer 2, says reza")
    );
    assert_eq!(row.refs["duplicate_of"], json!("2"));
}

async fn nobody_is_a_duplicate_of_itself_of_a_stranger_or_of_another_duplicate(b: Bench) {
    for id in ["1", "2"] {
        parked(&b, id, State::NeedsReview).await;
    }
    let say = async |id: &str, winner: &str| {
        b.store.resolve(&key(id), &Resolution::Duplicate(key(winner)), &"reza".into(), now()).await.unwrap()
    };
    assert_eq!(say("1", "1").await, Resolved::NoWinner);
    assert_eq!(say("1", "never heard of").await, Resolved::NoWinner);
    assert!(matches!(say("1", "2").await, Resolved::Done { .. }));
    assert_eq!(say("2", "1").await, Resolved::NoWinner);
    assert_eq!(b.row("2").await.state, State::NeedsReview);
}

async fn a_resolution_is_refused_while_a_worker_has_the_record(b: Bench) {
    b.taken("1").await;
    assert_eq!(
        b.store.resolve(&key("1"), &Resolution::Link("42".into()), &"reza".into(), now()).await.unwrap(),
        Resolved::Busy
    );
    assert_eq!(b.row("1").await.dest_id, None);
}

async fn look_ups_find_rows_by_key_and_by_counterpart(b: Bench) {
    b.synced("1", "42").await;
    let lookups: &dyn Lookups = &b.store;
    assert!(lookups.row(&key("1")).await.unwrap().is_some());
    let paired = lookups.paired_with(&"siagh".into(), &"customer".into(), &"42".into()).await.unwrap();
    assert_eq!(paired.map(|row| row.key), Some(key("1")));
    assert_eq!(lookups.paired_with(&"siagh".into(), &"pre_invoice".into(), &"42".into()).await.unwrap(), None);
    assert_eq!(lookups.mapping(&"siagh".into(), "city", "x").await.unwrap(), None);
    assert!(lookups.mapping_sources(&"siagh".into(), "city").await.unwrap().is_empty());
}

async fn due_records_come_live_first_then_longest_due(b: Bench) {
    b.store.notice(&[bulk("bulk old")], later(-9)).await.unwrap();
    b.store.notice(&[bulk("bulk new")], later(-1)).await.unwrap();
    b.store.notice(&[notice("live new")], later(-2)).await.unwrap();
    b.store.notice(&[notice("live old")], later(-5)).await.unwrap();
    let mut foreign: Notice = notice("x");
    foreign.key.bridge = "asanito".into();
    b.store.notice(&[foreign], now()).await.unwrap();
    parked(&b, "dead", State::Dead).await;
    let due: &dyn DueRecords = &b.store;
    let ids =
        |nudges: Vec<tandem_core::Nudge>| nudges.into_iter().map(|n| n.key.source_id.into_string()).collect::<Vec<_>>();
    assert_eq!(ids(due.due(&"siagh".into(), 10).await.unwrap()), ["live old", "live new", "bulk old", "bulk new"]);
    assert_eq!(ids(due.due(&"siagh".into(), 3).await.unwrap()), ["live old", "live new", "bulk old"]);
    let depth = due.depth(&"siagh".into()).await.unwrap();
    assert_eq!((depth.live, depth.bulk, depth.dead), (2, 2, 1));
}
