//! `cargo xtask bench`: builds the benchmark and the programs that it measures, and runs it.

use anyhow::Result;
use std::process::Command;
use tandem_testbed::find::Product;

use crate::install;
use crate::shell::{self, cargo};

/// Options go to the benchmark as they are.
pub fn run(options: &[String]) -> Result<()> {
    install::ensure(&[Product::PostgreSql, Product::RabbitMq])?;
    let mut build = cargo();
    build.args(["build", "--release", "-p", "tandem-bench", "-p", "tandem-cli", "-p", "tandem-simulators"]);
    shell::run(build)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell::root().join("target"), Into::into);
    let mut bench = Command::new(target.join("release").join("tandem-bench"));
    bench.args(options).current_dir(shell::root());
    shell::run(bench)
}
