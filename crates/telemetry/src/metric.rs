//! The metrics: one closed list of names, each with its kind and its help text, and the ways to record them.
//!
//! Names are `tandem_<noun>_<unit>[_total]`. Recording before [`install`] is allowed and counts nothing.

use metrics::{SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises: recorded with [`count`].
    Counter,
    /// Stands at a value: recorded with [`set`].
    Gauge,
    /// How values are spread, in seconds: recorded with [`observe`].
    Seconds,
    /// How values are spread, as plain numbers: recorded with [`observe_size`].
    Size,
}

macro_rules! metrics_list {
    ($($variant:ident => $kind:ident $name:literal $help:literal),+ $(,)?) => {
        /// Every metric there is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric { $(#[doc = $help] $variant),+ }

        impl Metric {
            pub const ALL: &'static [Metric] = &[$(Metric::$variant),+];
            pub fn name(self) -> &'static str {
                match self { $(Metric::$variant => $name),+ }
            }
            pub fn help(self) -> &'static str {
                match self { $(Metric::$variant => $help),+ }
            }
            pub fn kind(self) -> Kind {
                match self { $(Metric::$variant => Kind::$kind),+ }
            }
        }
    };
}

metrics_list!(
    Webhooks => Counter "tandem_webhooks_total" "Webhook calls, by route and outcome (accepted, ignored, nothing, rejected, refused, unavailable).",
    WebhookSeconds => Seconds "tandem_webhook_seconds" "From the call to its answer, for calls that were stored.",
    AcceptBatch => Size "tandem_accept_batch_records" "Webhook calls that shared one commit.",
    Spooled => Gauge "tandem_spooled_webhooks" "Webhook calls that are stored and not in the ledger yet.",
    Nudges => Counter "tandem_nudges_total" "Nudges that the pump handed to the lanes, by outcome (stored, lost, left).",
    Scans => Counter "tandem_scans_total" "Scans that ended, by bridge and outcome (done, incomplete, failed).",
    Open => Gauge "tandem_open_records" "Records whose work is neither settled nor parked, by bridge.",
    OldestOpen => Gauge "tandem_oldest_open_seconds" "How long the longest-waiting due record has been due, by bridge.",
    Records => Gauge "tandem_records" "Ledger records, by bridge, kind and state.",
    LaneMessages => Gauge "tandem_lane_messages" "Messages that wait in a lane, by bridge and lane (live, bulk, dead).",
    CircuitOpen => Gauge "tandem_circuit_open" "1 while the bridge's circuit is open.",
    Settled => Counter "tandem_settled_records_total" "Records settled, by bridge, kind and state.",
    WorkSeconds => Seconds "tandem_work_seconds" "From the lease to the settled record, by bridge.",
);

/// A label. The values are the installation's own words, never a caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label<'a> {
    Bridge(&'a str),
    Kind(&'a str),
    /// A word of `tandem_core::State`.
    State(&'static str),
    Outcome(&'static str),
    /// A route of a bridge, as `<system>/<route>`.
    Route(&'a str),
    /// `live`, `bulk`, `dead`.
    Lane(&'static str),
}

impl Label<'_> {
    fn pair(self) -> metrics::Label {
        let (name, value): (&'static str, SharedString) = match self {
            Self::Bridge(value) => ("bridge", value.to_owned().into()),
            Self::Kind(value) => ("kind", value.to_owned().into()),
            Self::State(value) => ("state", value.into()),
            Self::Outcome(value) => ("outcome", value.into()),
            Self::Route(value) => ("route", value.to_owned().into()),
            Self::Lane(value) => ("lane", value.into()),
        };
        metrics::Label::new(name, value)
    }
}

/// Adds to a counter.
pub fn count(metric: Metric, labels: &[Label<'_>], by: u64) {
    debug_assert_eq!(metric.kind(), Kind::Counter, "{}", metric.name());
    metrics::counter!(metric.name(), pairs(labels)).increment(by);
}

/// Sets a gauge.
pub fn set(metric: Metric, labels: &[Label<'_>], value: f64) {
    debug_assert_eq!(metric.kind(), Kind::Gauge, "{}", metric.name());
    metrics::gauge!(metric.name(), pairs(labels)).set(value);
}

/// Records how long something took.
pub fn observe(metric: Metric, labels: &[Label<'_>], took: Duration) {
    debug_assert_eq!(metric.kind(), Kind::Seconds, "{}", metric.name());
    metrics::histogram!(metric.name(), pairs(labels)).record(took.as_secs_f64());
}

/// Records how many there were.
pub fn observe_size(metric: Metric, labels: &[Label<'_>], size: u32) {
    debug_assert_eq!(metric.kind(), Kind::Size, "{}", metric.name());
    metrics::histogram!(metric.name(), pairs(labels)).record(f64::from(size));
}

fn pairs(labels: &[Label<'_>]) -> Vec<metrics::Label> {
    labels.iter().map(|label| label.pair()).collect()
}

const SECONDS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();

/// Starts counting, once per process; further calls do nothing.
pub fn install() {
    INSTALLED.get_or_init(|| {
        let mut builder = PrometheusBuilder::new();
        for metric in Metric::ALL {
            let buckets = match metric.kind() {
                Kind::Counter | Kind::Gauge => continue,
                Kind::Seconds => SECONDS,
                Kind::Size => SIZES,
            };
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name().to_owned()), buckets)
                .expect("the lists of buckets are not empty");
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            // Somebody else's recorder counts; `render` then shows nothing, which is no reason to stop.
            tracing::warn!("another metrics recorder is installed; /metrics stays empty");
        }
        for metric in Metric::ALL {
            match metric.kind() {
                Kind::Counter => metrics::describe_counter!(metric.name(), metric.help()),
                Kind::Gauge => metrics::describe_gauge!(metric.name(), metric.help()),
                Kind::Seconds => metrics::describe_histogram!(metric.name(), Unit::Seconds, metric.help()),
                Kind::Size => metrics::describe_histogram!(metric.name(), metric.help()),
            }
        }
        handle
    });
}

/// All metrics in Prometheus' text form; empty before [`install`].
pub fn render() -> String {
    INSTALLED.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// Folds recorded values into their buckets. To be called every few seconds: without it they pile up in memory.
pub fn tidy() {
    if let Some(handle) = INSTALLED.get() {
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule_and_none_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in Metric::ALL {
            let name = metric.name();
            assert!(name.starts_with("tandem_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind() == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), metric.kind() == Kind::Seconds || name.contains("oldest"), "{name}");
            assert!(seen.insert(name), "{name} stands twice");
        }
    }

    #[test]
    fn what_is_recorded_is_shown_with_its_labels_and_its_help() {
        install();
        install();
        count(Metric::Webhooks, &[Label::Route("crm/quote"), Label::Outcome("accepted")], 3);
        set(Metric::Open, &[Label::Bridge("siagh")], 7.0);
        observe(Metric::WebhookSeconds, &[], Duration::from_millis(3));
        tidy();
        let text = render();
        assert!(text.contains(r#"tandem_webhooks_total{route="crm/quote",outcome="accepted"} 3"#), "{text}");
        assert!(text.contains(r#"tandem_open_records{bridge="siagh"} 7"#), "{text}");
        assert!(text.contains(r#"tandem_webhook_seconds_bucket{le="0.005"} 1"#), "{text}");
        assert!(text.contains(Metric::Webhooks.help()), "{text}");
    }
}
