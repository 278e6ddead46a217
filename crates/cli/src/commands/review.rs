//! `tandem review`: records that wait for a person, and what the person decided.

use super::{dead, leave_to_services};
use crate::exit::Ended;
use crate::show;
use crate::wiring::Start;
use crate::words::{Record, Which, operator};
use anyhow::bail;
use chrono::Utc;
use serde_json::{Map, Value, json};
use tandem_core::{DestId, RecordKey, State};
use tandem_store::{Resolution, Resolved};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// List them, oldest first.
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_name = "N")]
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
    #[arg(long, value_name = "DEST", requires = "exists")]
    dest_id: Option<String>,
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
    let resolution = resolution(&key, &args);
    let (_, store) = start.store().await?;
    if let Resolution::Duplicate(other) = &resolution {
        super::known_row(&store, other).await?;
    }
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
            bail!("a write of {key} is in doubt; say first what became of it: --exists <number> or --again")
        }
        Resolved::NeverSeen => bail!("no version of {key} was ever looked at, so there is none to accept"),
        Resolved::NoWinner => {
            bail!("{key} can be a duplicate only of another record that was noticed and is no duplicate itself")
        }
        Resolved::NeverSent => bail!(
            "{key} has no counterpart to be in step with; to leave it alone: tandem ignore, if it was made by hand: --exists <number>"
        ),
    };
    if start.json {
        show::json(&json!({ "state": state }))?;
    } else {
        show::line(format!("{key} is {state} now"));
    }
    Ok(Ended::Done)
}

fn resolution(key: &RecordKey, args: &Resolve) -> Resolution {
    let decision = &args.decision;
    if let Some(dest_id) = &decision.link {
        return Resolution::Link(DestId::from(dest_id.trim()));
    }
    if let Some(number) = &decision.exists {
        let refs = Map::from_iter([("number".to_owned(), Value::from(number.trim()))]);
        return Resolution::Exists { dest_id: args.dest_id.as_deref().map(|id| DestId::from(id.trim())), refs };
    }
    if let Some(other) = &decision.duplicate_of {
        return Resolution::Duplicate(RecordKey { source_id: other.trim().into(), ..key.clone() });
    }
    if decision.new {
        return Resolution::New;
    }
    if decision.accept { Resolution::Accept } else { Resolution::Again }
}
