//! Creating, updating, converting and removing objects, with the rules the CRM applies on saving
//! (payamgostar sheet §2.6, §2.8, §4.3, §4.4).

use super::{
    crm::Crm,
    error::Refusal,
    fields,
    kind::Kind,
    settings::{Ban, Settings},
    store::{Members, Object, PHONE_NUMBER, Store},
    time,
    webhooks::Event,
};
use crate::stage::{
    clock::jalali,
    json::{member, text},
};
use chrono::{Datelike, NaiveDateTime, TimeDelta};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Whether a change is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announce {
    Yes,
    No,
}

/// What happens to members that were not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    Blank,
    Keep,
}

impl Crm {
    pub(crate) fn create(
        &mut self,
        kind: Kind,
        body: &Map<String, Value>,
        announce: Announce,
    ) -> Result<Uuid, Refusal> {
        let type_code = self.type_code(kind, body)?;
        let mut members = self.read_members(kind, body)?;
        let id = self.wanted_id(body);
        self.check_name(kind, &mut members)?;
        self.check(kind, &type_code, id, &members)?;
        if !kind.is_identity() {
            self.check_identity(&members)?;
        }
        self.settle_number(kind, &type_code, &mut members);
        let now = self.stamp(None);
        let object = Object {
            id,
            kind,
            type_code: Arc::from(type_code),
            created: now,
            modified: now,
            rank: self.store.next_rank(),
            state: 1,
            lead: false,
            hidden_until: None,
            members,
        };
        self.store.insert(object);
        self.announce(Event::Insert, id, announce);
        Ok(id)
    }

    pub(crate) fn update(
        &mut self,
        kind: Kind,
        id: Uuid,
        body: &Map<String, Value>,
        unsent: Unsent,
        announce: Announce,
    ) -> Result<(), Refusal> {
        let stored = self.store.get(id).filter(|object| object.kind == kind).ok_or_else(Refusal::not_found)?;
        let (type_code, before, old_members) = (Arc::clone(&stored.type_code), stored.modified, stored.members.clone());
        let mut sent = self.read_members(kind, body)?;
        if unsent == Unsent::Keep {
            for (name, value) in &old_members {
                if member(body, name).is_none() {
                    sent.insert(name, value.clone());
                }
            }
        } else if !kind.is_identity() {
            // The number belongs to the server; an update without it does not take it away.
            if let Some(number) = old_members.get("number").filter(|_| member(body, "number").is_none()) {
                sent.insert("number", number.clone());
            }
        }
        self.check_name(kind, &mut sent)?;
        self.check(kind, &type_code, id, &sent)?;
        if !kind.is_identity() {
            self.check_identity(&sent)?;
        }
        self.raise_highest(kind, &type_code, &sent);
        let modified = self.stamp(Some(before));
        let resets = self.settings().edit_resets_approval;
        self.store.change(id, |object| {
            object.members = sent;
            object.modified = modified;
            if resets && object.state == 2 {
                object.state = 1;
            }
        });
        self.announce(Event::Update, id, announce);
        Ok(())
    }

    /// Applies `change` to an object, gives it a new modify date and announces the update.
    pub(crate) fn alter(
        &mut self,
        id: Uuid,
        announce: Announce,
        change: impl FnOnce(&mut Object),
    ) -> Result<(), Refusal> {
        let before = self.store.get(id).ok_or_else(Refusal::not_found)?.modified;
        let modified = self.stamp(Some(before));
        self.store.change(id, |object| {
            change(object);
            object.modified = modified;
        });
        self.announce(Event::Update, id, announce);
        Ok(())
    }

    /// Person becomes organization or the other way round: same id, other endpoint (sheet §4.4).
    pub(crate) fn convert(&mut self, id: Uuid) -> Result<Kind, Refusal> {
        let object = self.store.get(id).ok_or_else(Refusal::not_found)?;
        let kind = match object.kind {
            Kind::Person => Kind::Organization,
            Kind::Organization => Kind::Person,
            Kind::Quote | Kind::Invoice => return Err(Refusal::bad("only an identity can be converted")),
        };
        let item_type = self.store.types.values().find(|item| item.seed.kind == kind);
        let code: Arc<str> =
            Arc::from(item_type.ok_or_else(|| Refusal::bad("there is no type to convert to"))?.seed.code.as_str());
        self.alter(id, Announce::Yes, |object| {
            object.kind = kind;
            object.type_code = code;
            if kind == Kind::Person {
                let name = object.text("nickName").to_owned();
                let (first, last) = name.split_once(' ').unwrap_or(("", &name));
                object.members.insert("firstName", first.into());
                object.members.insert("lastName", last.into());
            }
            Store::drop_foreign_members(object);
        })?;
        Ok(kind)
    }

    pub(crate) fn delete(&mut self, kind: Option<Kind>, id: Uuid, announce: Announce) -> Result<(), Refusal> {
        let known = self.store.get(id).is_some_and(|object| kind.is_none_or(|kind| object.kind == kind));
        let removed = if known { self.store.remove(id) } else { None };
        let object = removed.ok_or_else(Refusal::not_found)?;
        self.announce_object(Event::Delete, &object, announce);
        Ok(())
    }

