use crate::bench::*;
use serde_json::json;
use tandem_core::plan::Pair;
use tandem_core::{Effect, RecordKey, State};
use tandem_store::{IntentOutcome, Leased, Settlement, StoreError};
use uuid::Uuid;

crate::conformance!(
    an_open_intent_comes_back_as_it_was_written,
    an_effect_is_bound_the_moment_its_intent_is_closed,
    a_step_that_did_not_happen_leaves_the_journal,
    a_lost_answer_is_remembered,
    a_taken_destination_is_refused_with_its_holder_and_nothing_changes,
    settling_in_step_archives_done_steps_and_supersedes_open_ones,
    settling_out_of_step_keeps_the_journal,
    a_settlement_closes_its_last_intent_itself,
    a_pair_is_saved_with_the_effect_that_brought_it,
    a_pair_leaves_open_work_open,
    a_pair_that_sets_a_closed_record_going_starts_its_tries_anew,
    a_waiter_released_by_a_step_that_others_follow_is_taken_by_the_next_sweep,
    a_lease_taken_later_sees_every_intent_of_the_one_before,
);

fn effect(dest: &str) -> Effect {
    Effect {
        dest_id: Some(dest.into()),
        refs: json!({"number": 17, "none": null}).as_object().unwrap().clone(),
        notes: vec!["n".into()],
        pairs: Vec::new(),
    }
}

async fn an_open_intent_comes_back_as_it_was_written(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let id = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    let intents = b.store.intents(row.id).await.unwrap();
    assert_eq!(intents.open.len(), 1);
    let (found, open) = &intents.open[0];
    assert_eq!((*found, &open.step, open.opened_at, open.answer_lost), (id, &step("create"), now(), false));
}

async fn an_effect_is_bound_the_moment_its_intent_is_closed(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let id = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    b.store.close_intent(&lease, id, IntentOutcome::Happened(effect("42")), later(1)).await.unwrap();
    let bound = b.row("1").await;
    assert_eq!((bound.is_open(), bound.dest_id, bound.written_at), (true, Some("42".into()), Some(later(1))));
    assert_eq!(bound.refs, *json!({"number": 17}).as_object().unwrap());
    let intents = b.store.intents(row.id).await.unwrap();
    assert_eq!((intents.open.len(), intents.done.len()), (0, 1));
    assert_eq!((&intents.done[0].effect, &intents.done[0].written), (&effect("42"), &fields("a")));
    // Further refs are merged, name by name.
    let more = b.store.open_intent(&lease, &step("confirm"), &fields("a"), &stamp(), later(1)).await.unwrap();
    let second = Effect { refs: json!({"year": 1405}).as_object().unwrap().clone(), ..Effect::default() };
    b.store.close_intent(&lease, more, IntentOutcome::Happened(second), later(2)).await.unwrap();
    let bound = b.row("1").await;
    assert_eq!(
        (bound.dest_id, bound.refs),
        (Some("42".into()), json!({"number": 17, "year": 1405}).as_object().unwrap().clone())
    );
    let names: Vec<_> = b.store.intents(row.id).await.unwrap().done.into_iter().map(|d| d.step.name).collect();
    assert_eq!(names, ["create", "confirm"]);
}

async fn a_step_that_did_not_happen_leaves_the_journal(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let id = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    b.store.close_intent(&lease, id, IntentOutcome::DidNotHappen, now()).await.unwrap();
    assert_eq!(b.store.intents(row.id).await.unwrap(), Default::default());
    assert_eq!(b.row("1").await.dest_id, None);
}

async fn a_lost_answer_is_remembered(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let id = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    b.store.answer_lost(id).await.unwrap();
    assert!(b.store.intents(row.id).await.unwrap().open[0].1.answer_lost);
}

