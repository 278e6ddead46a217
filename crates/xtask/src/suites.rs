//! Which suites ran, read from what the test runners print.
//!
//! A suite is one test program: the unit tests of a crate, one file under `tests/`, or the doc tests of a crate. The
//! list at the end of a run is made from what was seen to run, not from what should have run ([`crate::programs`]); the
//! two are compared.

use std::collections::BTreeMap;

use crate::programs::Program;

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
    /// What `cargo test` calls by its file, by that file's name.
    names: BTreeMap<String, String>,
}

impl Report {
    /// Knows the programs that are going to run, so that both runners call them the same.
    pub fn of(programs: &[Program]) -> Self {
        let names = programs.iter().map(|program| (program.file().to_owned(), program.name.clone()));
        Self { names: names.collect(), ..Self::default() }
    }

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
            self.current = self.program_name(rest);
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

    /// Which of the programs (with the number of tests that each holds) ran less than all they hold, one line each.
    pub fn absent(&self, expected: &[(String, u64)]) -> Vec<String> {
        let ran = self.suites();
        let of = |name: &str| ran.get(name).map_or(0, |tally| tally.passed + tally.failed);
        let short = expected.iter().filter(|(name, tests)| of(name) < *tests);
        short.map(|(name, tests)| format!("{name} ({} of {tests} tests ran)", of(name))).collect()
    }

    /// `unittests src/lib.rs (target/debug/deps/tandem_core-0123456789abcdef)` is the program of that file, and
    /// `tandem_core` where the programs are not known.
    fn program_name(&self, text: &str) -> Option<String> {
        let path = text.rsplit_once('(')?.1.trim_end_matches(')');
        let file = path.rsplit('/').next()?;
        let without_hash = || file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned();
        Some(self.names.get(file).cloned().unwrap_or_else(without_hash))
    }
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
        assert_eq!(suites["leases"], Tally { passed: 1, failed: 2 });
        assert_eq!(suites["tandem_core (doc tests)"], Tally { passed: 3, failed: 0 });
    }

    fn expected(programs: &[(&str, u64)]) -> Vec<(String, u64)> {
        programs.iter().map(|(name, tests)| ((*name).to_owned(), *tests)).collect()
    }

    #[test]
    fn a_program_of_which_not_every_test_ran_is_absent_unit_tests_too() {
        let expected = expected(&[
            ("tandem-core", 2),
            ("tandem-store", 4),
            ("tandem-store::leases", 2),
            ("tandem-store::views", 1),
            ("tandem-simulators::bin/simulate", 0),
        ]);
        let absent = [
            "tandem-store (0 of 4 tests ran)",
            "tandem-store::leases (1 of 2 tests ran)",
            "tandem-store::views (0 of 1 tests ran)",
        ];
        assert_eq!(nextest(NEXTEST).absent(&expected), absent);
    }

    #[test]
    fn test_files_of_one_name_do_not_stand_for_each_other() {
        let program = |name: &str, file: &str| Program::example(name, file);
        let mut report =
            Report::of(&[program("tandem-store::canary", "canary-0a"), program("tandem-ingest::canary", "canary-0b")]);
        for line in ["Running tests/canary.rs (t/canary-0b)", "test result: ok. 1 passed; 0 failed; 0 ignored;"] {
            report.read_cargo_test(line);
        }
        assert_eq!(report.suites()["tandem-ingest::canary"], Tally { passed: 1, failed: 0 });
        let expected = expected(&[("tandem-ingest::canary", 1), ("tandem-store::canary", 1)]);
        assert_eq!(report.absent(&expected), ["tandem-store::canary (0 of 1 tests ran)"]);
    }
}
