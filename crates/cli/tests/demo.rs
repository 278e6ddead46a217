//! The demonstration, as somebody who tries it sees it.

#![cfg(feature = "demo")]

mod common;

use common::Site;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

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

#[test]
fn a_demo_that_nobody_watches_any_more_tidies_up_and_does_not_count_as_done() {
    let site = Site::bare();
    let temporary = site.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let site = site.with("TMPDIR", &temporary.display().to_string());
    let mut demo =
        site.command(&["demo", "--contacts", "100"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("The initial import")), "the stage is up");
    drop(lines);
    let ended = demo.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(141), ""));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "its folder is gone");
}
