//! The settings: one list ([`table`]), one typed value ([`Settings`]), read once at the start.
//!
//! Whatever is wrong is reported all at once, one line each. Secrets are [`SecretString`] from the first reading and
//! never shown. Nothing here connects to anything or knows what a bridge does with a value.

mod pace;
mod problem;
mod reader;
pub mod render;
mod sources;
mod sqlite;
mod systems;
pub mod table;

pub use problem::{Problem, Problems};
pub use sources::{Places, Raw, read};
pub use systems::Systems;

pub use reader::LONGEST_WAIT;

use ipnet::IpNet;
use reader::Reader;
use secrecy::{ExposeSecret, SecretString};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tandem_engine::Policy;
use url::Url;

/// The bridge whose settings are those of the two systems.
const SIAGH: &str = "siagh";

/// All settings. Addresses and secrets that only some commands need are `None` while they are not set.
#[derive(Debug, Clone)]
pub struct Settings {
    pub database: Database,
    pub broker: Option<Broker>,
    /// What `TANDEM_BRIDGES` names; see [`Settings::bridges`].
    named_bridges: Option<Vec<String>>,
    pub systems: Systems,
    pub policy: Policy,
    pub http: Http,
    pub process: Process,
}

/// Tandem's own database.
#[derive(Debug, Clone)]
pub struct Database {
    /// `None`: `DATABASE_URL` is not set.
    pub url: Option<SecretString>,
    pub connections: u32,
    pub acquire_timeout: Duration,
}

impl Database {
    /// One file on this machine: `up` may migrate it by itself.
    pub fn is_sqlite(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.expose_secret().starts_with("sqlite:"))
    }

    /// That file; `None` for a server and for a database in memory.
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        self.url.as_ref().and_then(|url| sqlite::file_of(url.expose_secret()))
    }
}

/// RabbitMQ.
#[derive(Debug, Clone)]
pub struct Broker {
    pub url: SecretString,
    pub prefix: String,
}

/// What is listened on, and whose webhooks are believed.
#[derive(Debug, Clone)]
pub struct Http {
    pub webhooks: bool,
    pub tokens: Vec<SecretString>,
    pub allow_from: Vec<IpNet>,
    pub trusted_proxies: Vec<IpNet>,
    pub signing_secrets: Vec<SecretString>,
    /// Calls per second and address that are let in, and that are not; 0 = no limit.
    pub calls_per_second: u32,
    pub strangers_per_second: u32,
    /// Calls without an answer at once from which on they are spooled.
    pub crowd: usize,
    pub ingest: SocketAddr,
    pub worker: SocketAddr,
}

/// The process itself.
#[derive(Debug, Clone)]
pub struct Process {
    pub instance: Option<String>,
    pub log: String,
    pub json_log: bool,
    pub grace: Duration,
    pub log_days: u32,
    pub inbox_days: u32,
    pub runs_days: u32,
}

/// What a command can't do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Database,
    /// The database, and the settings of every bridge that is to run; at least one.
    Bridges,
}

impl Settings {
    /// Types what the sources gave.
    ///
    /// # Errors
    /// Every problem of the sources, of the values, and of what `needs` misses.
    pub fn load(raw: &Raw, needs: Needs) -> Result<Self, Problems> {
        let mut reader = Reader::new(raw);
        let settings = Self::typed(&mut reader);
        // What seems to be missing may stand in the part that could not be read.
        if !raw.unread {
            settings.require(needs, raw, &mut reader);
        }
        let mut problems = raw.problems.clone();
        problems.append(&mut reader.problems);
        if problems.is_empty() { Ok(settings) } else { Err(Problems(problems)) }
    }

    fn typed(reader: &mut Reader<'_>) -> Self {
        let database = Database {
            url: database_url(reader),
            connections: reader.number("TANDEM_DATABASE_CONNECTIONS", 1..=500u32),
            acquire_timeout: reader.seconds("TANDEM_DATABASE_ACQUIRE_TIMEOUT_SECONDS", 1),
        };
        let broker = broker(reader);
        let (named_bridges, systems, policy) = (pace::bridges(reader), Systems::read(reader), pace::policy(reader));
        // Read for the list's sake: the sources have used it already.
        let _ = reader.text("TANDEM_CONFIG");
        Self { database, broker, named_bridges, systems, policy, http: http(reader), process: process(reader) }
    }

    fn require(&self, needs: Needs, raw: &Raw, reader: &mut Reader<'_>) {
        // A value that does not fit, or whose file can't be read, has its line already.
        let told = |problem: &Problem| problem.name.trim_end_matches("_FILE").to_owned();
        let told: Vec<String> = raw.problems.iter().chain(&reader.problems).map(told).collect();
        let is_told = |name: &str| told.iter().any(|told| told == name);
        if needs != Needs::Nothing && self.database.url.is_none() && !is_told("DATABASE_URL") {
            reader.problem(
                "DATABASE_URL",
                "is missing: set postgres://user:password@host:port/name or sqlite://path/to/file",
            );
        }
        let wanted = self.named_bridges.as_ref().is_none_or(|named| named.iter().any(|name| name == SIAGH));
        if needs == Needs::Bridges && wanted {
            for name in self.systems.missing.iter().filter(|name| !is_told(name)) {
                reader.problem(name, format!("is missing; the {SIAGH} bridge needs it"));
            }
        }
    }

