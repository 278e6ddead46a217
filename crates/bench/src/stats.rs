//! Medians and quantiles of what was measured.

use std::time::Duration;

/// The value below which `share` of all lie (0.5 = the median). Zero without any.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
