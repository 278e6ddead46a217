//! A cap on calls per source address, in constant memory.
//!
//! The buckets are a fixed table; which one an address has is decided by a keyed hash that nobody outside can foresee. Two
//! addresses may share a bucket: that makes the cap a little tighter for both, and no caller can make the table grow.

use crate::settings::RateCap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const BUCKETS: usize = 4_096;

/// Calls per address and second, with some at once.
pub(crate) struct RateLimit {
    /// Per bucket: when it would be empty again, in nanoseconds since `start`.
    empty_at: Box<[AtomicU64]>,
    key: RandomState,
    start: Instant,
    /// What one call puts into the bucket, and how much it holds, in nanoseconds.
    drop: u64,
    size: u64,
}

impl RateLimit {
    pub(crate) fn new(cap: RateCap) -> Self {
        let drop = 1_000_000_000 / u64::from(cap.per_second.max(1));
        Self {
            empty_at: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            key: RandomState::new(),
            start: Instant::now(),
            drop,
            size: drop * u64::from(cap.burst.max(1)),
        }
    }

    /// Counts a call; false = it is one too many.
    pub(crate) fn admit(&self, address: IpAddr) -> bool {
        self.admit_at(address, self.now())
    }

    /// Whether the next call would be one too many. Counts nothing.
    pub(crate) fn is_full(&self, address: IpAddr) -> bool {
        self.filled(self.bucket(address).load(Ordering::Relaxed), self.now()).is_none()
    }

    fn admit_at(&self, address: IpAddr, now: u64) -> bool {
        let fill = |empty_at| self.filled(empty_at, now);
        self.bucket(address).fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill).is_ok()
    }

    fn filled(&self, empty_at: u64, now: u64) -> Option<u64> {
        let after = empty_at.max(now) + self.drop;
        (after - now <= self.size).then_some(after)
    }

    fn bucket(&self, address: IpAddr) -> &AtomicU64 {
        // One IPv6 customer has a whole /64: it is one source.
        let source = match address {
            IpAddr::V4(v4) => u64::from(v4.to_bits()),
            IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
        };
        let place = self.key.hash_one((address.is_ipv4(), source)) % BUCKETS as u64;
        &self.empty_at[place as usize]
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_burst_passes_at_once_and_then_the_rate_rules() {
        let limit = RateLimit::new(RateCap { per_second: 10, burst: 5 });
        let source = address("192.0.2.1");
        let passed = |now, tries: u32| (0..tries).filter(|_| limit.admit_at(source, now)).count();
        assert_eq!(passed(0, 20), 5);
        assert_eq!(passed(SECOND / 10, 20), 1);
        assert_eq!(passed(SECOND * 60, 20), 5);
    }

    #[test]
    fn looking_counts_nothing_and_tells_when_it_is_full() {
        let limit = RateLimit::new(RateCap { per_second: 1, burst: 2 });
        let source = address("192.0.2.1");
        assert!((0..100).all(|_| !limit.is_full(source)));
        assert!(limit.admit(source) && limit.admit(source));
        assert!(limit.is_full(source));
    }

    #[test]
    fn one_network_of_ipv6_is_one_source() {
        let limit = RateLimit::new(RateCap { per_second: 1, burst: 1 });
        assert!(limit.admit_at(address("2001:db8::1"), 0));
        assert!(!limit.admit_at(address("2001:db8::2"), 0));
    }

    #[test]
    fn a_rate_of_zero_is_taken_as_one() {
        let limit = RateLimit::new(RateCap { per_second: 0, burst: 0 });
        assert!(limit.admit_at(address("192.0.2.1"), 0));
        assert!(!limit.admit_at(address("192.0.2.1"), 0));
    }
}
