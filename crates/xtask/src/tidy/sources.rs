//! Laws over the text of the sources.

use super::workspace::{Crate, Source};
use super::{Finding, Workspace};

/// Places that may read the clock of the machine, and why.
const CLOCKS: &[(&str, &str)] =
    &[("crates/engine/src/clock.rs", "the port through which everybody else receives the time")];

/// Places in tests that may pause, and why.
const PAUSES: &[(&str, &str)] = &[("crates/testbed/src/signal.rs", "the helpers that wait for a signal")];

/// Places that may use floating point beside money, and why.
const FLOATS: &[(&str, &str)] = &[];

/// The first thing that a reader of a crate sees: a paragraph, or the crate's own README as its documentation.
pub fn crates_say_what_they_are_for(workspace: &Workspace) -> Vec<Finding> {
    let roots = workspace.crates.iter().flat_map(|member| {
        let entries = [format!("{}/src/lib.rs", member.folder), format!("{}/src/main.rs", member.folder)];
        member.sources.iter().filter(move |source| entries.contains(&source.path))
    });
    roots
        .filter(|source| !["//! ", "#![doc = include_str!("].iter().any(|start| source.text.starts_with(start)))
        .map(|source| {
            Finding::new(&source.path, "begin with a paragraph //! on what it is for and what it refuses to do")
        })
        .collect()
}

/// What reads the clock itself cannot be tested at the turn of a year.
pub fn time_comes_from_outside(workspace: &Workspace) -> Vec<Finding> {
    let clocks = ["Utc::now(", "Local::now(", "SystemTime::now(", "Instant::now("];
    let members = ["tandem-core", "tandem-engine", "tandem-bridges"];
    let sources = sources_of(workspace, |member| members.contains(&member.name.as_str()));
    search(sources, Source::product_lines, CLOCKS, |line| {
        let found = clocks.iter().find(|clock| line.contains(**clock))?;
        Some(format!("{found}) is the machine's clock; take the time as an argument or from the clock port"))
    })
}

/// A test that sleeps is slow when all is well and wrong when the machine is busy.
pub fn tests_do_not_sleep(workspace: &Workspace) -> Vec<Finding> {
    search(sources_of(workspace, |_| true), Source::test_lines, PAUSES, |line| {
        word_call(line, "sleep").then(|| "wait for a signal with tandem_testbed::signal instead of sleeping".to_owned())
    })
}

/// An ignored test is a promise that nobody checks.
pub fn no_test_is_ignored(workspace: &Workspace) -> Vec<Finding> {
    let sign = concat!("#[", "ignore");
    search(sources_of(workspace, |_| true), Source::code_lines, &[], |line| {
        line.trim_start().starts_with(sign).then(|| "mend the test or delete it".to_owned())
    })
}

/// Amounts and quantities are decimals from the wire to the wire.
pub fn no_floating_point(workspace: &Workspace) -> Vec<Finding> {
    let near_money =
        |member: &Crate| ["tandem-core", "tandem-bridges"].contains(&member.name.as_str()) || member.is_system();
    search(sources_of(workspace, near_money), Source::code_lines, FLOATS, |line| {
        let found = ["f32", "f64"].into_iter().find(|name| is_word(line, name))?;
        Some(format!("{found}: use rust_decimal::Decimal, or an integer with its unit"))
    })
}

/// Such a path works for one person.
pub fn no_path_of_a_machine(workspace: &Workspace) -> Vec<Finding> {
    // Put together here so that this file does not break its own law.
    let paths = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!("C:\\Us", "ers"),
    ];
    let everything = workspace.all_texts();
    let mut findings = Vec::new();
    for source in everything {
        for (at, line) in source.text.lines().enumerate() {
            if let Some(path) = paths.iter().find(|path| starts_path(line, path)) {
                let place = format!("{}:{}", source.path, at + 1);
                findings.push(Finding::new(place, format!("{path} is a folder of one machine")));
            }
        }
    }
    findings
}

fn sources_of(workspace: &Workspace, wanted: impl Fn(&Crate) -> bool) -> Vec<&Source> {
    workspace.crates.iter().filter(|member| wanted(member)).flat_map(|member| &member.sources).collect()
}

fn search(
    sources: Vec<&Source>,
    lines: fn(&Source) -> Vec<(usize, String)>,
    exceptions: &[(&str, &str)],
    wrong: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let counted =
        sources.into_iter().filter(|source| !exceptions.iter().any(|(path, _)| source.path.starts_with(path)));
    let mut findings = Vec::new();
    for source in counted {
        for (number, line) in lines(source) {
            findings.extend(wrong(&line).map(|message| Finding::new(format!("{}:{number}", source.path), message)));
        }
    }
    findings
}

