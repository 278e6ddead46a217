//! How one simulated CRM is set up: everything the sheet leaves open or calls a site's choice is a switch here.

use crate::stage::latency::Latency;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The user every simulator starts with.
pub const USERNAME: &str = "svc-sync";
/// Its password; the sheet's own invented one.
pub const PASSWORD: &str = "not-a-real-one";

/// A duplicate the site refuses on saving (payamgostar sheet §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ban {
    Email,
    Mobile,
    Phone,
    Name,
    NationalCode,
    EconomicCode,
}

/// Settings of a simulated CRM. `Default` is the faithful one with latencies and skew, [`Settings::quick`] is for tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Users that exist from the start: name and password.
    pub users: Vec<(String, String)>,
    /// How far the server's clock is ahead of real time, in seconds. Default -208 (sheet §2.5). Read once, at the
    /// start; later changes go through the clock.
    pub skew_seconds: i64,
    /// Where the clock stands still from the start; none lets it run. Read once.
    pub frozen_at: Option<DateTime<Utc>>,
    /// Seed of ids, chances and latencies; none differs from run to run. Read once.
    pub seed: Option<u64>,
    /// Most digits in the fraction of emitted times, 0 to 7; none varies from object to object (sheet §0).
    pub fraction_digits: Option<u8>,
    pub latency: Latency,
    /// Time between a commit and its webhook (sheet §7.12).
    pub webhook_delay: Latency,
    /// How long the CRM waits for a receiver (sheet §6: 10 s).
    pub webhook_timeout_ms: u64,

    /// Lifetime of a token (sheet §1.1: 7200 s).
    pub token_ttl_seconds: i64,
    /// Most tokens a user may hold; one more evicts the oldest. None is unlimited.
    pub session_cap: Option<usize>,
    /// Login v2 answers 402: the licence lacks the mobile module (sheet §1.2).
    pub without_mobile_module: bool,
    /// Whether the token refresh is offered at all (sheet §1.3); off answers 404.
    pub refresh: bool,
    /// Bad logins within five minutes that lock a user (sheet §6: 5).
    pub lock_after: usize,
    /// How long a locked user stays locked (sheet §6: 900 s).
    pub lock_seconds: i64,

    /// An update keeps members that were not sent; off (default) blanks them (sheet §7.8).
    pub merge_updates: bool,
    /// An identity created without a number gets the next one; off leaves it empty (sheet §7.7).
    pub number_identities: bool,
    /// A quote or invoice created without a number gets the next one; off leaves it empty (sheet §7.11).
    pub number_billables: bool,
    /// A person's display name is rebuilt from first and last name on every save (sheet §2.6).
    pub rebuild_nick_name: bool,
    /// An identity without any name is refused (sheet §2.6 assumes so); off takes it.
    pub require_names: bool,
    /// National codes of persons must have a valid checksum (sheet §2.6).
    pub check_national_code: bool,
    /// Editing an approved quote throws it back to pending (sheet §4.4).
    pub edit_resets_approval: bool,
    /// Duplicates the site refuses.
    pub bans: Vec<Ban>,
    /// Whether writes through the API fire webhooks (sheet §3 assumes yes).
    pub api_fires_webhooks: bool,
    /// Largest accepted page (sheet §6: 500); a larger one is refused with 400.
    pub largest_page: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            users: vec![(USERNAME.to_owned(), PASSWORD.to_owned())],
            skew_seconds: -208,
            frozen_at: None,
            seed: None,
            fraction_digits: None,
            latency: Latency::between(50, 150).or_slow(0.01, 2_000, 5_000),
            webhook_delay: Latency::between(200, 5_000),
            webhook_timeout_ms: 10_000,
            token_ttl_seconds: 7_200,
            session_cap: None,
            without_mobile_module: false,
            refresh: false,
            lock_after: 5,
            lock_seconds: 900,
            merge_updates: false,
            number_identities: false,
            number_billables: false,
            rebuild_nick_name: false,
            require_names: true,
            check_national_code: false,
            edit_resets_approval: true,
            bans: Vec::new(),
            api_fires_webhooks: true,
            largest_page: 500,
        }
    }
}

impl Settings {
    /// The same CRM without any waiting and without skew, with repeatable ids: for tests and benchmarks.
    pub fn quick() -> Self {
        Self {
            skew_seconds: 0,
            seed: Some(1),
            fraction_digits: Some(3),
            latency: Latency::NONE,
            webhook_delay: Latency::NONE,
            ..Self::default()
        }
    }
}
