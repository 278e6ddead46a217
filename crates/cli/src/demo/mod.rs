//! The demonstration: simulated systems, an embedded database and the whole of Tandem in one process.
//!
//! Nothing of it is faked on Tandem's side: the roles are those of `tandem up`, the systems answer over real HTTP, and
//! whether they agree in the end is judged from what they hold, not from our ledger.

mod acts;
mod stage;
mod tell;
mod verdict;

use crate::exit::Ended;
use crate::{show, stop};
use acts::Acts;
use stage::Stage;
use std::collections::BTreeMap;
use tandem_core::State;
use tell::Tell;
use tokio_util::sync::CancellationToken;
use verdict::Held;

/// `tandem demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// End when the show is over instead of staying up; exit code 0 only if both simulated systems agree.
    #[arg(long)]
    pub once: bool,
    /// How many contacts the finance system starts with; at least 100.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub contacts: u32,
}

/// Plays the show.
///
/// # Errors
/// Whatever stopped it; the systems and the database file are gone then.
pub async fn run(args: DemoArgs) -> anyhow::Result<Ended> {
    let (stop, unread) = (stop::on_signal(), CancellationToken::new());
    show::when_unread(unread.clone());
    let (stops, nobody_looks) = (stop.clone(), unread.clone());
    tokio::spawn(async move {
        nobody_looks.cancelled().await;
        stops.cancel();
    });
    show::line("Tandem, with a simulated CRM and a simulated finance system on this machine. Nothing leaves it.");
    let stage = Stage::build(args.contacts as usize).await?;
    let tell = Tell::new();
    let played = stop.run_until_cancelled(Acts { stage: &stage, tell: &tell }.play()).await;
    let ended = match played {
        None => Ended::Failed,
        Some(played) => {
            let agree = sum_up(&stage).await?;
            if let Err(error) = &played {
                show::line(format!("\nThe show stopped: {error:#}"));
            }
            if played.is_ok() && agree { Ended::Done } else { Ended::Failed }
        }
    };
    if !args.once && !stop.is_cancelled() {
        look_around(&stage);
        stop.cancelled().await;
    }
    stage.close().await;
    Ok(if unread.is_cancelled() { Ended::Unread } else { ended })
}

/// The table per kind, and whether both systems agree.
async fn sum_up(stage: &Stage) -> anyhow::Result<bool> {
    let mut kinds: BTreeMap<String, [u64; 5]> = BTreeMap::new();
    for count in stage.engine.store().counts().await? {
        let columns = kinds.entry(count.kind.to_string()).or_default();
        columns[column(count.state)] += count.count;
    }
    show::line("");
    let rows = kinds.into_iter().map(|(kind, columns)| std::iter::once(kind).chain(columns.map(|n| n.to_string())));
    show::table(&["kind", "in step", "open", "waiting", "review", "dead or ignored"], rows, "nothing was noticed");
    show::line("");
    let disagreements = verdict::disagreements(&Held::by(&stage.crm, &stage.finance));
    for line in disagreements.iter().take(10) {
        show::line(format!("  {line}"));
    }
    match disagreements.len() {
        0 => show::line(
            "Both systems agree: every customer is one contact and every contact one customer with the same values, and every quote is one pre-invoice.",
        ),
        n => show::line(format!("The systems disagree in {}.", show::counted(n as u64, "place"))),
    }
    Ok(disagreements.is_empty())
}

fn column(state: State) -> usize {
    match state {
        State::Synced | State::Unchanged | State::Duplicate | State::Superseded => 0,
        State::Pending | State::Retrying => 1,
        State::Waiting | State::NeedsMapping => 2,
        State::NeedsReview => 3,
        State::Dead | State::Ignored => 4,
    }
}

fn look_around(stage: &Stage) {
    show::line("\nEverything stays up until Ctrl-C. In another terminal:");
    let with = format!("DATABASE_URL={}", stage.database);
    let program = std::env::current_exe().map_or_else(|_| "tandem".to_owned(), |path| path.display().to_string());
    for command in ["status", "log --limit 20", "dead list", "why siagh customer <id from the log>"] {
        show::line(format!("  {with} {program} {command}"));
    }
    for (what, url) in stage.urls() {
        show::line(format!("  {what}: {url} (what it takes: crates/simulators/README.md)"));
    }
    show::line("Then: docs/architecture.md for how it works, docs/operations.md for running it.");
}
