//! The whole state of one simulated Siagh, behind one lock.

use super::{
    contact::{Contact, Contacts},
    invoice_form::Document,
    session::Sessions,
    settings::Settings,
    tables::Tables,
};
use crate::stage::{clock::jalali, desk::Desk, handle::Handle, lock};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// First values of the three sequences; each is issued plus one (sheet §2.7 shows numbers of these sizes).
const NUMBERS_START: u64 = 2_500;
const RETURN_CODES_START: u64 = 15_000;
const RETURN_PARAMS_START: u64 = 458_000;

pub(crate) struct Office {
    pub(crate) desk: Arc<Desk>,
    settings: Arc<Settings>,
    pub(crate) sessions: Sessions,
    pub(crate) contacts: Contacts,
    pub(crate) tables: Tables,
    pub(crate) documents: Vec<Document>,
    /// Last number issued per fiscal year and document type.
    numbers: HashMap<(i32, String), u64>,
    return_codes: u64,
    return_params: u64,
    /// An older state of the contacts and when it was taken, while lists are stale.
    old_contacts: Option<(Instant, Arc<Contacts>)>,
}

impl Office {
    pub(crate) fn new(settings: Settings, desk: Arc<Desk>) -> Self {
        let mut office = Self {
            desk,
            sessions: Sessions::new(&settings.users),
            settings: Arc::new(Settings { stale_list_seconds: 0, ..settings.clone() }),
            contacts: Contacts::default(),
            tables: Tables::default(),
            documents: Vec::new(),
            numbers: HashMap::new(),
            return_codes: RETURN_CODES_START,
            return_params: RETURN_PARAMS_START,
            old_contacts: None,
        };
        office.set_settings(settings);
        office
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    /// Lists that become stale show the contacts as they are now until they age out.
    pub(crate) fn set_settings(&mut self, settings: Settings) {
        if settings.stale_list_seconds == 0 {
            self.old_contacts = None;
        } else if self.settings.stale_list_seconds == 0 {
            self.old_contacts = Some((Instant::now(), Arc::new(self.contacts.clone())));
        }
        self.settings = Arc::new(settings);
    }

    /// The Jalali fiscal year that is open.
    pub(crate) fn open_year(&self) -> i32 {
        self.settings.open_year.unwrap_or_else(|| jalali(self.desk.clock.local().date()).0)
    }

    /// Puts a contact there as it is; code and record id are made up when it has none.
    pub(crate) fn put_contact(&mut self, mut contact: Contact) -> i64 {
        if contact.code == 0 {
            contact.code = self.contacts.next_code();
        }
        if contact.record_id.is_nil() {
            contact.record_id = self.desk.new_id();
        }
        let code = contact.code;
        self.contacts.put(contact);
        code
    }

    /// Human number, return code and return params of the next document.
    pub(crate) fn next_numbers(&mut self, year: i32, type_code: String) -> (u64, String, String) {
        let number = self.numbers.entry((year, type_code)).or_insert(NUMBERS_START);
        *number += 1;
        self.return_codes += 1;
        self.return_params += 1;
        (*number, self.return_codes.to_string(), self.return_params.to_string())
    }

    /// The stale contacts a list shows; none while lists are fresh.
    pub(crate) fn stale_contacts(&mut self) -> Option<Arc<Contacts>> {
        let lasts = Duration::from_secs(self.settings.stale_list_seconds);
        let (taken, contacts) = self.old_contacts.take()?;
        let kept =
            if taken.elapsed() < lasts { (taken, contacts) } else { (Instant::now(), Arc::new(self.contacts.clone())) };
        let shown = Arc::clone(&kept.1);
        self.old_contacts = Some(kept);
        Some(shown)
    }
}

/// What the ports and the admin handles share.
pub(crate) struct Site {
    pub(crate) office: Mutex<Office>,
    pub(crate) handle: Handle,
    pub(crate) saves: Arc<Semaphore>,
}

impl Site {
    /// Works on the state and wakes whoever waits for a change.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Office) -> T) -> T {
        let result = work(&mut lock(&self.office));
        self.handle.desk.something_happened();
        result
    }

    /// Looks at the state.
    pub(crate) fn look<T>(&self, work: impl FnOnce(&Office) -> T) -> T {
        work(&lock(&self.office))
    }
}
