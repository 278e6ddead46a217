//! What only Postgres promises: the operators' queries, the price of the hot path, and life after a crash of the server.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection, Row};
use tandem_core::{Effect, Fields, Lane, Notice, RecordKey, Stamp, State, Step, Trigger, Verb};
use tandem_store::{InStep, Lease, Leased, LogEntry, Options, Retention, Settlement, Store};
use tandem_testbed::postgres::{Postgres, shared_database};

async fn migrated(url: &str) -> Store {
    let store = Store::connect(url, Options::default()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

fn key(kind: &str, id: &str) -> RecordKey {
    RecordKey::new("siagh", kind, id)
}

async fn notice(store: &Store, key: &RecordKey, trigger: Trigger) {
    let notice = Notice { key: key.clone(), hint: None, trigger, actor: "crm".into(), lane: Lane::Live };
    store.notice(&[notice], Utc::now()).await.unwrap();
}

async fn take(store: &Store, key: &RecordKey) -> Lease {
    let Leased::Taken(row) = store.lease(key, "worker", TimeDelta::seconds(60), Utc::now()).await.unwrap() else {
        panic!("not to be had")
    };
    Lease::of(&row)
}

fn settlement(state: State, trigger: Trigger, started_at: DateTime<Utc>) -> Settlement {
    let log = LogEntry { duration_ms: 250, ..LogEntry::new(started_at, trigger, "crm".into()) };
    Settlement::new(1, state, format!("because {state}"), log)
}

fn in_step() -> Option<InStep> {
    let fields = Fields::new().text("name", Some("a"));
    Some(InStep { source_checksum: fields.checksum(), fields, dest_checksum: None, stamp: Some(Stamp::new("txn-1")) })
}

/// Two customers in step, one pre-invoice refused twice in the last day, one refused ten days ago.
async fn some_history(store: &Store) {
    let now = Utc::now();
    for (id, dest) in [("c1", "101"), ("c2", "102")] {
        notice(store, &key("customer", id), Trigger::Webhook).await;
        one_step_plan(store, &key("customer", id), dest).await;
    }
    for (id, days) in [("i1", 0), ("i2", 0), ("i3", 10)] {
        notice(store, &key("pre_invoice", id), Trigger::Poll).await;
        let lease = take(store, &key("pre_invoice", id)).await;
        store.settle(&lease, &settlement(State::Dead, Trigger::Poll, now - TimeDelta::days(days)), now).await.unwrap();
    }
}

/// As operators type them.
const OPS_QUERIES: [&str; 8] = [
    r#"SELECT COUNT(*) FROM "SyncLog" WHERE status = 'SUCCESS';"#,
    r#"SELECT * FROM "SyncLog" WHERE status = 'FAILED' ORDER BY "startedAt" DESC;"#,
    r#"SELECT COUNT(*) FROM "EntityMapping";"#,
    r#"SELECT * FROM "SyncLog" ORDER BY "startedAt" DESC LIMIT 10;"#,
    r#"SELECT id, status, "triggerType", "sourceEntityId", "startedAt", "durationMs", "errorMessage"
FROM "SyncLog" WHERE "triggerType" = 'WEBHOOK' ORDER BY "startedAt" DESC LIMIT 20;"#,
    r#"SELECT status, "errorMessage", COUNT(*) AS count
FROM "SyncLog" WHERE status = 'FAILED' AND "startedAt" > NOW() - INTERVAL '24 hours'
GROUP BY status, "errorMessage" ORDER BY count DESC;"#,
    r#"SELECT "triggerType", status, COUNT(*) AS total, AVG("durationMs") AS avg_duration_ms, MAX("durationMs") AS max_duration_ms
FROM "SyncLog" WHERE "startedAt" > NOW() - INTERVAL '7 days'
GROUP BY "triggerType", status ORDER BY total DESC;"#,
    r#"SELECT id, "entityType", "crmId", "financeId", "lastSyncTransactionId", "crmChecksum", "financeChecksum", "crmUpdatedAt", "financeUpdatedAt" FROM "EntityMapping" LIMIT 10;"#,
];

#[tokio::test]
async fn the_operators_queries_run_unchanged_and_tell_the_truth() {
    let url = shared_database().await.unwrap();
    let store = migrated(&url).await;
    store.upkeep(Utc::now(), &Retention::default()).await.unwrap();
    some_history(&store).await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    let mut answers = Vec::new();
    for query in OPS_QUERIES {
        answers.push(sqlx::query(query).fetch_all(&mut db).await.unwrap());
    }
    let [successes, failures, pairs, newest, webhooks, reasons, totals, mappings] = answers.try_into().ok().unwrap();
    assert_eq!(successes[0].get::<i64, _>(0), 2);
    assert_eq!(pairs[0].get::<i64, _>(0), 2, "only what has a counterpart");
    assert_eq!((failures.len(), newest.len(), webhooks.len()), (3, 5, 2));
    assert_eq!(failures[2].get::<String, _>("sourceEntityId"), "i3", "newest first");
    assert_eq!(failures[0].get::<String, _>("entityType"), "PREINVOICE");
    assert_eq!(failures[0].get::<String, _>("errorMessage"), "because DEAD");
    let (started, completed): (DateTime<Utc>, DateTime<Utc>) =
        (failures[0].get("startedAt"), failures[0].get("completedAt"));
    assert_eq!(completed - started, TimeDelta::milliseconds(250));
    assert_eq!(
        (webhooks[0].get::<i64, _>("durationMs"), webhooks[0].get::<Option<String>, _>("errorMessage")),
        (250, None)
    );
    assert_eq!((reasons.len(), reasons[0].get::<i64, _>("count")), (1, 2), "the last day only");
    let totals: Vec<(String, String, i64)> = totals.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(totals.len(), 2);
    assert!(
        totals.contains(&("WEBHOOK".into(), "SUCCESS".into(), 2))
            && totals.contains(&("POLL".into(), "FAILED".into(), 2)),
        "{totals:?}"
    );
    assert_eq!(
        (mappings[0].get::<String, _>("entityType"), mappings[0].get::<String, _>("crmId")),
        ("CUSTOMER".into(), "c1".into())
    );
    assert_eq!(
        (mappings[0].get::<String, _>("financeId"), mappings[0].get::<String, _>("lastSyncTransactionId")),
        ("101".into(), "txn-1".into())
    );
    assert!(mappings[0].get::<Option<DateTime<Utc>>, _>("financeUpdatedAt").is_some());
    sqlx::query(r#"SELECT route, "lastReceivedAt" FROM "WebhookSubscription""#).fetch_all(&mut db).await.unwrap();
}

/// One look at a record, settled in step as its `attempt`.
async fn looked_at(store: &Store, key: &RecordKey, trigger: Trigger, attempt: u32) {
    notice(store, key, trigger).await;
    let lease = take(store, key).await;
    let mut s = settlement(State::Unchanged, trigger, Utc::now());
    s.log.attempt = attempt;
    store.settle(&lease, &s, Utc::now()).await.unwrap();
}

#[tokio::test]
async fn the_log_tells_the_direction_by_the_kind_of_record_and_counts_only_what_was_tried_again() {
    let url = shared_database().await.unwrap();
    let store = migrated(&url).await;
    looked_at(&store, &key("contact", "7"), Trigger::Replay, 1).await;
    looked_at(&store, &key("customer", "c1"), Trigger::Import, 3).await;
    store.ignore(&key("customer", "c1"), &"reza".into(), "", Utc::now()).await.unwrap();
    let mut db = PgConnection::connect(&url).await.unwrap();
    let query = r#"SELECT "sourceEntityId", direction, "retryCount" FROM "SyncLog" ORDER BY id"#;
    let rows = sqlx::query(query).fetch_all(&mut db).await.unwrap();
    let told: Vec<(String, String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected = [("7", "FINANCE_TO_CRM", 0), ("c1", "CRM_TO_FINANCE", 2), ("c1", "CRM_TO_FINANCE", 0)];
    assert_eq!(told, expected.map(|(id, direction, retries)| (id.to_owned(), direction.to_owned(), retries)));
}

fn step() -> Step {
    Step {
        name: "create".into(),
        verb: Verb::Create,
        once: true,
        payload: serde_json::json!({"name": "a"}),
        before: serde_json::Value::Null,
    }
}

/// Lease, journal, settle.
async fn one_step_plan(store: &Store, key: &RecordKey, dest: &str) {
    let now = Utc::now();
    let lease = take(store, key).await;
    let intent = store.open_intent(&lease, &step(), &Fields::new(), &Stamp::new("txn-1"), now).await.unwrap();
    let effect = Effect { dest_id: Some(dest.into()), ..Effect::default() };
    let s = Settlement {
        closes: Some((intent, effect)),
        in_step: in_step(),
        ..settlement(State::Synced, Trigger::Webhook, now)
    };
    assert_eq!(store.settle(&lease, &s, now).await.unwrap().still_open, None);
}

async fn transactions(db: &mut PgConnection) -> i64 {
    sqlx::query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetch_one(db).await.unwrap().get(0)
}

#[tokio::test]
async fn a_one_step_plan_costs_three_transactions() {
    let server = Postgres::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let store = migrated(&url).await;
    notice(&store, &key("customer", "1"), Trigger::Webhook).await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    let before = transactions(&mut db).await;
    one_step_plan(&store, &key("customer", "1"), "101").await;
    assert_eq!(transactions(&mut db).await - before, 3);
}

#[tokio::test]
async fn a_crash_of_the_server_is_unavailable_and_what_was_answered_for_is_there_afterwards() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let store = migrated(&url).await;
    notice(&store, &key("customer", "1"), Trigger::Webhook).await;
    let lease = take(&store, &key("customer", "1")).await;
    server.kill().await;
    let s = settlement(State::Dead, Trigger::Webhook, Utc::now());
    let error = store.settle(&lease, &s, Utc::now()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    server.restart().await.unwrap();
    store.settle(&lease, &s, Utc::now()).await.unwrap();
    assert_eq!(store.row(&key("customer", "1")).await.unwrap().unwrap().state, State::Dead);
}

async fn homeless(db: &mut PgConnection) -> i64 {
    sqlx::query("SELECT count(*) FROM sync_log_default").fetch_one(db).await.unwrap().get(0)
}

#[tokio::test]
async fn log_entries_move_into_their_months_partition_and_go_with_it() {
    let url = shared_database().await.unwrap();
    let store = migrated(&url).await;
    some_history(&store).await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    assert_eq!(homeless(&mut db).await, 5);
    for month in [-31, 0] {
        store.upkeep(Utc::now() + TimeDelta::days(month), &Retention::default()).await.unwrap();
    }
    assert_eq!(homeless(&mut db).await, 0);
    assert_eq!(store.log(&Default::default()).await.unwrap().len(), 5);
    // Months that are past their retention go as a whole.
    store.upkeep(Utc::now() + TimeDelta::days(800), &Retention::default()).await.unwrap();
    assert_eq!(store.log(&Default::default()).await.unwrap().len(), 0);
}
