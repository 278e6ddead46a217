//! What a broken connection means, decided in one place.

use crate::call::{Call, Safety};
use crate::settings::{Codes, host_of};
use std::error::Error;
use std::time::Duration;
use tandem_core::Fault;
use url::Url;

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection was made, so nothing was sent.
    Unreachable(String),
    TimedOut,
    Lost(String),
    TooLarge(usize),
    Misconfigured(String),
}

impl Failure {
    /// Reads reqwest's error. Its own text is not used: it may hold the whole address.
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        if error.is_builder() {
            Self::Misconfigured(root_cause(error))
        } else if error.is_connect() {
            Self::Unreachable(root_cause(error))
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Lost(root_cause(error))
        }
    }

    /// Gone in a moment, more often than not: a connection that broke. A time-out is not: it has already
    /// taken its time, and the queue repeats it later.
    pub(crate) fn is_brief(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    pub(crate) fn into_fault(self, codes: &Codes, base: &Url, call: &Call, timeout: Duration) -> Fault {
        let host = host_of(base);
        match self {
            Self::Unreachable(why) => Fault::systemic(codes.unreachable, format!("could not connect to {host}: {why}")),
            Self::Misconfigured(why) => {
                Fault::systemic(codes.misconfigured, format!("{call:?} to {host} can't be sent: {why}"))
            }
            failure => {
                let what = failure.describe(call, timeout);
                match (call.safety, failure) {
                    (Safety::Write, _) => {
                        Fault::in_doubt(codes.answer_lost, format!("{what}; it may or may not have been carried out"))
                    }
                    (_, Self::TooLarge(_)) => Fault::permanent(codes.answer_too_large, what),
                    (_, Self::TimedOut) => Fault::transient(codes.timeout, what),
                    _ => Fault::transient(codes.connection_lost, what),
                }
            }
        }
    }

    fn describe(&self, call: &Call, timeout: Duration) -> String {
        match self {
            Self::TimedOut => format!("{call:?} got no answer within {} ms", timeout.as_millis()),
            Self::TooLarge(limit) => format!("the answer to {call:?} is larger than {limit} bytes"),
            Self::Lost(why) | Self::Unreachable(why) | Self::Misconfigured(why) => {
                format!("the connection broke during {call:?}: {why}")
            }
        }
    }
}

/// The innermost cause, which names the trouble ("connection refused") and never the address with its query.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(inner) = cause.and_then(Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "no further cause given".to_owned(), ToString::to_string)
}
