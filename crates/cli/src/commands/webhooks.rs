//! `tandem webhooks`: the addresses that an administrator enters in the CRM, and what came in on them.

use crate::exit::Ended;
use crate::register::KNOWN;
use crate::settings::{Needs, Settings};
use crate::show;
use crate::wiring::Start;
use chrono::Utc;
use secrecy::ExposeSecret;
use serde_json::json;
use url::Url;

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// The addresses to enter in the CRM, one per item type.
    Urls {
        /// The address under which the CRM reaches this machine.
        #[arg(long, value_name = "URL")]
        base: Option<Url>,
        /// Print the token too. Whoever sees it can call.
        #[arg(long)]
        show_token: bool,
    },
    /// When something last came in on each address, and the newest calls.
    List {
        /// At most so many calls.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: u32,
    },
}

pub async fn run(start: &Start, action: Action) -> anyhow::Result<Ended> {
    match action {
        Action::Urls { base, show_token } => urls(start, base, show_token),
        Action::List { limit } => list(start, limit).await,
    }
}

fn urls(start: &Start, base: Option<Url>, show_token: bool) -> anyhow::Result<Ended> {
    let settings = start.settings(Needs::Nothing)?;
    let base = base.map_or_else(
        || format!("http://HOST:{}", settings.http.ingest.port()),
        |url| url.as_str().trim_end_matches('/').to_owned(),
    );
    let token = token(&settings, show_token);
    let urls: Vec<(String, String)> = KNOWN
        .iter()
        .filter_map(|known| known.webhooks)
        .flat_map(|(system, routes)| routes.iter().map(move |route| (system, *route)))
        .map(|(system, route)| (format!("{system}/{route}"), format!("{base}/webhook/{system}/{route}{token}")))
        .collect();
    let remarks = settings.remarks();
    if start.json {
        let all: Vec<_> = urls.iter().map(|(route, url)| json!({ "route": route, "url": url })).collect();
        return show::json(&json!({ "urls": all, "remarks": remarks })).map(|()| Ended::Done);
    }
    show::table(&["ROUTE", "ADDRESS"], urls.into_iter().map(|(route, url)| [route, url]), "no bridge takes webhooks");
    if !settings.http.webhooks && remarks.is_empty() {
        show::line("webhooks are off: ENABLE_WEBHOOKS is not true");
    }
    remarks.iter().for_each(show::line);
    if !settings.http.tokens.is_empty() && !show_token {
        show::line("TOKEN stands for TANDEM_WEBHOOK_TOKEN; --show-token prints it");
    }
    Ok(Ended::Done)
}

/// The last segment of the addresses; none where only an allow-list is configured.
fn token(settings: &Settings, show_token: bool) -> String {
    match settings.http.tokens.first() {
        Some(token) if show_token => format!("/{}", token.expose_secret()),
        Some(_) => "/TOKEN".to_owned(),
        None => String::new(),
    }
}

async fn list(start: &Start, limit: u32) -> anyhow::Result<Ended> {
    let (_, store) = start.store().await?;
    let (routes, events) = (store.webhook_routes().await?, store.webhook_events(limit).await?);
    if start.json {
        return show::json(&json!({ "routes": routes, "events": events })).map(|()| Ended::Done);
    }
    let now = Utc::now();
    let rows = routes.iter().map(|route| {
        let last = route.last_at.map_or_else(|| "never".to_owned(), |at| show::distance(at, now));
        [route.route.clone(), last, route.accepted.to_string(), route.ignored.to_string(), route.rejected.to_string()]
    });
    show::table(&["ROUTE", "LAST CALL", "ACCEPTED", "IGNORED", "REJECTED"], rows, "nothing came in yet");
    if !events.is_empty() {
        show::line("");
        let rows = events.into_iter().map(|event| {
            let what = event.key.map_or_else(|| event.note.unwrap_or_default(), |key| key.to_string());
            [show::moment(event.received_at), event.route, event.remote, event.event.unwrap_or_default(), what]
        });
        show::table(&["WHEN", "ROUTE", "FROM", "EVENT", "RECORD"], rows, "");
    }
    Ok(Ended::Done)
}
