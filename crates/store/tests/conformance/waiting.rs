use crate::bench::*;
use tandem_core::ledger::{waits_for_mapping, waits_for_record};
use tandem_core::plan::Pair;
use tandem_core::{Effect, LedgerRow, State};
use tandem_store::{Mapping, Settlement};

crate::conformance!(
    a_record_that_waits_goes_on_when_the_other_is_in_step,
    the_awaited_record_is_noticed_unless_it_moves_by_itself,
    a_record_does_not_wait_for_what_is_there_already,
    an_awaited_record_that_failed_releases_nobody,
    an_awaited_record_that_turns_out_to_be_a_duplicate_releases_those_who_wait,
    a_record_does_not_wait_for_a_duplicate_at_rest,
    a_pair_releases_those_who_wait_for_it,
    no_wake_up_is_missed_when_parking_and_arrival_race,
    two_records_that_wait_for_each_other_do_not_spin,
    a_record_that_needs_a_mapping_goes_on_when_it_is_set,
    no_mapping_is_missed_when_parking_and_setting_race,
    a_notice_ends_the_wait,
);

fn waiting(row: &LedgerRow, on: &str) -> Settlement {
    Settlement {
        waits_for: Some(waits_for_record(&key(on))),
        also_notice: Some(notice(on)),
        ..outcome(row, State::Waiting)
    }
}

async fn a_record_that_waits_goes_on_when_the_other_is_in_step(b: Bench) {
    let (lease, row) = b.taken("invoice").await;
    let settled = b.settle(&lease, &waiting(&row, "customer")).await.unwrap();
    assert_eq!(settled.still_open, None);
    assert_eq!(
        settled.released.iter().map(|n| &n.key).collect::<Vec<_>>(),
        [&key("customer")],
        "the dependency is noticed"
    );
    let parked = b.row("invoice").await;
    assert_eq!(
        (parked.state, parked.is_open(), parked.waits_for),
        (State::Waiting, false, Some(waits_for_record(&key("customer"))))
    );
    let (lease, row) = b.take("customer").await;
    let settled = b.store.settle(&lease, &synced(&row), later(2)).await.unwrap();
    assert_eq!(settled.released.iter().map(|n| &n.key).collect::<Vec<_>>(), [&key("invoice")]);
    let released = b.row("invoice").await;
    assert_eq!(
        (released.state, released.is_open(), released.due_at, released.waits_for, released.trigger),
        (State::Pending, true, later(2), None, row.trigger)
    );
    // And nobody is released twice.
    let (lease, row) = b.taken("customer").await;
    assert_eq!(b.settle(&lease, &synced(&row)).await.unwrap().released, []);
}

async fn the_awaited_record_is_noticed_unless_it_moves_by_itself(b: Bench) {
    b.store.notice(&[notice("open")], now()).await.unwrap();
    for state in [State::Dead, State::NeedsReview] {
        let (lease, row) = b.taken(state.as_str()).await;
        b.settle(&lease, &outcome(&row, state)).await.unwrap();
    }
    b.store.notice(&[notice("ignored")], now()).await.unwrap();
    b.store.ignore(&key("ignored"), &"reza".into(), "", now()).await.unwrap();
    for (on, noticed) in [("open", 1), ("DEAD", 2), ("NEEDS_REVIEW", 1), ("ignored", 1)] {
        let (lease, row) = b.taken(&format!("waits for {on}")).await;
        b.settle(&lease, &waiting(&row, on)).await.unwrap();
        assert_eq!(b.row(on).await.noticed, noticed, "{on}");
    }
}

async fn a_record_does_not_wait_for_what_is_there_already(b: Bench) {
    b.synced("customer", "42").await;
    let (lease, row) = b.taken("invoice").await;
    let settled = b.store.settle(&lease, &waiting(&row, "customer"), later(1)).await.unwrap();
    assert_eq!(
        (settled.still_open.map(|(n, due)| (n.key, due)), settled.released),
        (Some((key("invoice"), later(1))), vec![])
    );
    let row = b.row("invoice").await;
    assert_eq!((row.state, row.is_open(), row.waits_for, row.due_at), (State::Pending, true, None, later(1)));
    assert!(!b.row("customer").await.is_open());
}

async fn an_awaited_record_that_failed_releases_nobody(b: Bench) {
    let (lease, row) = b.taken("invoice").await;
    b.settle(&lease, &waiting(&row, "customer")).await.unwrap();
    let (lease, row) = b.take("customer").await;
    assert_eq!(b.settle(&lease, &outcome(&row, State::Dead)).await.unwrap().released, []);
    assert_eq!(b.row("invoice").await.state, State::Waiting);
    // Repaired, it does.
    let (lease, row) = b.taken("customer").await;
    assert_eq!(b.settle(&lease, &synced(&row)).await.unwrap().released.len(), 1);
}

async fn an_awaited_record_that_turns_out_to_be_a_duplicate_releases_those_who_wait(b: Bench) {
    let (lease, row) = b.taken("invoice").await;
    b.settle(&lease, &waiting(&row, "customer")).await.unwrap();
    let (lease, row) = b.take("customer").await;
    let settled = b.settle(&lease, &outcome(&row, State::Duplicate)).await.unwrap();
    assert_eq!(settled.released.iter().map(|n| &n.key).collect::<Vec<_>>(), [&key("invoice")]);
    assert!(b.row("invoice").await.is_open());
}

async fn a_record_does_not_wait_for_a_duplicate_at_rest(b: Bench) {
    let (lease, row) = b.taken("customer").await;
    b.settle(&lease, &outcome(&row, State::Duplicate)).await.unwrap();
    let (lease, row) = b.taken("invoice").await;
    let settled = b.settle(&lease, &waiting(&row, "customer")).await.unwrap();
    assert_eq!((settled.still_open.map(|(nudge, _)| nudge.key), settled.released), (Some(key("invoice")), vec![]));
    assert!(!b.row("customer").await.is_open(), "nothing is to be done about it");
}

