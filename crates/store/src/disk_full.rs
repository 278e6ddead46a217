//! A disk that fills up in the middle of things, on SQLite. The limit is set on the store's own connection, of which there is
//! only one, so every write meets it.

use crate::{InboxEntry, Lease, Leased, LogEntry, Options, Settlement, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use tandem_core::{Lane, Notice, RecordKey, State, Trigger};

async fn pages(store: &Store, limit: u32) {
    store.read(store.params().sql(&format!("PRAGMA max_page_count = {limit}"))).await.unwrap();
}

/// No page more than the file has.
async fn fill(store: &Store) {
    pages(store, 1).await;
}

fn notice(id: &str) -> Notice {
    Notice {
        key: RecordKey::new("siagh", "customer", id),
        hint: None,
        trigger: Trigger::Webhook,
        actor: "crm".into(),
        lane: Lane::Live,
    }
}

fn call(id: &str) -> InboxEntry {
    let notice = Notice { hint: Some("x".repeat(20_000)), ..notice(id) };
    let (route, remote) = ("customer".to_owned(), "10.0.0.1".to_owned());
    InboxEntry {
        id: uuid::Uuid::now_v7(),
        route,
        remote,
        event: None,
        kind_word: None,
        label: None,
        notice: Some(notice),
        note: None,
    }
}

#[tokio::test]
async fn a_full_disk_is_unavailable_leaves_nothing_half_done_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("tandem.db").display());
    let store = Store::connect(&url, Options { max_connections: 1, ..Options::default() }).await.unwrap();
    store.migrate().await.unwrap();
    let now: DateTime<Utc> = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    store.notice(&[notice("1")], now).await.unwrap();
    let Leased::Taken(row) = store.lease(&notice("1").key, "w", TimeDelta::seconds(60), now).await.unwrap() else {
        panic!("not to be had")
    };
    let lease = Lease::of(&row);
    let mut settlement = Settlement::new(1, State::Dead, "refused", LogEntry::new(now, Trigger::Webhook, "crm".into()));
    // The row itself still fits into its page; the log entry does not.
    settlement.log.notes = vec!["x".repeat(50_000)];

    fill(&store).await;
    let refusals =
        [store.settle(&lease, &settlement, now).await.map(drop), store.accept(&[call("2")], now).await.map(drop)];
    for refusal in refusals {
        assert!(matches!(refusal, Err(StoreError::Unavailable(_))), "{refusal:?}");
    }
    assert_eq!(store.row(&row.key).await.unwrap().as_ref(), Some(&*row), "still held, nothing settled");
    assert_eq!(store.row(&notice("2").key).await.unwrap(), None);
    assert!(store.log(&Default::default()).await.unwrap().is_empty());
    assert!(store.webhook_events(9).await.unwrap().is_empty() && store.webhook_routes().await.unwrap().is_empty());

    pages(&store, 1_000_000).await;
    store.settle(&lease, &settlement, now).await.unwrap();
    store.accept(&[call("2")], now).await.unwrap();
    assert_eq!(
        (store.log(&Default::default()).await.unwrap().len(), store.webhook_events(9).await.unwrap().len()),
        (1, 1)
    );
}
