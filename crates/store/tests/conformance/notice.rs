use crate::bench::*;
use tandem_core::{Actor, BridgeId, Lane, Notice, Nudge, State, Trigger};
use tandem_store::{Claim, InboxEntry, Leased, WebhookRoute};
use uuid::Uuid;

crate::conformance!(
    a_record_noticed_three_times_in_one_batch_is_one_row_and_one_nudge,
    a_notice_on_a_held_record_counts_and_nudges_nobody,
    a_notice_reopens_a_parked_record_with_fresh_attempts,
    a_notice_leaves_a_retry_its_time_unless_a_person_asks,
    what_a_person_asked_for_survives_a_webhook_that_comes_before_the_work,
    a_webhook_lifts_an_open_bulk_record_into_the_live_lane,
    bulk_notices_are_left_to_the_sweep,
    a_scan_notices_only_what_differs_from_the_version_last_looked_at,
    ten_thousand_unchanged_sightings_notice_nothing,
    notices_of_an_ignored_record_are_counted_and_settled_at_once,
    accept_keeps_calls_and_notices_together,
    calls_are_counted_by_route_and_the_latest_moment_stays,
    the_same_inbox_id_twice_is_kept_and_noticed_once,
    a_sweep_takes_each_record_once_until_it_goes_stale,
    a_quick_sweep_finds_what_is_not_published_and_leaves_the_rest_to_a_thorough_one,
    a_sweep_takes_live_before_bulk_and_keeps_to_its_limits,
    a_sweep_leaves_skipped_bridges_future_work_and_held_records_alone,
    an_unpublished_record_is_taken_by_the_next_sweep,
    two_pumps_at_once_get_disjoint_records,
    a_text_with_a_nul_character_is_stored,
);

