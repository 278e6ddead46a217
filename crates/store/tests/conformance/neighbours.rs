use crate::bench::*;
use std::time::Duration;
use tandem_core::{BridgeId, JobId};
use tandem_store::{Circuit, JobChange, JobLease, Mapping, Retention, Store, StoreError};

crate::conformance!(
    a_new_job_is_due_at_once_and_one_process_gets_it,
    a_job_without_a_period_runs_only_when_asked,
    a_crashed_run_is_resumed_where_it_stood_and_closed_as_abandoned,
    a_job_that_is_renewed_is_nobody_elses,
    whoever_lost_a_job_can_save_and_finish_no_more,
    a_failed_run_keeps_its_page_and_a_good_one_forgets_it,
    an_operators_period_and_switch_outlive_the_settings,
    mappings_are_kept_as_typed_and_found_normalized,
    an_open_circuit_keeps_its_first_time_and_closing_publishes_again,
    upkeep_removes_what_is_past_its_retention_and_nothing_else,
    old_work_that_is_not_due_soon_may_be_left_out_of_the_count,
);

fn poll() -> (BridgeId, JobId) {
    ("siagh".into(), "poll".into())
}

async fn take(store: &Store, force: bool, at: i64) -> Option<JobLease> {
    let (bridge, job) = poll();
    store.take_job(&bridge, &job, "me", ttl(), force, later(at)).await.unwrap()
}

async fn a_new_job_is_due_at_once_and_one_process_gets_it(b: Bench) {
    let (bridge, job) = poll();
    assert_eq!(take(&b.store, true, 0).await, None, "unknown");
    b.store.ensure_job(&bridge, &job, Some(Duration::from_secs(300)), now()).await.unwrap();
    let (one, two) = (b.another().await, b.another().await);
    let (first, second) = tokio::join!(
        tokio::spawn(async move { take(&one, false, 0).await }),
        tokio::spawn(async move { take(&two, false, 0).await })
    );
    let got: Vec<_> = [first.unwrap(), second.unwrap()].into_iter().flatten().collect();
    assert_eq!(got.len(), 1);
    b.store.save_job(&got[0], None, Some("w1"), 3, 10, now(), ttl()).await.unwrap();
    b.store.finish_job(&got[0], Ok(()), later(10)).await.unwrap();
    assert_eq!(take(&b.store, false, 11).await, None, "not due");
    let next = take(&b.store, false, 310).await.expect("due again");
    assert_eq!((next.watermark.as_deref(), next.page), (Some("w1"), None));
    let runs = b.store.runs(Some(&bridge), 10).await.unwrap();
    assert_eq!(runs.iter().map(|r| r.status.as_str()).collect::<Vec<_>>(), ["RUNNING", "DONE"]);
    assert_eq!((runs[1].noticed, runs[1].seen, runs[1].finished_at), (3, 10, Some(later(10))));
}

async fn a_job_without_a_period_runs_only_when_asked(b: Bench) {
    let (bridge, job) = poll();
    b.store.ensure_job(&bridge, &job, None, now()).await.unwrap();
    assert_eq!(take(&b.store, false, 9_999).await, None);
    let lease = take(&b.store, true, 0).await.expect("asked for");
    assert_eq!(take(&b.store, true, 1).await, None, "it runs");
    b.store.finish_job(&lease, Ok(()), later(2)).await.unwrap();
    assert_eq!(b.store.jobs().await.unwrap()[0].next_at, None);
}

async fn a_crashed_run_is_resumed_where_it_stood_and_closed_as_abandoned(b: Bench) {
    let (bridge, job) = poll();
    b.store.ensure_job(&bridge, &job, Some(Duration::from_secs(300)), now()).await.unwrap();
    let crashed = take(&b.store, false, 0).await.unwrap();
    b.store.save_job(&crashed, Some("page 7"), None, 1, 1, now(), ttl()).await.unwrap();
    let next = take(&b.store, false, 61).await.expect("its lease has run out");
    assert_eq!((next.page.as_deref(), next.watermark), (Some("page 7"), None));
    let states: Vec<_> = b.store.runs(None, 10).await.unwrap().into_iter().map(|r| r.status).collect();
    assert_eq!(states, ["RUNNING", "ABANDONED"]);
}

async fn a_job_that_is_renewed_is_nobody_elses(b: Bench) {
    let (bridge, job) = poll();
    b.store.ensure_job(&bridge, &job, Some(Duration::from_secs(300)), now()).await.unwrap();
    let lease = take(&b.store, false, 0).await.unwrap();
    b.store.renew_job(&lease, later(100)).await.unwrap();
    assert_eq!(take(&b.store, true, 99).await, None);
    assert!(take(&b.store, true, 101).await.is_some());
    assert!(matches!(b.store.renew_job(&lease, later(200)).await, Err(StoreError::LostLease)));
}

