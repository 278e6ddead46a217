//! Laws over who may import whom. `docs/architecture.md` shows the picture; here it is checked.

use toml::Value;

use super::workspace::{Crate, Dependency};
use super::{Finding, Workspace};

/// Stands for every crate under `crates/systems`.
const SYSTEMS: &str = "a system";

/// Each crate of ours and those of ours it may import. Imports for tests are free, but for their own law below.
const BELOW: &[(&str, &[&str])] = &[
    ("tandem-core", &[]),
    ("tandem-telemetry", &[]),
    ("tandem-outbound", &["tandem-core"]),
    (SYSTEMS, &["tandem-core", "tandem-outbound"]),
    ("tandem-bridges", &["tandem-core", SYSTEMS]),
    ("tandem-store", &["tandem-core"]),
    ("tandem-queue", &["tandem-core"]),
    ("tandem-engine", &["tandem-core", "tandem-store", "tandem-telemetry"]),
    ("tandem-ingest", &["tandem-core", "tandem-engine", "tandem-store", "tandem-queue", "tandem-telemetry"]),
    ("tandem-worker", &["tandem-core", "tandem-engine", "tandem-store", "tandem-queue", "tandem-telemetry"]),
    (
        "tandem-cli",
        &[
            "tandem-core",
            "tandem-engine",
            "tandem-store",
            "tandem-queue",
            "tandem-outbound",
            "tandem-bridges",
            "tandem-ingest",
            "tandem-worker",
            "tandem-telemetry",
            "tandem-simulators",
            SYSTEMS,
        ],
    ),
    // Written from the description of an API, so that it cannot share a mistake with our client of that API.
    ("tandem-simulators", &[]),
    ("tandem-testbed", &[]),
    // Tests and nothing else, so it may know everything that a test of a whole flow needs.
    (
        "tandem-flows",
        &[
            "tandem-core",
            "tandem-engine",
            "tandem-store",
            "tandem-bridges",
            "tandem-simulators",
            "tandem-testbed",
            SYSTEMS,
        ],
    ),
    // Measures the parts from outside, beside raw baselines that use the drivers themselves.
    (
        "tandem-bench",
        &[
            "tandem-core",
            "tandem-engine",
            "tandem-store",
            "tandem-queue",
            "tandem-bridges",
            "tandem-worker",
            "tandem-simulators",
            "tandem-testbed",
            SYSTEMS,
        ],
    ),
    ("xtask", &["tandem-testbed"]),
];

/// Drivers, and the crates that may have them in the product. Others meet them in tests at most.
const DRIVERS: &[(&str, &[&str])] = &[
    ("sea-orm", &["tandem-store"]),
    ("sea-orm-migration", &["tandem-store"]),
    ("sqlx", &["tandem-store", "tandem-bench"]),
    ("lapin", &["tandem-queue"]),
    ("actix-web", &["tandem-ingest", "tandem-worker", "tandem-simulators", "tandem-bench"]),
    ("clap", &["tandem-cli"]),
    ("metrics-exporter-prometheus", &["tandem-telemetry"]),
];

const IO: [&str; 9] = ["tokio", "tokio-util", "reqwest", "sea-orm", "sqlx", "lapin", "actix-web", "rand", "tracing"];

/// Imports go down. An import that is not in the table is a change of the architecture, not of a manifest.
pub fn crates_know_only_those_below(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.crates {
        let Some((_, below)) = BELOW.iter().find(|(name, _)| *name == role(member)) else {
            let message = format!("{} is new: give it a place in crates/xtask/src/tidy/layers.rs", member.name);
            findings.push(Finding::new(member.manifest_path(), message));
            continue;
        };
        let systems: Vec<&str> =
            workspace.crates.iter().filter(|other| other.is_system()).map(|other| other.name.as_str()).collect();
        for entry in product_dependencies(member) {
            let known_as =
                if systems.contains(&entry.name) || is_known_system(entry.name) { SYSTEMS } else { entry.name };
            let ours = BELOW.iter().any(|(name, _)| *name == known_as);
            if ours && !below.contains(&known_as) {
                let message = format!("{} must not import {}", member.name, entry.name);
                findings.push(Finding::new(member.manifest_path(), message));
            }
        }
    }
    findings
}

/// One crate speaks to our database, one to the broker: everybody else goes through them.
pub fn drivers_stay_in_their_crate(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.crates {
        for entry in product_dependencies(member) {
            let owners = DRIVERS.iter().find(|(driver, _)| *driver == entry.name).map(|(_, owners)| *owners);
            if owners.is_some_and(|owners| !owners.contains(&member.name.as_str())) {
                let message = format!("only {} may import {}", owners.unwrap_or_default().join(", "), entry.name);
                findings.push(Finding::new(member.manifest_path(), message));
            }
        }
    }
    findings
}

/// Decisions over values already in hand: that is why they can be proven by thousands of cases a second.
pub fn core_does_no_io(workspace: &Workspace) -> Vec<Finding> {
    let core = workspace.crates.iter().filter(|member| member.name == "tandem-core");
    core.flat_map(|member| product_dependencies(member).into_iter().map(move |entry| (member, entry)))
        .filter(|(_, entry)| IO.contains(&entry.name))
        .map(|(member, entry)| Finding::new(member.manifest_path(), format!("core must not import {}", entry.name)))
        .collect()
}

