//! A contact as the list shows it (siagh sheet §2.2), and the store that keeps lists and single look-ups cheap.

use actix_web::web::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// A row of the contact list. The names on the wire are the sheet's; members left out when reading take their default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Contact {
    /// Nil when seeding: one is made up.
    pub record_id: Uuid,
    /// 0 when seeding: the highest code plus one.
    pub code: i64,
    pub name: String,
    pub nick_name: Option<String>,
    pub pre_name: Option<String>,
    pub father_name: Option<String>,
    /// False is a person, true an organization; null (none) is a row that does not say. Left out, it is a person.
    #[serde(default = "is_person")]
    pub toward_type: Option<bool>,
    pub national_code: Option<String>,
    pub mobile_no: Option<String>,
    pub mobile_no2: Option<String>,
    pub tel_no: Option<String>,
    pub tel_no2: Option<String>,
    pub email: Option<String>,
    pub email2: Option<String>,
    pub web_site_address: Option<String>,
    pub address: Option<String>,
    pub postal_code: Option<String>,
    pub city_code: Option<String>,
    pub country_code: Option<String>,
    pub geographic_code: Option<String>,
    pub gender: Option<String>,
    pub birth_date: Option<String>,
    /// Jalali `yyyy/MM/dd`.
    pub reg_date: Option<String>,
    pub expire_date: Option<String>,
    pub description: Option<String>,
    pub is_active: bool,
    pub is_admin_user: bool,
    pub confirm: bool,
    pub has_dis_count: bool,
    pub give_coin_to_parent_code: bool,
    pub account_party_code: Option<i64>,
    pub parent_code: Option<i64>,
    pub coin: Option<i64>,
    /// Real lists carry such a member; clients must neither keep nor log it.
    pub password: Option<String>,
    /// Written by the contact form, never shown by the list.
    #[serde(rename = "tmpid", skip_serializing)]
    pub tmpid: Option<String>,
}

impl Contact {
    /// An active person of this name, without anything else.
    pub fn person(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            toward_type: is_person(),
            is_active: true,
            confirm: true,
            coin: Some(0),
            ..Self::default()
        }
    }

    /// An active organization of this name, without anything else.
    pub fn organization(name: &str) -> Self {
        Self { toward_type: Some(true), ..Self::person(name) }
    }

    fn row(&self) -> Bytes {
        let mut row = vec![b','];
        serde_json::to_writer(&mut row, self).expect("a contact has string keys only");
        Bytes::from(row)
    }
}

fn is_person() -> Option<bool> {
    Some(false)
}

/// A contact with the text of its row, a comma in front.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) contact: Contact,
    row: Bytes,
}

#[derive(Default, Clone)]
pub(crate) struct Contacts {
    entries: BTreeMap<i64, Entry>,
    by_mobile: HashMap<String, Vec<i64>>,
    by_tel: HashMap<String, Vec<i64>>,
    by_party: HashMap<i64, i64>,
}

/// A number that must be unique among contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unique {
    Mobile,
    Tel,
}

