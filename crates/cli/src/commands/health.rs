//! `tandem health`: asks a running service whether it lives. For container health checks.

use crate::exit::{Ended, wrong_usage};
use crate::settings::Needs;
use crate::show;
use crate::wiring::Start;
use anyhow::bail;
use serde_json::json;
use std::time::Duration;
use tandem_outbound::{Call, HttpClient, HttpSettings, codes};
use url::Url;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to ask; else /health of this machine's ingest, by PORT.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
}

/// Longer than a living service ever takes, shorter than what health checks usually wait.
const PATIENCE: Duration = Duration::from_secs(4);

pub async fn run(start: &Start, args: Args) -> anyhow::Result<Ended> {
    let mut url = match args.url {
        Some(url) => url,
        None => Url::parse(&format!("http://127.0.0.1:{}/health", start.settings(Needs::Nothing)?.http.ingest.port()))?,
    };
    let path = if url.path() == "/" { "/health".to_owned() } else { url.path().to_owned() };
    if url.query().is_some() {
        return Err(wrong_usage("--url takes no parameters"));
    }
    url.set_path("/");
    let settings = HttpSettings {
        connect_timeout: PATIENCE,
        timeout: PATIENCE,
        read_attempts: 1,
        ..HttpSettings::new(codes!("tandem"), url)
    };
    let answer = HttpClient::new(settings)?.send(&Call::get(path)).await?;
    let status = answer.status().as_u16();
    if start.json {
        show::json(&json!({ "healthy": answer.status().is_success(), "status": status }))?;
    } else if !answer.status().is_success() {
        bail!("it answers with {status}");
    } else {
        show::line("healthy");
    }
    Ok(Ended::done_if(answer.status().is_success()))
}