async fn a_record_noticed_three_times_in_one_batch_is_one_row_and_one_nudge(b: Bench) {
    let nudges = b.store.notice(&[notice("1"), notice("2"), notice("1"), notice("1")], now()).await.unwrap();
    assert_eq!(nudges.iter().map(|n| n.key.source_id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    let row = b.row("1").await;
    assert_eq!((row.noticed, row.settled, row.state, row.due_at), (3, 0, State::Pending, now()));
    assert_eq!(b.row("2").await.noticed, 1);
}

async fn a_notice_on_a_held_record_counts_and_nudges_nobody(b: Bench) {
    b.taken("1").await;
    assert_eq!(b.store.notice(&[notice("1")], now()).await.unwrap(), []);
    assert_eq!(b.row("1").await.noticed, 2);
    assert_eq!(b.store.notice(&[notice("1")], later(61)).await.unwrap().len(), 1, "its lease has run out");
}

async fn a_notice_reopens_a_parked_record_with_fresh_attempts(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let mut dead = outcome(&row, State::Dead);
    dead.attempts = 4;
    b.settle(&lease, &dead).await.unwrap();
    assert!(!b.row("1").await.is_open());
    assert_eq!(b.store.notice(&[notice("1")], later(5)).await.unwrap().len(), 1);
    let row = b.row("1").await;
    assert_eq!((row.state, row.attempts, row.takes, row.due_at, row.is_open()), (State::Pending, 0, 0, later(5), true));
}

async fn a_notice_leaves_a_retry_its_time_unless_a_person_asks(b: Bench) {
    let (lease, row) = b.taken("1").await;
    let mut retry = outcome(&row, State::Retrying);
    (retry.attempts, retry.stays_open_until) = (1, Some(later(30)));
    b.settle(&lease, &retry).await.unwrap();
    assert_eq!(b.store.notice(&[notice("1")], later(1)).await.unwrap(), []);
    let row = b.row("1").await;
    assert_eq!((row.state, row.attempts, row.due_at), (State::Retrying, 1, later(30)));
    let manual = Notice { trigger: Trigger::Manual, actor: "reza".into(), ..notice("1") };
    assert_eq!(b.store.notice(&[manual], later(2)).await.unwrap().len(), 1);
    assert_eq!(b.row("1").await.due_at, later(2));
}

async fn what_a_person_asked_for_survives_a_webhook_that_comes_before_the_work(b: Bench) {
    let manual = Notice { trigger: Trigger::Manual, actor: "reza".into(), ..notice("1") };
    b.store.notice(std::slice::from_ref(&manual), now()).await.unwrap();
    b.store.notice(&[notice("1")], now()).await.unwrap();
    let (_, row) = b.take("1").await;
    assert_eq!((row.trigger, row.actor.as_str()), (Trigger::Manual, "reza"));
    // Once somebody is at it, the wish is being fulfilled: what comes now is an ordinary change.
    b.store.notice(&[notice("1")], now()).await.unwrap();
    assert_eq!(b.row("1").await.trigger, Trigger::Webhook);
}

async fn a_webhook_lifts_an_open_bulk_record_into_the_live_lane(b: Bench) {
    b.store.notice(&[bulk("1")], now()).await.unwrap();
    let nudges = b.store.notice(&[notice("1")], now()).await.unwrap();
    assert_eq!(nudges[0].lane, Lane::Live);
    b.store.notice(&[bulk("1")], now()).await.unwrap();
    assert_eq!(b.row("1").await.lane, Lane::Live);
}

async fn bulk_notices_are_left_to_the_sweep(b: Bench) {
    assert_eq!(b.store.notice(&[bulk("1"), bulk("2")], now()).await.unwrap(), []);
    assert_eq!(b.store.claim_due(&claim(), now()).await.unwrap().len(), 2);
}

async fn a_scan_notices_only_what_differs_from_the_version_last_looked_at(b: Bench) {
    let row = b.synced("known", "42").await;
    let seen = row.seen_checksum.unwrap();
    let scan = |checksum: Option<String>| {
        let store = b.store.clone();
        async move {
            let sightings = [sighting("known", checksum.as_deref()), sighting("fresh", Some("x"))];
            store
                .notice_sightings(&"siagh".into(), &sightings, Trigger::Poll, &"tandem".into(), Lane::Live, now())
                .await
                .unwrap()
                .nudges
        }
    };
    assert_eq!(
        scan(Some(seen.as_str().to_owned())).await.iter().map(|n| n.key.source_id.as_str()).collect::<Vec<_>>(),
        ["fresh"]
    );
    assert!(!b.row("known").await.is_open());
    assert_eq!(scan(Some("other".to_owned())).await.len(), 2);
    assert_eq!(b.row("known").await.noticed, 2);
    assert_eq!(scan(None).await.len(), 2, "no checksum notices in any case");
}

async fn ten_thousand_unchanged_sightings_notice_nothing(b: Bench) {
    const ROWS: usize = 10_000;
    let (bridge, actor): (BridgeId, Actor) = ("siagh".into(), "tandem".into());
    let sightings: Vec<_> = (0..ROWS).map(|n| sighting(&n.to_string(), Some(&format!("{n:064}")))).collect();
    b.store.notice_sightings(&bridge, &sightings, Trigger::Poll, &actor, Lane::Bulk, now()).await.unwrap();
    // What settling each of them would leave behind.
    let looked_at = "UPDATE entity_mapping SET settled = noticed, seen_checksum = CASE WHEN length(source_id) > 0 THEN substr('0000000000000000000000000000000000000000000000000000000000000000', 1, 64 - length(source_id)) || source_id END";
    b.execute(looked_at).await;
    let sighted =
        b.store.notice_sightings(&bridge, &sightings, Trigger::Poll, &actor, Lane::Bulk, later(1)).await.unwrap();
    assert_eq!((sighted.noticed, b.store.open_work(None, later(1)).await.unwrap().open), (0, 0));
}

async fn notices_of_an_ignored_record_are_counted_and_settled_at_once(b: Bench) {
    b.store.notice(&[notice("1")], now()).await.unwrap();
    assert!(b.store.ignore(&key("1"), &"reza".into(), "test customer", now()).await.unwrap());
    assert_eq!(b.store.notice(&[notice("1")], now()).await.unwrap(), []);
    let row = b.row("1").await;
    assert_eq!((row.state, row.noticed, row.settled), (State::Ignored, 2, 2));
    assert_eq!(b.store.claim_due(&claim(), later(9)).await.unwrap(), []);
}

fn call(id: Uuid, notice: Option<Notice>) -> InboxEntry {
    InboxEntry {
        id,
        route: "customer".into(),
        remote: "10.0.0.1".into(),
        event: Some("changed".into()),
        kind_word: None,
        label: Some("ب".repeat(500)),
        note: notice.is_none().then(|| "a lead".to_owned()),
        notice,
    }
}

async fn accept_keeps_calls_and_notices_together(b: Bench) {
    let entries =
        [call(Uuid::now_v7(), Some(notice("1"))), call(Uuid::now_v7(), None), call(Uuid::now_v7(), Some(notice("1")))];
    let nudges = b.store.accept(&entries, now()).await.unwrap();
    assert_eq!((nudges.len(), b.row("1").await.noticed), (1, 2));
    let events = b.store.webhook_events(10).await.unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(events[0].label.as_ref().map(|l| l.chars().count()), Some(200));
    assert_eq!(events.iter().filter(|e| e.key == Some(key("1"))).count(), 2);
    assert!(b.store.accept(&[call(Uuid::now_v7(), None)], now()).await.unwrap().is_empty());
}

async fn calls_are_counted_by_route_and_the_latest_moment_stays(b: Bench) {
    let count = |accepted, ignored, rejected, last_at| {
        let route = "customer".to_owned();
        WebhookRoute { route, last_at, accepted, ignored, rejected }
    };
    b.store.count_calls(&[]).await.unwrap();
    b.store.count_calls(&[count(0, 0, 1, None)]).await.unwrap();
    assert_eq!(b.store.webhook_routes().await.unwrap(), [count(0, 0, 1, None)]);
    for (at, sum) in [(later(5), 2), (now(), 4)] {
        b.another().await.count_calls(&[count(2, 1, 0, Some(at))]).await.unwrap();
        assert_eq!(b.store.webhook_routes().await.unwrap(), [count(sum, sum / 2, 1, Some(later(5)))]);
    }
    b.store.count_calls(&[count(0, 0, 1, None)]).await.unwrap();
    assert_eq!(b.store.webhook_routes().await.unwrap(), [count(4, 2, 2, Some(later(5)))]);
}

async fn the_same_inbox_id_twice_is_kept_and_noticed_once(b: Bench) {
    let entry = call(Uuid::now_v7(), Some(notice("1")));
    assert_eq!(b.store.accept(std::slice::from_ref(&entry), now()).await.unwrap().len(), 1);
    // Another copy gets it beside others, and twice in one batch.
    let (two, other) = (call(Uuid::now_v7(), Some(notice("1"))), call(Uuid::now_v7(), Some(notice("2"))));
    let batch = [other.clone(), entry.clone(), two, other.clone()];
    let nudges = b.another().await.accept(&batch, later(1)).await.unwrap();
    assert_eq!(nudges.iter().map(|n| n.key.source_id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((b.row("1").await.noticed, b.row("2").await.noticed), (2, 1));
    assert_eq!(b.store.accept(&[entry, other], later(2)).await.unwrap(), []);
    let (one, two) = (b.row("1").await, b.row("2").await);
    assert_eq!((one.noticed, one.noticed_at, two.noticed), (2, later(1), 1));
    assert_eq!(b.store.webhook_events(10).await.unwrap().len(), 3);
}

async fn a_sweep_takes_each_record_once_until_it_goes_stale(b: Bench) {
    b.store.notice(&[notice("1")], now()).await.unwrap();
    assert_eq!(b.store.claim_due(&claim(), later(1)).await.unwrap(), [], "the notice itself marked it");
    assert_eq!(b.store.claim_due(&claim(), later(601)).await.unwrap().len(), 1);
    assert_eq!(b.store.claim_due(&claim(), later(602)).await.unwrap(), []);
}

async fn a_quick_sweep_finds_what_is_not_published_and_leaves_the_rest_to_a_thorough_one(b: Bench) {
    b.store.notice(&[notice("stale"), notice("given back"), bulk("bulk")], now()).await.unwrap();
    b.store.notice(&[notice("retried"), notice("dead worker's")], now()).await.unwrap();
    b.store.unpublish(&[key("given back")]).await.unwrap();
    let (lease, _) = b.take("retried").await;
    b.store.release(&lease, later(300), Some("later")).await.unwrap();
    b.take("dead worker's").await;
    let quick = Claim { republish_after: None, ..claim() };
    let taken = |nudges: Vec<Nudge>| {
        let mut ids: Vec<String> = nudges.into_iter().map(|nudge| nudge.key.source_id.into_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(taken(b.store.claim_due(&quick, later(1)).await.unwrap()), ["bulk", "given back"]);
    assert_eq!(taken(b.store.claim_due(&quick, later(700)).await.unwrap()), ["retried"]);
    assert_eq!(taken(b.store.claim_due(&quick, later(700)).await.unwrap()), [""; 0]);
    let rest = ["bulk", "dead worker's", "given back", "stale"];
    assert_eq!(taken(b.store.claim_due(&claim(), later(700)).await.unwrap()), rest);
}

async fn a_sweep_takes_live_before_bulk_and_keeps_to_its_limits(b: Bench) {
    let bulks: Vec<_> = (0..5).map(|n| bulk(&format!("b{n}"))).collect();
    b.store.notice(&bulks, now()).await.unwrap();
    b.store.notice(&[notice("live")], later(1)).await.unwrap();
    b.store.unpublish(&[key("live")]).await.unwrap();
    let mut narrow = claim();
    (narrow.limit, narrow.bulk_window) = (3, 4);
    let first = b.store.claim_due(&narrow, later(2)).await.unwrap();
    assert_eq!((first.len(), first[0].key.source_id.as_str(), first[1].lane), (3, "live", Lane::Bulk));
    assert_eq!(b.store.claim_due(&narrow, later(2)).await.unwrap().len(), 2, "two more fill the window");
    assert_eq!(b.store.claim_due(&narrow, later(2)).await.unwrap(), []);
    // One gets settled: one place in the window is free.
    let (lease, row) = b.take(first[1].key.source_id.as_str()).await;
    b.settle(&lease, &synced(&row)).await.unwrap();
    assert_eq!(b.store.claim_due(&narrow, later(2)).await.unwrap().len(), 1);
}

async fn a_sweep_leaves_skipped_bridges_future_work_and_held_records_alone(b: Bench) {
    let mut other = bulk("1");
    other.key.bridge = "inventree".into();
    b.store.notice(&[other, bulk("future"), bulk("held"), bulk("free")], now()).await.unwrap();
    let (lease, _) = b.take("future").await;
    b.store.release(&lease, later(100), Some("later")).await.unwrap();
    b.take("held").await;
    let mut picky = claim();
    picky.skip = vec!["inventree".into()];
    let nudges = b.store.claim_due(&picky, later(1)).await.unwrap();
    assert_eq!(nudges.iter().map(|n| n.key.source_id.as_str()).collect::<Vec<_>>(), ["free"]);
    assert_eq!(
        b.store.claim_due(&claim(), later(101)).await.unwrap().len(),
        3,
        "the skipped one, the one due by now, the one whose lease ran out"
    );
}

async fn an_unpublished_record_is_taken_by_the_next_sweep(b: Bench) {
    b.store.notice(&[notice("1")], now()).await.unwrap();
    b.store.unpublish(&[key("1"), key("unknown")]).await.unwrap();
    assert_eq!(b.store.claim_due(&claim(), now()).await.unwrap().len(), 1);
}

async fn two_pumps_at_once_get_disjoint_records(b: Bench) {
    let notices: Vec<_> =
        (0..200).map(|n| if n % 2 == 0 { notice(&n.to_string()) } else { bulk(&n.to_string()) }).collect();
    b.store.notice(&notices, now()).await.unwrap();
    b.store.unpublish(&notices.iter().map(|n| n.key.clone()).collect::<Vec<_>>()).await.unwrap();
    let pump = |store: tandem_store::Store| async move {
        let mut taken = Vec::new();
        let mut narrow = claim();
        narrow.limit = 20;
        for _ in 0..20 {
            taken.extend(store.claim_due(&narrow, now()).await.unwrap());
        }
        taken
    };
    let (one, two) = tokio::join!(tokio::spawn(pump(b.another().await)), tokio::spawn(pump(b.another().await)));
    let mut all: Vec<_> = one.unwrap().into_iter().chain(two.unwrap()).map(|n| n.key).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), count), (200, 200));
}

async fn a_text_with_a_nul_character_is_stored(b: Bench) {
    let (lease, row) = b.taken("a\0b").await;
    let mut dead = outcome(&row, State::Dead);
    dead.reason = "bad \0 byte".into();
    dead.log.plan = Some(serde_json::json!({"text\0": ["\0"]}));
    b.settle(&lease, &dead).await.unwrap();
    assert_eq!(b.row("a\0b").await.reason, "bad \u{fffd} byte");
    assert!(matches!(b.store.lease(&key("a\0b"), "w", ttl(), now()).await.unwrap(), Leased::Settled(State::Dead)));
}
