//! What a webhook call is answered.
//!
//! A stranger learns nothing but that it is not let in. A known caller gets one line that says what was wrong.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode, header};
use serde_json::json;

/// Characters of a sentence that go into an answer.
const SENTENCE_LIMIT: usize = 300;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its notice is committed.
    Accepted,
    /// Understood, stored, and of no interest; why.
    Ignored(String),
    /// HEAD and OPTIONS: nothing happened.
    Nothing,
    /// Authenticated and unreadable; why.
    Malformed(String),
    /// The address leads nowhere: no such route, a wrong token, or this intake is off. Indistinguishable on purpose.
    NotFound,
    /// No token, and not from an address that may do without.
    Forbidden,
    /// Not signed by a secret of ours, or not now.
    Unsigned,
    BodyTooLong,
    UrlTooLong,
    HeadTooLong,
    /// The body did not come in time.
    TooSlow,
    TooMany,
    /// It could not be committed; the sender has to come again.
    Unavailable,
}

impl Answer {
    fn status(&self) -> StatusCode {
        match self {
            Self::Accepted | Self::Ignored(_) | Self::Nothing => StatusCode::OK,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unsigned => StatusCode::UNAUTHORIZED,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UrlTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word for it in the metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored(_) => "ignored",
            Self::Nothing => "nothing",
            Self::Malformed(_) | Self::BodyTooLong | Self::UrlTooLong | Self::HeadTooLong | Self::TooSlow => "rejected",
            Self::NotFound | Self::Forbidden | Self::Unsigned | Self::TooMany => "refused",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether the call was turned away for its own fault, which is counted per route.
    pub(crate) fn is_rejection(&self) -> bool {
        matches!(self.outcome(), "rejected" | "refused")
    }

    pub(crate) fn response(&self, method: &Method) -> HttpResponse {
        let status = self.status();
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        match self {
            Self::TooMany | Self::Unavailable => {
                response.insert_header((header::RETRY_AFTER, "1"));
            }
            Self::Nothing => {
                response.insert_header((header::ALLOW, "GET, POST, HEAD, OPTIONS"));
            }
            _ => {}
        }
        let body = match self {
            Self::Nothing => return response.finish(),
            _ if method == Method::HEAD => return response.finish(),
            Self::Accepted => json!({"status": "accepted"}),
            Self::Ignored(why) => json!({"status": "ignored", "reason": cut(why)}),
            _ => return response.content_type("application/problem+json").body(self.problem(status).to_string()),
        };
        response.content_type("application/json").body(body.to_string())
    }

    fn problem(&self, status: StatusCode) -> serde_json::Value {
        let detail = match self {
            Self::Malformed(why) => cut(why),
            Self::Unavailable => "not stored; send it again".to_owned(),
            _ => return json!({"title": status.canonical_reason(), "status": status.as_u16()}),
        };
        json!({"title": status.canonical_reason(), "status": status.as_u16(), "detail": detail})
    }
}

fn cut(sentence: &str) -> String {
    sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SENTENCE_LIMIT).collect()
}
