//! One file per command. Each reads its settings, does one thing, prints what came of it, and says how it ended.

pub mod check;
pub mod circuit;
pub mod dead;
pub mod hash_password;
pub mod health;
pub mod ignore;
pub mod import;
pub mod log;
pub mod mapping;
pub mod migrate;
pub mod plan;
pub mod retry;
pub mod review;
pub mod roles;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod status;
pub mod sync;
pub mod webhooks;
pub mod why;

use crate::args::{Cli, Command};
use crate::exit::Ended;
use crate::wiring::Start;
use tandem_core::{LedgerRow, Nudge, RecordKey};
use tandem_store::Store;

/// Runs the command that was typed.
pub async fn run(cli: Cli) -> anyhow::Result<Ended> {
    let start = Start { config: cli.config, json: cli.json };
    crate::wiring::log(&start, &cli.command)?;
    match cli.command {
        #[cfg(feature = "demo")]
        Command::Demo(args) => crate::demo::run(args).await,
        Command::Up => roles::up(&start).await,
        Command::Ingest => roles::ingest(&start).await,
        Command::Worker => roles::worker(&start).await,
        Command::Migrate => migrate::run(&start).await,
        Command::Check => check::run(&start).await,
        Command::Health(args) => health::run(&start, args).await,
        Command::Import(args) => import::run(&start, args).await,
        Command::Plan(args) => plan::run(&start, args).await,
        Command::Sync(args) => sync::run(&start, args).await,
        Command::Status => status::run(&start).await,
        Command::Why(args) => why::run(&start, args).await,
        Command::Log(args) => log::run(&start, args).await,
        Command::Webhooks(action) => webhooks::run(&start, action).await,
        Command::Dead(action) => dead::run(&start, action).await,
        Command::Review(action) => review::run(&start, action).await,
        Command::Retry(args) => retry::run(&start, args).await,
        Command::Ignore(args) => ignore::run(&start, args).await,
        Command::Run(args) => run::run(&start, args).await,
        Command::Mapping(action) => mapping::run(&start, action).await,
        Command::Schedule(action) => schedule::run(&start, action).await,
        Command::Circuit(action) => circuit::run(&start, action).await,
        Command::HashPassword => hash_password::run(&start),
        Command::Settings(args) => settings::run(&start, args),
    }
}

/// Leaves opened work to the running services: the next sweep takes it, with a broker or without.
async fn leave_to_services(store: &Store, nudges: &[Nudge]) -> anyhow::Result<()> {
    let keys: Vec<RecordKey> = nudges.iter().map(|nudge| nudge.key.clone()).collect();
    Ok(store.unpublish(&keys).await?)
}

/// The ledger row of a record that has to be known.
async fn known_row(store: &Store, key: &RecordKey) -> anyhow::Result<LedgerRow> {
    let row = store.row(key).await?;
    row.ok_or_else(|| anyhow::anyhow!("the ledger has no record {key}; it was never noticed"))
}
