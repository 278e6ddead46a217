//! What one destination may be called with. Values only: nothing here reads a file or the environment.

use std::fmt;
use std::time::Duration;
use url::Url;

/// The fault codes one destination's transport troubles carry, so that an operator reads
/// `siagh.unreachable` and not a name shared by all systems. Make them with [`codes!`](crate::codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes {
    /// Short name of the system, for log lines.
    pub system: &'static str,
    /// No connection: nothing was sent. Systemic.
    pub unreachable: &'static str,
    /// A read got no answer in time. Transient.
    pub timeout: &'static str,
    /// A read's connection broke. Transient.
    pub connection_lost: &'static str,
    /// A write went out and no whole answer came back. In doubt.
    pub answer_lost: &'static str,
    /// A read's answer is larger than the cap. Permanent.
    pub answer_too_large: &'static str,
    /// The call or the client can't be built from the settings given. Systemic.
    pub misconfigured: &'static str,
}

/// The [`Codes`] of one system: `codes!("siagh")` gives `siagh.unreachable` and its siblings.
#[macro_export]
macro_rules! codes {
    ($system:literal) => {
        $crate::Codes {
            system: $system,
            unreachable: concat!($system, ".unreachable"),
            timeout: concat!($system, ".timeout"),
            connection_lost: concat!($system, ".connection_lost"),
            answer_lost: concat!($system, ".answer_lost"),
            answer_too_large: concat!($system, ".answer_too_large"),
            misconfigured: concat!($system, ".misconfigured"),
        }
    };
}

/// Whose certificates a TLS destination may show. Plain `http` destinations are not affected.
#[derive(Clone, Default)]
pub enum Trust {
    /// Those the operating system trusts.
    #[default]
    System,
    /// Those the operating system trusts, and the authorities in this PEM bundle: an own company authority.
    Also(Vec<u8>),
    /// Any. Only for a destination that can be reached over a trusted network and no other way.
    AnyCertificate,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Also(_) => "Also(<PEM>)",
            Self::AnyCertificate => "AnyCertificate",
        })
    }
}

/// How one destination is called. [`HttpSettings::new`] fills in the defaults named at each field.
#[derive(Clone)]
pub struct HttpSettings {
    pub codes: Codes,
    /// Scheme, host and port; a path in it is kept as a prefix, a trailing slash is ignored.
    pub base_url: Url,
    /// For the connection alone. 10 s: shorter than `timeout`, so that "never connected" (nothing was sent)
    /// and "no answer" (something may have happened) stay apart.
    pub connect_timeout: Duration,
    /// For a whole call, from connecting to the last byte; on a stream, for the wait between two pieces. 30 s.
    pub timeout: Duration,
    /// Calls under way at the same time; further ones wait their turn. 4; 0 counts as 1.
    pub max_in_flight: usize,
    /// Calls started per second, averaged, with bursts up to the same number. `None` (or 0): no limit.
    pub requests_per_second: Option<u32>,
    /// The most bytes read of one answer, after decompression; streams are exempt. 8 MiB.
    pub max_body: usize,
    /// How often a call that is safe to repeat is tried in all, within seconds. 3; 0 counts as 1.
    pub read_attempts: u32,
    pub trust: Trust,
    /// A forward proxy for this destination. `None`: straight, whatever the environment says.
    pub proxy: Option<Url>,
}

impl HttpSettings {
    pub fn new(codes: Codes, base_url: Url) -> Self {
        Self {
            codes,
            base_url,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            max_in_flight: 4,
            requests_per_second: None,
            max_body: 8 * 1024 * 1024,
            read_attempts: 3,
            trust: Trust::System,
            proxy: None,
        }
    }
}

/// Shows host and port of the addresses only: a user name or a password may stand in them.
impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("system", &self.codes.system)
            .field("host", &host_of(&self.base_url))
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("max_in_flight", &self.max_in_flight)
            .field("requests_per_second", &self.requests_per_second)
            .field("max_body", &self.max_body)
            .field("read_attempts", &self.read_attempts)
            .field("trust", &self.trust)
            .field("proxy", &self.proxy.as_ref().map(host_of))
            .finish()
    }
}

/// `host` or `host:port`, without user name, path and query.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
