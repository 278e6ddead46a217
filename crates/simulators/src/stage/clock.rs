//! The clock of a simulated server: real time, shifted by what a test wants, told in Iran's local time.
//!
//! It never sleeps and never drives timers; it only says what time the server believes it is.

use super::lock;
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use icu_calendar::{Date, cal::Persian};
use std::sync::Mutex;

/// Asia/Tehran since 2022: +03:30 without daylight saving (siagh sheet §2.8).
const TEHRAN_SECONDS: i32 = 3 * 3600 + 30 * 60;

struct Face {
    frozen: Option<DateTime<Utc>>,
    offset: TimeDelta,
    skew: TimeDelta,
}

pub(crate) struct Clock(Mutex<Face>);

impl Clock {
    pub(crate) fn new(skew: TimeDelta, frozen: Option<DateTime<Utc>>) -> Self {
        Self(Mutex::new(Face { frozen, offset: TimeDelta::zero(), skew }))
    }

    /// The server's idea of now, skew included.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let face = lock(&self.0);
        face.frozen.unwrap_or_else(|| Utc::now() + face.offset) + face.skew
    }

    pub(crate) fn tehran(&self) -> DateTime<FixedOffset> {
        self.now().with_timezone(&tehran_zone())
    }

    /// Now, as a zone-less local time.
    pub(crate) fn local(&self) -> NaiveDateTime {
        self.tehran().naive_local()
    }

    pub(crate) fn set_skew(&self, skew: TimeDelta) {
        lock(&self.0).skew = skew;
    }

    /// Lets the clock run on from `at`.
    pub(crate) fn set(&self, at: DateTime<Utc>) {
        let mut face = lock(&self.0);
        face.offset = at - Utc::now();
        if face.frozen.is_some() {
            face.frozen = Some(at);
        }
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        let mut face = lock(&self.0);
        face.offset += by;
        face.frozen = face.frozen.map(|at| at + by);
    }

    /// Stops the clock where it is, or lets it run on from there.
    pub(crate) fn freeze(&self, frozen: bool) {
        let mut face = lock(&self.0);
        match (frozen, face.frozen) {
            (true, None) => face.frozen = Some(Utc::now() + face.offset),
            (false, Some(at)) => {
                face.offset = at - Utc::now();
                face.frozen = None;
            }
            _ => {}
        }
    }
}

pub(crate) fn tehran_zone() -> FixedOffset {
    FixedOffset::east_opt(TEHRAN_SECONDS).expect("three and a half hours are a valid offset")
}

/// Year, month and day of a Gregorian day in the Jalali calendar.
pub fn jalali(day: NaiveDate) -> (i32, u8, u8) {
    let month = u8::try_from(day.month()).expect("a month is at most 12");
    let of_month = u8::try_from(day.day()).expect("a day of a month is at most 31");
    let date =
        Date::try_new_iso(day.year(), month, of_month).expect("a chrono day is a valid ISO day").to_calendar(Persian);
    (date.year().extended_year(), date.month().ordinal, date.day_of_month().0)
}

/// `yyyy/MM/dd`, as Siagh prints a day.
pub(crate) fn jalali_text(day: NaiveDate) -> String {
    let (year, month, day) = jalali(day);
    format!("{year:04}/{month:02}/{day:02}")
}