impl Contacts {
    pub(crate) fn next_code(&self) -> i64 {
        self.entries.last_key_value().map_or(1, |(code, _)| code + 1)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, code: i64) -> Option<&Contact> {
        self.entries.get(&code).map(|entry| &entry.contact)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Contact> {
        self.entries.values().map(|entry| &entry.contact)
    }

    /// The contact of an account party.
    pub(crate) fn by_party(&self, party: i64) -> Option<&Contact> {
        self.by_party.get(&party).and_then(|code| self.get(*code))
    }

    /// Whether another contact than `code` has this number.
    pub(crate) fn taken(&self, unique: Unique, number: &str, code: i64) -> bool {
        let holders = match unique {
            Unique::Mobile => self.by_mobile.get(number),
            Unique::Tel => self.by_tel.get(number),
        };
        !number.is_empty() && holders.is_some_and(|codes| codes.iter().any(|other| *other != code))
    }

    /// Puts a contact there, in place of one with the same code.
    pub(crate) fn put(&mut self, contact: Contact) {
        self.remove(contact.code);
        let code = contact.code;
        if let Some(number) = filled(&contact.mobile_no) {
            self.by_mobile.entry(number.to_owned()).or_default().push(code);
        }
        if let Some(number) = filled(&contact.tel_no) {
            self.by_tel.entry(number.to_owned()).or_default().push(code);
        }
        if let Some(party) = contact.account_party_code {
            self.by_party.insert(party, code);
        }
        let row = contact.row();
        self.entries.insert(code, Entry { contact, row });
    }

    pub(crate) fn remove(&mut self, code: i64) -> Option<Contact> {
        let contact = self.entries.remove(&code)?.contact;
        for (numbers, number) in [(&mut self.by_mobile, &contact.mobile_no), (&mut self.by_tel, &contact.tel_no)] {
            let Some(number) = filled(number) else { continue };
            if let Some(codes) = numbers.get_mut(number) {
                codes.retain(|other| *other != code);
                if codes.is_empty() {
                    numbers.remove(number);
                }
            }
        }
        if let Some(party) = contact.account_party_code.filter(|party| self.by_party.get(party) == Some(&code)) {
            self.by_party.remove(&party);
        }
        Some(contact)
    }

    /// The list with all members of `filter` equal, as pieces of one JSON array. Members a contact does not have are
    /// ignored (siagh sheet §6).
    pub(crate) fn list(&self, filter: &Map<String, Value>) -> Vec<Bytes> {
        let wanted: Vec<(&str, String)> = filter.iter().map(|(name, value)| (name.as_str(), plain(value))).collect();
        let indexed = wanted.iter().find_map(|(name, value)| self.holders(name, value));
        let matching = |entry: &&Entry| wanted.iter().all(|(name, value)| has(&entry.contact, name, value));
        match indexed {
            Some(codes) => rows(codes.iter().filter_map(|code| self.entries.get(code)).filter(matching)),
            None => rows(self.entries.values().filter(matching)),
        }
    }

    /// The codes of the contacts that can have this value, for the members with an index.
    fn holders(&self, name: &str, value: &str) -> Option<Vec<i64>> {
        match name {
            "Code" => Some(value.parse().into_iter().collect()),
            "MobileNo" if !value.is_empty() => Some(self.by_mobile.get(value).cloned().unwrap_or_default()),
            "TelNo" if !value.is_empty() => Some(self.by_tel.get(value).cloned().unwrap_or_default()),
            _ => None,
        }
    }
}

fn rows<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<Bytes> {
    let mut parts = vec![Bytes::from_static(b"[")];
    for entry in entries {
        // The first row goes without its comma.
        let from = usize::from(parts.len() == 1);
        parts.push(entry.row.slice(from..));
    }
    parts.push(Bytes::from_static(b"]"));
    parts
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn has(contact: &Contact, name: &str, value: &str) -> bool {
    let text = |member: &Option<String>| member.as_deref().unwrap_or_default() == value;
    let flag = |member: bool| value.eq_ignore_ascii_case(if member { "true" } else { "false" });
    match name {
        "Code" => contact.code.to_string() == value,
        "RecordId" => contact.record_id.to_string() == value.to_ascii_lowercase(),
        "Name" => contact.name == value,
        "MobileNo" => text(&contact.mobile_no),
        "MobileNo2" => text(&contact.mobile_no2),
        "TelNo" => text(&contact.tel_no),
        "TelNo2" => text(&contact.tel_no2),
        "NationalCode" => text(&contact.national_code),
        "Email" => text(&contact.email),
        "TowardType" => contact.toward_type.is_some_and(flag),
        "IsActive" => flag(contact.is_active),
        "IsAdminUser" => flag(contact.is_admin_user),
        "AccountPartyCode" => contact.account_party_code.map(|code| code.to_string()).unwrap_or_default() == value,
        _ => true,
    }
}
