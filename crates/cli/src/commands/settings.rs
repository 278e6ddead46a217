//! `tandem settings`: the list of settings, what holds, and where it comes from. Secrets are never shown.

use crate::exit::Ended;
use crate::settings::{Needs, Places, Raw, Settings, read, render, table};
use crate::show;
use crate::wiring::Start;
use secrecy::ExposeSecret;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print docs/settings.md.
    #[arg(long, conflicts_with = "env")]
    markdown: bool,
    /// Print .env.example.
    #[arg(long)]
    env: bool,
}

pub fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    if args.markdown {
        show::line(render::markdown().trim_end());
        return Ok(Ended::Done);
    }
    if args.env {
        show::line(render::env_example().trim_end());
        return Ok(Ended::Done);
    }
    let raw = read(&Places::of_this_process(start.config.clone()));
    raw.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if start.json {
        let all: serde_json::Map<_, _> = table::all()
            .map(|s| (s.name.to_owned(), json!({ "value": value(&raw, s), "source": source(&raw, s) })))
            .collect();
        show::json(&all)?;
    } else {
        let rows = table::all().map(|s| [s.name.to_owned(), value(&raw, s).unwrap_or_default(), source(&raw, s)]);
        show::table(&["NAME", "VALUE", "FROM"], rows, "");
        raw.notes.iter().for_each(|note| show::line(format!("note: {note}")));
    }
    // What is wrong is shown below what is set.
    Settings::load(&raw, Needs::Nothing)?;
    Ok(Ended::Done)
}

fn value(raw: &Raw, setting: &table::Setting) -> Option<String> {
    match raw.values.get(setting.name) {
        Some(_) if setting.secret => Some("(secret)".to_owned()),
        Some(value) => Some(value.text.expose_secret().to_owned()),
        None => setting.default.map(str::to_owned),
    }
}

fn source(raw: &Raw, setting: &table::Setting) -> String {
    match (raw.values.get(setting.name), setting.default) {
        (Some(value), _) => value.source.to_string(),
        (None, Some(_)) => "default".to_owned(),
        (None, None) => "not set".to_owned(),
    }
}
