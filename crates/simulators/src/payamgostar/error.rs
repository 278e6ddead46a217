//! How the CRM refuses (payamgostar sheet §4.1).

use crate::stage::reply::Reply;
use serde_json::json;

/// A refused call: its status, and what the body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The CRM's own error shape, with the field at fault when there is one.
    Error { status: u16, field: Option<String>, message: String },
    /// An unhandled failure: an HTML page.
    Crash,
}

impl Refusal {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::Error { status: 400, field: None, message: message.into() }
    }

    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Error { status: 400, field: Some(field.into()), message: message.into() }
    }

    pub(crate) fn not_found() -> Self {
        Self::Error { status: 404, field: None, message: "The object was not found.".to_owned() }
    }

    pub(crate) fn line(&self) -> String {
        match self {
            Self::Error { field: Some(field), message, .. } => format!("{field}: {message}"),
            Self::Error { message, .. } => message.clone(),
            Self::Crash => "the CRM would answer 500".to_owned(),
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        match self {
            Self::Crash => Reply::html(500, "Runtime Error"),
            Self::Error { status, field, message } => {
                let details: Vec<_> = field
                    .iter()
                    .map(|field| json!({ "statusCode": status, "field": field, "message": message }))
                    .collect();
                Reply::json(*status, &json!({ "code": status, "message": message, "errorDetails": details }))
            }
        }
    }
}
