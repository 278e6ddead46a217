//! `tandem review`: records that wait for a person, and what the person decided.

use super::{dead, leave_to_services};
use crate::exit::{Ended, wrong_usage};
use crate::register::{Counterpart, whole_number};
use crate::show;
use crate::wiring::Start;
use crate::words::{self, Record, Which, operator};
use anyhow::bail;
use chrono::Utc;
use serde_json::{Map, Value, json};
use tandem_core::{DestId, Plan, RecordKey, State};
use tandem_store::{LogFilter, Resolution, Resolved, Store};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// List them, oldest first.
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = words::at_least_one)]
        limit: u32,
    },
    /// Say what is right; the record goes on by that.
    Resolve(Resolve),
}

#[derive(Debug, clap::Args)]
pub struct Resolve {
    #[command(flatten)]
    record: Record,
    #[command(flatten)]
    decision: Decision,
    /// With --exists: the destination's own id of what exists, where it is known beside the number.
    #[arg(long, value_name = "DEST")]
    dest_id: Option<String>,
    /// With --link: although the review names candidates and this is none of them. With --new: although it is paired.
    #[arg(long)]
    anyway: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Decision {
    /// This record of the destination is its counterpart: bind it, and look again.
    #[arg(long, value_name = "DEST")]
    link: Option<String>,
    /// It exists over there, by a write in doubt or made by hand; this is the number under which people find it.
    #[arg(long, value_name = "NUMBER")]
    exists: Option<String>,
    /// The write in doubt did not happen: do it again.
    #[arg(long)]
    again: bool,
    /// None of the candidates is its counterpart: make a new one.
    #[arg(long)]
    new: bool,
    /// The version that was last looked at is fine as it stands on both sides.
    #[arg(long)]
    accept: bool,
    /// Another record of the source stands for this one.
    #[arg(long, value_name = "ID")]
    duplicate_of: Option<String>,
}

pub async fn run(start: &Start, action: Action) -> anyhow::Result<Ended> {
    match action {
        Action::List { which, limit } => dead::list(start, &which, State::NeedsReview, limit).await,
        Action::Resolve(resolve) => run_resolve(start, resolve).await,
    }
}

async fn run_resolve(start: &Start, args: Resolve) -> anyhow::Result<Ended> {
    let key = args.record.key()?;
    let counterpart = words::bridge(key.bridge.as_str())?.counterpart(key.kind.as_str());
    let resolution = resolution(&key, &args, counterpart)?;
    let (_, store) = start.store().await?;
    match &resolution {
        Resolution::Duplicate(other) => drop(super::known_row(&store, other).await?),
        Resolution::Link(dest_id) if !args.anyway => is_candidate(&store, &key, dest_id).await?,
        Resolution::New if !args.anyway => is_unpaired(&store, &key).await?,
        _ => {}
    }
    let by_hand = counterpart.number.map_or("--link <id>", |_| "--exists <number>");
    let state = match store.resolve(&key, &resolution, &operator(), Utc::now()).await? {
        Resolved::Done { state, nudges } => {
            leave_to_services(&store, &nudges).await?;
            state
        }
        Resolved::Unknown => bail!("the ledger has no record {key}; it was never noticed"),
        Resolved::Busy => bail!("a worker has {key} in hand; try again when it is done"),
        Resolved::NotUnderReview(state) => {
            bail!("{key} is {state}, so there is nothing to decide; see: tandem why {key}")
        }
        Resolved::NothingInDoubt => {
            bail!("no write of {key} is in doubt; --again is for those (to look again: tandem retry)")
        }
        Resolved::InDoubt => {
            bail!("a write of {key} is in doubt; say first what became of it: {by_hand} or --again")
        }
        Resolved::NeverSeen => bail!("no version of {key} was ever looked at, so there is none to accept"),
        Resolved::NoWinner => {
            bail!("{key} can be a duplicate only of another record that was noticed and is no duplicate itself")
        }
        Resolved::NeverSent => bail!(
            "{key} has no counterpart to be in step with; to leave it alone: tandem ignore, if it was made by hand: {by_hand}"
        ),
    };
    if start.json {
        show::json(&json!({ "state": state }))?;
    } else {
        show::line(format!("{key} is {state} now"));
    }
    Ok(Ended::Done)
}

/// What was decided, as far as it can be told from the words alone.
///
/// # Errors
/// When an id or a number is none, or what was said can't be said of this kind.
fn resolution(key: &RecordKey, args: &Resolve, counterpart: &Counterpart) -> anyhow::Result<Resolution> {
    let decision = &args.decision;
    // Beside another decision of the group the parser does not ask for what an option requires.
    if args.dest_id.is_some() && decision.exists.is_none() {
        return Err(wrong_usage("--dest-id belongs to --exists"));
    }
    if args.anyway && decision.link.is_none() && !decision.new {
        return Err(wrong_usage("--anyway belongs to --link or --new"));
    }
    let dest_id = |option: &str, text: &str| {
        let id = (counterpart.read_id)(text).map(DestId::from);
        id.ok_or_else(|| wrong_usage(format!("{option} has to be {}, not {text:?}", counterpart.id)))
    };
    if let Some(text) = &decision.link {
        return Ok(Resolution::Link(dest_id("--link", text)?));
    }
    if let Some(text) = &decision.exists {
        let Some(name) = counterpart.number else {
            let (kind, id) = (&key.kind, counterpart.id);
            return Err(wrong_usage(format!(
                "--exists says nothing about a {kind}, which has no number beside its id: say --link with {id}"
            )));
        };
        let Some(number) = whole_number(text) else {
            return Err(wrong_usage(format!("--exists has to be {name}, not {text:?}")));
        };
        let dest_id = args.dest_id.as_deref().map(|text| dest_id("--dest-id", text)).transpose()?;
        return Ok(Resolution::Exists { dest_id, refs: Map::from_iter([("number".to_owned(), Value::from(number))]) });
    }
    if let Some(other) = &decision.duplicate_of {
        return Ok(Resolution::Duplicate(RecordKey { source_id: other.trim().into(), ..key.clone() }));
    }
    if decision.new {
        return match counterpart.number {
            None => Ok(Resolution::New),
            Some(_) => Err(wrong_usage(format!(
                "--new would make a second {}: say --again if the write did not happen, --exists if it did",
                key.kind
            ))),
        };
    }
    Ok(if decision.accept { Resolution::Accept } else { Resolution::Again })
}

/// A new one in place of a counterpart lets that one go.
///
/// # Errors
/// When there is one.
async fn is_unpaired(store: &Store, key: &RecordKey) -> anyhow::Result<()> {
    match store.row(key).await?.filter(|row| row.state == State::NeedsReview).and_then(|row| row.dest_id) {
        None => Ok(()),
        Some(dest_id) => bail!(
            "{key} is paired with {dest_id}, which --new would let go, whether it still exists or not; if you mean that, add --anyway"
        ),
    }
}

/// Where the review names candidates, another id is a typing error more often than not.
///
/// # Errors
/// When it is none of them.
async fn is_candidate(store: &Store, key: &RecordKey, dest_id: &DestId) -> anyhow::Result<()> {
    if store.row(key).await?.is_none_or(|row| row.state != State::NeedsReview) {
        // There is nothing to decide, which the store says.
        return Ok(());
    }
    let filter = LogFilter {
        bridge: Some(key.bridge.clone()),
        kind: Some(key.kind.clone()),
        source_id: Some(key.source_id.clone()),
        state: Some(State::NeedsReview),
        limit: 1,
        ..LogFilter::default()
    };
    let asked = store.log(&filter).await?.pop().and_then(|entry| entry.plan);
    let Some(Ok(Plan::Review { candidates, .. })) = asked.map(serde_json::from_value) else { return Ok(()) };
    if candidates.is_empty() || candidates.iter().any(|candidate| candidate.dest_id == *dest_id) {
        return Ok(());
    }
    let known: Vec<&str> = candidates.iter().map(|candidate| candidate.dest_id.as_str()).collect();
    bail!(
        "{dest_id} is none of the candidates of {key} ({}); if you know that it is the one, add --anyway",
        known.join(", ")
    )
}