async fn whoever_lost_a_job_can_save_and_finish_no_more(b: Bench) {
    let (bridge, job) = poll();
    b.store.ensure_job(&bridge, &job, Some(Duration::from_secs(300)), now()).await.unwrap();
    let old = take(&b.store, false, 0).await.unwrap();
    let new = take(&b.store, false, 61).await.unwrap();
    assert!(matches!(
        b.store.save_job(&old, Some("x"), Some("x"), 0, 0, now(), ttl()).await,
        Err(StoreError::LostLease)
    ));
    assert!(matches!(b.store.finish_job(&old, Ok(()), now()).await, Err(StoreError::LostLease)));
    let row = &b.store.jobs().await.unwrap()[0];
    assert_eq!((&row.page, &row.watermark), (&None, &None));
    b.store.finish_job(&new, Ok(()), later(62)).await.unwrap();
    assert!(
        matches!(b.store.finish_job(&new, Ok(()), later(63)).await, Err(StoreError::LostLease)),
        "once finished, the lease is over"
    );
}

async fn a_failed_run_keeps_its_page_and_a_good_one_forgets_it(b: Bench) {
    let (bridge, job) = poll();
    b.store.ensure_job(&bridge, &job, Some(Duration::from_secs(300)), now()).await.unwrap();
    let lease = take(&b.store, false, 0).await.unwrap();
    b.store.save_job(&lease, Some("page 3"), None, 0, 0, now(), ttl()).await.unwrap();
    b.store.finish_job(&lease, Err("the CRM does not answer".into()), now()).await.unwrap();
    assert_eq!(b.store.runs(None, 1).await.unwrap()[0].error.as_deref(), Some("the CRM does not answer"));
    let lease = take(&b.store, false, 300).await.unwrap();
    assert_eq!(lease.page.as_deref(), Some("page 3"));
    b.store.finish_job(&lease, Ok(()), later(301)).await.unwrap();
    assert_eq!(b.store.jobs().await.unwrap()[0].page, None);
}

async fn an_operators_period_and_switch_outlive_the_settings(b: Bench) {
    let (bridge, job) = poll();
    b.store.ensure_job(&bridge, &job, Some(Duration::from_secs(300)), now()).await.unwrap();
    let lease = take(&b.store, false, 0).await.unwrap();
    b.store.finish_job(&lease, Ok(()), now()).await.unwrap();
    let change = JobChange { enabled: Some(false), every: Some(Duration::from_secs(60)) };
    assert!(b.store.set_job(&bridge, &job, &change, now()).await.unwrap());
    assert!(!b.store.set_job(&bridge, &"other".into(), &change, now()).await.unwrap());
    b.store.ensure_job(&bridge, &job, Some(Duration::from_secs(500)), now()).await.unwrap();
    let row = b.store.jobs().await.unwrap().remove(0);
    assert_eq!((row.enabled, row.every, row.next_at), (false, Some(Duration::from_secs(60)), Some(later(60))));
    assert_eq!(take(&b.store, false, 100).await, None, "switched off");
    b.store.set_job(&bridge, &job, &JobChange { enabled: Some(true), every: None }, now()).await.unwrap();
    assert!(take(&b.store, false, 100).await.is_some());
}

async fn mappings_are_kept_as_typed_and_found_normalized(b: Bench) {
    let bridge: BridgeId = "siagh".into();
    let city = |source: &str, target: &str, note: Option<&str>| Mapping {
        typ: "city".into(),
        source: source.into(),
        target: target.into(),
        note: note.map(str::to_owned),
    };
    let unit = Mapping { typ: "unit".into(), ..city("عدد", "9", None) };
    let set =
        b.store.set_mappings(&bridge, &[city("كرج", "2", None), unit.clone()], &"reza".into(), now()).await.unwrap();
    assert_eq!((set.set, set.unchanged), (2, 0));
    let set =
        b.store.set_mappings(&bridge, &[city("كرج", "2", None), unit.clone()], &"reza".into(), now()).await.unwrap();
    assert_eq!((set.set, set.unchanged), (0, 2));
    let set =
        b.store.set_mappings(&bridge, &[city("كرج", "2", Some("since 1404"))], &"reza".into(), now()).await.unwrap();
    assert_eq!((set.set, set.unchanged), (1, 0));
    assert_eq!(b.store.mappings(&bridge, Some("city")).await.unwrap(), [city("كرج", "2", Some("since 1404"))]);
    assert_eq!(b.store.mappings(&bridge, None).await.unwrap().len(), 2);
    assert_eq!(b.store.mapping(&bridge, "city", " کرج ").await.unwrap().as_deref(), Some("2"));
    assert!(b.store.delete_mapping(&bridge, "city", "کرج").await.unwrap());
    assert!(!b.store.delete_mapping(&bridge, "city", "کرج").await.unwrap());
    assert_eq!(b.store.mapping(&bridge, "city", "کرج").await.unwrap(), None);
}