async fn a_taken_destination_is_refused_with_its_holder_and_nothing_changes(b: Bench) {
    b.synced("first", "42").await;
    let (lease, row) = b.taken("second").await;
    let id = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    let before = b.row("second").await;
    let mut in_one = synced(&row);
    in_one.closes = Some((id, effect("42")));
    let mut linked = synced(&row);
    linked.dest_id = Some("42".into());
    let refusals = [
        b.store.close_intent(&lease, id, IntentOutcome::Happened(effect("42")), now()).await,
        b.settle(&lease, &in_one).await.map(drop),
        b.settle(&lease, &linked).await.map(drop),
    ];
    for refusal in refusals {
        let Err(StoreError::DestTaken { by }) = refusal else { panic!("{refusal:?}") };
        assert_eq!(by, key("first"));
    }
    assert_eq!(b.row("second").await, before);
    assert_eq!(b.store.intents(row.id).await.unwrap().open.len(), 1);
    // Another kind may have the same id: it is another table over there.
    let mut other = notice("x");
    other.key = RecordKey::new("siagh", "pre_invoice", "x");
    b.store.notice(std::slice::from_ref(&other), now()).await.unwrap();
    let Leased::Taken(row) = b.store.lease(&other.key, "w", ttl(), now()).await.unwrap() else {
        panic!("not to be had")
    };
    let mut linked = synced(&row);
    linked.dest_id = Some("42".into());
    b.settle(&tandem_store::Lease::of(&row), &linked).await.unwrap();
}

async fn settling_in_step_archives_done_steps_and_supersedes_open_ones(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let done = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    b.store.close_intent(&lease, done, IntentOutcome::Happened(effect("42")), now()).await.unwrap();
    b.store.open_intent(&lease, &step("update"), &fields("a"), &stamp(), now()).await.unwrap();
    b.settle(&lease, &synced(&row)).await.unwrap();
    assert_eq!(b.store.intents(row.id).await.unwrap(), Default::default());
    assert!(b.store.leftovers(now()).await.unwrap().is_empty());
}

async fn settling_out_of_step_keeps_the_journal(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let done = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    b.store.close_intent(&lease, done, IntentOutcome::Happened(effect("42")), now()).await.unwrap();
    b.store.open_intent(&lease, &step("update"), &fields("a"), &stamp(), now()).await.unwrap();
    b.settle(&lease, &outcome(&row, State::NeedsReview)).await.unwrap();
    let intents = b.store.intents(row.id).await.unwrap();
    assert_eq!((intents.open.len(), intents.done.len()), (1, 1));
    assert!(b.store.leftovers(now()).await.unwrap().is_empty(), "a person is at it");
    assert_eq!(b.store.open_work(None, now()).await.unwrap().journaled, 0);
}

async fn a_settlement_closes_its_last_intent_itself(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let id = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    let mut settlement = synced(&row);
    settlement.closes = Some((id, effect("42")));
    b.settle(&lease, &settlement).await.unwrap();
    let row = b.row("1").await;
    assert_eq!((row.dest_id, row.written_at, row.state), (Some("42".into()), Some(now()), State::Synced));
    assert_eq!(row.refs["number"], json!(17));
    assert_eq!(b.store.intents(row.id).await.unwrap(), Default::default());
    // Out of step (a step failed after this one) the closed intent stays as done.
    let (lease, row) = b.taken("2").await;
    let id = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    let mut dead = outcome(&row, State::Dead);
    dead.closes = Some((id, effect("43")));
    b.settle(&lease, &dead).await.unwrap();
    let intents = b.store.intents(row.id).await.unwrap();
    assert_eq!((intents.open.len(), intents.done.len()), (0, 1));
}

fn paired(id: &str, dest: &str) -> Effect {
    let pair = Pair {
        key: key(id),
        dest_id: dest.into(),
        source_checksum: Some(fields("a").checksum()),
        hint: Some("person".into()),
        reason: "made by the import".into(),
    };
    Effect { pairs: vec![pair], ..Effect::default() }
}

