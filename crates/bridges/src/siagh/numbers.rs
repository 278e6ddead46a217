//! Which CRM identity bears which customer number, for the import.
//!
//! The CRM's light list (payamgostar sheet §2.2) has no kinds and no dates, but it has every number, five hundred to a
//! call: an import of thousands asks for it once instead of searching for each contact. Only fingerprints are kept, and
//! nothing is decided on one; a number that somebody took meanwhile is refused by the CRM itself, within its type.

use chrono::{DateTime, TimeDelta, Utc};
use payamgostar::PayamgostarClient;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use tandem_core::Fault;
use tandem_core::text::normalize;
use tokio::sync::Mutex;
use uuid::Uuid;

/// The largest page that was seen in production (payamgostar sheet §2.2).
const PAGE: u32 = 500;
const MAX_AGE: TimeDelta = TimeDelta::minutes(10);

#[derive(Default)]
struct List {
    ids: HashMap<u64, Vec<Uuid>>,
    read_at: Option<DateTime<Utc>>,
}

pub struct Numbers {
    crm: PayamgostarClient,
    list: Mutex<List>,
}

impl Numbers {
    pub fn new(crm: PayamgostarClient) -> Self {
        Self { crm, list: Mutex::default() }
    }

    /// The identities that bore a number when the list was last read, at most ten minutes before `now`.
    pub async fn ids(&self, number: &str, now: DateTime<Utc>) -> Result<Vec<Uuid>, Fault> {
        let mut list = self.list.lock().await;
        if !list.read_at.is_some_and(|at| at <= now && now - at <= MAX_AGE) {
            *list = self.read(now).await?;
        }
        Ok(list.ids.get(&fingerprint(number)).cloned().unwrap_or_default())
    }

    /// The list is known to be out of date.
    pub async fn forget(&self) {
        self.list.lock().await.read_at = None;
    }

    async fn read(&self, now: DateTime<Utc>) -> Result<List, Fault> {
        let mut list = List { read_at: Some(now), ..List::default() };
        for page in 0.. {
            let rows = self.crm.search_identities("", page, PAGE).await?;
            let last = rows.len() < PAGE as usize;
            for row in rows {
                if let Some(number) = &row.customer_no {
                    let ids = list.ids.entry(fingerprint(number)).or_default();
                    if !ids.contains(&row.identity_id) {
                        ids.push(row.identity_id);
                    }
                }
            }
            if last {
                break;
            }
        }
        Ok(list)
    }
}

fn fingerprint(number: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    normalize(number).hash(&mut hasher);
    hasher.finish()
}
