//! Which suites ran, read from what the test runners print.
//!
//! A suite is one test program: the unit tests of a crate, one file under `tests/`, or the doc tests of a crate. The
//! list at the end of a run is made from what was seen to run, not from what should have run; the two are compared.

use std::collections::BTreeMap;

/// Test counts of one suite.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
}

/// What a run has shown so far.
#[derive(Debug, Default)]
pub struct Report {
    suites: BTreeMap<String, Tally>,
    /// Per suite and test, whether it passed: a runner may report a failure twice.
    tests: BTreeMap<(String, String), bool>,
    /// Tests that were there and did not run.
    pub skipped: u64,
    /// The suite that the following lines of `cargo test` are about.
    current: Option<String>,
}

impl Report {
    /// Takes in one line of `cargo nextest run`.
    pub fn read_nextest(&mut self, line: &str) {
        let Some((status, rest)) = line.trim_start().split_once(" [") else { return };
        if status == "Summary" {
            self.skipped += number_before(rest, " skipped");
            return;
        }
        let passed = match status {
            "PASS" | "LEAK" => true,
            "FAIL" | "TIMEOUT" | "ABORT" | "LEAK-FAIL" => false,
            _ if status.starts_with("FLAKY") => true,
            _ if status.starts_with("SIG") => false,
            _ => return,
        };
        let Some((_, rest)) = rest.split_once("] ") else { return };
        let rest = rest.trim_start();
        let name = if rest.starts_with('(') { rest.split_once(") ").map_or("", |(_, name)| name) } else { rest };
        let Some((suite, test)) = name.split_once(' ') else { return };
        self.tests.insert((suite.to_owned(), test.trim().to_owned()), passed);
    }

    /// Takes in one line of `cargo test`.
    pub fn read_cargo_test(&mut self, line: &str) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("Running ") {
            self.current = program_name(rest);
        } else if let Some(name) = line.strip_prefix("Doc-tests ") {
            self.current = Some(format!("{name} (doc tests)"));
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            let Some(suite) = self.current.take() else { return };
            let (passed, failed) = (number_before(counts, " passed"), number_before(counts, " failed"));
            self.skipped += number_before(counts, " ignored") + number_before(counts, " filtered out");
            if passed + failed > 0 {
                let tally = self.suites.entry(suite).or_default();
                tally.passed += passed;
                tally.failed += failed;
            }
        }
    }

    /// Every suite that ran at least one test.
    pub fn suites(&self) -> BTreeMap<String, Tally> {
        let mut suites = self.suites.clone();
        for ((suite, _), passed) in &self.tests {
            let tally = suites.entry(suite.clone()).or_default();
            if *passed {
                tally.passed += 1;
            } else {
                tally.failed += 1;
            }
        }
        suites
    }

    /// The test files of `expected` (package, file name without `.rs`) of which no test ran.
    pub fn absent(&self, expected: &[(String, String)]) -> Vec<String> {
        let ran = self.suites();
        let seen = |(package, file): &&(String, String)| {
            ran.contains_key(&format!("{package}::{file}"))
                || ran.contains_key(&format!("tests/{}", file.replace('-', "_")))
        };
        expected.iter().filter(|suite| !seen(suite)).map(|(package, file)| format!("{package}::{file}")).collect()
    }
}

/// `unittests src/lib.rs (target/debug/deps/tandem_core-0123456789abcdef)` is `tandem_core`;
/// `tests/leases.rs (target/debug/deps/leases-0123456789abcdef)` is `tests/leases`.
fn program_name(text: &str) -> Option<String> {
    let path = text.rsplit_once('(')?.1.trim_end_matches(')');
    let file = path.rsplit('/').next()?;
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    let folder = if text.starts_with("tests/") { "tests/" } else { "" };
    Some(format!("{folder}{name}"))
}

/// The number that stands right before `word`, 0 if there is none.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    let digits = before.rsplit(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nextest(text: &str) -> Report {
        let mut report = Report::default();
        text.lines().for_each(|line| report.read_nextest(line));
        report
    }

    fn cargo_test(text: &str) -> Report {
        let mut report = Report::default();
        text.lines().for_each(|line| report.read_cargo_test(line));
        report
    }

    const NEXTEST: &str = "\
    Starting 4 tests across 3 binaries (2 tests skipped)
        PASS [   0.004s] ( 1/4) tandem-core money::tests::adds
        SLOW [> 60.000s] ( 2/4) tandem-store::leases a paused worker
        FAIL [   0.955s] ( 2/4) tandem-store::leases a_paused_worker
     SIGKILL [   1.000s] (3/4) tandem-cli::bin/tandem wires
        LEAK [   0.100s] tandem-core money::tests::multiplies
     Summary [  27.524s] 4 tests run: 2 passed, 2 failed, 2 skipped
        FAIL [   0.955s] ( 2/4) tandem-store::leases a_paused_worker
";

    #[test]
    fn each_test_of_a_nextest_run_counts_once() {
        let suites = nextest(NEXTEST).suites();
        assert_eq!(suites["tandem-core"], Tally { passed: 2, failed: 0 });
        assert_eq!(suites["tandem-store::leases"], Tally { passed: 0, failed: 1 });
        assert_eq!(suites["tandem-cli::bin/tandem"], Tally { passed: 0, failed: 1 });
    }

    #[test]
    fn skipped_tests_are_noticed_with_both_runners() {
        assert_eq!(nextest(NEXTEST).skipped, 2);
        let line =
            "Running tests/a.rs (t/a-1)\ntest result: ok. 1 passed; 0 failed; 3 ignored; 0 measured; 2 filtered out";
        assert_eq!(cargo_test(line).skipped, 5);
    }

    #[test]
    fn the_programs_of_a_cargo_test_run_are_told_apart() {
        let suites = cargo_test(
            "     Running unittests src/lib.rs (target/debug/deps/tandem_core-0123456789abcdef)\n\
             test result: ok. 17 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             \x20    Running tests/leases.rs (target/debug/deps/leases-0123456789abcdef)\n\
             test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             \x20  Doc-tests tandem_core\n\
             test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n",
        )
        .suites();
        assert_eq!(suites["tandem_core"], Tally { passed: 17, failed: 0 });
        assert_eq!(suites["tests/leases"], Tally { passed: 1, failed: 2 });
        assert_eq!(suites["tandem_core (doc tests)"], Tally { passed: 3, failed: 0 });
    }

    #[test]
    fn a_test_file_of_which_nothing_ran_is_absent() {
        let expected =
            [("tandem-store", "leases"), ("tandem-store", "views")].map(|(p, f)| (p.to_owned(), f.to_owned()));
        assert_eq!(nextest(NEXTEST).absent(&expected), ["tandem-store::views"]);
        let line = "Running tests/leases.rs (t/leases-1)\ntest result: ok. 1 passed; 0 failed; 0 ignored;";
        assert_eq!(cargo_test(line).absent(&expected), ["tandem-store::views"]);
        // Unit tests of a crate with the name of a test file do not stand for that file.
        let line = "Running unittests src/lib.rs (t/leases-1)\ntest result: ok. 1 passed; 0 failed; 0 ignored;";
        assert_eq!(cargo_test(line).absent(&expected).len(), 2);
    }
}
