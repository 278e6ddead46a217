//! Reads what the CRM writes the way it writes it: any letter case at the head of a member name, `null` for
//! every empty thing, decimals as numbers or texts, local times without a zone.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, TimeZone, Utc};
use rust_decimal::Decimal;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Iran keeps +03:30 without summer time since 2022 (sheet §0).
const IRAN_SECONDS: i32 = 12_600;

/// Member names with their first letter lowered, at every depth: the wire is camelCase, the vendor's models
/// are PascalCase, and the server takes either (sheet §0). Where both spellings of a name stand side by
/// side the camelCase one wins. Values are not touched.
pub fn camel_case(mut value: Value) -> Value {
    lower_names(&mut value);
    value
}

/// In place: nearly all that comes is camelCase already, and long lists of it come.
fn lower_names(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.keys().any(|name| name.starts_with(|first: char| first.is_ascii_uppercase())) {
                *members = lowered(std::mem::take(members));
            }
            members.values_mut().for_each(lower_names);
        }
        Value::Array(rows) => rows.iter_mut().for_each(lower_names),
        _ => {}
    }
}

fn lowered(members: Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::with_capacity(members.len());
    for (name, member) in members {
        let camel = lower_first(&name);
        if camel == name || !out.contains_key(&camel) {
            out.insert(camel, member);
        }
    }
    out
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}

/// A moment as the CRM wrote it, and as it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTime {
    /// Exactly as received: what de-duplication and later queries compare.
    pub text: String,
    /// `None` when the text is no date-time known here.
    pub at: Option<DateTime<FixedOffset>>,
}

impl LocalTime {
    /// Reads `YYYY-MM-DDTHH:MM:SS` with 0 to 9 fraction digits as Iran time, the same with an offset as it
    /// says, and a bare date as its midnight (sheet §0).
    pub fn parse(text: &str) -> Self {
        Self { at: instant(text.trim()), text: text.to_owned() }
    }

    /// A moment in the form the CRM's filters take: whole seconds, Iran time, no zone (sheet §2.5, assumed).
    /// Fractions are cut off, so "greater or equal" never misses anything.
    pub fn for_query(at: DateTime<Utc>) -> String {
        at.with_timezone(&iran()).format("%Y-%m-%dT%H:%M:%S").to_string()
    }
}

fn iran() -> FixedOffset {
    FixedOffset::east_opt(IRAN_SECONDS).expect("three and a half hours is a valid offset")
}

fn instant(text: &str) -> Option<DateTime<FixedOffset>> {
    if let Ok(zoned) = DateTime::parse_from_rfc3339(text) {
        return Some(zoned);
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    iran().from_local_datetime(&local).single()
}

/// Missing or `null` as `T`'s default.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// `null`, `""` and blanks as `None`; a number as its digits.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok((!text.trim().is_empty()).then_some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(D::Error::custom("expected a text")),
    }
}

/// `null` and `""` as `None`; every digit kept; anything that is no exact decimal is an error, because a
/// wrong amount is worse than none.
pub(crate) fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    let text = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        _ => return Err(D::Error::custom("expected a decimal")),
    };
    Decimal::from_str_exact(&text)
        .or_else(|_| Decimal::from_scientific(&text))
        .map(Some)
        .map_err(|_| D::Error::custom("expected a decimal"))
}

/// `null`, `""` and the all-zero id as `None` (sheet §0).
pub(crate) fn guid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    let Some(text) = text(deserializer)? else { return Ok(None) };
    let id = Uuid::try_parse(text.trim()).map_err(|_| D::Error::custom("expected a GUID"))?;
    Ok((!id.is_nil()).then_some(id))
}

/// An id that must be there.
pub(crate) fn own_guid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    guid(deserializer)?.ok_or_else(|| D::Error::custom("expected a GUID"))
}

/// `null`, `""` and .NET's "no date" (year 1) as `None`.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LocalTime>, D::Error> {
    let text = text(deserializer)?.filter(|text| !text.starts_with("0001-01-01"));
    Ok(text.as_deref().map(LocalTime::parse))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn member_names_lose_only_their_first_capital_at_every_depth() {
        let camel = camel_case(json!({"CrmId":"A","PhoneContacts":[{"PhoneNumber":"B"}],"creatDate":1}));
        assert_eq!(camel, json!({"crmId":"A","phoneContacts":[{"phoneNumber":"B"}],"creatDate":1}));
    }

    #[test]
    fn of_two_spellings_the_camel_case_one_wins() {
        assert_eq!(camel_case(json!({"Id":1,"id":2})), json!({"id":2}));
        assert_eq!(camel_case(json!({"id":2,"Id":1})), json!({"id":2}));
    }

    #[test]
    fn local_times_have_any_number_of_fraction_digits_and_no_zone() {
        for (text, utc) in [
            ("2026-02-01T14:10:20", "2026-02-01T10:40:20Z"),
            ("2026-02-01T14:10:20.033", "2026-02-01T10:40:20.033Z"),
            ("2026-02-01T14:10:20.1385332", "2026-02-01T10:40:20.1385332Z"),
            ("2026-02-01T11:43:53.1385332+03:30", "2026-02-01T08:13:53.1385332Z"),
            ("2026-02-01", "2026-01-31T20:30:00Z"),
        ] {
            let time = LocalTime::parse(text);
            assert_eq!(time.text, text);
            assert_eq!(time.at, DateTime::parse_from_rfc3339(utc).ok(), "{text}");
        }
        assert_eq!(LocalTime::parse("yesterday").at, None);
    }

    #[test]
    fn a_moment_goes_into_a_filter_as_iran_time_cut_to_seconds() {
        let at = "2026-02-01T10:40:20.999Z".parse().unwrap();
        assert_eq!(LocalTime::for_query(at), "2026-02-01T14:10:20");
    }
}
