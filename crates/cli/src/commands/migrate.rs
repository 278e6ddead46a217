//! `tandem migrate`: brings the schema up to date. Several at once do no harm.

use crate::exit::Ended;
use crate::settings::Needs;
use crate::show;
use crate::wiring::{self, Start};
use serde_json::json;

pub async fn run(start: &Start) -> anyhow::Result<Ended> {
    let settings = start.settings(Needs::Database)?;
    let store = wiring::connect_or_make(&settings).await?;
    let applied = store.migrate().await?;
    if start.json {
        show::json(&json!({ "applied": applied }))?;
    } else if applied.is_empty() {
        show::line("the database is up to date");
    } else {
        applied.iter().for_each(|name| show::line(format!("applied {name}")));
    }
    Ok(Ended::Done)
}
