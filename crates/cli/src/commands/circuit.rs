//! `tandem circuit`: destinations that are left alone because they are away.

use crate::exit::Ended;
use crate::show;
use crate::wiring::Start;
use crate::words;
use chrono::Utc;
use serde_json::json;
use tandem_core::BridgeId;

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Which circuits are open.
    List,
    /// Close a bridge's circuit without waiting for the next probe.
    Close { bridge: String },
}

pub async fn run(start: &Start, action: Action) -> anyhow::Result<Ended> {
    let wanted = match &action {
        Action::Close { bridge } => Some(BridgeId::from(words::bridge(bridge)?.id)),
        Action::List => None,
    };
    let (_, store) = start.store().await?;
    let open = store.circuits().await?;
    let Some(bridge) = wanted else {
        let now = Utc::now();
        if start.json {
            show::json(&open)?;
        } else {
            let rows = open.iter().map(|c| {
                [
                    c.bridge.to_string(),
                    show::moment(c.opened_at),
                    c.failures.to_string(),
                    show::distance(c.probe_at, now),
                    c.code.clone(),
                    c.reason.clone(),
                ]
            });
            show::table(&["BRIDGE", "SINCE", "FAILURES", "NEXT PROBE", "CODE", "REASON"], rows, "no circuit is open");
        }
        return Ok(Ended::Done);
    };
    let was_open = store.close_circuit(&bridge).await?;
    if start.json {
        show::json(&json!({ "closed": was_open }))?;
    } else {
        let what = if was_open { "is closed; its records go on" } else { "was not open" };
        show::line(format!("the circuit of {bridge} {what}"));
    }
    Ok(Ended::Done)
}
