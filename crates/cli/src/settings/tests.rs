//! What the settings promise, on values only: no process is started and no environment is read.

use super::*;
use crate::settings::reader::Reader;
use secrecy::ExposeSecret;
use std::collections::BTreeSet;
use std::path::Path;
use tandem_bridges::siagh::{CustomerCodeSource, SiaghSettings};

fn places(folder: &Path, environment: &[(&str, &str)]) -> Places {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Places { config: None, folder: folder.to_owned(), environment }
}

fn load_in(folder: &Path, environment: &[(&str, &str)], needs: Needs) -> Result<Settings, Vec<String>> {
    Settings::load(&read(&places(folder, environment)), needs)
        .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
}

fn load(environment: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    load_in(tempfile::tempdir().unwrap().path(), environment, Needs::Nothing)
}

#[test]
fn every_setting_of_the_table_is_read_and_every_default_fits() {
    let raw = Raw::default();
    let mut reader = Reader::new(&raw);
    Settings::typed(&mut reader);
    assert_eq!(reader.problems, []);
    assert_eq!(reader.asked, table::all().map(|s| s.name).collect::<BTreeSet<_>>());
}

#[test]
fn the_names_and_defaults_that_others_rely_on_hold() {
    let settings = load(&[]).unwrap();
    assert_eq!(settings.systems.siagh.poll_every.unwrap().as_secs(), 300);
    assert_eq!(settings.policy.retry.max_retries, 3);
    assert_eq!(settings.policy.time_gate.num_seconds(), 10);
    assert_eq!(
        (settings.systems.siagh.numbering.prefix.as_str(), settings.systems.siagh.numbering.offset),
        ("100-", 1000)
    );
    assert_eq!(settings.systems.siagh.customer_code_source, CustomerCodeSource::ContactCode);
    assert_eq!((settings.http.ingest.port(), settings.http.webhooks), (3000, false));
    assert!(settings.broker.is_none() && settings.bridges().is_empty());
}

#[test]
fn the_environment_wins_over_dotenv_and_dotenv_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tandem.toml"), "poll_interval_seconds = 11\nmax_retry_attempts = 11\nport = 11\n[siagh]\nnumber_prefix = \"7-\"\n[crm]\nquote_types = [\"A\", \"B\"]\n").unwrap();
    std::fs::write(
        folder.path().join(".env"),
        "MAX_RETRY_ATTEMPTS=22 # remark\nPORT=\"22\"\nREDIS_HOST=localhost\nNODE_ENV=development\n",
    )
    .unwrap();
    let raw = read(&places(folder.path(), &[("PORT", "33")]));
    let settings = Settings::load(&raw, Needs::Nothing).unwrap();
    assert_eq!(
        (
            settings.systems.siagh.poll_every.unwrap().as_secs(),
            settings.policy.retry.max_retries,
            settings.http.ingest.port()
        ),
        (11, 22, 33)
    );
    assert_eq!(settings.systems.siagh.numbering.prefix, "7-");
    assert_eq!(settings.systems.siagh.quote_types, ["A", "B"]);
    assert_eq!(raw.notes.len(), 2, "the seed's names are remarked on: {:?}", raw.notes);
}

#[test]
fn an_unknown_name_is_named_with_the_one_that_was_meant() {
    let problems = load(&[("TANDEM_TIME_GATE", "5"), ("TANDEM_NONSENSE_XYZ", "1"), ("OTHER_THING", "1")]).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|p| p.starts_with("TANDEM_TIME_GATE: is no setting")), "{problems:?}");
    let close = load(&[("TANDEM_TIME_GATE_SECOND", "5")]).unwrap_err();
    assert!(close[0].contains("did you mean TANDEM_TIME_GATE_SECONDS?"), "{close:?}");
}