/// The crates that hold nothing but tests and benchmarks.
const FOR_TESTS: [&str; 2] = ["tandem-flows", "tandem-bench"];

/// Simulators reach the program by its feature `demo` only, and the testbed never.
pub fn stand_ins_stay_out_of_the_product(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in workspace.crates.iter().filter(|member| !FOR_TESTS.contains(&member.name.as_str())) {
        for entry in product_dependencies(member) {
            let allowed = match entry.name {
                "tandem-testbed" => member.name == "xtask",
                "tandem-simulators" => member.name == "tandem-cli" && is_optional(&entry) && only_demo_links(member),
                _ => true,
            };
            if !allowed {
                let message = format!("{} is for tests (in the program: only by the feature demo)", entry.name);
                findings.push(Finding::new(member.manifest_path(), message));
            }
        }
    }
    findings
}

fn role(member: &Crate) -> &str {
    if member.is_system() { SYSTEMS } else { &member.name }
}

/// For the tests of these laws, whose workspaces have one member only.
fn is_known_system(name: &str) -> bool {
    ["payamgostar", "siagh"].contains(&name)
}

fn product_dependencies(member: &Crate) -> Vec<Dependency<'_>> {
    member.dependencies().into_iter().filter(|entry| !entry.dev).collect()
}

fn is_optional(entry: &Dependency<'_>) -> bool {
    entry.value.get("optional").and_then(Value::as_bool) == Some(true)
}

fn only_demo_links(member: &Crate) -> bool {
    let features = member.manifest.get("features").and_then(Value::as_table);
    let linking = features.into_iter().flatten().filter(|(_, parts)| {
        let mut parts = parts.as_array().into_iter().flatten().filter_map(Value::as_str);
        parts.any(|part| part.contains("tandem-simulators"))
    });
    linking.map(|(name, _)| name.as_str()).eq(["demo"])
}

#[cfg(test)]
mod tests {
    use super::super::workspace::example::with_manifest;
    use super::*;

    fn imports(name: &str, other: &str) -> Workspace {
        with_manifest(name, &format!("[dependencies]\n{other} = {{ workspace = true }}\n"))
    }

    fn tested_with(name: &str, other: &str) -> Workspace {
        with_manifest(name, &format!("[dev-dependencies]\n{other} = {{ workspace = true }}\n"))
    }

    #[test]
    fn an_import_that_points_up_or_sideways_is_found() {
        for (name, other) in [
            ("tandem-core", "tandem-store"),
            ("tandem-store", "tandem-queue"),
            ("tandem-bridges", "tandem-store"),
            ("tandem-bridges", "tandem-engine"),
            ("tandem-bridges", "tandem-queue"),
            ("tandem-engine", "tandem-bridges"),
            ("tandem-ingest", "tandem-bridges"),
            ("tandem-worker", "payamgostar"),
            ("payamgostar", "siagh"),
            ("siagh", "tandem-store"),
            ("siagh", "tandem-queue"),
            ("tandem-simulators", "siagh"),
        ] {
            assert_eq!(crates_know_only_those_below(&imports(name, other)).len(), 1, "{name} imports {other}");
        }
    }

    #[test]
    fn an_import_that_points_down_is_fine_and_so_is_one_for_tests() {
        for (name, other) in [("tandem-bridges", "siagh"), ("siagh", "tandem-outbound"), ("tandem-core", "serde")] {
            assert_eq!(crates_know_only_those_below(&imports(name, other)), []);
        }
        assert_eq!(crates_know_only_those_below(&tested_with("tandem-bridges", "tandem-simulators")), []);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        assert_eq!(crates_know_only_those_below(&with_manifest("tandem-helpers", "")).len(), 1);
    }

    #[test]
    fn a_driver_outside_its_crate_is_found() {
        assert_eq!(drivers_stay_in_their_crate(&imports("tandem-worker", "sqlx")).len(), 1);
        assert_eq!(drivers_stay_in_their_crate(&imports("tandem-engine", "lapin")).len(), 1);
        assert_eq!(drivers_stay_in_their_crate(&imports("tandem-store", "sea-orm")), []);
        assert_eq!(drivers_stay_in_their_crate(&tested_with("tandem-worker", "sqlx")), []);
    }

    #[test]
    fn io_in_core_is_found() {
        assert_eq!(core_does_no_io(&imports("tandem-core", "tokio")).len(), 1);
        assert_eq!(core_does_no_io(&imports("tandem-store", "tokio")), []);
    }

    #[test]
    fn a_stand_in_in_the_product_is_found() {
        assert_eq!(stand_ins_stay_out_of_the_product(&imports("tandem-engine", "tandem-testbed")).len(), 1);
        assert_eq!(stand_ins_stay_out_of_the_product(&imports("tandem-ingest", "tandem-simulators")).len(), 1);
        assert_eq!(stand_ins_stay_out_of_the_product(&imports("tandem-cli", "tandem-simulators")).len(), 1);
        let optional = "[dependencies]\ntandem-simulators = { workspace = true, optional = true }\n[features]\n";
        let demo = with_manifest("tandem-cli", &format!("{optional}demo = ['dep:tandem-simulators']\n"));
        assert_eq!(stand_ins_stay_out_of_the_product(&demo), []);
        let other = with_manifest("tandem-cli", &format!("{optional}metrics = ['dep:tandem-simulators']\n"));
        assert_eq!(stand_ins_stay_out_of_the_product(&other).len(), 1);
    }
}
