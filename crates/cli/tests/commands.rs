//! What the commands print and how they end, on the real binary and a SQLite database.

mod common;

use chrono::{DateTime, TimeDelta, Utc};
use common::{Site, block_on};
use serde_json::json;
use tandem_core::plan::Candidate;
use tandem_core::{Actor, Lane, Notice, Plan, RecordKey, State, Trigger};
use tandem_store::{Lease, Leased, LogEntry, Resolution, Settlement, Store};

const GUID: &str = "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001";

/// Notices a record and settles it in a state, as a worker would.
async fn settled(store: &Store, kind: &str, id: &str, state: State, reason: &str) {
    settled_with(store, kind, id, state, reason, |_| {}).await;
}

/// As [`settled`], with an entry in the log that says more.
async fn settled_with(
    store: &Store,
    kind: &str,
    id: &str,
    state: State,
    reason: &str,
    more: impl FnOnce(&mut LogEntry),
) {
    let now: DateTime<Utc> = Utc::now() - TimeDelta::minutes(1);
    let key = RecordKey::new("siagh", kind, id);
    let actor = Actor::new("test");
    let notice =
        Notice { key: key.clone(), hint: None, trigger: Trigger::Poll, actor: actor.clone(), lane: Lane::Live };
    store.notice(&[notice], now).await.unwrap();
    let Leased::Taken(row) = store.lease(&key, "test", TimeDelta::seconds(30), now).await.unwrap() else {
        panic!("not leased")
    };
    let mut entry = LogEntry::new(now, Trigger::Poll, actor);
    more(&mut entry);
    let settlement = Settlement::new(row.noticed, state, reason, entry);
    store.settle(&Lease::of(&row), &settlement, now).await.unwrap();
}

#[test]
fn hashing_gives_the_vectors_of_the_api_sheet() {
    let site = Site::bare();
    for (input, hash) in [
        ("tandem-demo-1", "6A03CCD0C813FB03ECAD5A210C7D5A8E"),
        ("tandem-demo-1\n", "6A03CCD0C813FB03ECAD5A210C7D5A8E"),
        ("tandem-demo-1\r\n", "6A03CCD0C813FB03ECAD5A210C7D5A8E"),
        ("رمز-نمونه\n", "B4FEEE4A8D0373F779675A96064FC08A"),
    ] {
        assert_eq!(
            site.run_with_input(&["hash-password"], input.as_bytes()).ok().out,
            format!("{hash}\n"),
            "{input:?}"
        );
    }
    let two = site.run_with_input(&["hash-password"], b"tandem-demo-1\n\n").ok().out;
    assert_ne!(
        two, "6A03CCD0C813FB03ECAD5A210C7D5A8E\n",
        "one line break is the terminal's, a second one is the password's"
    );
    site.run_with_input(&["hash-password"], b"\n").fails_with(1);
    site.run_with_input(&["hash-password"], b"\xff\xfe").fails_with(1);
    site.run(&["hash-password", "on-the-command-line"]).fails_with(2);
}

#[test]
fn an_empty_ledger_has_nothing_open() {
    let site = Site::migrated();
    let status = site.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["open"], &status["bridges"]), (&json!(0), &json!({})));
    assert!(site.run(&["status"]).ok().out.contains("open: 0"));
}

#[test]
fn status_counts_each_state_per_bridge_and_kind_and_only_unparked_work_is_open() {
    let site = Site::migrated();
    block_on(async {
        let store = site.store().await;
        settled(&store, "customer", "a", State::Synced, "done").await;
        settled(&store, "customer", "b", State::Synced, "done").await;
        settled(&store, "customer", "c", State::NeedsReview, "which one?").await;
        settled(&store, "pre_invoice", "d", State::Dead, "refused").await;
        let open = Notice {
            key: RecordKey::new("siagh", "customer", "e"),
            hint: None,
            trigger: Trigger::Webhook,
            actor: Actor::new("crm"),
            lane: Lane::Live,
        };
        store.notice(&[open], Utc::now()).await.unwrap();
    });
    let status = site.run(&["status", "--json"]).ok().json();
    assert_eq!(status["open"], json!(1));
    assert_eq!(
        status["bridges"],
        json!({ "siagh": { "customer": { "PENDING": 1, "SYNCED": 2, "NEEDS_REVIEW": 1 }, "pre_invoice": { "DEAD": 1 } } })
    );
}

