//! The commands that call the two systems, on the real binary against the simulators over HTTP.

mod common;
mod world;

use common::Site;
use serde_json::{Value, json};
use std::process::Stdio;
use tandem_simulators::company::Company;
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::Table;
use uuid::Uuid;
use world::{Service, World};

#[test]
fn check_finds_both_systems_good_and_says_when_one_is_away() {
    let world = World::with(3);
    let good = world.site.run(&["check", "--json"]).ok().json();
    assert!(good.as_array().unwrap().iter().all(|line| line["ok"] == json!(true)), "{good}");
    let lines =
        |checked: &Value| checked.as_array().unwrap().iter().map(|l| l["detail"].to_string()).collect::<String>();
    assert!(lines(&good).contains("goods 0, unit 0, sale_model 0, sales_centre 0"), "{good}");
    assert!(lines(&good).contains("no pre-invoice can be sent while nothing is set for goods, sale_model,"), "{good}");
    let mappings =
        |checked: &Value| checked.as_array().unwrap().iter().find(|l| l["what"] == "siagh: value mappings").cloned();
    assert_eq!(mappings(&good).unwrap()["verdict"], "todo", "{good}");
    let table = world.site.run(&["check"]).ok().out;
    assert!(table.lines().any(|line| line.trim_start().starts_with("TODO") && line.contains("goods 0")), "{table}");
    for typ in ["goods", "sale_model", "sales_centre"] {
        world.site.run(&["mapping", "set", "siagh", typ, "A", "1"]).ok();
    }
    let filled = world.site.run(&["check", "--json"]).ok().json();
    assert!(lines(&filled).contains("goods 1, ") && !lines(&filled).contains("no pre-invoice"), "{filled}");
    assert_eq!(mappings(&filled).unwrap()["verdict"], "ok", "{filled}");
    world.runtime.block_on(world.siagh.stop());
    let away = world.site.run(&["check", "--json"]).fails_with(1).json();
    assert!(away.as_array().unwrap().iter().any(|line| line["ok"] == json!(false)), "{away}");
}

/// The one line of `tandem check` that failed: what it is about, and what was found.
#[track_caller]
fn the_only_failure(site: &Site) -> (String, String) {
    let checked = site.run(&["check", "--json"]).fails_with(1).json();
    let failed: Vec<&Value> = checked.as_array().unwrap().iter().filter(|line| line["ok"] == json!(false)).collect();
    let [line] = failed[..] else { panic!("one line should have failed: {checked}") };
    (line["what"].as_str().unwrap().to_owned(), line["detail"].as_str().unwrap().to_owned())
}

#[test]
fn check_says_whose_credentials_are_refused_and_never_what_they_are() {
    let (crm, finance) = ("CRM (Payamgostar): log in and read", "finance (Siagh): log in");
    let hash = "0123456789ABCDEF0123456789ABCDEF";
    for (name, value, system) in [("CRM_PASSWORD", "not-the-password", crm), ("FINANCE_PASSWORD", hash, finance)] {
        let mut world = World::with(1);
        world.site = world.site.with(name, value);
        let (what, detail) = the_only_failure(&world.site);
        assert_eq!(what, system);
        assert!(detail.contains("refuse") && !detail.contains(value), "{detail}");
        let table = world.site.run(&["check"]).fails_with(1);
        let row = table.out.lines().find(|line| line.contains(system)).unwrap();
        assert!(row.trim_start().starts_with("FAILED"), "{}", table.out);
        assert!(!table.out.contains(value) && !table.err.contains(value), "{} {}", table.out, table.err);
    }
}

#[test]
fn check_says_that_the_crm_is_away() {
    let world = World::with(1);
    world.runtime.block_on(world.crm.stop());
    let (what, detail) = the_only_failure(&world.site);
    assert_eq!(what, "CRM (Payamgostar): log in and read");
    assert!(detail.contains("connect"), "{detail}");
}

#[test]
fn check_says_that_the_broker_is_away_and_never_its_password() {
    let mut world = World::with(1);
    world.site = world.site.with("AMQP_URL", "amqp://tandem:not-the-password@127.0.0.1:1/%2f");
    let (what, detail) = the_only_failure(&world.site);
    assert_eq!(what, "broker");
    assert!(!detail.is_empty() && !detail.contains("not-the-password"), "{detail}");
}

