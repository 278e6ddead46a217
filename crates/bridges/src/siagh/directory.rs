//! What is known of Siagh's contacts: a compact index for finding candidates, single rows read fresh, and for the import
//! some rows at once.
//!
//! Siagh lists its contacts only as a whole (siagh sheet §2.2), so the list is read at most once a minute and only
//! fingerprints of it are kept. Nothing is decided on a fingerprint: every candidate is read again before it counts.

use super::phone;
use chrono::{DateTime, TimeDelta, Utc};
use siagh::{Contact, ContactFilter, ContactForm, SiaghClient};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{MutexGuard as StdGuard, PoisonError};
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
    at_hand: Mutex<AtHand>,
    /// What we have written since the reading at hand began. Never held for longer than a moment: between Siagh's answer to
    /// a write and its journal nobody may wait for a list.
    written: std::sync::Mutex<HashSet<i64>>,
}

/// How many whole contacts one reading of the list leaves behind: some megabytes, however long the list is.
const AT_HAND: usize = 2_000;

/// The contacts whose codes are next to the one that was asked for.
#[derive(Default)]
struct AtHand {
    contacts: HashMap<i64, Contact>,
    /// The reading began after this moment of our clock,
    after: DateTime<Utc>,
    /// and ended at this one of Siagh's.
    read_at: Option<DateTime<Utc>>,
}

impl Directory {
    pub fn new(siagh: SiaghClient, max_age: std::time::Duration) -> Self {
        let max_age = TimeDelta::from_std(max_age).unwrap_or(TimeDelta::seconds(60));
        Self {
            siagh,
            max_age,
            index: Mutex::default(),
            at_hand: Mutex::default(),
            written: std::sync::Mutex::default(),
        }
    }

    /// One contact, read now.
    pub async fn contact(&self, code: i64) -> Result<Option<Contact>, Fault> {
        let mut found = None;
        self.siagh.contacts_each(Some(&ContactFilter::Code(code)), |contact| found = Some(contact)).await?;
        Ok(found)
    }

    /// One contact as Siagh had it after `noticed_at`, and at most `max_age` ago. Read together with its neighbours, because
    /// an import asks for one after the other and each question costs Siagh a whole list's time (siagh sheet §2.2).
    pub async fn contact_since(&self, code: i64, noticed_at: DateTime<Utc>) -> Result<Option<Contact>, Fault> {
        if self.written().contains(&code) {
            return self.contact(code).await;
        }
        let mut at_hand = self.at_hand.lock().await;
        let now = self.siagh.server_time();
        if at_hand.is_fresh(noticed_at, now, self.max_age)
            && let Some(contact) = at_hand.contacts.get(&code)
        {
            return Ok(Some(contact.clone()));
        }
        let mut neighbours = Neighbours::of(code);
        self.written().clear();
        self.siagh.contacts_each(None, |contact| neighbours.take(contact)).await?;
        *at_hand = AtHand {
            contacts: neighbours.nearest(),
            after: noticed_at.max(at_hand.after),
            read_at: self.siagh.server_time(),
        };
        Ok(at_hand.contacts.get(&code).cloned())
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
        self.written().insert(code);
        let mut index = self.index.lock().await;
        index.highest = index.highest.max(code);
        index.add(
            code,
            [(By::Mobile, &form.mobile), (By::Telephone, &form.tel), (By::NationalCode, &form.national_code)],
        );
    }

    fn written(&self) -> StdGuard<'_, HashSet<i64>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
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

impl AtHand {
    /// What was noticed before the reading began is in it. `now` and the moment of the reading are Siagh's.
    fn is_fresh(&self, noticed_at: DateTime<Utc>, now: Option<DateTime<Utc>>, max_age: TimeDelta) -> bool {
        let (Some(read_at), Some(now)) = (self.read_at, now) else { return false };
        noticed_at <= self.after && read_at <= now && now - read_at <= max_age
    }
}

/// Picks the contacts nearest to a code out of a list of any length and order, in the memory of twice as many.
struct Neighbours {
    code: i64,
    picked: Vec<Contact>,
}

impl Neighbours {
    fn of(code: i64) -> Self {
        Self { code, picked: Vec::new() }
    }

    fn take(&mut self, contact: Contact) {
        self.picked.push(contact);
        if self.picked.len() == 2 * AT_HAND {
            self.drop_the_farther();
        }
    }

    fn drop_the_farther(&mut self) {
        if self.picked.len() > AT_HAND {
            let code = self.code;
            self.picked.select_nth_unstable_by_key(AT_HAND, |contact| contact.code.abs_diff(code));
            self.picked.truncate(AT_HAND);
        }
    }

    fn nearest(mut self) -> HashMap<i64, Contact> {
        self.drop_the_farther();
        self.picked.into_iter().map(|contact| (contact.code, contact)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(code: i64) -> Contact {
        serde_json::from_value(serde_json::json!({ "Code": code })).unwrap()
    }

    #[test]
    fn of_a_list_of_any_length_only_the_neighbours_are_kept() {
        // A hundred thousand codes in no order, which this stride visits each once.
        let codes = (0..100_000_i64).map(|n| n * 7_919 % 100_000);
        for (asked, expected) in [(50_000, 49_000..51_000), (0, 0..2_000), (99_999, 98_000..100_000)] {
            let mut neighbours = Neighbours::of(asked);
            for code in codes.clone() {
                neighbours.take(contact(code));
                assert!(neighbours.picked.len() < 2 * AT_HAND);
            }
            let nearest = neighbours.nearest();
            assert_eq!(nearest.len(), AT_HAND);
            // Of two at the same distance either may stay.
            assert!(nearest.keys().all(|code| expected.contains(code) || code.abs_diff(asked) == 1_000), "{asked}");
        }
    }

    #[test]
    fn what_is_at_hand_serves_whoever_was_noticed_before_it_was_read_and_not_for_long() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let at_hand = AtHand { after: at(100), read_at: Some(at(7_000)), ..AtHand::default() };
        let fresh = |noticed, now| at_hand.is_fresh(at(noticed), now, TimeDelta::seconds(60));
        assert!(fresh(100, Some(at(7_060))));
        assert!(!fresh(101, Some(at(7_001))), "it may have changed after the list was read");
        assert!(!fresh(100, Some(at(7_061))), "too old");
        assert!(!fresh(100, Some(at(6_999))), "Siagh's clock was stepped back");
        assert!(!fresh(100, None) && !AtHand::default().is_fresh(at(0), Some(at(0)), TimeDelta::seconds(60)));
    }
}
