//! What is known of Siagh's contacts: a compact index for finding candidates, and single rows read fresh.
//!
//! Siagh lists its contacts only as a whole (siagh sheet §2.2), so the list is read at most once a minute and only
//! fingerprints of it are kept. Nothing is decided on a fingerprint: every candidate is read again before it counts.

use super::phone;
use chrono::{DateTime, TimeDelta, Utc};
use siagh::{Contact, ContactFilter, ContactForm, SiaghClient};
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use tandem_core::Fault;
use tandem_core::text::digits;
use tokio::sync::{Mutex, MutexGuard};

/// By what two records may be the same customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    Mobile,
    Telephone,
    NationalCode,
}

#[derive(Default)]
struct Index {
    codes: HashMap<u64, Vec<i64>>,
    highest: i64,
    read_at: Option<DateTime<Utc>>,
}

pub struct Directory {
    siagh: SiaghClient,
    max_age: TimeDelta,
    index: Mutex<Index>,
}

impl Directory {
    pub fn new(siagh: SiaghClient, max_age: std::time::Duration) -> Self {
        let max_age = TimeDelta::from_std(max_age).unwrap_or(TimeDelta::seconds(60));
        Self { siagh, max_age, index: Mutex::default() }
    }

    /// One contact, read now.
    pub async fn contact(&self, code: i64) -> Result<Option<Contact>, Fault> {
        let mut found = None;
        self.siagh.contacts_each(Some(&ContactFilter::Code(code)), |contact| found = Some(contact)).await?;
        Ok(found)
    }

    /// The codes of contacts that bear a value, as of the last reading of the list, at most `max_age` before `now`.
    pub async fn codes(&self, by: By, value: &str, now: DateTime<Utc>) -> Result<BTreeSet<i64>, Fault> {
        let index = self.current(now).await?;
        Ok(fingerprint(by, value).and_then(|print| index.codes.get(&print)).into_iter().flatten().copied().collect())
    }

    /// The highest code known, as of the same reading: whatever is created from now on has a higher one.
    pub async fn highest(&self, now: DateTime<Utc>) -> Result<i64, Fault> {
        Ok(self.current(now).await?.highest)
    }

    /// Our own write, so that the next record sees it without reading the list again.
    pub async fn saved(&self, code: i64, form: &ContactForm) {
        let mut index = self.index.lock().await;
        index.highest = index.highest.max(code);
        index.add(
            code,
            [(By::Mobile, &form.mobile), (By::Telephone, &form.tel), (By::NationalCode, &form.national_code)],
        );
    }

    /// The list is known to be out of date: somebody else owns a number that it shows as free.
    pub async fn forget(&self) {
        self.index.lock().await.read_at = None;
    }

    async fn current(&self, now: DateTime<Utc>) -> Result<MutexGuard<'_, Index>, Fault> {
        let mut index = self.index.lock().await;
        let fresh = index.read_at.is_some_and(|at| at <= now && now - at <= self.max_age);
        if !fresh {
            *index = self.read(now).await?;
        }
        Ok(index)
    }

    async fn read(&self, now: DateTime<Utc>) -> Result<Index, Fault> {
        let mut index = Index { read_at: Some(now), ..Index::default() };
        self.siagh.contacts_each(None, |contact| index.take(&contact)).await?;
        Ok(index)
    }
}

impl Index {
    fn take(&mut self, contact: &Contact) {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        self.highest = self.highest.max(contact.code);
        let (mobiles, phones) =
            ([text(&contact.mobile_no), text(&contact.mobile_no2)], [text(&contact.tel_no), text(&contact.tel_no2)]);
        self.add(contact.code, mobiles.iter().map(|m| (By::Mobile, m)));
        self.add(contact.code, phones.iter().map(|t| (By::Telephone, t)));
        self.add(contact.code, [(By::NationalCode, &text(&contact.national_code))]);
    }

    fn add<'v>(&mut self, code: i64, values: impl IntoIterator<Item = (By, &'v String)>) {
        for print in values.into_iter().filter_map(|(by, value)| fingerprint(by, value)) {
            let codes = self.codes.entry(print).or_default();
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
    }
}

/// A value in comparable form, hashed with what it is. `None` for blanks.
fn fingerprint(by: By, value: &str) -> Option<u64> {
    let comparable = match by {
        By::Mobile => phone::mobile(value).unwrap_or_else(|| digits(value)),
        By::Telephone => phone::telephone(value).unwrap_or_else(|| digits(value)),
        By::NationalCode => digits(value),
    };
    if comparable.is_empty() {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (by, comparable).hash(&mut hasher);
    Some(hasher.finish())
}