#[test]
fn an_unknown_name_in_the_file_is_named_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tandem.toml"), "[siagh]\nnumber_prefx = \"1\"\n").unwrap();
    let problems = load_in(folder.path(), &[], Needs::Nothing).unwrap_err();
    assert!(
        problems[0].starts_with("SIAGH_NUMBER_PREFX:") && problems[0].contains("did you mean SIAGH_NUMBER_PREFIX?"),
        "{problems:?}"
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = load(&[
        ("PORT", "70000"),
        ("POLL_INTERVAL_SECONDS", "soon"),
        ("ENABLE_WEBHOOKS", "maybe"),
        ("TANDEM_BRIDGES", "sap"),
        ("TANDEM_BIND", "here"),
    ])
    .unwrap_err();
    let names: BTreeSet<&str> = problems.iter().filter_map(|p| p.split_once(':')).map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["ENABLE_WEBHOOKS", "POLL_INTERVAL_SECONDS", "PORT", "TANDEM_BIND", "TANDEM_BRIDGES"].into_iter().collect()
    );
}

#[test]
fn a_secret_is_shown_neither_by_debug_nor_by_an_error() {
    let secrets = [
        ("DATABASE_URL", "postgres://u:s3cr3t-one@h/db"),
        ("AMQP_URL", "amqp://u:s3cr3t-two@h/%2f"),
        ("CRM_PASSWORD", "s3cr3t-three"),
        ("FINANCE_PASSWORD", "6A03CCD0C813FB03ECAD5A210C7D5A8E"),
        ("TANDEM_WEBHOOK_TOKEN", "s3cr3t-four-s3cr3t-four"),
        ("TANDEM_WEBHOOK_SIGNING_SECRET", "s3cr3t-five-s3cr3t-five"),
    ];
    let debug = format!("{:?}", load(&secrets).unwrap());
    assert!(!debug.contains("s3cr3t") && !debug.contains("6A03"), "{debug}");
    let wrong = [
        ("DATABASE_URL", "mysql://u:s3cr3t-one@h/db"),
        ("AMQP_URL", "http://u:s3cr3t-two@h/"),
        ("FINANCE_PASSWORD", "s3cr3t-not-hashed"),
        ("CRM_API_BASE_URL", "http://u:s3cr3t@crm/"),
        ("TANDEM_WEBHOOK_TOKEN", "s3cr3t/"),
        ("TANDEM_WEBHOOK_SIGNING_SECRET", "s3cr3t"),
    ];
    let problems = load(&wrong).unwrap_err();
    assert_eq!(problems.len(), wrong.len(), "{problems:?}");
    assert!(!problems.concat().contains("s3cr3t"), "{problems:?}");
}

#[test]
fn a_broken_line_of_dotenv_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "PORT=3000\nCRM_PASSWORD=s3cr3t with spaces\n").unwrap();
    let problems = load_in(folder.path(), &[], Needs::Nothing).unwrap_err();
    assert!(problems[0].contains("line 2 is no") && !problems[0].contains("s3cr3t"), "{problems:?}");
    std::fs::write(folder.path().join(".env"), "").unwrap();
    std::fs::write(folder.path().join("tandem.toml"), "[crm]\npassword = \"s3cr3t\n").unwrap();
    let problems = load_in(folder.path(), &[], Needs::Nothing).unwrap_err();
    assert!(problems[0].contains("line 2") && !problems[0].contains("s3cr3t"), "{problems:?}");
}

#[test]
fn an_empty_vhost_is_refused_with_the_way_to_write_the_default_one() {
    let problems = load(&[("AMQP_URL", "amqp://u:s3cr3t@h:5672/")]).unwrap_err();
    assert!(problems[0].ends_with("amqp://host:port/%2f") && !problems[0].contains("s3cr3t"), "{problems:?}");
    for good in ["amqp://h:5672/%2f", "amqp://h:5672", "amqps://u:p@h/tandem?heartbeat=3"] {
        assert!(load(&[("AMQP_URL", good)]).is_ok(), "{good}");
    }
}

#[test]
fn a_lower_case_hash_is_refused_with_a_hint_at_the_command_that_makes_it() {
    let problems = load(&[("FINANCE_PASSWORD", "6a03ccd0c813fb03ecad5a210c7d5a8e")]).unwrap_err();
    assert!(problems[0].contains("upper case") && problems[0].contains("tandem hash-password"), "{problems:?}");
}

