//! `cargo xtask bench`: what Tandem costs, each figure beside a raw baseline measured in the same run.
//!
//! Rounds of the baseline and of Tandem alternate and are short, so that whatever else the machine does hits both; what
//! is reported are medians. Nothing here fails because it is slow: targets are printed beside the figures. What each
//! figure means is told in `docs/benchmarks.md`.

mod accept;
mod acks;
mod args;
mod bare;
mod growth;
mod idle;
mod import;
mod latency;
mod load;
mod machine;
mod people;
mod programs;
mod replay;
mod report;
mod rescan;
mod rig;
mod roles;
mod servers;
mod settle;
mod stats;
mod tape;
mod wire;

use anyhow::{Context as _, Result};
use args::{Args, Part};
use report::Report;
use std::process::ExitCode;

/// As in the program itself: some parts run Tandem in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if given.first().map(String::as_str) == Some(idle::COMMAND) {
        return ended(idle::serve());
    }
    let args = match Args::read(given) {
        Ok(args) => args,
        Err(why) => {
            eprintln!("{why}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ended(start(&args))
}

fn ended(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the runtime")?;
    let report = runtime.block_on(run(args))?;
    runtime.shutdown_background();
    eprintln!("\n{}", report.table());
    let json = serde_json::to_string_pretty(&report).context("the report")?;
    match &args.out {
        Some(path) => std::fs::write(path, json + "\n").with_context(|| format!("can't write {}", path.display())),
        None => {
            println!("{json}");
            Ok(())
        }
    }
}

async fn run(args: &Args) -> Result<Report> {
    let mut report = Report::new(args.quick);
    let servers = servers::Servers::start().await?;
    for part in &args.parts {
        report::say(&format!("{}:", part.name()));
        match part {
            Part::Accept => accept::run(args, &servers, &mut report).await?,
            Part::Settle => settle::run(args, &servers, &mut report).await?,
            Part::Latency => latency::run(args, &servers, &mut report).await?,
            Part::Rescan => rescan::run(args, &servers, &mut report).await?,
            Part::Import => import::run(args, &servers, &mut report).await?,
            Part::Growth => growth::run(args, &servers, &mut report).await?,
        }
    }
    Ok(report)
}
