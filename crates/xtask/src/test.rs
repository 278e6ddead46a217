//! `cargo xtask test`: every test of the workspace, on servers of its own, with an honest end.
//!
//! A missing server is an error before the first test, never a skipped suite. The last line says what happened.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tandem_testbed::find::Product;

use crate::programs::{self, Program};
use crate::servers::Servers;
use crate::shell::{self, cargo, describe, say};
use crate::suites::Report;
use crate::tidy::Workspace;
use crate::{install, tidy};

/// Runs everything, or what `filters` choose. Filters go to the test runner as they are: parts of test names, `-p` with
/// a package, or any other option of `cargo nextest run` (of `cargo test` where nextest is not installed).
pub fn run(filters: &[String]) -> Result<()> {
    let started = Instant::now();
    if filters.is_empty() {
        tidy::run()?;
    }
    say("servers for the tests");
    install::ensure(&Product::ALL)?;
    let servers = Servers::start()?;

    // Chosen tests are built by the runner alone, and compared with nothing.
    let programs = if filters.is_empty() { programs::build()? } else { Vec::new() };
    let mut report = Report::of(&programs);
    let mut failures = Vec::new();
    for (name, command, reader) in runners(filters) {
        say(&format!("{name}: {}", describe(&command)));
        let finished = watch(command, &servers, |line| reader(&mut report, line))?;
        if !finished {
            failures.push(name);
        }
    }
    drop(servers);
    conclude(&report, &programs, &failures, filters, started.elapsed())
}

type Reader = fn(&mut Report, &str);

/// The programs to run, one after the other. nextest does not run doc tests; `cargo test` runs all at once.
fn runners(filters: &[String]) -> Vec<(&'static str, Command, Reader)> {
    let chosen_package = filters.iter().any(|filter| filter.starts_with("-p") || filter.starts_with("--package"));
    let scope = if chosen_package { None } else { Some("--workspace") };
    let mut nextest = cargo();
    nextest.args(["nextest", "--version"]);
    if !shell::works(nextest) {
        let mut all = cargo();
        all.args(["test", "--no-fail-fast"]).args(scope).args(filters);
        return vec![("tests", all, Report::read_cargo_test)];
    }
    let mut tests = cargo();
    tests.args(["nextest", "run", "--no-fail-fast", "--color", "never"]).args(scope).args(filters);
    let mut runners: Vec<(&'static str, Command, Reader)> = vec![("tests", tests, Report::read_nextest)];
    if filters.is_empty() {
        let mut documents = cargo();
        documents.args(["test", "--doc", "--no-fail-fast", "--workspace"]);
        runners.push(("doc tests", documents, Report::read_cargo_test));
    }
    runners
}

/// Runs a test program, shows each line, and hands it to `read`. Returns whether it ended well.
fn watch(mut command: Command, servers: &Servers, mut read: impl FnMut(&str)) -> Result<bool> {
    // One pipe for both streams keeps the order of the lines.
    let (output, input) = std::io::pipe().context("cannot create a pipe")?;
    let copy = input.try_clone().context("cannot share a pipe")?;
    command.stdin(Stdio::null()).stdout(copy).stderr(input);
    command.env("CARGO_TERM_COLOR", "never").envs(servers.variables());
    let mut child = command.spawn().with_context(|| format!("cannot run {}", describe(&command)))?;
    // The command holds the writing ends; the pipe ends when the child alone had them.
    drop(command);
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).context("cannot read the output of the tests")? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        read(text.trim_end());
        line.clear();
    }
    Ok(child.wait().context("cannot wait for the tests")?.success())
}

/// Prints what ran, and decides.
fn conclude(
    report: &Report,
    programs: &[Program],
    failures: &[&str],
    filters: &[String],
    elapsed: Duration,
) -> Result<()> {
    let suites = report.suites();
    println!("\nsuites run:");
    let width = suites.keys().map(String::len).max().unwrap_or(0);
    for (name, tally) in &suites {
        let failed = if tally.failed > 0 { format!(", {} FAILED", tally.failed) } else { String::new() };
        println!("  {name:width$}  {} passed{failed}", tally.passed);
    }
    let passed: u64 = suites.values().map(|tally| tally.passed).sum();
    let failed: u64 = suites.values().map(|tally| tally.failed).sum();
    ensure!(
        failures.is_empty() && failed == 0,
        "{failed} failed, {passed} passed ({} did not end well)",
        failures.join(", ")
    );
    ensure!(passed > 0, "no test was run");
    let time = format!("{} min {} s", elapsed.as_secs() / 60, elapsed.as_secs() % 60);
    if !filters.is_empty() {
        println!(
            "\nPASSED: {passed} tests in {} suites, chosen by \"{}\", in {time}.",
            suites.len(),
            filters.join(" ")
        );
        return Ok(());
    }
    let unbuilt = not_built(&Workspace::load(&shell::root())?.test_files(), programs);
    ensure!(unbuilt.is_empty(), "cargo builds no test program of these files: {}", unbuilt.join(", "));
    let expected: Vec<(String, u64)> =
        programs.iter().map(|program| Ok((program.name.clone(), program.count_tests()?))).collect::<Result<_>>()?;
    let absent = report.absent(&expected);
    ensure!(absent.is_empty(), "these suites did not run, or not in full: {}", absent.join(", "));
    ensure!(report.skipped == 0, "{} tests were skipped", report.skipped);
    println!("\nPASSED: {passed} tests in {} suites in {time}; no suite was skipped.", suites.len());
    Ok(())
}

/// The test files (package, name without `.rs`) that are no program of cargo's, for example because a manifest leaves
/// them out.
fn not_built(files: &[(String, String)], programs: &[Program]) -> Vec<String> {
    let names = files.iter().map(|(package, file)| format!("{package}::{file}"));
    names.filter(|name| programs.iter().all(|program| program.name != *name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_file_that_cargo_does_not_build_is_found() {
        let file = |name: &str| ("tandem-store".to_owned(), name.to_owned());
        let programs = [Program::example("tandem-store::leases", "leases-0a")];
        assert_eq!(not_built(&[file("leases"), file("views")], &programs), ["tandem-store::views"]);
    }
}
