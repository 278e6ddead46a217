//! The spool: webhook calls that came in a crowd, stored page by page as they are and entered into inbox and ledger later.
//!
//! A page costs one row however many calls it holds, so calls are durable at once even when they come faster than the
//! ledger takes notices. Entering a page is one transaction that takes it out of the spool too: each call is entered
//! exactly once, whoever does it and whatever is killed meanwhile. Nothing is ever dropped here: what can't be entered
//! stays and is tried again, and keeps nobody else back.

use crate::db::{Tx, retried};
use crate::webhooks::enter;
use crate::{InboxEntry, Result, Store, StoreError, Unspooled};
use chrono::{DateTime, TimeDelta, Utc};

/// When a call that could not be entered is tried again.
const TRIED_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(5);

impl Store {
    /// Stores webhook calls as one page: once this returns, nothing of them can be lost. Nothing is noticed yet.
    pub async fn spool(&self, calls: &[InboxEntry], now: DateTime<Utc>) -> Result<()> {
        if calls.is_empty() {
            return Ok(());
        }
        let page = page_of(calls)?;
        let params = self.params().time("at", now).int("calls", count(calls)).text("page", page).time("now", now);
        let statement = params.sql(PAGE);
        retried!(self.execute(statement.clone())).map(drop)
    }

    /// Enters the calls of the oldest page that nobody else is about to enter, as [`accept`](Self::accept) would have
    /// done; `None` = there is none.
    ///
    /// A page that the database refuses is parted into pages of one call each, behind all others. A call that is refused
    /// even alone, and a page that can't be read, are left for five minutes.
    pub async fn unspool(&self, now: DateTime<Utc>) -> Result<Option<Unspooled>> {
        retried!(self.unspool_once(now))
    }

    async fn unspool_once(&self, now: DateTime<Utc>) -> Result<Option<Unspooled>> {
        let tx = self.begin().await?;
        let Some(page) = Page::take(&tx, now).await? else { return Ok(None) };
        let entered = match page.calls() {
            Ok(calls) => enter(&tx, &calls, page.received_at, now).await.map(|nudges| (calls.len(), nudges)),
            Err(unreadable) => Err(unreadable),
        };
        match entered {
            Ok((calls, nudges)) => {
                tx.commit().await?;
                Ok(Some(Unspooled { calls, nudges, refused: None, since: page.received_at }))
            }
            // Nothing is wrong with the page.
            Err(error @ (StoreError::Unavailable(_) | StoreError::Contended(_) | StoreError::NotMigrated(_))) => {
                Err(error)
            }
            Err(error) => {
                tx.rollback().await?;
                let refused = self.put_back(&page, now).await?.then_some(error);
                Ok(Some(Unspooled { calls: 0, nudges: Vec::new(), refused, since: page.received_at }))
            }
        }
    }

    /// Makes a page of each call of a page that could not be entered. True if there was but one page to be made, so that
    /// it has to wait.
    async fn put_back(&self, page: &Page, now: DateTime<Utc>) -> Result<bool> {
        let tx = self.begin().await?;
        let calls = page.calls().unwrap_or_default();
        let alone = calls.len() < 2;
        if alone {
            let params = tx.params().int("id", page.id).time("later", now + TRIED_AGAIN_AFTER);
            tx.execute(params.sql("UPDATE webhook_spool SET not_before = :later WHERE id = :id")).await?;
        } else if tx.execute(tx.params().int("id", page.id).sql("DELETE FROM webhook_spool WHERE id = :id")).await? == 1
        {
            for call in calls.chunks(1) {
                let params = tx.params().time("at", page.received_at).int("calls", count(call)).time("now", now);
                tx.execute(params.text("page", page_of(call)?).sql(PAGE)).await?;
            }
        }
        tx.commit().await?;
        Ok(alone)
    }
}

const PAGE: &str = "INSERT INTO webhook_spool (received_at, calls, page, not_before) VALUES (:at, :calls, :page, :now)";

struct Page {
    id: i64,
    received_at: DateTime<Utc>,
    text: String,
}

impl Page {
    async fn take(tx: &Tx, now: DateTime<Utc>) -> Result<Option<Self>> {
        let free = tx.dialect.hold_free();
        let sql = format!(
            "DELETE FROM webhook_spool
             WHERE id = (SELECT id FROM webhook_spool WHERE not_before <= :now ORDER BY id LIMIT 1 {free})
             RETURNING id, received_at, page"
        );
        let Some(row) = tx.one(tx.params().time("now", now).sql(&sql)).await? else { return Ok(None) };
        Ok(Some(Self { id: row.int("id")?, received_at: row.time("received_at")?, text: row.text("page")? }))
    }

    fn calls(&self) -> Result<Vec<InboxEntry>> {
        serde_json::from_str(&self.text).map_err(|_| StoreError::unreadable("page of webhook calls"))
    }
}

fn page_of(calls: &[InboxEntry]) -> Result<String> {
    serde_json::to_string(calls).map_err(|_| StoreError::Db("a webhook call can't be written down".to_owned()))
}

fn count(calls: &[InboxEntry]) -> i64 {
    i64::try_from(calls.len()).unwrap_or(i64::MAX)
}
