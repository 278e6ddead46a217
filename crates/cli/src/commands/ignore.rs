//! `tandem ignore`: an operator says to leave a record alone. `retry` takes it back.

use super::known_row;
use crate::exit::{Ended, wrong_usage};
use crate::show;
use crate::wiring::Start;
use crate::words::{Record, operator};
use chrono::Utc;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    record: Record,
    /// Why, for the log.
    #[arg(long, value_name = "SENTENCE")]
    why: String,
}

pub async fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    if args.why.trim().is_empty() {
        return Err(wrong_usage("--why needs a sentence"));
    }
    let key = args.record.key()?;
    let (_, store) = start.store().await?;
    known_row(&store, &key).await?;
    store.ignore(&key, &operator(), args.why.trim(), Utc::now()).await?;
    if start.json {
        show::json(&json!({ "ignored": 1 }))?;
    } else {
        show::line(format!("{key} is left alone from now on; `tandem retry {key}` takes that back"));
    }
    Ok(Ended::Done)
}
