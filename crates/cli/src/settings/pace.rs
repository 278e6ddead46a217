//! Which bridges run, and how patient the engine is.

use super::reader::Reader;
use chrono::TimeDelta;
use tandem_core::retry::RetryPolicy;
use tandem_engine::Policy;

/// What `TANDEM_BRIDGES` names; `None`: those whose settings are present.
pub(super) fn bridges(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let named = reader.list("TANDEM_BRIDGES");
    let known = crate::register::names();
    for name in named.iter().filter(|name| !known.contains(&name.as_str())) {
        reader.problem("TANDEM_BRIDGES", format!("there is no bridge {name:?}; there is {}", known.join(", ")));
    }
    (!named.is_empty()).then_some(named)
}

pub(super) fn policy(reader: &mut Reader<'_>) -> Policy {
    let span = |wait| TimeDelta::from_std(wait).expect("no setting is longer than a week");
    Policy {
        time_gate: span(reader.seconds("TANDEM_TIME_GATE_SECONDS", 0)),
        retry: RetryPolicy {
            max_retries: reader.number("MAX_RETRY_ATTEMPTS", 0..=100u32),
            base: reader.seconds("TANDEM_RETRY_BASE_SECONDS", 1),
            cap: reader.seconds("TANDEM_RETRY_CAP_SECONDS", 1),
        },
        lease: span(reader.seconds("TANDEM_LEASE_SECONDS", 5)),
        in_doubt_wait: span(reader.seconds("TANDEM_IN_DOUBT_WAIT_SECONDS", 0)),
        max_transient: reader.number("TANDEM_CIRCUIT_AFTER_FAULTS", 1..=1_000u32),
        probe_first: reader.seconds("TANDEM_CIRCUIT_FIRST_SECONDS", 1),
        probe_longest: reader.seconds("TANDEM_CIRCUIT_LONGEST_SECONDS", 1),
        ..Policy::default()
    }
}