    /// Gives a quote or invoice the next number of its type, unless it has one.
    pub(crate) fn make_numbered(&mut self, id: Uuid) -> Result<String, Refusal> {
        let object = self.store.get(id).ok_or_else(Refusal::not_found)?;
        let (kind, code, had) =
            (object.kind, Arc::clone(&object.type_code), object.text(object.kind.number_field()).to_owned());
        if !had.is_empty() {
            return Ok(had);
        }
        let number = self.next_number(&code).ok_or_else(|| Refusal::bad("the type has no numbering template"))?;
        let given = number.clone();
        self.alter(id, Announce::Yes, |object| {
            object.members.insert(kind.number_field(), given.into());
        })?;
        Ok(number)
    }

    fn type_code(&self, kind: Kind, body: &Map<String, Value>) -> Result<String, Refusal> {
        let code = text(body, "crmObjectTypeCode").filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| Refusal::field("crmObjectTypeCode", "The type code is required."))?;
        match self.store.types.get(code) {
            Some(item) if item.seed.kind == kind => Ok(code.to_owned()),
            _ => Err(Refusal::field("crmObjectTypeCode", "There is no such type.")),
        }
    }

    /// Seeds may bring their own id; the API's create ignores one.
    fn wanted_id(&mut self, body: &Map<String, Value>) -> Uuid {
        let wanted = text(body, "crmId").filter(|_| self.accept_ids).and_then(|id| Uuid::parse_str(id).ok());
        wanted.unwrap_or_else(|| self.new_id())
    }

    fn read_members(&mut self, kind: Kind, body: &Map<String, Value>) -> Result<Members, Refusal> {
        let desk = Arc::clone(&self.desk);
        let mut members = Members::new();
        for (name, value) in body {
            let Some(field) = fields::named(kind, name) else { continue };
            let accepted = fields::accept(field.shape, value, &mut || desk.new_id());
            if let Some(value) = accepted.map_err(|why| Refusal::field(field.name, why))? {
                members.insert(field.name, value);
            }
        }
        self.settle_categories(&mut members)?;
        self.settle_places(&mut members);
        Ok(members)
    }

    fn settle_categories(&self, members: &mut Members) -> Result<(), Refusal> {
        let rows = members.get_mut("categories").and_then(Value::as_array_mut);
        for row in rows.into_iter().flatten() {
            let key = row["key"].as_str().unwrap_or_default();
            let name = self
                .store
                .categories
                .get(key)
                .ok_or_else(|| Refusal::field("categories", "There is no such category."))?;
            row["name"] = name.as_str().into();
        }
        Ok(())
    }

    /// Places that are not in the base data are dropped; the address text stays (sheet §2.6).
    fn settle_places(&self, members: &mut Members) {
        for row in members.get_mut("addressContacts").and_then(Value::as_array_mut).into_iter().flatten() {
            for level in ["country", "state", "city"] {
                if row[level].as_str().is_some_and(|place| !self.store.places.contains(place)) {
                    row[level] = Value::Null;
                }
            }
        }
    }

    fn check_name(&self, kind: Kind, members: &mut Members) -> Result<(), Refusal> {
        let value = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        match kind {
            Kind::Person => {
                let full = format!("{} {}", value("firstName"), value("lastName")).trim().to_owned();
                if full.is_empty() && self.settings().require_names {
                    return Err(Refusal::field("lastName", "A person needs a first or last name."));
                }
                if self.settings().rebuild_nick_name || value("nickName").is_empty() {
                    members.insert("nickName", full.into());
                }
            }
            Kind::Organization if value("nickName").is_empty() && self.settings().require_names => {
                return Err(Refusal::field("nickName", "An organization needs a name."));
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&self, kind: Kind, type_code: &str, id: Uuid, members: &Members) -> Result<(), Refusal> {
        self.check_number(kind, type_code, id, members)?;
        if !kind.is_identity() {
            return Ok(());
        }
        let settings = self.settings();
        if settings.check_national_code && kind == Kind::Person {
            let code = members.get("nationalCode").and_then(Value::as_str).unwrap_or_default();
            if !code.is_empty() && !national_code_is_valid(code) {
                return Err(Refusal::field("nationalCode", "The national code is not valid."));
            }
        }
        self.check_bans(&settings, id, members)
    }

    fn check_number(&self, kind: Kind, type_code: &str, id: Uuid, members: &Members) -> Result<(), Refusal> {
        let field = kind.number_field();
        let number = members.get(field).and_then(Value::as_str).unwrap_or_default();
        if number.is_empty() {
            return Ok(());
        }
        let template = self.store.types.get(type_code).and_then(|item| item.template.as_ref());
        if template.is_some_and(|template| template.number_in(number).is_none()) {
            return Err(Refusal::field(field, "The number does not match the numbering template."));
        }
        let taken = self.store.having(field, number).into_iter().flatten();
        let mut same_type =
            taken.filter_map(|other| self.store.get(*other)).filter(|other| &*other.type_code == type_code);
        if same_type.any(|other| other.id != id) {
            return Err(Refusal::field(field, "The number is already used in this type."));
        }
        Ok(())
    }

    fn check_bans(&self, settings: &Settings, id: Uuid, members: &Members) -> Result<(), Refusal> {
        let taken = |index: &str, value: &str| {
            !value.is_empty() && self.store.having(index, value).unwrap_or_default().iter().any(|other| *other != id)
        };
        let value = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
        for ban in &settings.bans {
            let field = match ban {
                Ban::Email => "email",
                Ban::Name => "nickName",
                Ban::NationalCode => "nationalCode",
                Ban::EconomicCode => "economicCode",
                Ban::Mobile | Ban::Phone => {
                    let rows = members.get("phoneContacts").and_then(Value::as_array).into_iter().flatten();
                    let mut numbers = rows.filter_map(|row| row["phoneNumber"].as_str());
                    if numbers.any(|number| is_mobile(number) == (*ban == Ban::Mobile) && taken(PHONE_NUMBER, number)) {
                        return Err(Refusal::field("phoneContacts", "The phone number is already used."));
                    }
                    continue;
                }
            };
            if taken(field, value(field)) {
                return Err(Refusal::field(field, "The value is already used."));
            }
        }
        Ok(())
    }

    /// A quote or invoice needs an identity that exists and is no lead (sheet §4.4).
    fn check_identity(&self, members: &Members) -> Result<(), Refusal> {
        let id = members.get("identityId").and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok());
        let identity = id.and_then(|id| self.store.get(id)).filter(|object| object.kind.is_identity());
        match identity {
            None => Err(Refusal::field("identityId", "The identity was not found.")),
            Some(identity) if identity.lead => Err(Refusal::field("identityId", "A lead cannot have financial items.")),
            Some(_) => Ok(()),
        }
    }

    fn settle_number(&mut self, kind: Kind, type_code: &str, members: &mut Members) {
        let field = kind.number_field();
        let empty = members.get(field).and_then(Value::as_str).unwrap_or_default().is_empty();
        let settings = self.settings();
        let automatic = if kind.is_identity() { settings.number_identities } else { settings.number_billables };
        if !empty {
            self.raise_highest(kind, type_code, members);
        } else if let Some(number) = automatic.then(|| self.next_number(type_code)).flatten() {
            members.insert(field, number.into());
        }
    }

    /// A number from outside becomes the new maximum when it is higher (sheet §4.3).
    fn raise_highest(&mut self, kind: Kind, type_code: &str, members: &Members) {
        let number = members.get(kind.number_field()).and_then(Value::as_str).unwrap_or_default();
        if let Some(item) = self.store.types.get_mut(type_code) {
            let used = item.template.as_ref().and_then(|template| template.number_in(number)).unwrap_or_default();
            item.highest = item.highest.max(used);
        }
    }

    fn next_number(&mut self, type_code: &str) -> Option<String> {
        let today = self.desk.clock.local().date();
        let item = self.store.types.get_mut(type_code)?;
        let template = item.template.as_ref()?;
        item.highest += 1;
        Some(template.render(item.highest, jalali(today).0, today.year()))
    }

    /// The server's time, cut as it is emitted, and at least a millisecond after the object's last change: two saves
    /// of one object by hand never share a time.
    fn stamp(&mut self, before: Option<NaiveDateTime>) -> NaiveDateTime {
        const VARYING: [u8; 8] = [3, 7, 3, 0, 3, 6, 3, 1];
        let digits = self.settings().fraction_digits.unwrap_or_else(|| {
            self.stamps = self.stamps.wrapping_add(1);
            VARYING[self.stamps % VARYING.len()]
        });
        let now = time::cut(self.desk.clock.local(), digits);
        match before {
            Some(before) if now <= before => before + TimeDelta::milliseconds(1),
            _ => now,
        }
    }
}

pub(crate) fn is_mobile(number: &str) -> bool {
    let digits = number.strip_prefix("+98").or_else(|| number.strip_prefix("98")).or_else(|| number.strip_prefix('0'));
    digits.is_some_and(|digits| {
        digits.len() == 10 && digits.starts_with('9') && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The checksum of an Iranian national code: ten digits, the last one from the weighted sum of the others.
pub(crate) fn national_code_is_valid(code: &str) -> bool {
    let digits: Vec<u32> = code.chars().filter_map(|digit| digit.to_digit(10)).collect();
    if code.len() != 10 || digits.len() != 10 || digits.iter().all(|digit| *digit == digits[0]) {
        return false;
    }
    let sum: u32 = digits[..9].iter().zip((2..=10).rev()).map(|(digit, weight)| digit * weight).sum();
    let check = if sum % 11 < 2 { sum % 11 } else { 11 - sum % 11 };
    digits[9] == check
}
