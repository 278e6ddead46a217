//! The ledger's neighbours: the inbox, mappings, jobs and their runs, circuits, and how long things are kept.

use crate::StoreError;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tandem_core::{BridgeId, JobId, Notice, Nudge, RecordKey};
use uuid::Uuid;

/// One webhook call for the inbox. Its names are a stored form (a page of the spool): the next version has to read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxEntry {
    /// Made by the caller (version 7). The same id twice is stored once.
    pub id: Uuid,
    pub route: String,
    /// Where the call came from, as text.
    pub remote: String,
    /// What the call said; each is cut to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind_word: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The record that may be out of step; `None` = the call was understood and of no interest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
    /// Why it was ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What became of a page of the spool.
#[derive(Debug)]
pub struct Unspooled {
    /// Calls that were entered.
    pub calls: usize,
    /// Live records that are open, due and in nobody's hands; marked as published.
    pub nudges: Vec<Nudge>,
    /// Why a call that is alone on its page, or a page that can't be read, could not be entered. It stays in the spool.
    pub refused: Option<StoreError>,
    /// When its calls came.
    pub since: DateTime<Utc>,
}

/// A value of the source and what it is called in the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mapping {
    pub typ: String,
    /// As a person typed it; compared in its normalized form.
    pub source: String,
    pub target: String,
    pub note: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MappingChange {
    pub set: u64,
    pub unchanged: u64,
    /// Records that waited for one of the values; marked as published.
    pub released: Vec<Nudge>,
}

/// The right to run one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLease {
    pub bridge: BridgeId,
    pub job: JobId,
    pub fence: i64,
    /// What the last complete run kept.
    pub watermark: Option<String>,
    /// Where an unfinished run stood.
    pub page: Option<String>,
    pub run_id: Uuid,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRow {
    pub bridge: BridgeId,
    pub job: JobId,
    pub enabled: bool,
    /// `None` = only when asked.
    pub every: Option<Duration>,
    pub next_at: Option<DateTime<Utc>>,
    pub watermark: Option<String>,
    pub page: Option<String>,
    pub lease_owner: Option<String>,
    pub lease_until: Option<DateTime<Utc>>,
}

/// What an operator changes about a job; `None` = keep.
#[derive(Debug, Clone, Default)]
pub struct JobChange {
    pub enabled: Option<bool>,
    /// Stands above the settings' own period from now on.
    pub every: Option<Duration>,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunRow {
    pub id: Uuid,
    pub bridge: BridgeId,
    pub job: JobId,
    pub owner: String,
    /// RUNNING, DONE, FAILED or ABANDONED (its process died).
    pub status: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub noticed: u64,
    pub seen: u64,
    pub error: Option<String>,
}

/// An open circuit: a bridge whose other side is unavailable as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Circuit {
    pub bridge: BridgeId,
    pub reason: String,
    pub code: String,
    pub opened_at: DateTime<Utc>,
    /// When the next probe goes out.
    pub probe_at: DateTime<Utc>,
    pub failures: u32,
}

/// What came in on one webhook route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookRoute {
    pub route: String,
    pub last_at: Option<DateTime<Utc>>,
    pub accepted: u64,
    pub ignored: u64,
    pub rejected: u64,
}

impl WebhookRoute {
    /// A route on which nothing came.
    pub fn silent(route: String) -> Self {
        Self { route, last_at: None, accepted: 0, ignored: 0, rejected: 0 }
    }

    pub fn is_silent(&self) -> bool {
        self.accepted + self.ignored + self.rejected == 0
    }

    /// Adds what else came in on it.
    pub fn add(&mut self, more: &Self) {
        self.accepted += more.accepted;
        self.ignored += more.ignored;
        self.rejected += more.rejected;
        self.last_at = self.last_at.max(more.last_at);
    }
}

/// One webhook call as the inbox keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookEvent {
    pub id: Uuid,
    pub received_at: DateTime<Utc>,
    pub route: String,
    pub remote: String,
    pub event: Option<String>,
    pub kind_word: Option<String>,
    pub label: Option<String>,
    pub key: Option<RecordKey>,
    pub note: Option<String>,
}

/// How long things are kept, in days. 0 keeps nothing older than now.
#[derive(Debug, Clone)]
pub struct Retention {
    /// The sync log and the closed part of the journal; default 400. On Postgres a month of the log goes as a whole, once
    /// all of it is older.
    pub log_days: u32,
    /// Default 14.
    pub inbox_days: u32,
    /// Default 90.
    pub runs_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { log_days: 400, inbox_days: 14, runs_days: 90 }
    }
}
