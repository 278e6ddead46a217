//! The canonical form of a record's mapped fields, and its checksum (loop guard, layer 2).
//!
//! Only what a bridge maps goes in: a change of anything else is no change. Text is normalized, decimals lose
//! their trailing zeros and keys are sorted, so that two spellings of the same record have one checksum.

use crate::text::normalize;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// SHA-256 over a canonical form, as 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checksum(String);

impl Checksum {
    /// Takes a checksum that was stored before.
    pub fn from_stored(hex: impl Into<String>) -> Self {
        Self(hex.into())
    }
    /// The checksum of raw bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The mapped fields of one record, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(BTreeMap<String, Value>);

impl Fields {
    pub fn new() -> Self {
        Self::default()
    }
    /// A text field. Blank counts as absent: `""`, `" "` and a missing member are the same to a person.
    pub fn text(mut self, name: &str, value: Option<&str>) -> Self {
        let value = value.map(str::trim).filter(|v| !v.is_empty());
        self.0.insert(name.to_owned(), value.map_or(Value::Null, |v| Value::String(v.to_owned())));
        self
    }
    /// An amount or a quantity, exact.
    pub fn decimal(mut self, name: &str, value: Option<Decimal>) -> Self {
        self.0.insert(name.to_owned(), value.map_or(Value::Null, |v| Value::String(v.normalize().to_string())));
        self
    }
    pub fn flag(mut self, name: &str, value: bool) -> Self {
        self.0.insert(name.to_owned(), Value::Bool(value));
        self
    }
    /// A list of rows, in their order.
    pub fn rows(mut self, name: &str, rows: Vec<Fields>) -> Self {
        let rows = rows.into_iter().map(|row| Value::Object(row.0.into_iter().collect())).collect();
        self.0.insert(name.to_owned(), Value::Array(rows));
        self
    }
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The checksum of the canonical form.
    pub fn checksum(&self) -> Checksum {
        let mut canonical = String::new();
        write_object(&mut canonical, self.0.iter());
        Checksum::of_bytes(canonical.as_bytes())
    }
    /// The fields in which `self` differs from `older`, old value first. Values that normalize alike don't differ.
    pub fn changes_since(&self, older: &Fields) -> Vec<crate::plan::Change> {
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(older.0.keys()).collect();
        names
            .into_iter()
            .filter_map(|name| {
                let (old, new) = (older.0.get(name).unwrap_or(&Value::Null), self.0.get(name).unwrap_or(&Value::Null));
                (canonical_value(old) != canonical_value(new)).then(|| crate::plan::Change {
                    field: name.clone(),
                    old: old.clone(),
                    new: new.clone(),
                })
            })
            .collect()
    }
}

fn canonical_value(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_object<'a>(out: &mut String, members: impl Iterator<Item = (&'a String, &'a Value)>) {
    let sorted: BTreeMap<&String, &Value> = members.collect();
    out.push('{');
    for (name, value) in sorted {
        write_text(out, name);
        out.push(':');
        write_value(out, value);
        out.push(',');
    }
    out.push('}');
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => write_text(out, &normalize(text)),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_value(out, item);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(members) => write_object(out, members.iter()),
        plain => out.push_str(&plain.to_string()),
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&Value::String(text.to_owned()).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(name: &str) -> Fields {
        Fields::new().text("name", Some(name)).text("phone", None).flag("organization", true)
    }

    #[test]
    fn spelling_does_not_change_the_checksum_but_content_does() {
        assert_eq!(customer("شركت  الف").checksum(), customer("شرکت الف").checksum());
        assert_ne!(customer("شرکت الف").checksum(), customer("شرکت ب").checksum());
    }

    #[test]
    fn trailing_zeros_of_a_decimal_do_not_change_the_checksum() {
        let amount = |text: &str| Fields::new().decimal("amount", Some(text.parse().unwrap()));
        assert_eq!(amount("100000.00").checksum(), amount("100000").checksum());
        assert_ne!(amount("100000.00").checksum(), amount("100000.01").checksum());
    }

    #[test]
    fn order_of_rows_is_content_and_order_of_names_is_not() {
        let row = |n: &str| Fields::new().text("goods", Some(n));
        let ab = Fields::new().rows("lines", vec![row("a"), row("b")]).text("x", Some("1"));
        let ba = Fields::new().text("x", Some("1")).rows("lines", vec![row("b"), row("a")]);
        let ab_again = Fields::new().text("x", Some("1")).rows("lines", vec![row("a"), row("b")]);
        assert_ne!(ab.checksum(), ba.checksum());
        assert_eq!(ab.checksum(), ab_again.checksum());
    }

    #[test]
    fn changes_name_the_field_with_old_and_new_value() {
        let changes = customer("ب").changes_since(&customer("الف"));
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].field.as_str(), &changes[0].old, &changes[0].new),
            ("name", &Value::from("الف"), &Value::from("ب"))
        );
        assert!(customer("شركت").changes_since(&customer("شرکت")).is_empty());
    }

    #[test]
    fn a_value_can_not_be_confused_with_its_neighbour() {
        let one = Fields::new().text("a", Some("x\",\"b\":\"y"));
        let two = Fields::new().text("a", Some("x")).text("b", Some("y"));
        assert_ne!(one.checksum(), two.checksum());
    }
}
