//! The spool: webhook calls that came in a crowd, stored page by page as they are and entered into inbox and ledger later.
//!
//! A page costs one row however many calls it holds, so calls are durable at once even when they come faster than the
//! ledger takes notices. Entering a page is one transaction that takes it out of the spool too: each call is entered
//! exactly once, whoever does it and whatever is killed meanwhile.

use crate::db::{Tx, retried};
use crate::webhooks::enter;
use crate::{InboxEntry, Result, Store, StoreError, Unspooled};
use chrono::{DateTime, Utc};

impl Store {
    /// Stores webhook calls as one page: once this returns, nothing of them can be lost. Nothing is noticed yet.
    pub async fn spool(&self, calls: &[InboxEntry], now: DateTime<Utc>) -> Result<()> {
        if calls.is_empty() {
            return Ok(());
        }
        let page = page_of(calls)?;
        let statement = self.params().time("at", now).int("calls", count(calls)).text("page", page).sql(PAGE);
        retried!(self.execute(statement.clone())).map(drop)
    }

    /// Enters the calls of the oldest page that nobody else is about to enter, as [`accept`](Self::accept) would have
    /// done; `None` = the spool is empty.
    ///
    /// A page that the database refuses is parted into pages of one call each, behind all others: none is lost, and the
    /// others of its page go in.
    pub async fn unspool(&self, now: DateTime<Utc>) -> Result<Option<Unspooled>> {
        retried!(self.unspool_once(now))
    }

    async fn unspool_once(&self, now: DateTime<Utc>) -> Result<Option<Unspooled>> {
        let tx = self.begin().await?;
        let Some(page) = Page::take(&tx).await? else { return Ok(None) };
        match enter(&tx, &page.calls, page.received_at, now).await {
            Ok(nudges) => {
                tx.commit().await?;
                Ok(Some(Unspooled { calls: page.calls.len(), nudges, refused: None }))
            }
            Err(error) if error.is_unavailable() => Err(error),
            Err(error) => {
                tx.rollback().await?;
                self.part(&page).await?;
                Ok(Some(Unspooled { calls: 0, nudges: Vec::new(), refused: Some(error) }))
            }
        }
    }

    /// Makes a page of each call of a page that could not be entered.
    async fn part(&self, page: &Page) -> Result<()> {
        let tx = self.begin().await?;
        if tx.execute(tx.params().int("id", page.id).sql("DELETE FROM webhook_spool WHERE id = :id")).await? == 1 {
            for call in &page.calls {
                let alone = std::slice::from_ref(call);
                let params = tx.params().time("at", page.received_at).int("calls", count(alone));
                tx.execute(params.text("page", page_of(alone)?).sql(PAGE)).await?;
            }
        }
        tx.commit().await
    }
}

const PAGE: &str = "INSERT INTO webhook_spool (received_at, calls, page) VALUES (:at, :calls, :page)";

struct Page {
    id: i64,
    received_at: DateTime<Utc>,
    calls: Vec<InboxEntry>,
}

impl Page {
    async fn take(tx: &Tx) -> Result<Option<Self>> {
        let free = tx.dialect.hold_free();
        let sql = format!(
            "DELETE FROM webhook_spool WHERE id = (SELECT id FROM webhook_spool ORDER BY id LIMIT 1 {free})
             RETURNING id, received_at, page"
        );
        let Some(row) = tx.one(tx.params().sql(&sql)).await? else { return Ok(None) };
        let calls = serde_json::from_str(&row.text("page")?).map_err(|_| StoreError::unreadable("page"))?;
        Ok(Some(Self { id: row.int("id")?, received_at: row.time("received_at")?, calls }))
    }
}

fn page_of(calls: &[InboxEntry]) -> Result<String> {
    serde_json::to_string(calls).map_err(|_| StoreError::Db("a webhook call can't be written down".to_owned()))
}

fn count(calls: &[InboxEntry]) -> i64 {
    i64::try_from(calls.len()).unwrap_or(i64::MAX)
}
