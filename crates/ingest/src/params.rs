//! The parameters of a webhook call as the CRM writes them (payamgostar sheet §3): form-urlencoded with `+` for a space,
//! names in any letter case; in a POST also as a form or a flat JSON object.
//!
//! Reading never fails on bytes that are no UTF-8: they become replacement characters, and what has to be exact (the id)
//! is checked by the bridge.

use serde_json::{Map, Value};
use tandem_core::bridge::WebhookCall;

/// Characters kept of a parameter; an id is far shorter.
const VALUE_LIMIT: usize = 500;

/// What a call said about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    pub event: Option<String>,
    pub id: Option<String>,
    pub kind: Option<String>,
    pub label: Option<String>,
}

impl Params {
    pub(crate) fn of_query(query: &str) -> Self {
        let mut params = Self::default();
        params.take_form(query.as_bytes());
        params
    }

    /// Adds what the query did not say. The sentence of an error may be shown to the caller.
    pub(crate) fn add_body(&mut self, body: &[u8]) -> Result<(), String> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
        match body.first() {
            None => {}
            Some(b'{') => self.take_json(body)?,
            Some(b'[') => return Err("the body is a JSON list; one object is expected".to_owned()),
            Some(_) => self.take_form(body),
        }
        Ok(())
    }

    fn take_form(&mut self, form: &[u8]) {
        for (name, value) in url::form_urlencoded::parse(form) {
            self.take(&name, &value);
        }
    }

    fn take_json(&mut self, body: &[u8]) -> Result<(), String> {
        let members: Map<String, Value> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
        for (name, value) in &members {
            match value {
                Value::String(text) => self.take(name, text),
                Value::Number(number) => self.take(name, &number.to_string()),
                _ => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &str, value: &str) {
        let slot = match name.to_ascii_lowercase().as_str() {
            "event" => &mut self.event,
            "id" => &mut self.id,
            "type" => &mut self.kind,
            "subtype" => &mut self.label,
            _ => return,
        };
        // Control characters have no place in any of them, and Postgres refuses one of them in a text.
        let clean: String = value.chars().filter(|c| !c.is_control()).take(VALUE_LIMIT).collect();
        if slot.is_none() && !clean.trim().is_empty() {
            *slot = Some(clean);
        }
    }

    pub(crate) fn as_call<'a>(&'a self, route: &'a str) -> WebhookCall<'a> {
        WebhookCall {
            route,
            event: self.event.as_deref(),
            id: self.id.as_deref(),
            kind: self.kind.as_deref(),
            label: self.label.as_deref(),
        }
    }
}

/// Where a JSON body stops making sense, without a word of what stands there.
pub(crate) fn unreadable(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "ends too early",
        Category::Data => "does not have the expected form",
        Category::Syntax | Category::Io => "is not readable JSON",
    };
    format!("the body {what} (line {}, column {})", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, body: &str) -> [Option<String>; 4] {
        let mut params = Params::of_query(query);
        params.add_body(body.as_bytes()).unwrap();
        [params.event, params.id, params.kind, params.label]
    }

    fn some<const N: usize>(texts: [&str; N]) -> [Option<String>; N] {
        texts.map(|text| Some(text.to_owned()))
    }

    #[test]
    fn the_crms_own_query_is_read_with_plus_as_space_and_persian_escapes() {
        let query = "event=Update&id=7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001&type=Identity&subtype=%D9%85%D8%AE%D8%A7%D8%B7%D8%A8+%D8%AD%D9%82%DB%8C%D9%82%DB%8C";
        assert_eq!(
            read(query, ""),
            some(["Update", "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001", "Identity", "مخاطب حقیقی"])
        );
    }

    #[test]
    fn names_are_read_in_any_letter_case_and_the_first_of_two_counts() {
        assert_eq!(read("EVENT=a&Id=b&id=c&TYPE=d&SubType=e", ""), some(["a", "b", "d", "e"]));
    }

    #[test]
    fn a_body_adds_what_the_query_did_not_say() {
        assert_eq!(
            read("id=1&type=Quote", r#"{"event":2,"id":"9","subtype":"x","data":{"id":5}}"#),
            some(["2", "1", "Quote", "x"])
        );
        assert_eq!(read("", "event=Insert&id=1&type=Quote&subtype=a+b"), some(["Insert", "1", "Quote", "a b"]));
    }

    #[test]
    fn bytes_that_are_no_utf_8_and_control_characters_do_no_harm() {
        let [event, id, ..] = read("event=%ff%fe&id=%00a%0d%0a", "");
        assert_eq!((event.as_deref(), id.as_deref()), (Some("\u{fffd}\u{fffd}"), Some("a")));
    }

    #[test]
    fn an_unreadable_body_is_named_without_its_content() {
        let said = |body: &str| Params::default().add_body(body.as_bytes()).unwrap_err();
        assert_eq!(said(r#"{"id":"secret"#), "the body ends too early (line 1, column 13)");
        assert!(said("[1]").contains("one object"));
        assert!(said(&format!("{{\"a\":{}", "[".repeat(100_000))).contains("not readable JSON"));
    }
}