#[test]
fn a_value_may_stand_in_a_file_but_not_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, " pass word \n").unwrap();
    let path = file.to_str().unwrap();
    let others = [("CRM_API_BASE_URL", "http://crm.example.test"), ("CRM_USERNAME", "u")];
    let settings = load(&[others[0], others[1], ("CRM_PASSWORD_FILE", path)]).unwrap();
    assert_eq!(settings.systems.crm.unwrap().password.expose_secret(), " pass word ");
    let problems = load(&[("CRM_PASSWORD_FILE", path), ("CRM_PASSWORD", "x")]).unwrap_err();
    assert_eq!(problems, ["CRM_PASSWORD: CRM_PASSWORD and CRM_PASSWORD_FILE are both set; keep one of them"]);
    let problems = load(&[("CRM_PASSWORD_FILE", "/does/not/exist")]).unwrap_err();
    assert_eq!(problems, ["CRM_PASSWORD_FILE: can't read /does/not/exist: there is no such file"]);
    assert!(
        load(&[("TANDEM_WEBHOOK_TOKEN_FILE", ""), ("TANDEM_WEBHOOK_TOKEN", "")]).is_ok(),
        "empty counts as not set"
    );
}

#[test]
fn what_a_command_needs_is_missed_by_name() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(load_in(folder.path(), &[], Needs::Database).unwrap_err().len(), 1);
    let missing =
        load_in(folder.path(), &[("DATABASE_URL", "sqlite://x"), ("CRM_USERNAME", "u")], Needs::Bridges).unwrap_err();
    assert_eq!(missing.len(), 5, "{missing:?}");
    assert!(missing.iter().all(|p| p.ends_with("is missing; the siagh bridge needs it")), "{missing:?}");
}

#[test]
fn half_set_webhooks_are_remarked_on() {
    assert_eq!(load(&[]).unwrap().remarks(), Vec::<String>::new());
    assert!(load(&[("ENABLE_WEBHOOKS", "true")]).unwrap().remarks()[0].contains("TANDEM_WEBHOOK_TOKEN"));
    assert!(
        load(&[("TANDEM_WEBHOOK_ALLOW_FROM", "192.0.2.1, 198.51.100.0/24")]).unwrap().remarks()[0]
            .contains("ENABLE_WEBHOOKS")
    );
}

#[test]
fn a_kubernetes_service_link_is_recognized() {
    let problems = load(&[("TANDEM_SERVICE_HOST", "10.0.0.1")]).unwrap_err();
    assert!(problems[0].contains("enableServiceLinks"), "{problems:?}");
}

/// The documents are what the table makes them. `tandem settings --env > .env.example` and
/// `tandem settings --markdown > docs/settings.md` bring them up to date.
#[test]
fn the_example_and_the_document_are_what_the_table_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (file, made) in [(".env.example", render::env_example()), ("docs/settings.md", render::markdown())] {
        let written = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        assert!(written == made, "{file} differs from the table; make it anew with `tandem settings`");
    }
}

#[test]
fn the_example_can_be_used_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = render::env_example()
        .lines()
        .map(|l| l.strip_prefix('#').filter(|l| !l.starts_with([' ', '-'])).unwrap_or(l).to_owned())
        .collect();
    std::fs::write(folder.path().join(".env"), lines.join("\n")).unwrap();
    let settings = load_in(folder.path(), &[], Needs::Database).unwrap();
    assert_eq!(settings.systems.siagh.default_unit, "عدد");
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_bridge() {
    assert_eq!(format!("{:?}", load(&[]).unwrap().systems.siagh), format!("{:?}", SiaghSettings::default()));
    assert_eq!(format!("{:?}", load(&[]).unwrap().policy), format!("{:?}", Policy::default()));
}

#[test]
fn a_log_level_that_is_none_is_refused_and_filters_are_taken() {
    for good in ["debug", "WARN", "info,tandem_engine=debug", "off"] {
        assert_eq!(load(&[("TANDEM_LOG", good)]).unwrap().process.log, good);
    }
    for bad in ["blah", "inof", "info,tandem_engine", "tandem=loud"] {
        let problems = load(&[("TANDEM_LOG", bad)]).unwrap_err();
        assert!(problems[0].starts_with("TANDEM_LOG: has to be a level"), "{problems:?}");
    }
}
