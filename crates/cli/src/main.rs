//! `tandem`: the command line, and the assembly of all parts. See `tandem --help`.

mod alone;
mod args;
mod commands;
#[cfg(feature = "demo")]
mod demo;
mod drain;
mod exit;
mod progress;
mod reach;
mod register;
mod scans;
mod settings;
mod show;
mod stop;
mod wiring;
mod words;

use clap::Parser;
use std::process::ExitCode;

/// Services make and drop many small things on several threads, for months.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    // Two TLS libraries could be linked in; the first one installed is used by all clients.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::code(Err(anyhow::Error::new(error).context("can't start the runtime"))),
    };
    let ended = runtime.block_on(commands::run(cli));
    // Tasks that are still busy (a lease keeper, a connection) are of no more use and end with the process. The runtime is
    // not shut down before: the broker's client connects on a thread of its own and would panic for want of a runtime.
    std::mem::forget(runtime);
    exit::code(ended)
}
