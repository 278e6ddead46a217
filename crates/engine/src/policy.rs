//! How patient the engine is.

use chrono::TimeDelta;
use std::time::Duration;
use tandem_core::retry::RetryPolicy;

#[derive(Debug, Clone)]
pub struct Policy {
    /// How long after our own write a further change of the record waits (`TANDEM_TIME_GATE_SECONDS`, default 10). Zero = never.
    pub time_gate: TimeDelta,
    pub retry: RetryPolicy,
    /// How long a lease lives without renewal (default 45 s); it is renewed every third of it. After a crash the record
    /// is free again when this has passed.
    pub lease: TimeDelta,
    /// How long to wait after a lost answer before looking for its effect (default 10 s): the other side may still be
    /// busy with it.
    pub in_doubt_wait: TimeDelta,
    /// A record whose worker died this often in a row is parked (default 5).
    pub max_takes: u32,
    /// So many transient faults in a row, with no record going through between them, count as the other side being away:
    /// the circuit opens (default 5). One bad record does not reach it, a server that hangs does.
    pub max_transient: u32,
    /// The first and the longest wait of an open circuit before it probes (default 15 s, doubling up to 5 min).
    pub probe_first: Duration,
    pub probe_longest: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            time_gate: TimeDelta::seconds(10),
            retry: RetryPolicy::default(),
            lease: TimeDelta::seconds(45),
            in_doubt_wait: TimeDelta::seconds(10),
            max_takes: 5,
            max_transient: 5,
            probe_first: Duration::from_secs(15),
            probe_longest: Duration::from_secs(300),
        }
    }
}
