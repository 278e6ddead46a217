//! The demonstration, as somebody who tries it sees it.

#![cfg(feature = "demo")]

mod common;

use common::Site;

#[test]
fn the_demo_ends_well_only_after_both_systems_agree_about_everything() {
    let ran = Site::bare().run(&["demo", "--once", "--contacts", "100"]).ok();
    let rows: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in ["contact 99 0 0 0 0", "customer 101 0 0 0 0", "pre_invoice 14 0 0 0 0"] {
        assert!(rows.iter().any(|columns| columns.join(" ") == row), "{row:?} is not in {}", ran.out);
    }
    assert!(ran.out.trim_end().lines().last().unwrap().starts_with("Both systems agree: "), "{}", ran.out);
    assert!(ran.out.contains("99 contacts imported") && ran.out.contains("5 had changed"), "{}", ran.out);
    assert_eq!(ran.err, "", "a show without a fault of ours has nothing to say on the standard error");
}
