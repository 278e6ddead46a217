//! One way to call out over HTTP, shared by every client of an outside system.
//!
//! [`HttpClient`] gives each destination its own time-outs, its own limits (calls in flight, calls per
//! second), a cap on how much it reads, and one reading of what a broken connection means: nothing was
//! sent ([`FaultClass::Systemic`]), nothing depends on it ([`FaultClass::Transient`]), or a write went out
//! and its answer was lost ([`FaultClass::InDoubt`]). [`SharedLogin`] lets all callers of a destination
//! share one session, with one login at a time and none at all while the destination refuses them.
//! [`json`] turns bytes into values without ever repeating a value in an error text.
//!
//! What this crate refuses to do: it follows no redirect, repeats no write, reads no environment variable,
//! knows no single API and never judges a status code; that is the job of the client above it. No body,
//! no header, no query string and no secret reaches a log line or an error text.
//!
//! [`FaultClass::Systemic`]: tandem_core::FaultClass::Systemic
//! [`FaultClass::Transient`]: tandem_core::FaultClass::Transient
//! [`FaultClass::InDoubt`]: tandem_core::FaultClass::InDoubt

mod answer;
mod call;
mod client;
mod failure;
pub mod json;
mod limits;
mod login;
mod settings;

pub use answer::{Answer, AnswerHead, AnswerStream};
pub use call::{Call, Safety};
pub use client::HttpClient;
pub use login::{Fresh, Held, SharedLogin};
pub use reqwest::{Method, StatusCode, header};
pub use settings::{Codes, HttpSettings, Trust};
pub use url::Url;
