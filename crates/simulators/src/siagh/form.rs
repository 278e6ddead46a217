//! The envelope of `SaveFormData` and its pipe-separated texts, read as naively as the server does
//! (siagh sheet §2.3, §7.5, §7.6).

use crate::stage::json::member;
use serde_json::{Map, Value};

/// `name=value` pairs, split on `|` and then on the first `=`. There is no escaping: a `|` inside a value ends it and
/// starts another control.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Controls(Vec<(String, String)>);

impl Controls {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('|').map(|part| part.split_once('=').unwrap_or((part, "")));
        Self(
            pairs
                .filter(|(name, _)| !name.is_empty())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// The value of a control; the last one wins, as when a form's controls are set one after the other.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The value, blank when the control was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

/// A request to save a form.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) id: String,
    pub(crate) controls: Controls,
    pub(crate) parameters: Controls,
    pub(crate) data_rows: Value,
}

/// Why an envelope cannot be worked on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadEnvelope {
    /// A member is missing or no string.
    Member,
    /// This member is no JSON.
    Json(&'static str),
}

impl Form {
    pub(crate) fn read(body: &Map<String, Value>) -> Result<Self, BadEnvelope> {
        let text = |name: &str| member(body, name).and_then(Value::as_str).ok_or(BadEnvelope::Member);
        let json = |name: &'static str| serde_json::from_str::<Value>(text(name)?).map_err(|_| BadEnvelope::Json(name));
        for constant in ["postCode", "flowId"] {
            text(constant)?;
        }
        json("attachments")?;
        Ok(Self {
            id: text("formId")?.to_owned(),
            controls: Controls::parse(text("ctrlValues")?),
            parameters: Controls::parse(text("parameters")?),
            data_rows: json("dataRows")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_in_a_value_ends_it_and_corrupts_what_follows() {
        let controls = Controls::parse("gn_web_users.fullname=الف|gn_web_users.isactive=0|x=1=2|");
        assert_eq!(controls.text("gn_web_users.fullname"), "الف");
        assert_eq!(controls.text("gn_web_users.isactive"), "0");
        assert_eq!(controls.text("x"), "1=2");
        assert_eq!(controls.get("y"), None);
    }
}
