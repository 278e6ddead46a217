//! `tandem check`: every system, the database and the broker: can they be reached, are the credentials good, what is missing.

use crate::exit::Ended;
use crate::register;
use crate::settings::{Broker, Needs, Settings};
use crate::show;
use crate::wiring::{self, Start};
use chrono::{TimeDelta, Utc};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::Bridge;
use tandem_core::bridge::CheckLine;
use tandem_core::lane::Lanes;
use tandem_queue::{RabbitLanes, RabbitSettings};
use tandem_store::Mapping;

/// A broker that does not answer within a quarter of this counts as away.
const BROKER_STALL: Duration = Duration::from_secs(24);
/// How far our clock and the database's may be apart.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(5);
const BY_NTP: &str = "set both by NTP";

pub async fn run(start: &Start) -> anyhow::Result<Ended> {
    let settings = start.settings(Needs::Database)?;
    let bridges = register::build(&settings);
    let running = bridges.as_deref().unwrap_or_default();
    let mut lines = database(&settings, running).await;
    lines.push(match &settings.broker {
        Some(broker) => self::broker(broker, running).await,
        None => line("broker", true, "not set: embedded lanes"),
    });
    lines.extend(self::bridges(&settings, &bridges).await);
    lines.extend(settings.remarks().into_iter().map(|remark| todo("webhooks", remark)));
    if start.json {
        show::json(&lines)?;
    } else {
        let rows = lines.iter().map(|l| [l.verdict.shown().to_owned(), l.what.clone(), l.detail.clone()]);
        show::table(&["", "WHAT", "FOUND"], rows, "");
    }
    Ok(Ended::done_if(lines.iter().all(|line| line.ok)))
}

/// What was found out about one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    /// Nothing is broken, but something is still to be set before all of it works.
    Todo,
    Failed,
}

impl Verdict {
    fn shown(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Todo => "TODO",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Debug, Serialize)]
struct Line {
    what: String,
    /// It did not fail.
    ok: bool,
    verdict: Verdict,
    detail: String,
}

impl From<CheckLine> for Line {
    fn from(found: CheckLine) -> Self {
        line(&found.what, found.ok, found.detail)
    }
}

fn line(what: &str, ok: bool, detail: impl Into<String>) -> Line {
    let verdict = if ok { Verdict::Ok } else { Verdict::Failed };
    Line { what: what.to_owned(), ok, verdict, detail: detail.into() }
}

fn todo(what: &str, detail: impl Into<String>) -> Line {
    Line { verdict: Verdict::Todo, ..line(what, true, detail) }
}

/// The database, its clock beside ours, and what the operator keeps in it.
async fn database(settings: &Settings, bridges: &[Arc<dyn Bridge>]) -> Vec<Line> {
    let failed = |error: &dyn std::fmt::Display| vec![line("database", false, format!("{error:#}"))];
    let store = match wiring::connect(settings).await {
        Ok(store) => store,
        Err(error) => return failed(&error),
    };
    let found = async {
        store.ping().await?;
        let skew = store.clock_skew(Utc::now()).await?;
        anyhow::Ok((store.pending_migrations().await?, skew))
    };
    let (pending, skew) = match found.await {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    let migrated = pending.is_empty();
    let mut lines = vec![if migrated {
        line("database", true, "reachable and up to date")
    } else {
        let count = show::counted(pending.len() as u64, "migration");
        line("database", false, format!("reachable, but not migrated ({count} to apply): run `tandem migrate`"))
    }];
    lines.extend(skew.map(clock));
    for spec in bridges.iter().map(|bridge| bridge.spec()).filter(|_| migrated) {
        match store.mappings(&spec.id, None).await {
            Ok(mappings) => lines.extend(value_mappings(spec.id.as_str(), &mappings)),
            Err(error) => lines.push(line("value mappings", false, error.to_string())),
        }
    }
    lines
}

/// Leases of one host are judged by the clock of another.
fn clock(skew: TimeDelta) -> Line {
    let apart = show::length(skew.abs());
    match skew.abs() <= CLOCKS_APART {
        true => line("clock", true, format!("agrees with the database's within {} s", CLOCKS_APART.num_seconds())),
        false if skew > TimeDelta::zero() => line("clock", false, format!("{apart} behind the database's: {BY_NTP}")),
        false => line("clock", false, format!("{apart} ahead of the database's: {BY_NTP}")),
    }
}

/// How many rows the tables have without which a kind can't be sent, and which of them has none.
fn value_mappings(bridge: &str, mappings: &[Mapping]) -> Option<Line> {
    let known = register::KNOWN.iter().find(|known| known.id == bridge)?;
    let rows = |typ: &str| mappings.iter().filter(|mapping| mapping.typ == typ).count();
    let counts: Vec<String> = known.counted.iter().map(|typ| format!("{typ} {}", rows(typ))).collect();
    let (what, counts) = (format!("{bridge}: value mappings"), counts.join(", "));
    let empty: Vec<&str> = known.needed.1.iter().copied().filter(|typ| rows(typ) == 0).collect();
    if empty.is_empty() {
        return Some(line(&what, true, counts));
    }
    let (kind, types) = (known.needed.0, empty.join(", "));
    let hint = format!("no {kind} can be sent while nothing is set for {types}: `tandem mapping import {bridge} FILE`");
    Some(todo(&what, format!("{counts}; {hint}")))
}

async fn broker(broker: &Broker, bridges: &[Arc<dyn Bridge>]) -> Line {
    let mut settings = match RabbitSettings::new(&broker.url) {
        Ok(settings) => settings,
        Err(error) => return line("broker", false, error.to_string()),
    };
    settings.prefix.clone_from(&broker.prefix);
    settings.stall_limit = BROKER_STALL;
    let wanted: Vec<_> =
        bridges.iter().map(|bridge| (bridge.spec().id.clone(), bridge.spec().consume_options())).collect();
    match RabbitLanes::connect(settings).prepare(&wanted).await {
        Ok(()) if wanted.is_empty() => line("broker", true, "reachable; no bridge can run, so no queue was tried"),
        Ok(()) => line("broker", true, "reachable, and the queues are declared"),
        Err(error) => line("broker", false, error.to_string()),
    }
}

async fn bridges(settings: &Settings, built: &anyhow::Result<Vec<Arc<dyn Bridge>>>) -> Vec<Line> {
    let systems = &settings.systems;
    if settings.bridges().is_empty() {
        return vec![line("bridges", false, format!("none can run: {} not set", systems.missing.join(", ")))];
    }
    match built {
        Ok(bridges) => {
            let mut lines = Vec::new();
            for bridge in bridges {
                lines.extend(bridge.check().await.into_iter().map(Line::from));
            }
            lines
        }
        Err(error) => vec![line("bridges", false, format!("{error:#}"))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_more_than_five_seconds_apart_fail_and_say_which_way() {
        assert!(clock(TimeDelta::seconds(5)).ok && clock(TimeDelta::seconds(-5)).ok);
        let (behind, ahead) = (clock(TimeDelta::seconds(6)), clock(TimeDelta::milliseconds(-5_001)));
        assert!(!behind.ok && behind.detail.starts_with("6 s behind"), "{behind:?}");
        assert!(!ahead.ok && ahead.detail.starts_with("5 s ahead"), "{ahead:?}");
    }
}
