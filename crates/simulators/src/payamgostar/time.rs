//! The CRM's zone-less local times (payamgostar sheet §0).

use chrono::{NaiveDate, NaiveDateTime, Timelike};

/// Reads `YYYY-MM-DDTHH:MM:SS` with or without a fraction, or a bare day. A zone is not accepted.
pub(crate) fn parse(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0)))
}

/// Writes a time the way .NET does: up to seven decimals, trailing zeros and an empty fraction left out.
pub(crate) fn emit(time: NaiveDateTime) -> String {
    let ticks = time.nanosecond() % 1_000_000_000 / 100;
    let whole = time.format("%Y-%m-%dT%H:%M:%S");
    if ticks == 0 {
        return whole.to_string();
    }
    let fraction = format!("{ticks:07}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// Cuts the fraction to `digits` decimals.
pub(crate) fn cut(time: NaiveDateTime, digits: u8) -> NaiveDateTime {
    let unit = 10_u32.pow(9 - u32::from(digits.min(7)));
    let nanos = time.nanosecond() % 1_000_000_000;
    time.with_nanosecond(nanos - nanos % unit).unwrap_or(time)
}
