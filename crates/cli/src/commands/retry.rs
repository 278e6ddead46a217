//! `tandem retry`: opens a record again, whatever its state.

use super::{known_row, leave_to_services};
use crate::exit::Ended;
use crate::show;
use crate::wiring::Start;
use crate::words::{Record, operator};
use chrono::Utc;
use serde_json::json;
use tandem_core::Trigger;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    record: Record,
}

pub async fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    let key = args.record.key()?;
    let (_, store) = start.store().await?;
    let was = known_row(&store, &key).await?.state;
    let nudges = store.reopen(std::slice::from_ref(&key), Trigger::Manual, &operator(), Utc::now()).await?;
    leave_to_services(&store, &nudges).await?;
    if start.json {
        show::json(&json!({ "reopened": 1, "was": was }))?;
    } else {
        show::line(format!("{key} was {was}; it is open again and a running worker looks at it"));
    }
    Ok(Ended::Done)
}
