//! `cargo xtask ci`: what must pass before a change is taken.

use anyhow::Result;

use crate::shell::{self, cargo, say};
use crate::test;

/// Format, lints, tests; stops at the first that fails.
pub fn run() -> Result<()> {
    say("format");
    let mut format = cargo();
    format.args(["fmt", "--all", "--check"]);
    shell::run(format)?;
    say("lints, warnings as errors");
    let mut lints = cargo();
    lints.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    shell::run(lints)?;
    test::run(&[])
}
