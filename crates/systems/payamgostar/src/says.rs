//! What the CRM says when it refuses, whatever form it says it in.
//!
//! The error form is not certain (sheet §4.1): this reads the vendor's `code/message/errorDetails`, a bare
//! `message`, ASP.NET's problem details, plain text, a page of HTML and an empty body, and never fails.

use serde_json::Value;
use tandem_core::text::normalize;
use tandem_outbound::Answer;

/// The longest message kept; longer ones are cut.
const LONGEST: usize = 500;

/// A refusal in the CRM's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Refusal {
    /// A number in the body, not the HTTP status.
    pub code: Option<i64>,
    pub message: Option<String>,
    pub details: Vec<RefusalDetail>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RefusalDetail {
    pub code: Option<i64>,
    pub field: Option<String>,
    pub message: Option<String>,
}

impl Refusal {
    pub(crate) fn of(answer: &Answer) -> Self {
        if answer.is_markup() {
            return Self { message: Some("an HTML page".to_owned()), ..Self::default() };
        }
        match tandem_outbound::json::from_slice::<Value>(&answer.body) {
            Ok(value) => Self::from_json(&value),
            Err(_) => Self { message: clean(&String::from_utf8_lossy(&answer.body)), ..Self::default() },
        }
    }

    fn from_json(value: &Value) -> Self {
        let details = match member(value, &["errorDetails", "errors", "details"]) {
            Some(Value::Array(rows)) => rows.iter().map(RefusalDetail::from_json).collect(),
            Some(Value::Object(fields)) => fields.iter().flat_map(|(field, said)| by_field(field, said)).collect(),
            _ => Vec::new(),
        };
        let message = value.as_str().and_then(clean).or_else(|| {
            ["message", "detail", "title", "error_description", "error"]
                .iter()
                .find_map(|name| texts(member(value, &[name])?))
        });
        Self { code: number(value, &["code", "statusCode"]), message, details }
    }

    /// One line: every field with what is wrong with it, else the message.
    pub(crate) fn sentence(&self) -> String {
        let mut parts: Vec<String> = self.message.iter().cloned().collect();
        parts.extend(self.details.iter().filter_map(|detail| match (&detail.field, &detail.message) {
            (Some(field), Some(message)) => Some(format!("{field}: {message}")),
            (Some(field), None) => Some(field.clone()),
            (None, message) => message.clone(),
        }));
        parts.dedup();
        if parts.is_empty() { "no reason given".to_owned() } else { cut(&parts.join("; ")) }
    }

    /// The refusal is about a value that another record already has.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.any_message(|text| {
            ["تکرار", "duplicate", "already exist", "already in use", "already used", "unique"]
                .iter()
                .any(|word| text.contains(word))
        })
    }

    /// The refusal names this field (PascalCase or camelCase).
    pub(crate) fn names_field(&self, name: &str) -> bool {
        self.details.iter().any(|detail| detail.field.as_deref().is_some_and(|field| field.eq_ignore_ascii_case(name)))
    }

    /// The body, not the status, says beyond doubt that the object asked for does not exist. "Field 'X' not
    /// found" and its like are about something else and don't count: an object taken for absent that is
    /// there would be created twice.
    pub(crate) fn says_absent(&self) -> bool {
        if self.code == Some(404) || self.details.iter().any(|detail| detail.code == Some(404)) {
            return true;
        }
        const ABSENT: [&str; 5] = ["not found", "does not exist", "یافت نشد", "پیدا نشد", "وجود ندارد"];
        const OBJECT: [&str; 13] = [
            "object",
            "identity",
            "person",
            "organization",
            "record",
            "item",
            "quote",
            "invoice",
            "موجودیت",
            "هویت",
            "رکورد",
            "مورد",
            "آیتم",
        ];
        const OTHER: [&str; 13] = [
            "field",
            "property",
            "template",
            "column",
            "table",
            "procedure",
            "method",
            "file",
            "type",
            "user",
            "فیلد",
            "کاربر",
            "نوع",
        ];
        let says = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
        self.details.iter().all(|detail| detail.field.is_none())
            && self.any_message(|text| {
                let bare = ABSENT.contains(&text.trim_end_matches('.'));
                bare || (text.chars().count() <= 120
                    && says(text, &ABSENT)
                    && says(text, &OBJECT)
                    && !says(text, &OTHER))
            })
    }

    fn any_message(&self, judge: impl Fn(&str) -> bool) -> bool {
        let details = self.details.iter().filter_map(|detail| detail.message.as_deref());
        self.message.as_deref().into_iter().chain(details).any(|message| judge(&normalize(message).to_lowercase()))
    }
}