    /// The bridges to run: those that `TANDEM_BRIDGES` names, else those whose settings are present.
    pub fn bridges(&self) -> Vec<&str> {
        match &self.named_bridges {
            Some(named) => named.iter().map(String::as_str).collect(),
            None if self.systems.missing.is_empty() => vec![SIAGH],
            None => Vec::new(),
        }
    }

    /// What is set in a way that probably is not meant, though it is no reason to stop.
    pub fn remarks(&self) -> Vec<String> {
        let http = &self.http;
        let guarded = !http.tokens.is_empty() || !http.allow_from.is_empty();
        let mut remarks = Vec::new();
        if guarded && !http.webhooks {
            remarks.push(
                "webhooks are off because ENABLE_WEBHOOKS is not true, although a token or an allow-list is set"
                    .to_owned(),
            );
        }
        if http.webhooks && !guarded {
            remarks.push("the CRM's webhooks are off: ENABLE_WEBHOOKS is true, but neither TANDEM_WEBHOOK_TOKEN nor TANDEM_WEBHOOK_ALLOW_FROM is set".to_owned());
        }
        remarks
    }
}

/// The settings of the process alone, for the log that comes before everything else. Problems are left to
/// [`Settings::load`].
pub fn process_of(raw: &Raw) -> Process {
    process(&mut Reader::new(raw))
}

fn database_url(reader: &mut Reader<'_>) -> Option<SecretString> {
    reader.parsed("DATABASE_URL", |text| {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        match scheme {
            "sqlite" if !rest.is_empty() => Ok(SecretString::from(text)),
            "postgres" | "postgresql" if Url::parse(text).is_ok_and(|url| url.has_host()) => {
                Ok(SecretString::from(text))
            }
            _ => Err("has to be postgres://user:password@host:port/name or sqlite://path/to/file".to_owned()),
        }
    })
}

fn broker(reader: &mut Reader<'_>) -> Option<Broker> {
    let url = reader.parsed("AMQP_URL", |text| {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "amqp" | "amqps") && url.has_host());
        match url {
            // The broker would only say that it has no such vhost.
            Some(url) if url.path() == "/" => {
                Err("names an empty vhost after its last /; the default vhost is written amqp://host:port/%2f"
                    .to_owned())
            }
            Some(_) => Ok(SecretString::from(text)),
            None => Err("has to be amqp://user:password@host:port/vhost (or amqps://)".to_owned()),
        }
    });
    let prefix = reader.parsed("TANDEM_AMQP_PREFIX", |text| {
        let fits = text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if fits { Ok(text.to_owned()) } else { Err("has to be at most 64 letters, digits, - _ .".to_owned()) }
    });
    Some(Broker { url: url?, prefix: prefix? })
}

fn http(reader: &mut Reader<'_>) -> Http {
    let bind: IpAddr = reader.address("TANDEM_BIND");
    Http {
        webhooks: reader.flag("ENABLE_WEBHOOKS"),
        tokens: reader.secrets(
            "TANDEM_WEBHOOK_TOKEN",
            16,
            |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'),
            "has to be at least 16 letters, digits, - or _ (it becomes a part of the address)",
        ),
        allow_from: reader.networks("TANDEM_WEBHOOK_ALLOW_FROM"),
        trusted_proxies: reader.networks("TANDEM_WEBHOOK_TRUSTED_PROXIES"),
        signing_secrets: reader.secrets(
            "TANDEM_WEBHOOK_SIGNING_SECRET",
            16,
            |_| true,
            "has to be at least 16 characters",
        ),
        calls_per_second: reader.number("TANDEM_WEBHOOK_CALLS_PER_SECOND", 0..=1_000_000u32),
        strangers_per_second: reader.number("TANDEM_WEBHOOK_STRANGERS_PER_SECOND", 0..=1_000_000u32),
        crowd: reader.number("TANDEM_WEBHOOK_CROWD", 0..=100_000usize),
        // Port 0 lets the system choose: for tests and several copies on one machine.
        ingest: SocketAddr::new(bind, reader.number("PORT", 0..=u16::MAX)),
        worker: SocketAddr::new(bind, reader.number("TANDEM_WORKER_PORT", 0..=u16::MAX)),
    }
}

fn process(reader: &mut Reader<'_>) -> Process {
    Process {
        instance: reader.parsed("TANDEM_INSTANCE", |text| {
            let fits = text.chars().count() <= 100 && !text.chars().any(char::is_control);
            if fits { Ok(text.to_owned()) } else { Err("has to be at most 100 characters".to_owned()) }
        }),
        log: reader.with_default("TANDEM_LOG", log_filter),
        json_log: reader.one_of("TANDEM_LOG_FORMAT", &[("text", false), ("json", true)]),
        grace: reader.seconds("TANDEM_GRACE_SECONDS", 0),
        log_days: reader.number("TANDEM_LOG_RETENTION_DAYS", 1..=36_500u32),
        inbox_days: reader.number("TANDEM_INBOX_RETENTION_DAYS", 1..=36_500u32),
        runs_days: reader.number("TANDEM_RUNS_RETENTION_DAYS", 1..=36_500u32),
    }
}

/// A lone word that is no level would be taken for the name of a module, and everything else would fall silent.
fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let ends_in_level = |part: &str| {
        let word = part.rsplit('=').next().unwrap_or_default().trim();
        LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
    };
    if text.split(',').all(ends_in_level) {
        return Ok(text.to_owned());
    }
    Err("has to be a level (error, warn, info, debug, trace) or a filter such as info,tandem_engine=debug".to_owned())
}

#[cfg(test)]
mod tests;
