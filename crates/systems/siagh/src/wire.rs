//! What Siagh answers, read leniently: numbers as texts and texts as numbers, `null` for every empty thing.
//!
//! Passwords and pictures of contacts are in the same rows (sheet §2.2); they are not read at all.

use crate::forms::PartyKind;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt;

/// One row of the contact list (sheet §2.2). Empty texts are `None`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Contact {
    /// The key of a contact; everything else may change.
    #[serde(deserialize_with = "required_int")]
    pub code: i64,
    #[serde(default, deserialize_with = "text")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub nick_name: Option<String>,
    /// `TowardType`: false is a person, true an organization (sheet §4.5 #3). `None` when the row does not say.
    #[serde(default, rename = "TowardType", deserialize_with = "party_kind")]
    pub kind: Option<PartyKind>,
    #[serde(default, deserialize_with = "text")]
    pub national_code: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub mobile_no: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub mobile_no2: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub tel_no: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub tel_no2: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub email: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub email2: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub web_site_address: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub address: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub postal_code: Option<String>,
    /// A code, not a name; likewise the next two.
    #[serde(default, deserialize_with = "text")]
    pub city_code: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub country_code: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub geographic_code: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub gender: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub description: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub is_active: bool,
    /// A user of Siagh itself, not a customer.
    #[serde(default, deserialize_with = "flag")]
    pub is_admin_user: bool,
    /// Code of the account party, which the pre-invoice may want instead of `code` (sheet §5.3, open).
    #[serde(default, deserialize_with = "int")]
    pub account_party_code: Option<i64>,
}

/// Shows the code only.
impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact").field("code", &self.code).finish_non_exhaustive()
    }
}

/// A question to the list. How Siagh compares is unknown, so its rows are checked again here: codes as
/// numbers, phones by their digits without country code and leading zero (sheet §2.2).
#[derive(Clone, PartialEq, Eq)]
pub enum ContactFilter {
    Code(i64),
    MobileNo(String),
    TelNo(String),
}

impl ContactFilter {
    pub(crate) fn body(&self) -> Value {
        match self {
            Self::Code(code) => serde_json::json!({ "Code": code }),
            Self::MobileNo(number) => serde_json::json!({ "MobileNo": number }),
            Self::TelNo(number) => serde_json::json!({ "TelNo": number }),
        }
    }

    pub(crate) fn fits(&self, contact: &Contact) -> bool {
        let same =
            |asked: &str, had: &Option<String>| had.as_deref().is_some_and(|had| subscriber(had) == subscriber(asked));
        match self {
            Self::Code(code) => contact.code == *code,
            Self::MobileNo(number) => same(number, &contact.mobile_no),
            Self::TelNo(number) => same(number, &contact.tel_no),
        }
    }
}

/// A phone number's digits without `+98`, `0098` and leading zeros.
fn subscriber(number: &str) -> String {
    let digits = tandem_core::text::digits(number);
    let national = digits.trim_start_matches('0');
    let national = if national.len() > 10 { national.strip_prefix("98").unwrap_or(national) } else { national };
    national.trim_start_matches('0').to_owned()
}

/// What a login tells about the server (sheet §1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// The open fiscal year, Jalali. Never compute it from our own date (sheet §2.8).
    pub fiscal_year: Option<i32>,
    /// Jalali `yyyy/MM/dd`, on the server's clock.
    pub system_date: Option<String>,
    /// `HH:mm`, Iran time.
    pub system_time: Option<String>,
    pub user_code: Option<i64>,
    pub branch_code: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LoginAnswer {
    #[serde(default, deserialize_with = "text")]
    pub(crate) session_id: Option<String>,
    #[serde(default, deserialize_with = "int")]
    fiscal_year: Option<i64>,
    #[serde(default, deserialize_with = "text")]
    system_date: Option<String>,
    #[serde(default, deserialize_with = "text")]
    system_time: Option<String>,
    #[serde(default, deserialize_with = "int")]
    user_code: Option<i64>,
    #[serde(default, deserialize_with = "int")]
    branch_code: Option<i64>,
}

impl LoginAnswer {
    pub(crate) fn info(&self) -> ServerInfo {
        ServerInfo {
            fiscal_year: self.fiscal_year.and_then(|year| i32::try_from(year).ok()),
            system_date: self.system_date.clone(),
            system_time: self.system_time.clone(),
            user_code: self.user_code,
            branch_code: self.branch_code,
        }
    }
}

/// The answer to a save (sheet §2.7).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SaveAnswer {
    #[serde(deserialize_with = "list")]
    pub(crate) errors: Vec<Notice>,
    #[serde(deserialize_with = "texts")]
    pub(crate) final_messages: Vec<String>,
    #[serde(deserialize_with = "maybe_flag")]
    pub(crate) return_value: Option<bool>,
    #[serde(deserialize_with = "text")]
    pub(crate) return_code: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) return_params: Option<String>,
}

/// One row of `Errors`, which also holds successes and warnings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Notice {
    #[serde(deserialize_with = "text")]
    pub(crate) col_name: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) error_type: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) description: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) message_text: Option<String>,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(as_text(Value::deserialize(deserializer)?))
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.trim().is_empty()).then_some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(rows) => rows.into_iter().filter_map(as_text).collect(),
        other => as_text(other).into_iter().collect(),
    })
}

fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Notice>, D::Error> {
    Ok(Option::<Vec<Notice>>::deserialize(deserializer)?.unwrap_or_default())
}

fn int<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(as_text(Value::deserialize(deserializer)?).and_then(|text| text.trim().parse().ok()))
}

fn required_int<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    int(deserializer)?.ok_or_else(|| serde::de::Error::custom("expected an integer"))
}

fn maybe_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(flag) => Some(flag),
        other => match as_text(other).unwrap_or_default().trim().to_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
    })
}

fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(maybe_flag(deserializer)?.unwrap_or_default())
}

fn party_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PartyKind>, D::Error> {
    Ok(maybe_flag(deserializer)?
        .map(|organization| if organization { PartyKind::Organization } else { PartyKind::Person }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_compared_without_country_code_and_leading_zero() {
        for same in ["09120000001", "9120000001", "+98 912 000 0001", "00989120000001", "۰۹۱۲۰۰۰۰۰۰۱"] {
            assert_eq!(subscriber(same), "9120000001", "{same}");
        }
        assert_ne!(subscriber("02100000001"), subscriber("09100000001"));
        assert_eq!(subscriber("9800000012"), "9800000012");
    }

    #[test]
    fn a_row_reads_with_texts_for_numbers_and_nulls_for_everything_but_the_code() {
        let row: Contact = serde_json::from_str(r#"{"Code":"42","Name":"x","TowardType":null,"IsActive":null,"AccountPartyCode":"5500042","Password":"CANARY","img":{"a":1}}"#).unwrap();
        assert_eq!((row.code, row.kind, row.is_active, row.account_party_code), (42, None, false, Some(5_500_042)));
        assert!(serde_json::from_str::<Contact>(r#"{"Name":"x"}"#).is_err());
    }

    #[test]
    fn toward_type_true_is_an_organization() {
        let kind =
            |text: &str| serde_json::from_str::<Contact>(&format!(r#"{{"Code":1,"TowardType":{text}}}"#)).unwrap().kind;
        assert_eq!(kind("false"), Some(PartyKind::Person));
        assert_eq!(kind("true"), Some(PartyKind::Organization));
        assert_eq!(kind("1"), Some(PartyKind::Organization));
    }
}
