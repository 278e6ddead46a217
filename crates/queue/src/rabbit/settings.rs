//! How to reach the broker and how patient to be with it. Everything but the address has a default.

use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::time::Duration;
use tandem_core::lane::LaneError;

/// Settings of [`RabbitLanes`](super::RabbitLanes). The address, with its password, is never printed.
#[derive(Clone)]
pub struct RabbitSettings {
    pub(crate) uri: AMQPUri,
    /// The first word of every exchange and queue, so that several installations share a broker. Default `tandem`;
    /// letters, digits, `-`, `_` and `.`, at most 64.
    pub prefix: String,
    /// How many published nudges of one batch may be unconfirmed at once. Default 256; at least 1.
    pub window: usize,
    /// A link on which nothing moves is noticed and replaced within this time. Default 60 s; at least 1 s.
    pub stall_limit: Duration,
    /// The pause before the first attempt to connect again; it doubles with each failure. Default 200 ms.
    pub reconnect_first: Duration,
    /// No pause between two attempts is longer. Default 5 s.
    pub reconnect_last: Duration,
    /// How many nudges a queue holds before the broker refuses more. Default 1,000,000. It is part of the queues'
    /// arguments: changing it later means deleting the queues.
    pub max_length: u32,
}

impl RabbitSettings {
    /// The defaults, for a broker at `url`: `amqp://user:password@host:5672/vhost`, or `amqps://` for TLS with the
    /// operating system's trusted roots. A virtual host `/` is written `%2f`.
    ///
    /// # Errors
    /// When `url` is no such address. The error does not repeat it.
    pub fn new(url: &SecretString) -> Result<Self, LaneError> {
        let uri = url
            .expose_secret()
            .parse::<AMQPUri>()
            .map_err(|_| LaneError("the broker's address is not of the form amqp://user:password@host:port/vhost (a virtual host / is written %2f)".into()))?;
        Ok(Self {
            uri,
            prefix: "tandem".into(),
            window: 256,
            stall_limit: Duration::from_secs(60),
            reconnect_first: Duration::from_millis(200),
            reconnect_last: Duration::from_secs(5),
            max_length: 1_000_000,
        })
    }

    /// How often a link is asked for a sign of life, and how long it may take to give one. Two of them lie between a
    /// stall and its discovery, a third is for the new link, and one is left over.
    pub(crate) fn beat(&self) -> Duration {
        self.stall_limit.max(Duration::from_secs(1)) / 4
    }

    /// Seconds for AMQP's own heartbeat. It tells the *broker* when this side is gone, so that it hands our
    /// unacknowledged nudges to somebody else.
    pub(crate) fn heartbeat(&self) -> u16 {
        u16::try_from(self.beat().as_secs()).unwrap_or(u16::MAX).clamp(1, 15)
    }

    /// Host and port, which may be printed.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }
}

impl fmt::Debug for RabbitSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitSettings")
            .field("place", &self.place())
            .field("prefix", &self.prefix)
            .field("window", &self.window)
            .field("stall_limit", &self.stall_limit)
            .field("reconnect_first", &self.reconnect_first)
            .field("reconnect_last", &self.reconnect_last)
            .field("max_length", &self.max_length)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_noticed_and_replaced_within_a_minute_by_default() {
        let settings = RabbitSettings::new(&"amqp://a:b@h".to_owned().into()).expect("an address");
        assert!(settings.stall_limit <= Duration::from_secs(60));
        assert!(settings.beat() * 3 < settings.stall_limit);
        assert!(Duration::from_secs(2 * u64::from(settings.heartbeat())) < settings.stall_limit);
    }

    #[test]
    fn neither_the_settings_nor_the_complaint_show_the_password() {
        let settings = RabbitSettings::new(&"amqp://user:hunter2@h/%2f".to_owned().into()).expect("an address");
        assert!(!format!("{settings:?}").contains("hunter2"));
        let error = RabbitSettings::new(&"http://user:hunter2@h".to_owned().into()).expect_err("not AMQP");
        assert!(!error.to_string().contains("hunter2"));
    }
}