async fn a_pair_is_saved_with_the_effect_that_brought_it(b: Bench) {
    for (import, id, in_one) in [("i1", "p1", true), ("i2", "p2", false)] {
        let (lease, row) = b.taken(import).await;
        let intent = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
        let mut settlement = synced(&row);
        if in_one {
            settlement.closes = Some((intent, paired(id, id)));
        } else {
            b.store.close_intent(&lease, intent, IntentOutcome::Happened(paired(id, id)), now()).await.unwrap();
        }
        b.settle(&lease, &settlement).await.unwrap();
        let pair = b.row(id).await;
        assert_eq!(
            (pair.state, pair.is_open(), pair.dest_id, pair.hint),
            (State::Synced, false, Some(id.into()), Some("person".into()))
        );
        assert_eq!(pair.source_checksum, Some(fields("a").checksum()));
    }
    // A pair whose counterpart is taken takes the whole settlement back.
    let (lease, row) = b.taken("i3").await;
    let intent = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    let mut settlement = synced(&row);
    settlement.closes = Some((intent, paired("p3", "p1")));
    let refusal = b.settle(&lease, &settlement).await;
    assert!(matches!(&refusal, Err(StoreError::DestTaken { by }) if *by == key("p1")), "{refusal:?}");
    assert_eq!(b.store.row(&key("p3")).await.unwrap(), None);
}

async fn a_pair_leaves_open_work_open(b: Bench) {
    b.store.notice(&[notice("p")], now()).await.unwrap();
    let (lease, row) = b.taken("i").await;
    let intent = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    let mut settlement = synced(&row);
    settlement.closes = Some((intent, paired("p", "7")));
    b.settle(&lease, &settlement).await.unwrap();
    let pair = b.row("p").await;
    assert_eq!((pair.state, pair.is_open(), pair.dest_id), (State::Pending, true, Some("7".into())));
}

async fn a_pair_that_sets_a_closed_record_going_starts_its_tries_anew(b: Bench) {
    let (lease, row) = b.taken("p").await;
    let mut dead = outcome(&row, State::Dead);
    dead.attempts = 3;
    b.settle(&lease, &dead).await.unwrap();
    let (lease, row) = b.taken("i").await;
    let intent = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    let mut effect = paired("p", "7");
    effect.pairs[0].source_checksum = None;
    let mut settlement = synced(&row);
    settlement.closes = Some((intent, effect));
    b.settle(&lease, &settlement).await.unwrap();
    let pair = b.row("p").await;
    assert_eq!((pair.is_open(), pair.attempts, pair.takes), (true, 0, 0));
}

async fn a_waiter_released_by_a_step_that_others_follow_is_taken_by_the_next_sweep(b: Bench) {
    let (lease, row) = b.taken("invoice").await;
    let waits = Some(tandem_core::ledger::waits_for_record(&key("p")));
    b.settle(&lease, &Settlement { waits_for: waits, ..outcome(&row, State::Waiting) }).await.unwrap();
    let (lease, _) = b.taken("i").await;
    let intent = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    b.store.close_intent(&lease, intent, IntentOutcome::Happened(paired("p", "7")), now()).await.unwrap();
    assert!(b.row("invoice").await.is_open());
    let due = b.store.claim_due(&claim(), later(1)).await.unwrap();
    assert!(due.iter().any(|nudge| nudge.key == key("invoice")), "nobody else publishes it: {due:?}");
}

async fn a_lease_taken_later_sees_every_intent_of_the_one_before(b: Bench) {
    // Whichever comes first, the next holder never misses an intent that the one before was told is written.
    for round in 0..20 {
        let id = format!("r{round}");
        let (old, row) = b.taken(&id).await;
        let (one, two) = (b.another().await, b.another().await);
        let opening =
            tokio::spawn(
                async move { one.open_intent(&old, &step("create"), &fields("a"), &stamp(), later(61)).await },
            );
        let name = key(&id);
        let taking = tokio::spawn(async move { two.lease(&name, "next", ttl(), later(61)).await });
        let (opened, leased): (Result<Uuid, _>, _) = (opening.await.unwrap(), taking.await.unwrap().unwrap());
        assert!(matches!(leased, Leased::Taken(_)));
        let seen = b.store.intents(row.id).await.unwrap().open.len();
        assert_eq!(seen, usize::from(opened.is_ok()), "{opened:?}");
    }
}