#[cfg(unix)]
#[test]
fn the_log_says_that_webhooks_are_off_and_what_would_switch_them_on() {
    for (enabled, name) in [("false", "ENABLE_WEBHOOKS is not true"), ("true", "neither TANDEM_WEBHOOK_TOKEN nor")] {
        let mut world = World::with(0);
        world.site = world.site.with("ENABLE_WEBHOOKS", enabled);
        let log = Service::start_logging(&world.site, "up").log_after_its_end();
        let said = log.lines().find(|line| line.contains("webhooks are off")).unwrap_or_else(|| panic!("{log}"));
        assert!(said.contains(name) && said.contains("found by the pollers alone"), "{said}");
    }
    let mut world = World::with(0);
    world.site = world.site.with("ENABLE_WEBHOOKS", "true").with("TANDEM_WEBHOOK_TOKEN", "abcdefghijklmnop");
    let log = Service::start_logging(&world.site, "up").log_after_its_end();
    assert!(!log.contains("webhooks are off") && !log.contains("abcdefghijklmnop"), "{log}");
}

#[test]
fn one_record_is_planned_then_synced_exactly_as_shown() {
    let world = World::with(0);
    let id = world.person("علی", "09000000077").to_string();
    let planned = world.site.run(&["plan", "siagh", "customer", &id, "--json"]).ok().json();
    assert_eq!(planned["plan"]["decision"], "write");
    assert_eq!(world.siagh.admin().contact_count(), 0, "a plan writes nothing");
    let fingerprint = planned["fingerprint"].as_str().unwrap();

    let other = world.site.run(&["sync", "siagh", "customer", &id, "--expect", "0000"]).fails_with(1);
    assert!(other.out.contains("the plan is another one by now"), "{}", other.out);
    assert!(other.out.contains(&format!("fingerprint {fingerprint}")), "what would be done now: {}", other.out);
    let told = world.site.run(&["sync", "siagh", "customer", &id, "--expect", "0000", "--json"]).fails_with(1).json();
    assert_eq!((&told[0]["state"], told[0]["now"]["fingerprint"].as_str()), (&json!(null), Some(fingerprint)));
    assert_eq!(world.siagh.admin().contact_count(), 0);
    let status = world.site.run(&["status", "--json"]).ok().json();
    assert_eq!(status["bridges"], json!({}), "nothing was noticed");

    let done = world.site.run(&["sync", "siagh", "customer", &id, "--expect", fingerprint, "--json"]).ok().json();
    assert_eq!(done[0]["state"], "SYNCED");
    assert_eq!(world.siagh.admin().contact_count(), 1);
    let again = world.site.run(&["sync", "siagh", "customer", &id]).ok();
    assert!(again.out.contains("UNCHANGED"), "{}", again.out);
}

#[test]
fn a_record_that_the_source_does_not_have_is_one_clear_line() {
    let world = World::with(0);
    let nobody = "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001";
    for (command, id, word) in
        [("sync", "no-guid", "GUID"), ("sync", nobody, "has no record"), ("plan", nobody, "has no record")]
    {
        let ran = world.site.run(&[command, "siagh", "customer", id]).fails_with(1);
        assert!(ran.err.contains(word) && ran.err.lines().count() == 1, "{}", ran.err);
    }
    let status = world.site.run(&["status", "--json"]).ok().json();
    assert_eq!(status["bridges"], json!({}), "a typing error makes no record of the ledger");
}

#[test]
fn a_run_with_wait_ends_with_everything_settled_although_no_worker_is_there() {
    let world = World::with(0);
    for n in 0..7 {
        world.person(&format!("نفر{n}"), &format!("0900000000{n}"));
    }
    let ran = world.site.run(&["run", "siagh", "poll", "--wait", "--json"]).ok().json();
    assert_eq!((&ran["seen"], &ran["worked"]["SYNCED"], &ran["finished"]), (&json!(7), &json!(7), &json!(true)));
    assert_eq!(ran["status"]["open"], json!(0));
    assert_eq!(world.siagh.admin().contact_count(), 7);
    let again = world.site.run(&["run", "siagh", "--wait", "--json"]).ok().json();
    assert_eq!(again["noticed"], json!(0));
}

