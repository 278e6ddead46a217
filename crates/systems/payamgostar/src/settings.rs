//! Which CRM, as which user, how hard.

use secrecy::SecretString;
use std::fmt;
use std::time::Duration;
use tandem_outbound::{HttpSettings, Trust, Url, codes};

/// How to reach one Payamgostar installation. [`Settings::new`] fills in the defaults named at each field.
#[derive(Clone)]
pub struct Settings {
    /// Scheme and host (and port), without `/api` (sheet §0).
    pub base_url: Url,
    /// A dedicated user without one-time passwords, session cap, address or hour limits (sheet §1.2).
    pub username: String,
    pub password: SecretString,
    /// One stable text per installation; the server may count devices by it (sheet §1.1).
    pub device_id: String,
    /// 1 is what production traffic sent and the server accepted (sheet §1.1).
    pub platform_type: u8,
    /// Use the token refresh call when a token ends. `false`: its body is undocumented (sheet §1.3); log in again.
    pub refresh_tokens: bool,
    /// Calls per second. 5 (sheet §6); `None`: no limit.
    pub requests_per_second: Option<u32>,
    /// Calls under way at once. 4 (sheet §6).
    pub max_in_flight: usize,
    /// 10 s.
    pub connect_timeout: Duration,
    /// For a whole call. 30 s.
    pub timeout: Duration,
    /// Tries of one read in all, within seconds. 3.
    pub read_attempts: u32,
    /// Self-signed certificates are common on premises (sheet §0).
    pub trust: Trust,
    /// A forward proxy. `None`: straight.
    pub proxy: Option<Url>,
    /// Wait after a first "locked" answer to a login (403); twice that for further ones in a row. 15 min (sheet §1.2).
    pub locked_wait: Duration,
    /// Wait after any other refused login. 15 min: far from the five failures within five minutes that lock a user (sheet §6, §7.2).
    pub refused_wait: Duration,
}

impl Settings {
    pub fn new(
        base_url: Url,
        username: impl Into<String>,
        password: SecretString,
        device_id: impl Into<String>,
    ) -> Self {
        Self {
            base_url,
            username: username.into(),
            password,
            device_id: device_id.into(),
            platform_type: 1,
            refresh_tokens: false,
            requests_per_second: Some(5),
            max_in_flight: 4,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            read_attempts: 3,
            trust: Trust::System,
            proxy: None,
            locked_wait: Duration::from_secs(15 * 60),
            refused_wait: Duration::from_secs(15 * 60),
        }
    }

    pub(crate) fn http(&self) -> HttpSettings {
        HttpSettings {
            connect_timeout: self.connect_timeout,
            timeout: self.timeout,
            max_in_flight: self.max_in_flight,
            requests_per_second: self.requests_per_second,
            read_attempts: self.read_attempts,
            trust: self.trust.clone(),
            proxy: self.proxy.clone(),
            ..HttpSettings::new(codes!("payamgostar"), self.base_url.clone())
        }
    }
}

/// Shows neither the user nor the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("http", &self.http())
            .field("platform_type", &self.platform_type)
            .field("refresh_tokens", &self.refresh_tokens)
            .finish_non_exhaustive()
    }
}