fn is_word(line: &str, word: &str) -> bool {
    let part_of_name = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    line.match_indices(word).any(|(at, _)| {
        !part_of_name(line[..at].chars().next_back()) && !part_of_name(line[at + word.len()..].chars().next())
    })
}

fn word_call(line: &str, name: &str) -> bool {
    is_word(line, name) && line.contains(&format!("{name}("))
}

/// The path stands at the start of a path, not inside a longer one such as a route of an API.
fn starts_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || "}_-./~".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::super::workspace::example::with_source;
    use super::*;

    #[test]
    fn a_crate_that_does_not_say_what_it_is_for_is_found() {
        assert_eq!(crates_say_what_they_are_for(&with_source("tandem-x", "src/lib.rs", "pub mod a;")).len(), 1);
        assert_eq!(crates_say_what_they_are_for(&with_source("tandem-x", "src/lib.rs", "//! For x.\n")), []);
        let readme = "#![doc = include_str!(\"../README.md\")]\n";
        assert_eq!(crates_say_what_they_are_for(&with_source("tandem-x", "src/lib.rs", readme)), []);
    }

    #[test]
    fn a_look_at_the_clock_is_found_but_for_tests_and_the_clock_port() {
        let line = "let now = chrono::Utc::now();";
        assert_eq!(time_comes_from_outside(&with_source("tandem-core", "src/a.rs", line)).len(), 1);
        assert_eq!(time_comes_from_outside(&with_source("tandem-bridges", "src/a.rs", line)).len(), 1);
        assert_eq!(time_comes_from_outside(&with_source("tandem-engine", "src/clock.rs", line)), []);
        assert_eq!(time_comes_from_outside(&with_source("tandem-engine", "tests/a.rs", line)), []);
        assert_eq!(time_comes_from_outside(&with_source("tandem-engine", "src/a.rs", &format!("// {line}"))), []);
    }

    #[test]
    fn a_test_that_sleeps_is_found() {
        // Put together here so that this file does not break its own law.
        let call = concat!("sl", "eep(SECOND)");
        for line in [format!("std::thread::{call};"), format!("tokio::time::{call}.await;"), format!("{call}.await;")] {
            assert_eq!(tests_do_not_sleep(&with_source("tandem-store", "tests/a.rs", &line)).len(), 1, "{line}");
            assert_eq!(tests_do_not_sleep(&with_source("tandem-store", "src/a.rs", &line)), [], "{line}");
            let unit = format!("#[cfg(test)]\nmod tests {{\n{line}\n}}\n");
            assert_eq!(tests_do_not_sleep(&with_source("tandem-store", "src/a.rs", &unit)).len(), 1, "{line}");
        }
        assert_eq!(
            tests_do_not_sleep(&with_source(
                "tandem-testbed",
                "src/signal.rs",
                &format!("#[cfg(test)]\nmod tests {{\n{call}")
            )),
            []
        );
    }

    #[test]
    fn an_ignored_test_is_found() {
        let text = concat!("    #[", "ignore = \"slow\"]\n");
        assert_eq!(no_test_is_ignored(&with_source("tandem-x", "tests/a.rs", text)).len(), 1);
        assert_eq!(no_test_is_ignored(&with_source("tandem-x", "tests/a.rs", "ignore();")), []);
    }

    #[test]
    fn floating_point_near_money_is_found() {
        for name in ["tandem-core", "tandem-bridges", "siagh"] {
            assert_eq!(no_floating_point(&with_source(name, "src/a.rs", "price: f64,")).len(), 1, "{name}");
        }
        assert_eq!(no_floating_point(&with_source("siagh", "src/a.rs", "let half64 = from_f64x;")), []);
        assert_eq!(no_floating_point(&with_source("tandem-ingest", "src/a.rs", "price: f64,")), []);
    }

    #[test]
    fn a_path_of_somebodys_machine_is_found() {
        let home = concat!("\"/ho", "me/somebody/x\"");
        assert_eq!(no_path_of_a_machine(&with_source("tandem-x", "src/a.rs", home)).len(), 1);
        let route = concat!("\"/api/wo", "rk/items\"");
        assert_eq!(no_path_of_a_machine(&with_source("tandem-x", "src/a.rs", route)), []);
    }
}
