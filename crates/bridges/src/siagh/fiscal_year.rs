//! Which fiscal year is open in Siagh. It is told at login and nowhere else (siagh sheet §1), so a session from before the
//! new year still names the old one.

use chrono::{DateTime, TimeDelta, Utc};
use siagh::SiaghClient;
use tandem_core::Fault;
use tokio::sync::Mutex;

/// At most one login in this time is made for the year's sake, whatever number of documents asks.
const BETWEEN_LOGINS: TimeDelta = TimeDelta::minutes(1);

pub struct OpenYear {
    siagh: SiaghClient,
    logged_in_anew: Mutex<Option<DateTime<Utc>>>,
}

impl OpenYear {
    pub fn new(siagh: SiaghClient) -> Self {
        Self { siagh, logged_in_anew: Mutex::default() }
    }

    /// The open Jalali year, for a document of the year `of`. A document of a later year than the session knows may be the
    /// first one after the new year: only a new login tells.
    pub async fn for_document(&self, of: Option<i32>, now: DateTime<Utc>) -> Result<i32, Fault> {
        let known = self.known().await?;
        if of.is_some_and(|year| year > known) { self.told_anew(now).await } else { Ok(known) }
    }

    /// After a refusal: is another year open than the one that was sent? `false` where that can't be found out.
    pub async fn has_moved_from(&self, sent: i32, now: DateTime<Utc>) -> bool {
        match self.known().await {
            Ok(known) if known == sent => self.told_anew(now).await.is_ok_and(|year| year != sent),
            known => known.is_ok(),
        }
    }

    async fn known(&self) -> Result<i32, Fault> {
        self.siagh.server_info().await?.fiscal_year.ok_or_else(|| {
            Fault::systemic("siagh.no_fiscal_year", "Siagh names no open fiscal year, so pre-invoices can't be sent")
        })
    }

    async fn told_anew(&self, now: DateTime<Utc>) -> Result<i32, Fault> {
        let mut last = self.logged_in_anew.lock().await;
        if !last.is_some_and(|at| at <= now && now - at < BETWEEN_LOGINS) {
            // A fresh login.
            self.siagh.probe().await?;
            *last = Some(now);
        }
        self.known().await
    }
}
