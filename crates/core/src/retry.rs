//! When a record that failed in a way that may pass is tried again.

use std::time::Duration;

/// Exponential, with jitter, ending after a number of retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first try (`MAX_RETRY_ATTEMPTS`, default 3). 0 means one try and no more.
    pub max_retries: u32,
    /// The wait before the first retry; each further one is four times as long. Default 30 s: 30 s, 2 min, 8 min.
    pub base: Duration,
    /// No wait is longer. Default 6 h.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_retries: 3, base: Duration::from_secs(30), cap: Duration::from_secs(6 * 3600) }
    }
}

impl RetryPolicy {
    /// The wait before the next try after `failed` tries (1 = the first try failed), or `None` when there is none
    /// left. `jitter` is a random number from 0 to 255: the wait is stretched by up to a quarter, so that
    /// records that failed together do not come back together.
    pub fn delay(&self, failed: u32, jitter: u8) -> Option<Duration> {
        if failed > self.max_retries {
            return None;
        }
        let factor = 4u32.saturating_pow(failed.saturating_sub(1));
        let wait = self.base.saturating_mul(factor).min(self.cap);
        Some(wait + wait / 4 * u32::from(jitter) / 255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_waits_half_a_minute_then_two_then_eight_then_gives_up() {
        let policy = RetryPolicy::default();
        let waits: Vec<_> = (1..=4).map(|failed| policy.delay(failed, 0).map(|d| d.as_secs())).collect();
        assert_eq!(waits, [Some(30), Some(120), Some(480), None]);
    }

    #[test]
    fn jitter_stretches_by_at_most_a_quarter_and_nothing_overflows() {
        let policy = RetryPolicy { max_retries: u32::MAX, ..RetryPolicy::default() };
        assert_eq!(policy.delay(1, 255), Some(Duration::from_millis(37_500)));
        assert_eq!(policy.delay(1_000, 0), Some(policy.cap));
    }

    #[test]
    fn no_retries_means_one_try() {
        assert_eq!(RetryPolicy { max_retries: 0, ..RetryPolicy::default() }.delay(1, 0), None);
    }
}
