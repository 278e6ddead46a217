//! `tandem status`: what is in step, what is not, and what is open.

use crate::exit::Ended;
use crate::show;
use crate::wiring::Start;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use tandem_core::{BridgeId, KindId, State};
use tandem_store::{Circuit, Count, Store};

/// What `--json` prints. `open` and `bridges` keep their form; further members may come.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Records whose work is neither settled nor parked, and webhook calls that are on their way into the ledger.
    open: u64,
    /// Per bridge and kind, how many records are in which state.
    bridges: BTreeMap<BridgeId, BTreeMap<KindId, BTreeMap<State, u64>>>,
    /// Webhook calls that are stored and not in the ledger yet; also counted in `open`.
    spooled: u64,
    leased: u64,
    /// When the longest-waiting open record that is due was due.
    oldest: Option<DateTime<Utc>>,
    /// When the next record that is not due yet will be.
    next_due: Option<DateTime<Utc>>,
    circuits: Vec<Circuit>,
}

pub async fn run(start: &Start) -> anyhow::Result<Ended> {
    let (_, store) = start.store().await?;
    let status = read(&store).await?;
    if start.json {
        show::json(&status)?;
    } else {
        print(&status);
    }
    Ok(Ended::Done)
}

/// How things stand.
pub async fn read(store: &Store) -> anyhow::Result<Status> {
    let work = store.open_work(None, Utc::now()).await?;
    Ok(Status {
        open: work.open + work.spooled,
        bridges: by_bridge(store.counts().await?),
        spooled: work.spooled,
        leased: work.leased,
        oldest: work.oldest,
        next_due: work.next_due,
        circuits: store.circuits().await?,
    })
}

fn by_bridge(counts: Vec<Count>) -> BTreeMap<BridgeId, BTreeMap<KindId, BTreeMap<State, u64>>> {
    let mut bridges: BTreeMap<_, BTreeMap<_, BTreeMap<_, _>>> = BTreeMap::new();
    for count in counts {
        bridges.entry(count.bridge).or_default().entry(count.kind).or_default().insert(count.state, count.count);
    }
    bridges
}

/// Prints it for people.
pub fn print(status: &Status) {
    let now = Utc::now();
    let states: Vec<State> = State::ALL
        .iter()
        .copied()
        .filter(|state| status.bridges.values().flat_map(|kinds| kinds.values()).any(|by| by.contains_key(state)))
        .collect();
    let mut header = vec!["BRIDGE", "KIND"];
    header.extend(states.iter().map(|state| state.as_str()));
    let rows = status.bridges.iter().flat_map(|(bridge, kinds)| {
        kinds.iter().map(|(kind, by)| {
            let mut row = vec![bridge.to_string(), kind.to_string()];
            row.extend(states.iter().map(|state| by.get(state).map_or_else(|| "-".to_owned(), u64::to_string)));
            row
        })
    });
    show::table(&header, rows, "no record was noticed yet");
    let oldest = status.oldest.map_or_else(String::new, |at| format!(", the oldest due {}", show::distance(at, now)));
    let next = status.next_due.map_or_else(String::new, |at| format!(", the next due {}", show::distance(at, now)));
    let spooled = match status.spooled {
        0 => String::new(),
        calls => format!(" ({calls} of them webhook calls on their way into the ledger)"),
    };
    show::line(format!("open: {}{spooled}, in work: {}{oldest}{next}", status.open, status.leased));
    for circuit in &status.circuits {
        show::line(format!(
            "{} is left alone since {} ({}); next probe {}",
            circuit.bridge,
            show::moment(circuit.opened_at),
            show::one_line(&circuit.reason),
            show::distance(circuit.probe_at, now)
        ));
    }
}
