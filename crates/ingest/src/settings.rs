//! What the role may be told. Every field has a default that suits a site of one CRM server.

use chrono::TimeDelta;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tandem_store::Retention;

/// The settings of the ingest role.
#[derive(Debug, Clone)]
pub struct IngestSettings {
    pub http: HttpSettings,
    pub webhooks: WebhookSettings,
    pub accept: AcceptSettings,
    pub pump: PumpSettings,
    /// How often it is looked whether a scan is due; default 5 s, zero is taken as one millisecond.
    pub poll_check: Duration,
    pub retention: Retention,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            http: HttpSettings::default(),
            webhooks: WebhookSettings::default(),
            accept: AcceptSettings::default(),
            pump: PumpSettings::default(),
            poll_check: Duration::from_secs(5),
            retention: Retention::default(),
        }
    }
}

/// The listener.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Default `0.0.0.0:3000`. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Threads that read and answer calls; default: one per processor, at most 4.
    pub threads: usize,
    /// A longer body is answered with 413; default 256 KiB.
    pub body_limit: usize,
    /// A longer path and query is answered with 414; default 8 KiB.
    pub url_limit: usize,
    /// Headers that are longer in sum are answered with 431; default 16 KiB.
    pub head_limit: usize,
    /// How long a caller may take for its headers, and again for its body; default 10 s.
    pub patience: Duration,
    /// How long a stop waits for calls in hand, for their commit, and for the lanes, each; default 10 s.
    pub grace: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 3000)),
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().min(4)),
            body_limit: 256 * 1024,
            url_limit: 8 * 1024,
            head_limit: 16 * 1024,
            patience: Duration::from_secs(10),
            grace: Duration::from_secs(10),
        }
    }
}

/// Whose calls are believed.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// `ENABLE_WEBHOOKS`, default false: every webhook address answers 404.
    pub enabled: bool,
    /// `TANDEM_WEBHOOK_TOKEN`: each is good as the last segment of a webhook address. Blank ones count for nothing.
    pub tokens: Vec<SecretString>,
    /// `TANDEM_WEBHOOK_ALLOW_FROM`: who may call without a token.
    pub allow_from: Vec<IpNet>,
    /// Proxies whose `X-Forwarded-For` is believed; default none.
    pub trusted_proxies: Vec<IpNet>,
    /// Secrets of the signed intake, as they are or as `whsec_` and base64. Blank ones count for nothing; none = that intake is off.
    pub signing_secrets: Vec<SecretString>,
    /// How far the time stamp of a signed call may be from now, either way; default 300 s, as Standard Webhooks has it.
    pub tolerance: TimeDelta,
    pub rates: RateCaps,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            tokens: Vec::new(),
            allow_from: Vec::new(),
            trusted_proxies: Vec::new(),
            signing_secrets: Vec::new(),
            tolerance: TimeDelta::seconds(300),
            rates: RateCaps::default(),
        }
    }
}

impl WebhookSettings {
    /// Whether the unsigned intake takes calls at all: it does with a token or an allow-list, and never with neither.
    pub fn takes_plain(&self) -> bool {
        self.enabled && (!self.allow_from.is_empty() || self.tokens.iter().any(|token| !is_blank(token)))
    }

    /// Whether the signed intake takes calls.
    pub fn takes_signed(&self) -> bool {
        self.enabled && self.signing_secrets.iter().any(|secret| !is_blank(secret))
    }

    pub(crate) fn say_if_off(&self) {
        if !self.enabled {
            tracing::info!("webhooks are off (ENABLE_WEBHOOKS is not true); changes are found by the pollers alone");
        } else if !self.takes_plain() && !self.takes_signed() {
            tracing::warn!(
                "webhooks are off: neither TANDEM_WEBHOOK_TOKEN nor TANDEM_WEBHOOK_ALLOW_FROM nor TANDEM_WEBHOOK_SIGNING_SECRET is set; changes are found by the pollers alone"
            );
        } else if !self.takes_plain() {
            tracing::warn!(
                "only signed webhooks are taken: neither TANDEM_WEBHOOK_TOKEN nor TANDEM_WEBHOOK_ALLOW_FROM is set"
            );
        }
    }
}

pub(crate) fn is_blank(secret: &SecretString) -> bool {
    secret.expose_secret().trim().is_empty()
}

/// How many calls one address may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateCaps {
    /// Calls that fail authentication; default 200 per second, 400 at once. `None` = no cap.
    pub strangers: Option<RateCap>,
    /// Calls that pass it; default 50,000 per second, 50,000 at once: only a machine gone wild meets it. `None` = no cap.
    pub known: Option<RateCap>,
}

impl Default for RateCaps {
    fn default() -> Self {
        Self {
            strangers: Some(RateCap { per_second: 200, burst: 400 }),
            known: Some(RateCap { per_second: 50_000, burst: 50_000 }),
        }
    }
}

/// A rate with the number that may come at once. Zero is taken as 1 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateCap {
    pub per_second: u32,
    pub burst: u32,
}

/// The group commit.
#[derive(Debug, Clone)]
pub struct AcceptSettings {
    /// Calls that share one commit at most; default 256.
    pub batch: usize,
    /// Commits that are under way at once at most, each on a database connection of its own; default 3.
    pub under_way: usize,
    /// So many calls without an answer at once are a crowd: they are spooled instead of entered into the ledger at once;
    /// default 16, 0 = always.
    pub crowd: usize,
    /// Calls that wait for a commit at most; default 2,048. More are answered with 503.
    pub waiting: usize,
    /// How long a commit may take before its calls are answered with 503; default 2 s.
    pub patience: Duration,
}

impl Default for AcceptSettings {
    fn default() -> Self {
        Self { batch: 256, under_way: 3, crowd: 16, waiting: 2_048, patience: Duration::from_secs(2) }
    }
}

/// The pump.
#[derive(Debug, Clone)]
pub struct PumpSettings {
    /// How often the ledger is swept for what is due; default 500 ms. A sweep that found something is followed by the
    /// next one after a fifth of that.
    pub sweep_every: Duration,
    /// Records that one sweep takes at most; default 1,000.
    pub sweep_limit: u32,
    /// Bulk records of one bridge that are published and not settled, at most; default 2,000.
    pub bulk_window: u32,
    /// After this a published record is published again whatever its lane holds; default 15 min. Short times fill the
    /// queue of a slow destination with copies.
    pub republish_after: TimeDelta,
    /// After this a published record is published again if its lane is empty, so that its nudge must have been lost;
    /// default 20 s.
    pub rescue_after: TimeDelta,
    /// How often the lanes are asked whether they are empty; default 5 s.
    pub rescue_every: Duration,
    /// Fresh nudges that wait for the lanes at most; default 5,000, some 1 MB. What comes on top is left to the sweep.
    pub waiting: usize,
}

impl Default for PumpSettings {
    fn default() -> Self {
        Self {
            sweep_every: Duration::from_millis(500),
            sweep_limit: 1_000,
            bulk_window: 2_000,
            republish_after: TimeDelta::minutes(15),
            rescue_after: TimeDelta::seconds(20),
            rescue_every: Duration::from_secs(5),
            waiting: 5_000,
        }
    }
}