impl RefusalDetail {
    fn from_json(row: &Value) -> Self {
        Self {
            code: number(row, &["statusCode", "code"]),
            field: member(row, &["field", "propertyName"]).and_then(Value::as_str).and_then(clean),
            message: row.as_str().and_then(clean).or_else(|| texts(member(row, &["message"])?)),
        }
    }
}

fn by_field(field: &str, said: &Value) -> Option<RefusalDetail> {
    Some(RefusalDetail { code: None, field: clean(field), message: Some(texts(said)?) })
}

/// The first of these members that is there, by any letter case.
fn member<'a>(value: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let members = value.as_object()?;
    names
        .iter()
        .find_map(|wanted| members.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, member)| member))
}

fn number(value: &Value, names: &[&str]) -> Option<i64> {
    let found = member(value, names)?;
    found.as_i64().or_else(|| found.as_str()?.trim().parse().ok())
}

/// A text, or several as one line.
fn texts(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => clean(text),
        Value::Array(rows) => {
            let rows: Vec<String> = rows.iter().filter_map(Value::as_str).filter_map(clean).collect();
            (!rows.is_empty()).then(|| rows.join(", "))
        }
        _ => None,
    }
}

/// One line without control characters, `None` when nothing is left.
fn clean(text: &str) -> Option<String> {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| cut(&words.join(" ")))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_known_error_form_gives_one_sentence() {
        for (body, sentence) in [
            (
                json!({"code":7,"message":"invalid","errorDetails":[{"statusCode":400,"field":"CustomerNumber","message":"is taken"}]}),
                "invalid; CustomerNumber: is taken",
            ),
            (json!({"Code":7,"Message":"نامعتبر","ErrorDetails":null}), "نامعتبر"),
            (
                json!({"title":"One or more validation errors occurred.","status":400,"errors":{"NickName":["required","too short"]}}),
                "One or more validation errors occurred.; NickName: required, too short",
            ),
            (json!("plain"), "plain"),
            (json!({}), "no reason given"),
            (json!(null), "no reason given"),
            (json!([1, {"a": 2}]), "no reason given"),
        ] {
            assert_eq!(Refusal::from_json(&body).sentence(), sentence);
        }
    }

    #[test]
    fn absence_is_believed_only_when_it_is_about_the_object() {
        for said in ["Not found.", "Identity not found", "مورد درخواستی یافت نشد", "The object does not exist."]
        {
            assert!(Refusal::from_json(&json!({ "message": said })).says_absent(), "{said}");
        }
        for said in [
            "Field 'Code' not found",
            "Stored procedure not found",
            "نوع مورد یافت نشد",
            "Object reference not set to an instance of an object.",
            "error",
        ] {
            assert!(!Refusal::from_json(&json!({ "message": said })).says_absent(), "{said}");
        }
        assert!(Refusal::from_json(&json!({"code":404,"message":"x"})).says_absent());
        let about_a_field = json!({"message":"person not found","errorDetails":[{"field":"managerId","message":"x"}]});
        assert!(!Refusal::from_json(&about_a_field).says_absent());
    }

    #[test]
    fn a_long_message_is_cut_and_kept_on_one_line() {
        let refusal = Refusal::from_json(&json!({"message": "a\r\n b".repeat(400)}));
        let sentence = refusal.sentence();
        assert!(sentence.chars().count() <= LONGEST + 1 && !sentence.contains('\n'));
    }
}
