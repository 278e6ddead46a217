//! Reads what people type on the command line: records, moments, words for states.

use crate::exit::wrong_usage;
use crate::register::{KNOWN, Known};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tandem_core::{Actor, BridgeId, KindId, RecordKey};
use tandem_engine::Engine;

/// One record: `siagh customer 7b0c1f0e-...`.
#[derive(Debug, Clone, clap::Args)]
pub struct Record {
    /// The bridge, such as `siagh`.
    pub bridge: String,
    /// The kind of record, such as `customer`.
    pub kind: String,
    /// The record's id in the system it comes from.
    pub id: String,
}

impl Record {
    /// # Errors
    /// When there is no such bridge or kind; the error names those there are.
    pub fn key(&self) -> anyhow::Result<RecordKey> {
        let known = bridge(&self.bridge)?;
        Ok(RecordKey::new(known.id, kind(&[known], &self.kind)?, self.id.trim()))
    }
}

/// Which records of a list are meant.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Which {
    /// One record.
    #[arg(num_args = 3, value_names = ["BRIDGE", "KIND", "ID"], conflicts_with_all = ["of_bridge", "of_kind", "reason", "all"])]
    pub record: Vec<String>,
    /// Those of this bridge.
    #[arg(long = "bridge", value_name = "BRIDGE")]
    pub of_bridge: Option<String>,
    /// Those of this kind.
    #[arg(long = "kind", value_name = "KIND")]
    pub of_kind: Option<String>,
    /// Those whose reason contains this text.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// All of them.
    #[arg(long)]
    pub all: bool,
}

impl Which {
    pub fn is_empty(&self) -> bool {
        self.record.is_empty()
            && self.of_bridge.is_none()
            && self.of_kind.is_none()
            && self.reason.is_none()
            && !self.all
    }

    /// One record, by name.
    pub fn is_one(&self) -> bool {
        !self.record.is_empty()
    }

    /// # Errors
    /// When there is no such bridge or kind, or no single record is meant.
    pub fn one(&self) -> anyhow::Result<RecordKey> {
        let [bridge, kind, id] = self.record.as_slice() else { return Err(wrong_usage("say which: BRIDGE KIND ID")) };
        Record { bridge: bridge.clone(), kind: kind.clone(), id: id.clone() }.key()
    }

    /// # Errors
    /// When there is no such bridge or kind.
    pub fn filter(&self) -> anyhow::Result<tandem_store::RowFilter> {
        let mut filter = tandem_store::RowFilter { reason_contains: self.reason.clone(), ..Default::default() };
        if self.is_one() {
            let key = self.one()?;
            (filter.bridge, filter.kind, filter.source_ids) = (Some(key.bridge), Some(key.kind), vec![key.source_id]);
            return Ok(filter);
        }
        (filter.bridge, filter.kind) = bridge_and_kind(self.of_bridge.as_deref(), self.of_kind.as_deref())?;
        Ok(filter)
    }
}

/// Checks an optional bridge and an optional kind, which without a bridge may be of any.
pub fn bridge_and_kind(
    of_bridge: Option<&str>,
    of_kind: Option<&str>,
) -> anyhow::Result<(Option<BridgeId>, Option<KindId>)> {
    let bridges = match of_bridge {
        Some(name) => vec![bridge(name)?],
        None => KNOWN.iter().collect(),
    };
    let kind = of_kind.map(|name| kind(&bridges, name)).transpose()?;
    Ok((of_bridge.map(BridgeId::from), kind))
}

/// The bridge of that name.
///
/// # Errors
/// When there is none; the error names those there are.
pub fn bridge(name: &str) -> anyhow::Result<&'static Known> {
    let found = KNOWN.iter().find(|known| known.id == name);
    found.ok_or_else(|| {
        wrong_usage(format!("there is no bridge {name:?}; there is {}", crate::register::names().join(", ")))
    })
}

/// Makes sure that a bridge's settings are present and that it is switched on.
pub fn runs_here(engine: &Engine, known: &Known) -> anyhow::Result<()> {
    if engine.register().get(&BridgeId::from(known.id)).is_some() {
        return Ok(());
    }
    Err(wrong_usage(format!("the {} bridge is switched off: TANDEM_BRIDGES does not name it", known.id)))
}

/// The kind of that name in one of the bridges; `-` may stand for `_`.
///
/// # Errors
/// When there is none; the error names those there are.
pub fn kind(bridges: &[&Known], name: &str) -> anyhow::Result<KindId> {
    one_of("kind", name, bridges.iter().flat_map(|known| known.kinds)).map(KindId::from)
}

/// `name` if it is one of `known`, with `-` for `_`.
///
/// # Errors
/// When it is none; the error names them.
pub fn one_of<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a &'static str> + Clone,
) -> anyhow::Result<&'static str> {
    let wanted = name.replace('-', "_");
    let found = known.clone().copied().find(|known| **known == wanted);
    found.ok_or_else(|| {
        wrong_usage(format!("there is no {what} {name:?}; there is {}", known.copied().collect::<Vec<_>>().join(", ")))
    })
}

/// A moment: `2h` (as long ago), `2026-02-01`, or RFC 3339.
pub fn since(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    if let Some(span) = span(text) {
        return now.checked_sub_signed(span).ok_or_else(|| format!("{text:?} is too long ago"));
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.with_timezone(&Utc));
    }
    let day = text
        .parse::<NaiveDate>()
        .ok()
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .and_then(|at| at.and_local_timezone(chrono::Local).earliest());
    day.map(|at| at.with_timezone(&Utc))
        .ok_or_else(|| format!("{text:?} is neither a span such as 90s, 30m, 2h, 7d nor a day nor an RFC 3339 time"))
}

/// A length of time: `90s`, `30m`, `2h`, `7d`.
pub fn span(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    TimeDelta::try_seconds(i64::from(number) * seconds)
}

/// Parses a length of time for clap.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    span(text)
        .and_then(|s| s.to_std().ok())
        .ok_or_else(|| "has to be a length of time such as 90s, 30m, 2h, 7d".to_owned())
}

/// Parses a count for clap, of which none would be no answer.
pub fn at_least_one(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "has to be a whole number, at least 1".to_owned())
}

/// Who sits at the command line.
pub fn operator() -> Actor {
    let name = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty());
    Actor::new(name.unwrap_or_else(|| "operator".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_span_a_day_or_rfc_3339() {
        let now = DateTime::parse_from_rfc3339("2026-02-01T12:00:00Z").unwrap().with_timezone(&Utc);
        assert_eq!(since("2h", now).unwrap(), now - TimeDelta::hours(2));
        assert_eq!(since("2026-02-01T10:00:00+03:30", now).unwrap(), now - TimeDelta::minutes(330));
        assert!(since("2026-02-01", now).is_ok());
        for wrong in ["", "h", "2w", "-1h", "soon", "2026-02-31", "٢h"] {
            assert!(since(wrong, now).is_err(), "{wrong}");
        }
    }
}
