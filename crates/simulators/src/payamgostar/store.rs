//! The CRM's objects and the indexes that keep single reads and writes independent of how many there are.
//!
//! It keeps what it is given; whether a value is allowed is decided in [`super::save`].

use super::{
    fields,
    kind::{ItemType, Kind},
};
use chrono::NaiveDateTime;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};
use uuid::Uuid;

/// Members that can be looked up by equality without a scan.
const INDEXED: [&str; 8] =
    ["customerNumber", "refId", "nationalCode", "economicCode", "nickName", "email", "identityId", "number"];
/// The index of the numbers in phone rows.
pub(crate) const PHONE_NUMBER: &str = "phoneNumber";

pub(crate) type Members = BTreeMap<&'static str, Value>;
/// Modify time, creation rank and id: the order of changed-since polling.
pub(crate) type ByModified = BTreeSet<(NaiveDateTime, u64, Uuid)>;

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) type_code: Arc<str>,
    pub(crate) created: NaiveDateTime,
    pub(crate) modified: NaiveDateTime,
    /// Rank of creation.
    pub(crate) rank: u64,
    /// 1 pending, 2 approved, 3 rejected; 1 is from the sheet, the others are assumed (§2.9).
    pub(crate) state: u8,
    pub(crate) lead: bool,
    /// Reads answer 404 until then.
    pub(crate) hidden_until: Option<Instant>,
    pub(crate) members: Members,
}

impl Object {
    pub(crate) fn text(&self, member: &str) -> &str {
        self.members.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.hidden_until.is_none_or(|until| Instant::now() >= until)
    }

    pub(crate) fn phone_numbers(&self) -> impl Iterator<Item = &str> {
        let rows = self.members.get("phoneContacts").and_then(Value::as_array);
        rows.into_iter().flatten().filter_map(|row| row["phoneNumber"].as_str()).filter(|number| !number.is_empty())
    }

    fn keys(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let phones = self.phone_numbers().map(|number| (PHONE_NUMBER, number));
        INDEXED.into_iter().map(|name| (name, self.text(name))).filter(|(_, value)| !value.is_empty()).chain(phones)
    }
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) types: BTreeMap<String, ItemType>,
    /// Category keys and their names.
    pub(crate) categories: BTreeMap<String, String>,
    /// Countries, states and cities the CRM knows.
    pub(crate) places: HashSet<String>,
    /// User keys of custom fields, once any object has carried them.
    pub(crate) user_keys: HashSet<String>,
    objects: HashMap<Uuid, Object>,
    /// Identities in the order they were created.
    identities: Vec<Uuid>,
    by_modified: HashMap<Kind, ByModified>,
    lookup: HashMap<&'static str, HashMap<String, Vec<Uuid>>>,
    ranks: u64,
}

impl Store {
    pub(crate) fn get(&self, id: Uuid) -> Option<&Object> {
        self.objects.get(&id)
    }

    pub(crate) fn item_type(&self, object: &Object) -> &ItemType {
        self.types
            .get(&*object.type_code)
            .expect("an object is only stored with a type that exists, and types are never removed")
    }

    /// Identities in the order they were created.
    pub(crate) fn identities(&self) -> &[Uuid] {
        &self.identities
    }

    pub(crate) fn by_modified(&self, kind: Kind) -> impl Iterator<Item = &(NaiveDateTime, u64, Uuid)> {
        self.by_modified.get(&kind).into_iter().flatten()
    }

    pub(crate) fn modified_index(&self, kind: Kind) -> Option<&ByModified> {
        self.by_modified.get(&kind)
    }

    /// Objects with this value; none when the member has no index.
    pub(crate) fn having(&self, member: &str, value: &str) -> Option<&[Uuid]> {
        if member != PHONE_NUMBER && !INDEXED.contains(&member) {
            return None;
        }
        Some(self.lookup.get(member).and_then(|values| values.get(value)).map_or(&[], Vec::as_slice))
    }

    pub(crate) fn next_rank(&mut self) -> u64 {
        self.ranks += 1;
        self.ranks
    }

    pub(crate) fn insert(&mut self, object: Object) {
        if object.kind.is_identity() {
            self.identities.push(object.id);
        }
        self.index(&object);
        self.objects.insert(object.id, object);
    }

    /// Changes an object and keeps the indexes true. None when there is no such object.
    pub(crate) fn change<T>(&mut self, id: Uuid, change: impl FnOnce(&mut Object) -> T) -> Option<T> {
        let mut object = self.objects.remove(&id)?;
        self.unindex(&object);
        let result = change(&mut object);
        self.index(&object);
        self.objects.insert(id, object);
        Some(result)
    }

    pub(crate) fn remove(&mut self, id: Uuid) -> Option<Object> {
        let object = self.objects.remove(&id)?;
        self.unindex(&object);
        self.identities.retain(|other| *other != id);
        Some(object)
    }

    fn index(&mut self, object: &Object) {
        self.by_modified.entry(object.kind).or_default().insert((object.modified, object.rank, object.id));
        for (member, value) in object.keys() {
            let values = self.lookup.entry(member).or_default();
            match values.get_mut(value) {
                Some(ids) => ids.push(object.id),
                None => {
                    values.insert(value.to_owned(), vec![object.id]);
                }
            }
        }
        for row in object.members.get("extendedProperties").and_then(Value::as_array).into_iter().flatten() {
            if let Some(key) = row["userKey"].as_str().filter(|key| !self.user_keys.contains(*key)) {
                self.user_keys.insert(key.to_owned());
            }
        }
    }

    fn unindex(&mut self, object: &Object) {
        if let Some(order) = self.by_modified.get_mut(&object.kind) {
            order.remove(&(object.modified, object.rank, object.id));
        }
        for (member, value) in object.keys() {
            let Some(values) = self.lookup.get_mut(member) else { continue };
            if let Some(ids) = values.get_mut(value) {
                ids.retain(|id| *id != object.id);
                if ids.is_empty() {
                    values.remove(value);
                }
            }
        }
    }

    /// Drops members the kind does not have: what a conversion person↔organization loses.
    pub(crate) fn drop_foreign_members(object: &mut Object) {
        let kind = object.kind;
        object.members.retain(|name, _| fields::named(kind, name).is_some());
    }
}
