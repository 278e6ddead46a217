//! Which test programs there are, asked of cargo, and how many tests each has, asked of the program itself.
//!
//! This is the other half of "no suite is skipped silently": what should have run comes from here, what did run from
//! the runner's lines, and neither is made from the other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::shell::{cargo, describe};

/// One test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// As nextest names it: `tandem-store` (unit tests), `tandem-store::leases` (a file under `tests/`),
    /// `tandem-cli::bin/tandem` (unit tests of a program).
    pub name: String,
    pub executable: PathBuf,
    /// The folder of the package, in which its tests run.
    folder: PathBuf,
}

impl Program {
    /// The file name, which ends in a hash: two programs never share one, whatever their names.
    pub fn file(&self) -> &str {
        self.executable.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    #[cfg(test)]
    pub fn example(name: &str, file: &str) -> Self {
        Self { name: name.to_owned(), executable: file.into(), folder: PathBuf::new() }
    }

    /// How many tests it holds, ignored ones too.
    ///
    /// # Errors
    /// If it can't be run.
    pub fn count_tests(&self) -> Result<u64> {
        let mut command = Command::new(&self.executable);
        command.args(["--list", "--format", "terse"]).current_dir(&self.folder).stdin(Stdio::null());
        let output = command.output().with_context(|| format!("cannot run {}", describe(&command)))?;
        ensure!(output.status.success(), "{} failed ({})", describe(&command), output.status);
        Ok(count_listed(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// Builds every test program of the workspace, with the errors of the compiler shown, and answers which they are.
///
/// # Errors
/// If one can't be built.
pub fn build() -> Result<Vec<Program>> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {}", describe(&command)))?;
    ensure!(output.status.success(), "{} failed ({})", describe(&command), output.status);
    let programs: Vec<Program> = String::from_utf8_lossy(&output.stdout).lines().filter_map(program).collect();
    ensure!(!programs.is_empty(), "cargo named no test program");
    Ok(programs)
}

/// The program that one line of cargo's JSON messages announces, if it does.
fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let executable = PathBuf::from(message["executable"].as_str()?);
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf();
    let package = package_name(message["package_id"].as_str()?)?;
    let target = message["target"]["name"].as_str()?;
    let name = match message["target"]["kind"][0].as_str()? {
        "test" => format!("{package}::{target}"),
        kind @ ("bin" | "example" | "bench") => format!("{package}::{kind}/{target}"),
        _ => package.to_owned(),
    };
    Some(Program { name, executable, folder })
}

/// `path+file:///somewhere/crates/core#tandem-core@0.1.0`; without a name where the folder bears it:
/// `path+file:///somewhere/crates/xtask#0.1.0`.
fn package_name(id: &str) -> Option<&str> {
    let (address, named) = id.rsplit_once('#')?;
    named.split_once('@').map(|(name, _)| name).or_else(|| address.rsplit('/').next())
}

/// The tests in what `--list --format terse` prints; benchmarks are no tests.
fn count_listed(text: &str) -> u64 {
    text.lines().filter(|line| line.ends_with(": test")).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str, kind: &str, target: &str) -> Option<String> {
        let line = format!(
            r#"{{"reason":"compiler-artifact","package_id":"{id}","manifest_path":"/w/crates/a/Cargo.toml",
                "target":{{"kind":["{kind}"],"name":"{target}"}},"profile":{{"test":true}},"executable":"/w/t/{target}-0a"}}"#
        );
        program(&line.replace('\n', "")).map(|program| program.name)
    }

    #[test]
    fn programs_are_named_as_nextest_names_them() {
        let store = "path+file:///w/crates/store#tandem-store@0.1.0";
        assert_eq!(named(store, "lib", "tandem_store").as_deref(), Some("tandem-store"));
        assert_eq!(named(store, "test", "leases").as_deref(), Some("tandem-store::leases"));
        let cli = "path+file:///w/crates/cli#tandem-cli@0.1.0";
        assert_eq!(named(cli, "bin", "tandem").as_deref(), Some("tandem-cli::bin/tandem"));
        let xtask = "path+file:///w/crates/xtask#0.1.0";
        assert_eq!(named(xtask, "bin", "xtask").as_deref(), Some("xtask::bin/xtask"));
    }

    #[test]
    fn what_is_no_test_program_is_none() {
        assert_eq!(program(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(program("text"), None);
        let built = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/a#a@0.1.0","manifest_path":"/w/a/Cargo.toml","target":{"kind":["bin"],"name":"a"},"profile":{"test":false},"executable":"/w/t/a"}"#;
        assert_eq!(program(built), None);
    }

    #[test]
    fn tests_are_counted_and_benchmarks_are_not() {
        assert_eq!(count_listed("money::adds: test\nmoney::slow: benchmark\nmoney::more: test\n"), 2);
    }
}
