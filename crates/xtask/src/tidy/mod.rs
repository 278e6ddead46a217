//! `cargo xtask tidy`: the laws of the code base that no compiler checks.
//!
//! Each law is one small function over the manifests and sources. A violation names the place, the law and the way
//! out. Exceptions are written beside the law with their reason; there is no way to switch a law off from outside.

mod layers;
mod manifests;
mod sources;
mod workspace;

use anyhow::{Result, bail};

pub use workspace::Workspace;

use crate::shell::{root, say};

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A file, with the line where there is one.
    pub place: String,
    pub message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

type Law = fn(&Workspace) -> Vec<Finding>;

const LAWS: &[(&str, Law)] = &[
    ("versions stand in the workspace table only", manifests::versions_stand_in_the_table),
    ("the table switches default features off", manifests::default_features_are_off),
    ("every crate inherits the lints", manifests::lints_are_inherited),
    ("crates know only those below them", layers::crates_know_only_those_below),
    ("heavy drivers stay in their crate", layers::drivers_stay_in_their_crate),
    ("core does no I/O", layers::core_does_no_io),
    ("simulators and testbed stay out of the product", layers::stand_ins_stay_out_of_the_product),
    ("a crate begins by saying what it is for", sources::crates_say_what_they_are_for),
    ("the time comes from outside", sources::time_comes_from_outside),
    ("tests wait for signals", sources::tests_do_not_sleep),
    ("no test is ignored", sources::no_test_is_ignored),
    ("no floating point near money", sources::no_floating_point),
    ("no path of somebody's machine", sources::no_path_of_a_machine),
];

/// Checks every law and prints what it found.
pub fn run() -> Result<()> {
    say(&format!("tidy: {} laws", LAWS.len()));
    let findings = check(&Workspace::load(&root())?);
    if findings.is_empty() {
        return Ok(());
    }
    for (law, finding) in &findings {
        println!("{}: {} (law: {law})", finding.place, finding.message);
    }
    bail!("tidy: {} findings", findings.len())
}

fn check(workspace: &Workspace) -> Vec<(&'static str, Finding)> {
    LAWS.iter().flat_map(|(name, law)| law(workspace).into_iter().map(move |finding| (*name, finding))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So that a plain `cargo test` guards the laws too.
    #[test]
    fn this_workspace_keeps_every_law() {
        let findings = check(&Workspace::load(&root()).unwrap());
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
