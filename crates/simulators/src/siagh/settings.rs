//! How one simulated Siagh is set up: what the sheet leaves open is a switch here.

use crate::stage::latency::Latency;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The user every simulator starts with (a Persian name, as on real sites).
pub const USERNAME: &str = "کاربر نمونه";
/// Its password in clear; the API takes its MD5 (siagh sheet §1, first test vector).
pub const PASSWORD: &str = "tandem-demo-1";
/// Form id of the contact form.
pub const CONTACT_FORM: &str = "2BFDA";
/// Form id of the sales pre-invoice form.
pub const INVOICE_FORM: &str = "43D81";

/// What `codemoshtari` is matched against (siagh sheet §5.3, an open question).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerCode {
    ContactCode,
    AccountPartyCode,
}

/// Settings of a simulated Siagh. `Default` is the faithful one with latencies, [`Settings::quick`] is for tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Users that exist from the start: name and password in clear.
    pub users: Vec<(String, String)>,
    /// How far the server's clock is ahead of real time, in seconds. Read once, at the start.
    pub skew_seconds: i64,
    /// Where the clock stands still from the start; none lets it run. Read once.
    pub frozen_at: Option<DateTime<Utc>>,
    /// Seed of ids, chances and latencies; none differs from run to run. Read once.
    pub seed: Option<u64>,

    pub login_latency: Latency,
    pub list_latency: Latency,
    pub save_latency: Latency,
    /// Saves that run at a time; further ones wait. Read once.
    pub parallel_saves: usize,

    /// Idle time after which a session is unknown (sheet §6: 1800 s).
    pub session_idle_seconds: i64,
    /// Bad logins that lock a user, with 403 (sheet §6: 5).
    pub lock_after: usize,
    /// How long a locked user stays locked (sheet §6: 900 s).
    pub lock_seconds: i64,
    /// A lower-case MD5 is accepted too.
    pub accept_lower_case_hash: bool,
    /// Serves `/GeneralApi/SaveFormData` and `/GeneralApi/GetAllUsers` as well (sheet §2.1: documentation slips).
    pub aliases: bool,

    pub contact_form: String,
    pub invoice_form: String,
    /// A new contact gets an account-party code of 5500000 plus its code; off leaves it null.
    pub assign_account_party: bool,
    pub customer_code: CustomerCode,
    /// The open fiscal year; none follows the clock's Jalali year.
    pub open_year: Option<i32>,
    /// Per cent.
    pub vat_percent: u32,
    /// Whether the net in the answer includes VAT (sheet §2.7, open).
    pub net_with_vat: bool,
    /// The goods' list price replaces the sent one.
    pub reprice: bool,
    /// A save with an `_In_Suid` seen before answers the first document again.
    pub dedup_suid: bool,
    /// `_In_Suid` must be 32 upper-case hex digits and `__uid` 8 hex digits: the forms of the vendor's sample. Other
    /// forms were only ever seen in the failing call of sheet §4.3 and are answered like it.
    pub strict_row_ids: bool,
    /// Contact lists are up to this old; 0 is always fresh.
    pub stale_list_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            users: vec![(USERNAME.to_owned(), PASSWORD.to_owned())],
            skew_seconds: 0,
            frozen_at: None,
            seed: None,
            login_latency: Latency::between(100, 300),
            list_latency: Latency::between(1_000, 4_000),
            save_latency: Latency::between(1_500, 2_500).or_slow(0.02, 10_000, 10_000),
            parallel_saves: 2,
            session_idle_seconds: 1_800,
            lock_after: 5,
            lock_seconds: 900,
            accept_lower_case_hash: false,
            aliases: false,
            contact_form: CONTACT_FORM.to_owned(),
            invoice_form: INVOICE_FORM.to_owned(),
            assign_account_party: true,
            customer_code: CustomerCode::ContactCode,
            open_year: None,
            vat_percent: 10,
            net_with_vat: true,
            reprice: false,
            dedup_suid: false,
            strict_row_ids: true,
            stale_list_seconds: 0,
        }
    }
}

impl Settings {
    /// The same Siagh without any waiting, with repeatable ids: for tests and benchmarks.
    pub fn quick() -> Self {
        Self {
            seed: Some(1),
            login_latency: Latency::NONE,
            list_latency: Latency::NONE,
            save_latency: Latency::NONE,
            ..Self::default()
        }
    }
}