#[test]
fn a_quote_draws_in_its_customer_and_waits_for_its_mappings() {
    let world = World::with(0);
    world.siagh.admin().set_table(Table::SaleModels, ["5"]);
    world.siagh.admin().set_table(Table::SalesCentres, ["5"]);
    let customer = world.person("مریم", "09000000088");
    let materials = Company::generate(1, 10);
    for product in &materials.products {
        world.siagh.admin().add_good(product.good.clone());
    }
    let crm = world.crm.admin();
    let quote = crm.create(Kind::Quote, &materials.quotes[0].fields(customer)).unwrap();
    crm.number(quote).unwrap();
    let id = quote.to_string();

    world.site.run(&["sync", "siagh", "pre_invoice", &id]).fails_with(1);
    assert_eq!(world.state_of("customer", customer), "SYNCED", "the customer was drawn in");
    assert_eq!(world.state_of("pre_invoice", quote), "NEEDS_MAPPING");

    let mut csv = "type,source,target,note\n".to_owned();
    for product in &materials.products {
        csv += &format!(
            "goods,{},{},\nunit,{unit},{unit},\n",
            product.product_code,
            product.good.code,
            unit = product.good.unit
        );
    }
    csv += "sale_model,PI_5,5,\nsales_centre,PI_5,5,\ndocument_name,PI_5,پیش فاکتور فروش نمونه,\n";
    world.site.run_with_input(&["mapping", "import", "siagh", "-"], csv.as_bytes()).ok();
    let synced = world.site.run(&["sync", "siagh", "pre_invoice", &id, "--json"]).ok().json();
    assert_eq!(synced[0]["state"], "SYNCED");
    assert_eq!(world.siagh.admin().document_count(), 1);
    world.site.run(&["sync", "siagh", "pre_invoice", &id]).ok();
    assert_eq!(world.siagh.admin().document_count(), 1, "never a second document");
}

