//! Laws over single manifests.

use toml::Value;

use super::{Finding, Workspace};

/// A crate that names a version of its own lets two versions of a dependency into the tree unnoticed.
pub fn versions_stand_in_the_table(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.crates {
        for entry in member.dependencies() {
            if entry.value.get("workspace").and_then(Value::as_bool) != Some(true) {
                let message = format!("write {} = {{ workspace = true }}; its version belongs to the root", entry.name);
                findings.push(Finding::new(member.manifest_path(), message));
            }
        }
    }
    findings
}

/// Default features are how a second TLS stack or crypto provider gets in.
pub fn default_features_are_off(workspace: &Workspace) -> Vec<Finding> {
    let table = workspace.table.get("workspace").and_then(|table| table.get("dependencies")).and_then(Value::as_table);
    let entries = table.into_iter().flatten();
    entries
        .filter(|(_, value)| value.get("path").is_none())
        .filter(|(_, value)| value.get("default-features").and_then(Value::as_bool) != Some(false))
        .map(|(name, _)| {
            Finding::new("Cargo.toml", format!("{name}: say default-features = false and name the features"))
        })
        .collect()
}

/// Without the line, the workspace's lints do not apply to the crate.
pub fn lints_are_inherited(workspace: &Workspace) -> Vec<Finding> {
    let inherits = |manifest: &toml::Table| {
        manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool) == Some(true)
    };
    let lacking = workspace.crates.iter().filter(|member| !inherits(&member.manifest));
    lacking.map(|member| Finding::new(member.manifest_path(), "add [lints] workspace = true")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::workspace::example::with_manifest;
    use super::*;

    #[test]
    fn a_version_in_a_crate_is_found() {
        let wrong = with_manifest("tandem-x", "[dependencies]\nserde = '1'\ntokio = { version = '1' }\n");
        assert_eq!(versions_stand_in_the_table(&wrong).len(), 2);
        let right = with_manifest("tandem-x", "[dependencies]\nserde = { workspace = true, features = ['rc'] }\n");
        assert_eq!(versions_stand_in_the_table(&right), []);
    }

    #[test]
    fn default_features_in_the_table_are_found() {
        let mut workspace = with_manifest("tandem-x", "");
        workspace.table = "[workspace.dependencies]\nserde = '1'\nrand = { version = '1', default-features = false }\n\
                           own = { path = 'crates/own' }\n"
            .parse()
            .unwrap();
        let findings = default_features_are_off(&workspace);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.starts_with("serde"));
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert_eq!(lints_are_inherited(&with_manifest("tandem-x", "[lints]\nworkspace = true")), []);
        assert_eq!(lints_are_inherited(&with_manifest("tandem-x", "")).len(), 1);
    }
}
