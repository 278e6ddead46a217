//! An empty, migrated database and short words for what every test says.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tandem_core::ledger::Sighting;
use tandem_core::{Checksum, Fields, Lane, LedgerRow, Notice, RecordKey, Stamp, State, Step, Trigger, Verb};
use tandem_store::{Claim, InStep, Lease, Leased, LogEntry, Options, Settled, Settlement, Store, StoreError};

pub struct Bench {
    pub store: Store,
    url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Bench {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("tandem.db").display());
        Self::open(url, Some(folder)).await
    }
    pub async fn postgres() -> Self {
        Self::open(tandem_testbed::postgres::shared_database().await.unwrap(), None).await
    }
    async fn open(url: String, folder: Option<tempfile::TempDir>) -> Self {
        let store = Store::connect(&url, Options::default()).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, url, _folder: folder }
    }
    /// The same database through connections of its own, as another process would have.
    pub async fn another(&self) -> Store {
        self.another_with(Options::default()).await
    }
    pub async fn another_with(&self, options: Options) -> Store {
        Store::connect(&self.url, options).await.unwrap()
    }
    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }
    /// A page of the spool past the store, as one call.
    pub async fn spool_text(&self, page: &str) {
        use sqlx::Connection;
        if self.is_sqlite() {
            let sql = "INSERT INTO webhook_spool (received_at, calls, page, not_before) VALUES (?1, 1, ?2, ?1)";
            let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            let insert = sqlx::query(sql).bind(now().timestamp_micros()).bind(page);
            insert.execute(&mut connection).await.unwrap();
        } else {
            let sql = "INSERT INTO webhook_spool (received_at, calls, page, not_before) VALUES ($1, 1, $2, $1)";
            let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::query(sql).bind(now()).bind(page).execute(&mut connection).await.unwrap();
        }
    }
    /// A statement past the store.
    pub async fn execute(&self, sql: &'static str) -> u64 {
        use sqlx::Connection;
        if self.is_sqlite() {
            let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
        } else {
            let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
        }
    }

    pub async fn row(&self, id: &str) -> LedgerRow {
        self.store.row(&key(id)).await.unwrap().expect("the ledger knows the record")
    }
    /// Notices a record and takes it.
    pub async fn taken(&self, id: &str) -> (Lease, LedgerRow) {
        self.store.notice(&[notice(id)], now()).await.unwrap();
        self.take(id).await
    }
    pub async fn take(&self, id: &str) -> (Lease, LedgerRow) {
        match self.store.lease(&key(id), "worker", ttl(), now()).await.unwrap() {
            Leased::Taken(row) => (Lease::of(&row), *row),
            other => panic!("{id} was not to be had: {other:?}"),
        }
    }
    pub async fn settle(&self, lease: &Lease, settlement: &Settlement) -> Result<Settled, StoreError> {
        self.store.settle(lease, settlement, now()).await
    }
    /// A record that is in step, paired with `dest`.
    pub async fn synced(&self, id: &str, dest: &str) -> LedgerRow {
        let (lease, row) = self.taken(id).await;
        let mut settlement = synced(&row);
        settlement.dest_id = Some(dest.into());
        self.settle(&lease, &settlement).await.unwrap();
        self.row(id).await
    }
}

/// A fixed time in whole microseconds, as both databases keep it.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}
pub fn later(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}
pub fn ttl() -> TimeDelta {
    TimeDelta::seconds(60)
}
pub fn key(id: &str) -> RecordKey {
    RecordKey::new("siagh", "customer", id)
}
pub fn notice(id: &str) -> Notice {
    Notice { key: key(id), hint: None, trigger: Trigger::Webhook, actor: "crm".into(), lane: Lane::Live }
}
pub fn bulk(id: &str) -> Notice {
    Notice { lane: Lane::Bulk, trigger: Trigger::Import, actor: "tandem".into(), ..notice(id) }
}
pub fn sighting(id: &str, checksum: Option<&str>) -> Sighting {
    Sighting {
        kind: "customer".into(),
        source_id: id.into(),
        hint: None,
        checksum: checksum.map(Checksum::from_stored),
    }
}
pub fn claim() -> Claim {
    Claim { limit: 100, bulk_window: 100, republish_after: Some(TimeDelta::minutes(10)), skip: Vec::new() }
}
pub fn step(name: &str) -> Step {
    Step {
        name: name.to_owned(),
        verb: Verb::Create,
        once: true,
        payload: json!({"name": "شرکت الف"}),
        before: json!({"highest": 9001}),
    }
}
pub fn stamp() -> Stamp {
    Stamp::new("txn-1")
}
pub fn fields(name: &str) -> Fields {
    Fields::new().text("name", Some(name))
}
pub fn entry() -> LogEntry {
    LogEntry { duration_ms: 12, ..LogEntry::new(now(), Trigger::Webhook, "crm".into()) }
}
pub fn outcome(row: &LedgerRow, state: State) -> Settlement {
    Settlement::new(row.noticed, state, format!("is {state}"), entry())
}
pub fn synced(row: &LedgerRow) -> Settlement {
    let fields = fields("a");
    Settlement {
        seen_checksum: Some(fields.checksum()),
        in_step: Some(InStep { source_checksum: fields.checksum(), fields, dest_checksum: None, stamp: Some(stamp()) }),
        ..outcome(row, State::Synced)
    }
}
