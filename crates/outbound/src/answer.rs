//! What came back: the head at once, the body whole or piece by piece.

use crate::failure::Failure;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::time::Duration;
use tandem_core::Fault;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// The longest wait a `Retry-After` may ask for here; longer wishes are cut to it.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Everything of an answer but its body.
#[derive(Debug, Clone)]
pub struct AnswerHead {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The other side's clock, from its `Date` header (whole seconds). `None` when it sent none.
    pub server_time: Option<DateTime<Utc>>,
    /// `Retry-After`, as seconds or as a date against the same answer's `Date`; at most one hour.
    pub retry_after: Option<Duration>,
    /// When the head arrived, on our monotonic clock.
    pub received_at: Instant,
}

impl AnswerHead {
    pub(crate) fn of(response: &Response) -> Self {
        let headers = response.headers().clone();
        let server_time = text(&headers, DATE.as_str()).and_then(http_date);
        let retry_after = text(&headers, RETRY_AFTER.as_str()).and_then(|wish| retry_wish(wish, server_time));
        Self { status: response.status(), headers, server_time, retry_after, received_at: Instant::now() }
    }

    /// The `Content-Type` says HTML. Not every HTML page says so; see [`crate::json::looks_like_markup`].
    pub fn says_html(&self) -> bool {
        text(&self.headers, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
    }

    /// Where a redirect points to; redirects are never followed.
    pub fn location(&self) -> Option<&str> {
        text(&self.headers, LOCATION.as_str())
    }
}

/// An answer with its whole body.
#[derive(Clone)]
pub struct Answer {
    pub head: AnswerHead,
    pub body: Bytes,
}

impl Answer {
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Header or body say this is a page for people, not an answer for a program.
    pub fn is_markup(&self) -> bool {
        crate::json::looks_like_markup(&self.body) || (self.head.says_html() && !self.body.is_empty())
    }
}

/// Shows the status and the size only.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.head.status, self.body.len())
    }
}

/// An answer whose body is read piece by piece, in constant memory. Holds its place in the destination's
/// limit until it is dropped.
pub struct AnswerStream {
    pub head: AnswerHead,
    pub(crate) response: Response,
    pub(crate) piece_within: Duration,
    pub(crate) fault_of: Box<dyn Fn(Failure) -> Fault + Send + Sync>,
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl AnswerStream {
    /// The next piece of the body, `None` after the last one.
    ///
    /// # Errors
    /// A broken or stalled connection, classed as for any other call.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let piece = match tokio::time::timeout(self.piece_within, self.response.chunk()).await {
            Ok(piece) => piece.map_err(|error| Failure::of(&error)),
            Err(_) => Err(Failure::TimedOut),
        };
        piece.map_err(&self.fault_of)
    }
}

/// Reads a body up to `cap` bytes; refuses early when the length is announced.
pub(crate) async fn whole_body(mut response: Response, cap: usize) -> Result<Bytes, Failure> {
    if response.content_length().is_some_and(|length| usize::try_from(length).map_or(true, |length| length > cap)) {
        return Err(Failure::TooLarge(cap));
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| Failure::of(&error))? {
        if body.len() + piece.len() > cap {
            return Err(Failure::TooLarge(cap));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The one date form HTTP/1.1 allows to be sent ("Sun, 06 Nov 1994 08:49:37 GMT") is also an RFC 2822 date.
fn http_date(value: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(value.trim()).ok().map(|date| date.with_timezone(&Utc))
}

fn retry_wish(value: &str, server_time: Option<DateTime<Utc>>) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (http_date(value)? - server_time?).to_std().unwrap_or(Duration::ZERO),
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_wish_is_read_as_seconds_or_against_the_servers_own_clock() {
        let now = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(now.is_some());
        assert_eq!(retry_wish("7", None), Some(Duration::from_secs(7)));
        assert_eq!(retry_wish("Sun, 06 Nov 1994 08:50:00 GMT", now), Some(Duration::from_secs(23)));
        assert_eq!(retry_wish("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_wish("Sun, 06 Nov 1994 08:50:00 GMT", None), None);
        assert_eq!(retry_wish("soon", now), None);
    }

    #[test]
    fn a_retry_wish_of_days_is_cut_to_an_hour() {
        assert_eq!(retry_wish("864000", None), Some(LONGEST_WAIT));
        assert_eq!(retry_wish("99999999999999999999999", None), None);
    }
}
