//! The command line as it is typed. What a command does stands in its own file under `commands`.

use crate::commands;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Keeps a CRM and a finance system in step.
///
/// Exit codes: 0 done, 1 something failed, 2 wrong usage or wrong settings, 141 nobody reads the output any more.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, max_term_width = 120)]
pub struct Cli {
    /// A settings file in TOML; else TANDEM_CONFIG, else ./tandem.toml if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the main job with simulated systems; needs no server.
    #[cfg(feature = "demo")]
    Demo(crate::demo::DemoArgs),
    /// Run ingest and worker in one process.
    Up,
    /// Run the part that notices: webhooks, pollers, pump.
    Ingest,
    /// Run the part that acts.
    Worker,
    /// Bring the database schema up to date.
    Migrate,
    /// Look whether systems, database and broker can be reached and used.
    Check,
    /// Ask a running service whether it lives; exit code 0 or 1.
    Health(commands::health::Args),
    /// Take a destination's existing records over into the source, once.
    Import(commands::import::Args),
    /// Show what would be done about a record; nothing is written.
    Plan(commands::plan::Args),
    /// Bring one record, or all of a kind, in step now.
    Sync(commands::sync::Args),
    /// How many records are in which state, and what is open.
    Status,
    /// Everything that is known about one record.
    Why(commands::why::Args),
    /// The sync log, newest first.
    Log(commands::log::Args),
    /// Webhook addresses to enter in the CRM, and what came in on them.
    #[command(subcommand)]
    Webhooks(commands::webhooks::Action),
    /// Records that can't succeed as they are.
    #[command(subcommand)]
    Dead(commands::dead::Action),
    /// Records that wait for a person's decision.
    #[command(subcommand)]
    Review(commands::review::Action),
    /// Look at a record again, whatever its state.
    Retry(commands::retry::Args),
    /// Leave a record alone from now on.
    Ignore(commands::ignore::Args),
    /// Start a scan now.
    Run(commands::run::Args),
    /// Value mappings: what a CRM value is called in the finance system.
    #[command(subcommand)]
    Mapping(commands::mapping::Action),
    /// The jobs that run by themselves.
    #[command(subcommand)]
    Schedule(commands::schedule::Action),
    /// Destinations that are left alone because they are away.
    #[command(subcommand)]
    Circuit(commands::circuit::Action),
    /// Make FINANCE_PASSWORD from a password, read from the terminal or the standard input.
    HashPassword,
    /// What is set, and where it comes from.
    Settings(commands::settings::Args),
}

impl Command {
    #[cfg(feature = "demo")]
    pub fn is_demo(&self) -> bool {
        matches!(self, Self::Demo(_))
    }

    #[cfg(not(feature = "demo"))]
    pub fn is_demo(&self) -> bool {
        false
    }
}
