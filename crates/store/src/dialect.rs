//! The differences between Postgres and SQLite, all of them: how values are bound and read, and the few SQL
//! expressions that are not the same. Statements elsewhere are written once, with `:name` for their parameters.

use crate::StoreError;
use chrono::{DateTime, Utc};
use sea_orm::{DbBackend, QueryResult, Statement, TryGetable, Value};
use serde::Serialize;
use serde_json::Value as Json;
use std::str::FromStr;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Sqlite,
}

impl Dialect {
    pub(crate) fn backend(self) -> DbBackend {
        match self {
            Self::Postgres => DbBackend::Postgres,
            Self::Sqlite => DbBackend::Sqlite,
        }
    }

    pub(crate) fn params(self) -> Params {
        Params { dialect: self, entries: Vec::with_capacity(16) }
    }

    /// A JSON array parameter as a table `b` with the given columns.
    pub(crate) fn batch(self, param: &str, columns: &[(&str, Column)]) -> String {
        let list: Vec<String> = match self {
            Self::Postgres => columns.iter().map(|(name, column)| format!("{name} {}", column.postgres())).collect(),
            Self::Sqlite => {
                columns.iter().map(|(name, _)| format!("json_extract(value, '$.{name}') AS {name}")).collect()
            }
        };
        match self {
            Self::Postgres => format!("jsonb_to_recordset(CAST({param} AS jsonb)) AS b({})", list.join(", ")),
            Self::Sqlite => format!("(SELECT {} FROM json_each({param})) AS b", list.join(", ")),
        }
    }

    /// A JSON array of texts as a one-column subquery, for `IN (...)`.
    pub(crate) fn texts(self, param: &str) -> String {
        match self {
            Self::Postgres => format!("SELECT jsonb_array_elements_text({param})"),
            Self::Sqlite => format!("SELECT value FROM json_each({param})"),
        }
    }

    /// One JSON object laid over another, name by name.
    pub(crate) fn merged(self, under: &str, over: &str) -> String {
        match self {
            Self::Postgres => format!("{under} || {over}"),
            Self::Sqlite => format!("json_patch({under}, {over})"),
        }
    }

    /// A text as a column of type uuid.
    pub(crate) fn as_uuid(self, text: &str) -> String {
        match self {
            Self::Postgres => format!("CAST({text} AS uuid)"),
            Self::Sqlite => text.to_owned(),
        }
    }

    /// Several writes fit into one statement, as `WITH name AS (INSERT ..)`.
    pub(crate) fn writes_in_with(self) -> bool {
        self == Self::Postgres
    }

    /// Where `part` begins in `text`, from 1; 0 = nowhere.
    pub(crate) fn position(self, text: &str, part: &str) -> String {
        match self {
            Self::Postgres => format!("strpos({text}, {part})"),
            Self::Sqlite => format!("instr({text}, {part})"),
        }
    }

    /// Holds the selected rows until the transaction ends. SQLite needs none: its writers take turns.
    pub(crate) fn hold(self) -> &'static str {
        match self {
            Self::Postgres => "FOR NO KEY UPDATE",
            Self::Sqlite => "",
        }
    }

    /// As [`hold`](Self::hold), leaving out rows that somebody else holds.
    pub(crate) fn hold_free(self) -> &'static str {
        match self {
            Self::Postgres => "FOR NO KEY UPDATE SKIP LOCKED",
            Self::Sqlite => "",
        }
    }
}

/// The type of a batch column.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    Text,
    Int,
}

impl Column {
    fn postgres(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "bigint",
        }
    }
}

/// Named values for statements. One bag may serve several statements; each takes what it names.
#[derive(Debug, Clone)]
pub(crate) struct Params {
    dialect: Dialect,
    entries: Vec<(&'static str, Value)>,
}

impl Params {
    fn with(mut self, name: &'static str, value: Value) -> Self {
        self.entries.push((name, value));
        self
    }
    pub(crate) fn text(self, name: &'static str, value: impl Into<String>) -> Self {
        self.maybe_text(name, Some(value))
    }
    pub(crate) fn maybe_text(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        self.with(name, Value::String(value.map(|text| storable(text.into()))))
    }
    pub(crate) fn int(self, name: &'static str, value: impl Into<i64>) -> Self {
        self.with(name, Value::BigInt(Some(value.into())))
    }
    pub(crate) fn maybe_int(self, name: &'static str, value: Option<i64>) -> Self {
        self.with(name, Value::BigInt(value))
    }
    pub(crate) fn flag(self, name: &'static str, value: bool) -> Self {
        self.with(name, Value::Bool(Some(value)))
    }
    /// On SQLite: microseconds since 1970.
    pub(crate) fn time(self, name: &'static str, value: DateTime<Utc>) -> Self {
        self.maybe_time(name, Some(value))
    }
    pub(crate) fn maybe_time(self, name: &'static str, value: Option<DateTime<Utc>>) -> Self {
        let value = match self.dialect {
            Dialect::Postgres => Value::ChronoDateTimeUtc(value),
            Dialect::Sqlite => Value::BigInt(value.map(|t| t.timestamp_micros())),
        };
        self.with(name, value)
    }
    /// On SQLite: text.
    pub(crate) fn uuid(self, name: &'static str, value: Option<Uuid>) -> Self {
        let value = match self.dialect {
            Dialect::Postgres => Value::Uuid(value),
            Dialect::Sqlite => Value::String(value.map(|id| id.to_string())),
        };
        self.with(name, value)
    }
    pub(crate) fn json(self, name: &'static str, value: Json) -> Self {
        self.maybe_json(name, Some(value))
    }
    pub(crate) fn maybe_json(self, name: &'static str, value: Option<Json>) -> Self {
        self.with(
            name,
            Value::Json(value.map(|mut json| {
                make_storable(&mut json);
                Box::new(json)
            })),
        )
    }

