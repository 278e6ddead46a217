//! The chores of the workspace: `cargo xtask <command>`.
//!
//! Everything that a check in the pipeline does, a developer can do by the same command on a fresh machine. Nothing
//! here is part of the product. A chore is one module with a `run`, one line of [`USAGE`] and one arm in [`main`].

mod bench;
mod ci;
mod install;
mod programs;
mod servers;
mod shell;
mod suites;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test [filters]   tidy, then every test of the workspace on private PostgreSQL, RabbitMQ and MariaDB servers,
                             which are installed first if they are missing and this user may do that
cargo xtask tidy             the laws of the code base that no compiler checks
cargo xtask bench [options]  what Tandem costs beside raw baselines, release build; see docs/benchmarks.md
cargo xtask ci               format, lints with warnings as errors, then test";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let outcome = match (command, rest) {
        ("test", filters) => test::run(filters),
        ("tidy", []) => tidy::run(),
        ("bench", options) => bench::run(options),
        ("ci", []) => ci::run(),
        ("help" | "--help" | "-h", []) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("unknown command: {}\n\n{USAGE}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask {command}: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