#[test]
fn an_import_is_counted_first_then_done_and_harmless_when_done_twice() {
    let world = World::with(30);
    let planned = world.site.run(&["import", "siagh", "--plan", "--json"]).ok().json();
    assert_eq!(world.crm.admin().identity_count(), 0, "a plan writes nothing");
    let users = world.company.contacts.iter().filter(|contact| !contact.is_admin_user).count();
    assert_eq!(planned["complete"], json!(true));
    assert_eq!(
        planned["plan"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(),
        planned["seen"].as_u64().unwrap()
    );
    let one_word = |key: &String| key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    assert!(planned["plan"].as_object().unwrap().keys().all(one_word), "{planned}");

    let first = world.site.run(&["import", "siagh", "--json"]).ok().json();
    assert_eq!(first["finished"], json!(true), "{first}");
    assert_eq!(world.crm.admin().identity_count(), users);
    world.site.run(&["import", "siagh"]).ok();
    assert_eq!(world.crm.admin().identity_count(), users, "what exists is linked, not made again");
    assert_eq!(world.siagh.admin().contact_count(), 30);
}

#[test]
fn all_of_a_kind_are_looked_at_again() {
    let world = World::with(0);
    let ids: Vec<Uuid> = (0..3).map(|n| world.person(&format!("نفر{n}"), &format!("0900000001{n}"))).collect();
    let ran = world.site.run(&["sync", "siagh", "customer", "--all", "--json"]).ok().json();
    assert_eq!(ran["worked"]["SYNCED"], json!(3), "{ran}");
    let ran = world.site.run(&["sync", "siagh", "customer", "--all", "--json"]).ok().json();
    assert_eq!(ran["worked"]["UNCHANGED"], json!(3), "{ran}");
    assert_eq!(world.state_of("customer", ids[0]), "UNCHANGED");
}

#[test]
fn a_destination_that_stays_away_is_not_waited_for_longer_than_the_patience() {
    let world = World::with(0);
    world.person("نفر", "09000000001");
    let World { runtime, siagh, site, .. } = world;
    runtime.block_on(siagh.stop());
    let ran = site.run(&["run", "siagh", "--wait", "--patience", "2s", "--json"]).fails_with(1).json();
    assert_eq!((&ran["finished"], &ran["status"]["open"]), (&json!(false), &json!(1)));
    assert_eq!(ran["status"]["circuits"][0]["bridge"], "siagh");
    assert!(site.run(&["circuit", "list"]).ok().out.contains("siagh"));
    assert_eq!(site.run(&["circuit", "close", "siagh", "--json"]).ok().json(), json!({ "closed": true }));
    assert_eq!(site.run(&["circuit", "close", "siagh", "--json"]).ok().json(), json!({ "closed": false }));
}

#[test]
fn a_run_that_leaves_a_dead_record_fails() {
    let mut world = World::with(0);
    let refused = world.person("نفر", "09000000001");
    world.site = world.site.with("TANDEM_SIAGH_CONTACT_FORM_ID", "FFFFF");
    let ran = world.site.run(&["run", "siagh", "--wait", "--json"]).fails_with(1).json();
    assert_eq!((&ran["worked"], &ran["finished"]), (&json!({ "DEAD": 1 }), &json!(true)));
    assert_eq!(world.state_of("customer", refused), "DEAD");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let world = World::with(0);
    for n in 0..200 {
        world.person(&format!("نفر{n}"), &format!("09000000{n:03}"));
    }
    let run =
        world.site.command(&["run", "siagh", "--wait"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    world.runtime.block_on(world.siagh.admin().until(|siagh| siagh.contact_count() > 2));
    std::process::Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    let ended = run.wait_with_output().unwrap();
    let out = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{out}");
    assert!(out.contains("`tandem run siagh poll --wait`"), "{out}");
    let rest = world.site.run(&["run", "siagh", "--wait", "--json"]).ok().json();
    assert_eq!(rest["status"]["bridges"]["siagh"]["customer"]["SYNCED"], json!(200), "{rest}");
    assert_eq!(world.siagh.admin().contact_count(), 200);
}

#[test]
fn jobs_are_listed_and_switched_once_they_are_known() {
    let world = World::with(0);
    world.site.run(&["schedule", "disable", "siagh", "poll"]).fails_with(1);
    world.site.run(&["schedule", "run", "siagh", "poll"]).ok();
    for wrong in ["1s", "9999d", "604801s"] {
        let ran = world.site.run(&["schedule", "set", "siagh", "poll", "--every", wrong]).fails_with(2);
        assert_eq!(ran.err, "error: --every has to be from 5 to 604800 seconds (7d)\n");
    }
    world.site.run(&["schedule", "set", "siagh", "poll", "--every", "7d"]).ok();
    world.site.run(&["schedule", "set", "siagh", "poll", "--every", "2m"]).ok();
    world.site.run(&["schedule", "disable", "siagh", "poll"]).ok();
    let listed = world.site.run(&["schedule", "list", "--json"]).ok().json();
    let poll = listed["jobs"].as_array().unwrap().iter().find(|job| job["job"] == "poll").unwrap().clone();
    assert_eq!((&poll["enabled"], &poll["every_seconds"]), (&json!(false), &json!(120)));
    assert_eq!(listed["runs"][0]["status"], "DONE");
}

#[cfg(unix)]
#[test]
fn a_second_worker_on_one_sqlite_file_is_refused_and_a_second_ingest_is_not() {
    let world = World::with(0);
    let up = Service::start(&world.site, "up");
    for second in ["up", "worker"] {
        let ran = world.site.run(&[second]).fails_with(1);
        assert!(ran.err.lines().any(|line| line.contains("only one `tandem up` or `tandem worker`")), "{}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
    assert!(Service::start(&world.site, "ingest").ends_in_order());
    assert!(up.ends_in_order());
    assert!(Service::start(&world.site, "worker").ends_in_order(), "free again");
}

#[cfg(unix)]
#[test]
fn a_service_logs_how_it_started_and_why_it_ended_and_libraries_are_silent() {
    for role in ["ingest", "worker", "up"] {
        let world = World::with(0);
        let log = Service::start_logging(&world.site, role).log_after_its_end();
        let of = |what: &str| {
            let lines: Vec<&str> = log.lines().filter(|line| line.contains(what)).collect();
            let [line] = lines[..] else { panic!("{role}, {what}: {log}") };
            line
        };
        let (first, last) = (of("tandem has started"), of("tandem has stopped"));
        for part in [role, env!("CARGO_PKG_VERSION"), "bridges=\"siagh\"", "\"sqlite\"", "\"embedded\""] {
            assert!(first.contains(part), "{part}: {first}");
        }
        assert!(last.contains("why=\"SIGTERM\"") && last.contains("drained_s="), "{last}");
        assert!(!["actix", "sea_orm", "sqlx"].iter().any(|library| log.contains(library)), "{log}");
    }
}

#[cfg(unix)]
#[test]
fn up_syncs_by_itself_answers_health_and_ends_in_order_on_a_signal() {
    let world = World::with(0);
    world.person("سارا", "09000000099");
    let up = Service::start(&world.site, "up");
    assert!(world.site.run(&["health", "--url", &up.url]).ok().out.contains("healthy"));
    world.site.run(&["health", "--url", &format!("{}/ready", up.url)]).ok();
    world.runtime.block_on(world.siagh.admin().until(|siagh| siagh.contact_count() == 1));
    assert!(up.ends_in_order());
    let status = world.site.run(&["status", "--json"]).ok().json();
    assert_eq!(status["leased"], json!(0), "{status}");
}