    /// Rows for [`Dialect::batch`], by the names of their fields; written down at once, without building the JSON first.
    pub(crate) fn rows(self, name: &'static str, rows: &[impl Serialize]) -> Self {
        let text = serde_json::to_string(rows).expect("rows of texts and numbers are JSON");
        if text.contains("\\u0000") {
            return self.json(name, serde_json::from_str(&text).expect("it was just written"));
        }
        self.with(name, Value::String(Some(text)))
    }

    /// The statement with its `:names` numbered. `::` and a colon before anything else are left alone.
    pub(crate) fn sql(&self, text: &str) -> Statement {
        let mut out = String::with_capacity(text.len());
        let mut used: Vec<&str> = Vec::new();
        let mut values = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(':') {
            let (before, after) = rest.split_at(at);
            out.push_str(before);
            let name_len = after[1..].find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(after.len() - 1);
            if name_len == 0 || out.ends_with(':') {
                out.push(':');
                rest = &after[1..];
                continue;
            }
            let name = &after[1..=name_len];
            let number = used.iter().position(|known| *known == name).unwrap_or_else(|| {
                let (name, value) = self
                    .entries
                    .iter()
                    .find(|(known, _)| *known == name)
                    .unwrap_or_else(|| panic!("statement parameter {name} is not bound"));
                used.push(name);
                values.push(value.clone());
                used.len() - 1
            });
            out.push_str(&format!("${}", number + 1));
            rest = &after[1 + name_len..];
        }
        out.push_str(rest);
        Statement::from_sql_and_values(self.dialect.backend(), out, values)
    }
}

/// Postgres stores no NUL character; a foreign message may hold one.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

fn make_storable(value: &mut Json) {
    match value {
        Json::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Json::Array(items) => items.iter_mut().for_each(make_storable),
        Json::Object(members) => {
            if members.keys().any(|name| name.contains('\0')) {
                *members = std::mem::take(members).into_iter().map(|(name, value)| (storable(name), value)).collect();
            }
            members.values_mut().for_each(make_storable);
        }
        _ => {}
    }
}

/// One result row, read by column name.
pub(crate) struct Found {
    dialect: Dialect,
    row: QueryResult,
}

impl Found {
    pub(crate) fn new(dialect: Dialect, row: QueryResult) -> Self {
        Self { dialect, row }
    }
    fn get<T: TryGetable>(&self, column: &str) -> Result<T, StoreError> {
        self.row.try_get("", column).map_err(|_| StoreError::unreadable(column))
    }
    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        self.get(column)
    }
    pub(crate) fn maybe_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }
    pub(crate) fn int(&self, column: &str) -> Result<i64, StoreError> {
        self.get(column)
    }
    pub(crate) fn maybe_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        self.get(column)
    }
    pub(crate) fn count(&self, column: &str) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.int(column)?).unwrap_or(0))
    }
    pub(crate) fn small(&self, column: &str) -> Result<u32, StoreError> {
        Ok(u32::try_from(self.int(column)?).unwrap_or(u32::MAX))
    }
    pub(crate) fn flag(&self, column: &str) -> Result<bool, StoreError> {
        self.get(column)
    }
    pub(crate) fn time(&self, column: &str) -> Result<DateTime<Utc>, StoreError> {
        self.maybe_time(column)?.ok_or_else(|| StoreError::unreadable(column))
    }
    pub(crate) fn maybe_time(&self, column: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        match self.dialect {
            Dialect::Postgres => self.get(column),
            Dialect::Sqlite => {
                let micros: Option<i64> = self.get(column)?;
                micros
                    .map(|m| DateTime::from_timestamp_micros(m).ok_or_else(|| StoreError::unreadable(column)))
                    .transpose()
            }
        }
    }
    pub(crate) fn uuid(&self, column: &str) -> Result<Uuid, StoreError> {
        match self.dialect {
            Dialect::Postgres => self.get(column),
            Dialect::Sqlite => self.text(column)?.parse().map_err(|_| StoreError::unreadable(column)),
        }
    }
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        self.maybe_json(column)?.ok_or_else(|| StoreError::unreadable(column))
    }
    pub(crate) fn maybe_json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let value: Option<Json> = self.get(column)?;
        value.map(|v| serde_json::from_value(v).map_err(|_| StoreError::unreadable(column))).transpose()
    }
    /// A word of one of the core's enums.
    pub(crate) fn word<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| StoreError::unreadable(column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_a_nul_character_are_made_storable_and_others_are_written_as_they_are() {
        let text = |rows: &[[&str; 1]]| match &Dialect::Postgres.params().rows("b", rows).entries[0].1 {
            Value::String(Some(text)) => text.clone(),
            Value::Json(Some(json)) => json.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(&[["a\\u0000b"]]), r#"[["a\\u0000b"]]"#);
        assert_eq!(text(&[["a\0b"], ["a\\u0000b"]]), "[[\"a\u{fffd}b\"],[\"a\\\\u0000b\"]]");
    }

    #[test]
    fn names_are_numbered_in_order_of_use_and_casts_are_left_alone() {
        let params = Dialect::Postgres.params().int("b", 2).int("a", 1).int("unused", 3);
        let statement = params.sql("SELECT :a::bigint, 'x:' || :b, :a");
        assert_eq!(statement.sql, "SELECT $1::bigint, 'x:' || $2, $1");
        assert_eq!(statement.values.map(|v| v.0), Some(vec![Value::BigInt(Some(1)), Value::BigInt(Some(2))]));
    }
}
