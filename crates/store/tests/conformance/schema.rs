use crate::bench::*;
use std::task::Poll;
use tandem_store::{Options, Store, StoreError};

crate::conformance!(
    migrating_twice_applies_nothing_the_second_time,
    an_older_version_goes_on_beside_a_newer_schema_and_does_not_migrate_it,
    the_databases_clock_is_told_where_it_has_one,
    clones_share_one_pool_and_a_closed_store_is_unavailable,
    a_call_that_is_dropped_at_any_moment_leaves_no_transaction_behind,
);

async fn migrating_twice_applies_nothing_the_second_time(b: Bench) {
    assert!(b.store.migrate().await.unwrap().is_empty());
    assert!(b.store.pending_migrations().await.unwrap().is_empty());
    b.store.ping().await.unwrap();
}

async fn an_older_version_goes_on_beside_a_newer_schema_and_does_not_migrate_it(b: Bench) {
    b.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('9999_future', 0)").await;
    assert!(matches!(b.store.migrate().await, Err(StoreError::NotMigrated(_))));
    assert!(b.store.pending_migrations().await.unwrap().is_empty());
    b.store.ping().await.unwrap();
}

async fn the_databases_clock_is_told_where_it_has_one(b: Bench) {
    let behind = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    let skew = b.store.clock_skew(behind).await.unwrap().map(|skew| skew.num_minutes());
    assert!(matches!(skew, None | Some(60..=61)), "{skew:?}");
}

async fn clones_share_one_pool_and_a_closed_store_is_unavailable(b: Bench) {
    let clone = b.store.clone();
    b.store.close().await;
    let error = clone.ping().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

/// A call is dropped when its lease is lost or its time is up.
async fn a_call_that_is_dropped_at_any_moment_leaves_no_transaction_behind(b: Bench) {
    let store = b.another_with(Options { max_connections: 1, ..Options::default() }).await;
    for wait in 1..40 {
        let id = wait.to_string();
        store.notice(&[notice("cut")], now()).await.unwrap();
        let ended = dropped_at(wait, store.ignore(&key("cut"), &"reza".into(), "", now())).await;
        store.notice(&[notice(&id)], now()).await.unwrap();
        assert!(
            b.store.row(&key(&id)).await.unwrap().is_some(),
            "cut at wait {wait}: nobody else sees what was written"
        );
        if ended {
            return;
        }
    }
    panic!("the call never came to its end");
}

/// Drops `call` when it waits for the `n`-th time; true if it ended before.
async fn dropped_at(n: u32, call: impl Future) -> bool {
    let (mut call, mut waits) = (std::pin::pin!(call), 0);
    std::future::poll_fn(|context| {
        if call.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        waits += 1;
        if waits == n { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

/// Six migrators with connections of their own, on an empty database.
async fn race(url: String) {
    let migrators: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                let store = Store::connect(&url, Options::default()).await.unwrap();
                store.migrate().await.unwrap()
            })
        })
        .collect();
    let mut applied = Vec::new();
    for migrator in migrators {
        applied.extend(migrator.await.unwrap());
    }
    assert_eq!(applied, ["0001_ledger"], "each step exactly once");
    let store = Store::connect(&url, Options::default()).await.unwrap();
    assert!(store.pending_migrations().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_migrators_one_works_and_all_succeed_on_postgres() {
    race(tandem_testbed::postgres::shared_database().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_migrators_one_works_and_all_succeed_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    race(format!("sqlite://{}", folder.path().join("new.db").display())).await;
}

#[tokio::test]
async fn an_empty_database_names_what_is_pending_and_what_to_run() {
    let store = Store::connect("sqlite::memory:", Options::default()).await.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), ["0001_ledger"]);
    let error = store.counts().await.unwrap_err();
    assert!(matches!(&error, StoreError::NotMigrated(_)), "{error:?}");
    assert!(error.to_string().contains("tandem migrate"), "{error}");
    store.migrate().await.unwrap();
    store.notice(&[notice("1")], now()).await.unwrap();
    assert_eq!(store.counts().await.unwrap().len(), 1, "in memory there is one connection, and it stays");
}

#[tokio::test]
async fn an_address_nobody_listens_at_is_unavailable_and_its_password_is_not_told() {
    let options = Options { acquire_timeout: std::time::Duration::from_millis(500), ..Options::default() };
    let error = Store::connect("postgres://tandem:hunter2@127.0.0.1:1/tandem", options).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{error}");
    assert!(!error.to_string().contains('\n'));
}
