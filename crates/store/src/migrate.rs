//! The schema: SQL files from `migrations/`, one per step and database, applied in order inside one locked transaction.
//!
//! Any number of processes may migrate at once: the first does it, the others wait and find nothing to do. There
//! is no way back down; see `migrations/README.md` for why that is safe.

use crate::db::Tx;
use crate::dialect::Dialect;
use crate::{Result, Store, StoreError};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

struct Step {
    name: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
}

/// Every step, in order. A step that was released is never edited.
const STEPS: &[Step] = &[Step {
    name: "0001_ledger",
    postgres: include_str!("../../../migrations/postgres/0001_ledger.sql"),
    sqlite: include_str!("../../../migrations/sqlite/0001_ledger.sql"),
}];

/// Any number will do, as long as nobody else in the same database uses it as an advisory lock.
const MIGRATION_LOCK: i64 = 7_263_646_501;

struct File(&'static Step);

impl MigrationName for File {
    fn name(&self) -> &str {
        self.0.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for File {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let sql = match connection.get_database_backend() {
            DbBackend::Postgres => self.0.postgres,
            _ => self.0.sqlite,
        };
        connection.execute_unprepared(sql).await.map(drop)
    }
    /// All steps share one outer transaction.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        STEPS.iter().map(|step| Box::new(File(step)) as Box<dyn MigrationTrait>).collect()
    }
}

impl Store {
    /// Brings the schema up to date; answers the names of the steps that were applied, none if it was.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        let tx = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            tx.script(&format!("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                .await?;
        }
        let pending = pending(&tx).await?;
        Migrator::up(tx.connection(), None).await?;
        tx.commit().await?;
        Ok(pending)
    }

    /// The steps that [`migrate`](Self::migrate) would apply. Changes nothing. Steps of a newer version are no concern of
    /// ours: they were made so that this version can go on beside them (see migrations/README.md).
    pub async fn pending_migrations(&self) -> Result<Vec<String>> {
        let known = match self.dialect {
            Dialect::Postgres => {
                "SELECT count(*) AS n FROM information_schema.tables WHERE table_name = 'seaql_migrations' AND table_schema = current_schema()"
            }
            Dialect::Sqlite => {
                "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'"
            }
        };
        let nothing_yet =
            self.read(self.params().sql(known)).await?.first().map(|row| row.int("n")).transpose()? == Some(0);
        let applied = if nothing_yet {
            Vec::new()
        } else {
            self.read(self.params().sql("SELECT version FROM seaql_migrations")).await?
        };
        let applied = applied.iter().map(|row| row.text("version")).collect::<Result<Vec<_>>>()?;
        Ok(STEPS.iter().map(|step| step.name.to_owned()).filter(|name| !applied.contains(name)).collect())
    }
}

async fn pending(tx: &Tx) -> Result<Vec<String>> {
    let pending = Migrator::get_pending_migrations(tx.connection()).await.map_err(|error| match error {
        DbErr::Custom(_) => StoreError::NotMigrated("it was made by a newer version of Tandem".to_owned()),
        other => other.into(),
    })?;
    Ok(pending.iter().map(|step| step.name().to_owned()).collect())
}
