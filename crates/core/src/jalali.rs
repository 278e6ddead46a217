//! The Jalali calendar, where a fiscal year is decided by it.
//!
//! The leap years are those of `icu_calendar` (1403, 1408, 1412 ...), which agrees with the official calendar on
//! every day from 1925 to 2119; the well-known 33-year rule does not.

use chrono::{Datelike, NaiveDate};
use icu_calendar::{Date, cal::Persian};
use std::fmt;

/// A day of the Jalali calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JalaliDate {
    pub year: i32,
    pub month: u8,
    pub day: u8,
}

impl JalaliDate {
    /// The Jalali day of a Gregorian one. Which zone the day is taken in is the caller's business.
    pub fn from_gregorian(day: NaiveDate) -> Self {
        let month = u8::try_from(day.month()).expect("a month is at most 12");
        let of_month = u8::try_from(day.day()).expect("a day of a month is at most 31");
        let iso = Date::try_new_iso(day.year(), month, of_month).expect("a chrono day is a valid ISO day");
        let persian = iso.to_calendar(Persian);
        Self { year: persian.year().extended_year(), month: persian.month().ordinal, day: persian.day_of_month().0 }
    }
}

impl fmt::Display for JalaliDate {
    /// `yyyy/MM/dd`, as Siagh prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}/{:02}/{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_siagh_sheet_hold() {
        for (gregorian, jalali) in [
            ("2025-03-20", "1403/12/30"),
            ("2025-03-21", "1404/01/01"),
            ("2025-12-21", "1404/09/30"),
            ("2026-01-01", "1404/10/11"),
            ("2026-03-20", "1404/12/29"),
            ("2026-03-21", "1405/01/01"),
        ] {
            let day: NaiveDate = gregorian.parse().unwrap();
            assert_eq!(JalaliDate::from_gregorian(day).to_string(), jalali, "{gregorian}");
        }
    }
}
