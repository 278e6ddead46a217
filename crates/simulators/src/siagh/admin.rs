//! The hand of the administrator and of Siagh's users, inside the process.

use super::{
    contact::Contact,
    invoice_form::Document,
    office::{Office, Site},
    settings::Settings,
    tables::{Good, Table},
};
use crate::{
    Handle,
    stage::control::{Refused, merged},
};
use serde_json::Value;
use std::{ops::Deref, sync::Arc, time::Duration};

/// A handle on a running simulator; clones act on the same one.
#[derive(Clone)]
pub struct Admin(pub(super) Arc<Site>);

impl Deref for Admin {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0.handle
    }
}

/// Users, tables and settings.
impl Admin {
    /// Adds a user, or gives a known one another password (in clear) and lifts its lock.
    pub fn add_user(&self, name: &str, password: &str) {
        self.0.with(|office| office.sessions.add_user(name, password));
    }

    /// Adds a good, or replaces the one with its code.
    pub fn add_good(&self, good: Good) {
        self.0.with(|office| office.tables.goods.insert(good.code.clone(), good));
    }

    /// Replaces a table of codes.
    pub fn set_table(&self, table: Table, codes: impl IntoIterator<Item = impl Into<String>>) {
        self.0.with(|office| office.tables.set(table, codes.into_iter().map(Into::into)));
    }

    pub fn settings(&self) -> Settings {
        (*self.0.look(Office::settings)).clone()
    }

    /// Changes switches while the simulator runs.
    pub fn set_settings(&self, settings: Settings) {
        self.0.with(|office| office.set_settings(settings));
    }

    pub(super) fn merge_settings(&self, change: &Value) -> Result<Settings, Refused> {
        let settings = merged(&self.settings(), change)?;
        self.set_settings(settings.clone());
        Ok(settings)
    }

    /// Opens another fiscal year; none follows the clock's Jalali year.
    pub fn set_fiscal_year(&self, year: Option<i32>) {
        self.set_settings(Settings { open_year: year, ..self.settings() });
    }

    /// Lists show the contacts as they are now until that is `age` ago, then as they are then, and so on; zero makes
    /// them fresh again. Whole seconds.
    pub fn stale_list(&self, age: Duration) {
        self.set_settings(Settings { stale_list_seconds: age.as_secs(), ..self.settings() });
    }
}

/// Contacts and documents.
impl Admin {
    /// Puts a contact there without any check, in place of one with the same code, and returns its code.
    pub fn seed_contact(&self, contact: Contact) -> i64 {
        self.0.with(|office| office.put_contact(contact))
    }

    /// The same for many, under one lock.
    pub fn seed_contacts(&self, contacts: impl IntoIterator<Item = Contact>) {
        self.0.with(|office| {
            for contact in contacts {
                office.put_contact(contact);
            }
        });
    }

    /// Changes a contact as a user of Siagh would. Refused: an unknown code.
    pub fn edit_contact(&self, code: i64, change: impl FnOnce(&mut Contact)) -> Result<(), Refused> {
        self.0.with(|office| {
            let mut contact =
                office.contacts.get(code).cloned().ok_or_else(|| Refused::missing(format_args!("contact {code}")))?;
            change(&mut contact);
            contact.code = code;
            office.contacts.put(contact);
            Ok(())
        })
    }

    /// Refused: an unknown code.
    pub fn delete_contact(&self, code: i64) -> Result<(), Refused> {
        let removed = self.0.with(|office| office.contacts.remove(code));
        removed.map(drop).ok_or_else(|| Refused::missing(format_args!("contact {code}")))
    }

    pub fn contact(&self, code: i64) -> Option<Contact> {
        self.0.look(|office| office.contacts.get(code).cloned())
    }

    /// All contacts by code.
    pub fn contacts(&self) -> Vec<Contact> {
        self.0.look(|office| office.contacts.all().cloned().collect())
    }

    pub fn contact_count(&self) -> usize {
        self.0.look(|office| office.contacts.len())
    }

    /// All registered pre-invoices in the order they were registered.
    pub fn documents(&self) -> Vec<Document> {
        self.0.look(|office| office.documents.clone())
    }

    pub fn document_count(&self) -> usize {
        self.0.look(|office| office.documents.len())
    }
}

/// Sessions; calls, faults, time and maintenance are in [`Handle`].
impl Admin {
    /// Waits until `reached` holds; it is asked now and after everything that happens in the simulator.
    pub async fn until(&self, mut reached: impl FnMut(&Self) -> bool) {
        self.0.handle.desk.until(|| reached(self)).await;
    }

    /// Makes every session unknown.
    pub fn expire_sessions(&self) {
        self.0.with(|office| office.sessions.expire_all());
    }

    /// Sessions that were opened and not thrown away.
    pub fn live_sessions(&self) -> usize {
        self.0.look(|office| office.sessions.live())
    }
}