async fn a_pair_releases_those_who_wait_for_it(b: Bench) {
    let (lease, row) = b.taken("invoice").await;
    b.settle(&lease, &waiting(&row, "customer")).await.unwrap();
    let (lease, row) = b.taken("import").await;
    let intent = b.store.open_intent(&lease, &step("create"), &fields("a"), &stamp(), now()).await.unwrap();
    let pair = Pair {
        key: key("customer"),
        dest_id: "42".into(),
        source_checksum: None,
        hint: None,
        reason: "imported".into(),
    };
    let mut s = synced(&row);
    s.closes = Some((intent, Effect { pairs: vec![pair], ..Effect::default() }));
    let released = b.settle(&lease, &s).await.unwrap().released;
    assert_eq!(released.iter().map(|n| &n.key).collect::<Vec<_>>(), [&key("invoice")]);
}

async fn no_wake_up_is_missed_when_parking_and_arrival_race(b: Bench) {
    for round in 0..40 {
        let (customer, invoice) = (format!("c{round}"), format!("i{round}"));
        let (customer_lease, customer_row) = b.taken(&customer).await;
        let (invoice_lease, invoice_row) = b.taken(&invoice).await;
        let (one, two) = (b.another().await, b.another().await);
        let park = waiting(&invoice_row, &customer);
        let arrives = synced(&customer_row);
        let parking = tokio::spawn(async move { one.settle(&invoice_lease, &park, now()).await.unwrap() });
        let arrival = tokio::spawn(async move { two.settle(&customer_lease, &arrives, now()).await.unwrap() });
        let (parked, arrived) = (parking.await.unwrap(), arrival.await.unwrap());
        let woken = arrived.released.iter().any(|n| n.key == key(&invoice));
        assert!(b.row(&invoice).await.is_open(), "round {round}: nobody will ever wake it up");
        assert!(woken != parked.still_open.is_some(), "round {round}: woken {woken}, {parked:?}");
        one_round_is_over(&b, &invoice).await;
    }
}

async fn one_round_is_over(b: &Bench, id: &str) {
    let (lease, row) = b.take(id).await;
    b.settle(&lease, &synced(&row)).await.unwrap();
}

async fn two_records_that_wait_for_each_other_do_not_spin(b: Bench) {
    let (lease, row) = b.taken("x").await;
    b.settle(&lease, &waiting(&row, "y")).await.unwrap();
    let (lease, row) = b.take("y").await;
    let settled = b.settle(&lease, &waiting(&row, "x")).await.unwrap();
    assert_eq!((settled.still_open, settled.released), (None, vec![]));
    assert!(b.store.leftovers(now()).await.unwrap().is_empty());
}

fn unmapped(row: &LedgerRow, value: &str) -> Settlement {
    Settlement {
        waits_for: Some(waits_for_mapping(&"siagh".into(), "city", value)),
        ..outcome(row, State::NeedsMapping)
    }
}

fn city(source: &str, target: &str) -> Mapping {
    Mapping { typ: "city".into(), source: source.into(), target: target.into(), note: None }
}

async fn a_record_that_needs_a_mapping_goes_on_when_it_is_set(b: Bench) {
    let (lease, row) = b.taken("1").await;
    // As a bridge may have it: with an Arabic kaf. The operator types a Persian one.
    b.settle(&lease, &unmapped(&row, "كرج")).await.unwrap();
    assert_eq!(b.row("1").await.state, State::NeedsMapping);
    let change = b
        .store
        .set_mappings(&"siagh".into(), &[city("تهران", "1"), city(" کرج", "2")], &"reza".into(), now())
        .await
        .unwrap();
    assert_eq!((change.set, change.unchanged, change.released.len()), (2, 0, 1));
    assert!(b.row("1").await.is_open());
    assert_eq!(b.store.mapping(&"siagh".into(), "city", "كرج").await.unwrap().as_deref(), Some("2"));
    // It is there by now: nothing waits for it again.
    let (lease, row) = b.take("1").await;
    assert!(b.settle(&lease, &unmapped(&row, "كرج")).await.unwrap().still_open.is_some());
}

async fn no_mapping_is_missed_when_parking_and_setting_race(b: Bench) {
    for round in 0..30 {
        let (id, value) = (format!("r{round}"), format!("v{round}"));
        let (lease, row) = b.taken(&id).await;
        let (one, two) = (b.another().await, b.another().await);
        let park = unmapped(&row, &value);
        let parking = tokio::spawn(async move { one.settle(&lease, &park, now()).await.unwrap() });
        let setting = tokio::spawn(async move {
            two.set_mappings(&"siagh".into(), &[city(&value, "1")], &"reza".into(), now()).await.unwrap()
        });
        parking.await.unwrap();
        setting.await.unwrap();
        assert!(b.row(&id).await.is_open(), "round {round}: nobody will ever wake it up");
        one_round_is_over(&b, &id).await;
    }
}

async fn a_notice_ends_the_wait(b: Bench) {
    let (lease, row) = b.taken("1").await;
    b.settle(&lease, &unmapped(&row, "v")).await.unwrap();
    b.store.notice(&[notice("1")], now()).await.unwrap();
    assert_eq!((b.row("1").await.state, b.row("1").await.waits_for), (State::Pending, None));
    let change = b.store.set_mappings(&"siagh".into(), &[city("v", "1")], &"reza".into(), now()).await.unwrap();
    assert_eq!(change.released, []);
}