#[test]
fn a_database_that_is_not_migrated_is_named_in_one_line() {
    let site = Site::bare();
    let url = site.database_url();
    site.write("ledger.sqlite", "");
    let ran = site.with("DATABASE_URL", &url).run(&["status"]).fails_with(1);
    assert!(ran.err.contains("not migrated (1 migration to apply); run `tandem migrate`"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
}

#[test]
fn a_command_that_reads_makes_no_database_of_a_wrong_path() {
    let site = Site::bare();
    let url = site.database_url();
    let site = site.with("DATABASE_URL", &url);
    for args in [&["status"][..], &["log"], &["why", "siagh", "customer", GUID], &["mapping", "list", "siagh"]] {
        let ran = site.run(args).fails_with(1);
        assert!(ran.err.starts_with("error: there is no database at ") && ran.err.lines().count() == 1, "{}", ran.err);
        assert!(ran.err.contains("ledger.sqlite") && ran.err.contains("`tandem migrate`"), "{}", ran.err);
    }
    let checked = site.run(&["check", "--json"]).fails_with(1).json();
    assert!(checked[0]["detail"].as_str().unwrap().starts_with("there is no database at "), "{checked}");
    assert!(!site.path("ledger.sqlite").exists());
    site.run(&["migrate"]).ok();
    site.run(&["status"]).ok();
}

#[test]
fn migrating_twice_changes_nothing() {
    let site = Site::migrated();
    assert_eq!(site.run(&["migrate", "--json"]).ok().json(), json!({ "applied": [] }));
}

#[test]
fn an_unknown_bridge_or_kind_names_the_known_ones_and_is_wrong_usage() {
    let site = Site::migrated();
    assert!(site.run(&["why", "sap", "customer", GUID]).fails_with(2).err.contains("there is siagh"));
    assert!(site.run(&["why", "siagh", "person", GUID]).fails_with(2).err.contains("customer, pre_invoice"));
    assert!(site.run(&["log", "--kind", "person"]).fails_with(2).err.contains("customer, pre_invoice"));
    assert!(site.run(&["log", "--since", "soon"]).fails_with(2).err.contains("soon"));
    assert!(site.run(&["log", "--status", "GOOD"]).fails_with(2).err.contains("NEEDS_REVIEW"));
    site.run(&["frobnicate"]).fails_with(2);
}

#[test]
fn a_record_that_was_never_noticed_is_one_clear_line() {
    let site = Site::migrated();
    for args in [
        &["why", "siagh", "customer", GUID][..],
        &["retry", "siagh", "customer", GUID],
        &["ignore", "siagh", "customer", GUID, "--why", "x"],
        &["review", "resolve", "siagh", "customer", GUID, "--again"],
        &["dead", "replay", "siagh", "customer", GUID],
    ] {
        let ran = site.run(args).fails_with(1);
        assert!(ran.err.contains("never noticed") && ran.err.lines().count() == 1, "{args:?}: {}", ran.err);
    }
}

#[test]
fn dead_records_are_listed_replayed_and_discarded() {
    let site = Site::migrated();
    block_on(async {
        let store = site.store().await;
        for id in ["a", "b", "c"] {
            settled(&store, "customer", id, State::Dead, &format!("mobile of {id} is taken")).await;
        }
        settled(&store, "customer", "fine", State::Synced, "done").await;
    });
    let listed = site.run(&["dead", "list", "--json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert!(site.run(&["dead", "list", "--reason", "of b"]).ok().out.contains("mobile of b is taken"));

    site.run(&["dead", "replay"]).fails_with(2);
    let asked = site.run(&["dead", "replay", "--all"]).fails_with(2).err;
    assert!(asked.contains("--yes"), "nobody is there to be asked: {asked}");
    assert!(asked.contains("siagh customer b: mobile of b is taken"), "shown before the question: {asked}");
    let planned = site.run(&["dead", "replay", "--all", "--plan", "--json"]).ok().json();
    assert_eq!(planned["matching"], json!(3));
    assert_eq!(
        planned["records"][1],
        json!({ "bridge": "siagh", "kind": "customer", "id": "b", "reason": "mobile of b is taken" })
    );
    assert!(site.run(&["dead", "replay", "--reason", "of b", "--plan"]).ok().out.contains("1 record would be"));
    assert_eq!(site.run(&["dead", "list", "--json"]).ok().json().as_array().unwrap().len(), 3, "a plan writes nothing");
    assert_eq!(
        site.run(&["dead", "replay", "siagh", "customer", "a", "--json"]).ok().json(),
        json!({ "matching": 1, "replayed": 1 })
    );
    assert!(
        site.run(&["dead", "replay", "siagh", "customer", "fine"]).fails_with(1).err.contains("not DEAD but SYNCED")
    );
    assert_eq!(
        site.run(&["dead", "discard", "--reason", "of b", "--why", "left the company", "--yes", "--json"]).ok().json(),
        json!({ "matching": 1, "discarded": 1 })
    );
    assert_eq!(
        site.run(&["dead", "replay", "--all", "--yes", "--rate", "100", "--json"]).ok().json(),
        json!({ "matching": 1, "replayed": 1 })
    );
    assert_eq!(
        site.run(&["dead", "replay", "--all", "--yes", "--rate", "0", "--json"]).ok().json(),
        json!({ "matching": 0, "replayed": 0 })
    );

    let status = site.run(&["status", "--json"]).ok().json();
    assert_eq!(status["bridges"]["siagh"]["customer"], json!({ "PENDING": 2, "SYNCED": 1, "IGNORED": 1 }));
    let why = site.run(&["why", "siagh", "customer", "b", "--json"]).ok().json();
    assert_eq!(why["record"]["state"], "IGNORED");
    assert!(why["record"]["reason"].as_str().unwrap().contains("left the company"));
}

#[test]
fn a_review_is_listed_and_resolved_by_exactly_one_decision() {
    let site = Site::migrated();
    block_on(async {
        let store = site.store().await;
        settled(&store, "customer", "a", State::NeedsReview, "two contacts fit").await;
        settled(&store, "customer", "b", State::NeedsReview, "two contacts fit").await;
        settled(&store, "customer", "c", State::NeedsReview, "two contacts fit").await;
    });
    assert!(site.run(&["review", "list"]).ok().out.contains("two contacts fit"));
    let resolve = |rest: &[&str]| site.run(&[&["review", "resolve", "siagh", "customer"], rest].concat());
    resolve(&["a"]).fails_with(2);
    resolve(&["a", "--link", "42", "--again"]).fails_with(2);
    assert!(resolve(&["a", "--again"]).fails_with(1).err.contains("in doubt"));
    resolve(&["a", "--link", "42"]).ok();
    assert_eq!(site.run(&["why", "siagh", "customer", "a", "--json"]).ok().json()["record"]["dest_id"], "42");
    let taken = resolve(&["b", "--link", "42"]).fails_with(1);
    assert!(taken.err.contains("already paired with siagh customer a"), "{}", taken.err);
    assert!(resolve(&["b", "--duplicate-of", "nobody"]).fails_with(1).err.contains("never noticed"));
    resolve(&["b", "--duplicate-of", "a"]).ok();
    assert!(resolve(&["c", "--accept"]).fails_with(1).err.contains("ever looked at"));
}

#[test]
fn an_id_that_can_be_none_is_refused_in_one_line_before_anything_is_believed() {
    let site = Site::migrated();
    block_on(async {
        let store = site.store().await;
        settled(&store, "customer", "a", State::NeedsReview, "two contacts fit").await;
        settled(&store, "pre_invoice", "q", State::NeedsReview, "the answer was lost").await;
    });
    let resolve = |rest: &[&str]| site.run(&[&["review", "resolve", "siagh"], rest].concat());
    for (args, says) in [
        (
            &["pre_invoice", "q", "--exists", "2501", "--dest-id", "nonsense"][..],
            "--dest-id has to be the internal code",
        ),
        (&["pre_invoice", "q", "--exists", "number 2501"], "--exists has to be the number of a pre-invoice"),
        (&["pre_invoice", "q", "--again", "--dest-id", "15460"], "--dest-id belongs to --exists"),
        (&["customer", "a", "--link", "somebody"], "--link has to be the code of a contact"),
        (&["customer", "a", "--exists", "2501"], "say --link with the code of a contact"),
        (&["customer", "a", "--exists", "2501", "--dest-id", "42"], "say --link with the code of a contact"),
    ] {
        let ran = resolve(args).fails_with(2);
        assert!(ran.err.contains(says) && ran.err.lines().count() == 1, "{args:?}: {}", ran.err);
    }
    assert_eq!(site.run(&["review", "list", "--json"]).ok().json().as_array().unwrap().len(), 2, "nothing was decided");
    let second = resolve(&["pre_invoice", "q", "--new"]).fails_with(2);
    assert!(second.err.contains("would make a second pre_invoice"), "{}", second.err);
    let never_seen = resolve(&["pre_invoice", "q", "--exists", "۲۵۰۱"]).fails_with(1);
    assert!(never_seen.err.contains("ever looked at"), "a number in Persian digits is one: {}", never_seen.err);
}

#[test]
fn a_link_to_none_of_the_candidates_has_to_be_meant() {
    let site = Site::migrated();
    let candidate = |id: &str| Candidate { dest_id: id.into(), what: "seems to be the same".to_owned() };
    let plan = Plan::Review {
        reason: "may be contact 41, 42 of Siagh".to_owned(),
        candidates: vec![candidate("41"), candidate("42")],
        changes: vec![],
    };
    block_on(async {
        let store = site.store().await;
        for id in ["a", "b"] {
            let plan = serde_json::to_value(&plan).ok();
            settled_with(&store, "customer", id, State::NeedsReview, "41 or 42?", |entry| entry.plan = plan).await;
        }
    });
    let link = |rest: &[&str]| site.run(&[&["review", "resolve", "siagh", "customer"], rest].concat());
    let refused = link(&["a", "--link", "999999"]).fails_with(1);
    assert!(refused.err.contains("999999 is none of the candidates of siagh customer a (41, 42)"), "{}", refused.err);
    assert!(refused.err.contains("--anyway") && refused.err.lines().count() == 1, "{}", refused.err);
    link(&["a", "--again", "--anyway"]).fails_with(2);
    link(&["a", "--link", "42"]).ok();
    let decided = link(&["a", "--link", "7"]).fails_with(1);
    assert!(decided.err.contains("is PENDING, so there is nothing to decide"), "{}", decided.err);
    link(&["b", "--link", "999999", "--anyway"]).ok();
    assert_eq!(site.run(&["why", "siagh", "customer", "b", "--json"]).ok().json()["record"]["dest_id"], "999999");
}

#[test]
fn a_new_one_in_place_of_a_counterpart_has_to_be_meant() {
    let site = Site::migrated();
    block_on(async {
        let store = site.store().await;
        settled_with(&store, "customer", "a", State::NeedsReview, "gone", |_| {}).await;
        let key = RecordKey::new("siagh", "customer", "a");
        let link = Resolution::Link("42".into());
        // Before the second look, which is a minute old.
        store.resolve(&key, &link, &"reza".into(), Utc::now() - TimeDelta::minutes(2)).await.unwrap();
        settled_with(&store, "customer", "a", State::NeedsReview, "gone", |_| {}).await;
    });
    let new = |rest: &[&str]| site.run(&[&["review", "resolve", "siagh", "customer", "a", "--new"], rest].concat());
    let refused = new(&[]).fails_with(1);
    assert!(refused.err.contains("is paired with 42, which --new would let go"), "{}", refused.err);
    new(&["--anyway"]).ok();
    assert!(site.run(&["why", "siagh", "customer", "a", "--json"]).ok().json()["record"]["dest_id"].is_null());
}

#[test]
fn why_says_each_note_once() {
    let site = Site::migrated();
    let notes = ["contact 42 is inactive", "the city has no mapping", "the city has no mapping"];
    let reason = "update contact 42: name (contact 42 is inactive)";
    block_on(async {
        let more = |entry: &mut LogEntry| entry.notes = notes.map(str::to_owned).to_vec();
        settled_with(&site.store().await, "customer", "a", State::Synced, reason, more).await;
    });
    let said = site.run(&["why", "siagh", "customer", "a"]).ok().out;
    assert_eq!(said.matches("note: ").count(), 1, "{said}");
    assert_eq!(said.matches("note: the city has no mapping").count(), 1, "{said}");
}

#[test]
fn a_mapping_file_survives_the_round_trip() {
    let site = Site::migrated();
    let csv =
        "type,source,target,note\ngoods,Product-1,500100001,\"first, best\"\nsales_centre,PI_5,5,\nunit,قطعه,عدد,\n";
    site.write("in.csv", csv);
    assert_eq!(
        site.run(&["mapping", "import", "siagh", "in.csv", "--json"]).ok().json(),
        json!({ "set": 3, "unchanged": 0, "released": 0 })
    );
    site.run(&["mapping", "export", "siagh", "out.csv"]).ok();
    assert_eq!(std::fs::read_to_string(site.path("out.csv")).unwrap(), csv);
    assert_eq!(site.run(&["mapping", "export", "siagh"]).ok().out, csv);
    let as_json = site.run(&["mapping", "export", "siagh", "--json"]).ok().json();
    assert_eq!(as_json, site.run(&["mapping", "list", "siagh", "--json"]).ok().json());
    assert_eq!(
        as_json[0],
        json!({ "type": "goods", "source": "Product-1", "target": "500100001", "note": "first, best" })
    );
    site.run(&["mapping", "export", "siagh", "out.json", "--json"]).ok();
    let written = std::fs::read_to_string(site.path("out.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), as_json);
    assert_eq!(
        site.run_with_input(&["mapping", "import", "siagh", "-", "--json"], csv.as_bytes()).ok().json()["unchanged"],
        json!(3)
    );

    site.write("wrong.csv", "type,source,target\ngoods,New,1\ncolour,red,2\n");
    assert!(site.run(&["mapping", "import", "siagh", "wrong.csv"]).fails_with(1).err.contains("line 3"));
    assert_eq!(
        site.run(&["mapping", "list", "siagh", "--json"]).ok().json().as_array().unwrap().len(),
        3,
        "all or none"
    );

    site.run(&["mapping", "set", "siagh", "city", "تهران", "021", "--note", "capital"]).ok();
    let cities = site.run(&["mapping", "list", "siagh", "--type", "city", "--json"]).ok().json();
    assert_eq!(cities, json!([{ "type": "city", "source": "تهران", "target": "021", "note": "capital" }]));
    let wrong = site.run(&["mapping", "set", "siagh", "colour", "red", "1"]).fails_with(2);
    assert!(wrong.err.starts_with("error: the mapping has the type \"colour\"; there is goods"), "{}", wrong.err);
    site.run(&["mapping", "delete", "siagh", "city", "تهران"]).ok();
    site.run(&["mapping", "delete", "siagh", "city", "تهران"]).fails_with(1);
}

#[test]
fn setting_a_mapping_lets_waiting_records_go_on() {
    let site = Site::migrated();
    block_on(async {
        let (store, now) = (site.store().await, Utc::now() - TimeDelta::minutes(1));
        let key = RecordKey::new("siagh", "pre_invoice", "q");
        store
            .notice(
                &[Notice {
                    key: key.clone(),
                    hint: None,
                    trigger: Trigger::Poll,
                    actor: Actor::new("test"),
                    lane: Lane::Live,
                }],
                now,
            )
            .await
            .unwrap();
        let Leased::Taken(row) = store.lease(&key, "test", TimeDelta::seconds(30), now).await.unwrap() else {
            panic!("not leased")
        };
        let mut settlement = Settlement::new(
            row.noticed,
            State::NeedsMapping,
            "goods has no mapping for Product-1",
            LogEntry::new(now, Trigger::Poll, Actor::new("test")),
        );
        settlement.waits_for = Some("mapping:siagh/goods/Product-1".to_owned());
        store.settle(&Lease::of(&row), &settlement, now).await.unwrap();
    });
    assert_eq!(site.run(&["status", "--json"]).ok().json()["open"], json!(0));
    assert_eq!(
        site.run(&["mapping", "set", "siagh", "goods", "Product-1", "500100001", "--json"]).ok().json()["released"],
        json!(1)
    );
    assert_eq!(site.run(&["status", "--json"]).ok().json()["open"], json!(1));
}

#[test]
fn the_log_is_filtered_and_bounded() {
    let site = Site::migrated();
    block_on(async {
        let store = site.store().await;
        settled(&store, "customer", "a", State::Synced, "created contact 42").await;
        settled(&store, "pre_invoice", "b", State::Dead, "the price is wrong").await;
    });
    let count = |args: &[&str]| site.run(&[&["log", "--json"], args].concat()).ok().json().as_array().unwrap().len();
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&["--limit", "1"]), 1);
    assert_eq!(count(&["--status", "failed"]), 1);
    assert_eq!(count(&["--status", "dead"]), 1);
    assert_eq!(count(&["--kind", "pre-invoice"]), 1);
    assert_eq!(count(&["--trigger", "webhook"]), 0);
    assert_eq!(count(&["--since", "1h"]), 2);
    assert_eq!(count(&["--since", "1s"]), 0);
    assert!(site.run(&["log"]).ok().out.contains("the price is wrong"));
    for args in [&["log"][..], &["dead", "list"], &["review", "list"], &["why", "siagh", "customer", "a"]] {
        let none = site.run(&[args, &["--limit", "0"]].concat()).fails_with(2);
        assert_eq!(none.out, "", "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_followed_log_shows_what_comes_and_ends_on_a_signal() {
    use std::io::{BufRead, BufReader};
    let site = Site::migrated();
    block_on(async { settled(&site.store().await, "customer", "before", State::Synced, "was there").await });
    let mut follow = site.command(&["log", "--follow"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("was there"));
    block_on(async { settled(&site.store().await, "customer", "after", State::Dead, "came later").await });
    assert!(lines.next().unwrap().contains("came later"));
    std::process::Command::new("kill").args(["-INT", &follow.id().to_string()]).status().unwrap();
    assert!(follow.wait().unwrap().success());
}

#[test]
fn ignoring_needs_a_reason_and_retrying_takes_it_back() {
    let site = Site::migrated();
    block_on(async { settled(&site.store().await, "customer", "a", State::Synced, "done").await });
    site.run(&["ignore", "siagh", "customer", "a"]).fails_with(2);
    site.run(&["ignore", "siagh", "customer", "a", "--why", " "]).fails_with(2);
    site.run(&["ignore", "siagh", "customer", "a", "--why", "a test record"]).ok();
    let state = || site.run(&["why", "siagh", "customer", "a", "--json"]).ok().json()["record"]["state"].clone();
    assert_eq!(state(), "IGNORED");
    site.run(&["retry", "siagh", "customer", "a"]).ok();
    assert_eq!(state(), "PENDING");
}

#[test]
fn webhook_addresses_are_printed_without_the_token_unless_asked() {
    let site = Site::bare().with("ENABLE_WEBHOOKS", "true").with("TANDEM_WEBHOOK_TOKEN", "abcdefghijklmnop");
    let plain = site.run(&["webhooks", "urls", "--base", "http://192.0.2.1:3000/"]).ok().out;
    assert!(
        plain.contains("http://192.0.2.1:3000/webhook/crm/organization/TOKEN") && !plain.contains("abcdef"),
        "{plain}"
    );
    assert!(site.run(&["webhooks", "urls", "--show-token"]).ok().out.contains("/webhook/crm/quote/abcdefghijklmnop"));
    let off = Site::bare().with("ENABLE_WEBHOOKS", "true").run(&["webhooks", "urls", "--json"]).ok().json();
    assert!(off["remarks"][0].as_str().unwrap().contains("webhooks are off"));
}

#[test]
fn nobody_listening_is_not_healthy() {
    let ran = Site::bare().run(&["health", "--url", "http://127.0.0.1:1/health"]).fails_with(1);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
}

#[test]
fn a_start_that_fails_while_the_broker_is_being_connected_to_is_one_line_and_no_panic() {
    let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // One takes connections and says nothing, the other has the port that we want.
    let (silent, busy) = (listen(), listen());
    let port = busy.local_addr().unwrap().port().to_string();
    let site = Site::migrated()
        .with("AMQP_URL", &format!("amqp://tandem:secret@{}/%2f", silent.local_addr().unwrap()))
        .with("CRM_API_BASE_URL", "http://127.0.0.1:1")
        .with("CRM_USERNAME", "nobody")
        .with("CRM_PASSWORD", "secret")
        .with("FINANCE_API_BASE_URL", "http://127.0.0.1:1")
        .with("FINANCE_USERNAME", "nobody")
        .with("FINANCE_PASSWORD", "6A03CCD0C813FB03ECAD5A210C7D5A8E")
        .with("TANDEM_BIND", "127.0.0.1")
        .with("PORT", &port);
    // The end meets the connection attempt at another moment each time.
    for _ in 0..15 {
        let ran = site.run(&["ingest"]).fails_with(1);
        assert!(ran.err.starts_with("error: can't listen on ") && ran.err.lines().count() == 1, "{}", ran.err);
    }
}

#[test]
fn check_names_what_is_missing_and_fails() {
    let site = Site::migrated();
    let ran = site.run(&["check", "--json"]).fails_with(1);
    let lines = ran.json();
    let of = |what: &str| lines.as_array().unwrap().iter().find(|line| line["what"] == what).unwrap().clone();
    assert_eq!(of("database")["ok"], json!(true));
    assert_eq!(of("broker")["ok"], json!(true));
    assert!(of("bridges")["detail"].as_str().unwrap().contains("CRM_PASSWORD"));
}

#[test]
fn a_reader_that_leaves_early_ends_the_command_quietly_with_the_code_of_a_broken_pipe() {
    let site = Site::bare();
    let mut child = site
        .command(&["settings"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()), (Some(141), ""));
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let out = Site::bare().command(&["settings"]).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("the output can't be written") && said.lines().count() == 1, "{said}");
}