async fn an_open_circuit_keeps_its_first_time_and_closing_publishes_again(b: Bench) {
    let circuit = Circuit {
        bridge: "siagh".into(),
        reason: "unreachable".into(),
        code: "siagh.unreachable".into(),
        opened_at: now(),
        probe_at: later(30),
        failures: 1,
    };
    b.store.open_circuit(&circuit).await.unwrap();
    let again = Circuit { opened_at: later(30), probe_at: later(90), failures: 2, ..circuit.clone() };
    b.store.open_circuit(&again).await.unwrap();
    assert_eq!(b.store.circuits().await.unwrap(), [Circuit { opened_at: now(), ..again }]);
    b.store.notice(&[notice("1")], now()).await.unwrap();
    assert_eq!(b.store.claim_due(&claim(), now()).await.unwrap(), []);
    assert!(b.store.close_circuit(&"siagh".into()).await.unwrap());
    assert!(!b.store.close_circuit(&"siagh".into()).await.unwrap());
    assert_eq!(b.store.claim_due(&claim(), now()).await.unwrap().len(), 1);
    assert!(b.store.circuits().await.unwrap().is_empty());
}

async fn upkeep_removes_what_is_past_its_retention_and_nothing_else(b: Bench) {
    let (bridge, job) = poll();
    b.store.ensure_job(&bridge, &job, Some(Duration::from_secs(1)), now()).await.unwrap();
    for (id, day) in [("old", 0), ("new", 350)] {
        let at = later(day * 86_400);
        b.store.notice(&[notice(id)], at).await.unwrap();
        let entry = tandem_store::InboxEntry {
            id: uuid::Uuid::now_v7(),
            route: "r".into(),
            remote: String::new(),
            event: None,
            kind_word: None,
            label: None,
            notice: None,
            note: None,
        };
        b.store.accept(&[entry], at).await.unwrap();
        let tandem_store::Leased::Taken(row) = b.store.lease(&key(id), "w", ttl(), at).await.unwrap() else {
            panic!("not to be had")
        };
        let lease = tandem_store::Lease::of(&row);
        b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), at).await.unwrap();
        let mut s = synced(&row);
        s.log.started_at = at;
        b.store.settle(&lease, &s, at).await.unwrap();
        let run = take(&b.store, true, day * 86_400).await.unwrap();
        b.store.finish_job(&run, Ok(()), at).await.unwrap();
    }
    let log = b.store.log(&Default::default()).await.unwrap();
    assert_eq!(
        (log.len(), b.store.webhook_events(9).await.unwrap().len(), b.store.runs(None, 9).await.unwrap().len()),
        (2, 2, 2)
    );
    let retention = Retention { log_days: 100, inbox_days: 14, runs_days: 90 };
    for day in [351, 351, 380] {
        b.store.upkeep(later(day * 86_400), &retention).await.unwrap();
    }
    let log = b.store.log(&Default::default()).await.unwrap();
    assert_eq!(log.iter().map(|e| e.key.source_id.as_str()).collect::<Vec<_>>(), ["new"]);
    assert_eq!((b.store.webhook_events(9).await.unwrap().len(), b.store.runs(None, 9).await.unwrap().len()), (0, 1));
    assert_eq!(b.execute("DELETE FROM effect_journal").await, 1, "one intent is kept");
    assert_eq!(b.row("old").await.state, tandem_core::State::Synced, "the ledger forgets nothing");
}

async fn old_work_that_is_not_due_soon_may_be_left_out_of_the_count(b: Bench) {
    for (id, due) in [("later", 300), ("soon", 90)] {
        let (lease, _) = b.taken(id).await;
        b.store.release(&lease, later(due), Some("not yet")).await.unwrap();
    }
    b.store.notice(&[notice("new")], later(40)).await.unwrap();
    let open = async |since| b.store.open_work_since(None, since, later(40)).await.unwrap().open;
    assert_eq!((open(None).await, open(Some(later(40))).await), (3, 2));
}
