//! Wrong settings stop every command with one line each, and no secret is ever repeated.

mod common;

use common::Site;

#[test]
fn an_unknown_name_stops_the_start_and_the_right_one_is_suggested() {
    let ran = Site::bare().with("TANDEM_TIME_GATE_SECOND", "3").run(&["status"]).fails_with(2);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(
        lines.contains(&"error: TANDEM_TIME_GATE_SECOND: is no setting; did you mean TANDEM_TIME_GATE_SECONDS?"),
        "{}",
        ran.err
    );
    assert!(lines.iter().any(|line| line.starts_with("error: DATABASE_URL: is missing")), "{}", ran.err);
    assert_eq!(lines.len(), 2, "{}", ran.err);
}

#[test]
fn a_service_names_each_missing_setting() {
    let site = Site::bare();
    let url = site.database_url();
    let ran = site.with("DATABASE_URL", &url).with("CRM_USERNAME", "svc").run(&["up"]).fails_with(2);
    let names: Vec<&str> = ran
        .err
        .lines()
        .filter_map(|line| line.strip_prefix("error: ")?.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        ["CRM_API_BASE_URL", "CRM_PASSWORD", "FINANCE_API_BASE_URL", "FINANCE_USERNAME", "FINANCE_PASSWORD"]
    );
}

#[test]
fn a_value_and_its_file_at_once_are_refused() {
    let site = Site::bare();
    site.write("password", "s3cr3t\n");
    let path = site.path("password").display().to_string();
    let ran = site.with("CRM_PASSWORD", "s3cr3t").with("CRM_PASSWORD_FILE", &path).run(&["settings"]).fails_with(2);
    assert!(ran.err.contains("CRM_PASSWORD and CRM_PASSWORD_FILE are both set"), "{}", ran.err);
    assert!(!ran.err.contains("s3cr3t") && !ran.out.contains("s3cr3t"), "{}{}", ran.out, ran.err);
}

#[test]
fn secrets_are_echoed_neither_by_the_listing_nor_by_an_error() {
    let site = Site::bare()
        .with("DATABASE_URL", "postgres://u:s3cr3t-a@127.0.0.1:1/db")
        .with("AMQP_URL", "amqp://u:s3cr3t-b@127.0.0.1:1/%2f")
        .with("CRM_PASSWORD", "s3cr3t-c")
        .with("TANDEM_WEBHOOK_TOKEN", "s3cr3t-d-s3cr3t-d")
        .with("TANDEM_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "1");
    for args in [&["settings"][..], &["settings", "--json"], &["status"], &["migrate"], &["webhooks", "urls"]] {
        let ran = site.run(args);
        assert!(!ran.err.contains("s3cr3t") && !ran.out.contains("s3cr3t"), "{args:?}: {}{}", ran.out, ran.err);
    }
    let down = site.run(&["status"]).fails_with(1);
    assert_eq!(down.err.lines().count(), 1, "{}", down.err);
    assert!(down.err.contains("(no connection to 127.0.0.1:1: "), "{}", down.err);
    assert!(down.err.contains("refused"), "the cause, and not only that the time is up: {}", down.err);
    let wrong = Site::bare()
        .with("FINANCE_PASSWORD", "s3cr3t-e")
        .with("DATABASE_URL", "oracle://u:s3cr3t-f@h")
        .run(&["status"])
        .fails_with(2);
    assert!(!wrong.err.contains("s3cr3t"), "{}", wrong.err);
}

#[test]
fn the_seeds_env_works_as_it_is() {
    let site = Site::bare();
    site.write(
        ".env",
        concat!(
            "# ====\nDATABASE_URL=\"postgresql://siagh_user:siagh_pass@localhost:5432/siagh_sync\"\nREDIS_HOST=\"localhost\"\nREDIS_PORT=6379\n",
            "CRM_API_BASE_URL=\"https://crm.example.test\"\nCRM_USERNAME=\"your-username\"\nCRM_PASSWORD=\"your-password\"\n",
            "FINANCE_API_BASE_URL=\"http://192.0.2.15\"\nFINANCE_USERNAME=\"کاربر نمونه\"\nFINANCE_PASSWORD=\"6A03CCD0C813FB03ECAD5A210C7D5A8E\"\n",
            "POLL_INTERVAL_SECONDS=300   # every 5 minutes\nMAX_RETRY_ATTEMPTS=3\nENABLE_WEBHOOKS=false\nPORT=3000\nNODE_ENV=development\n",
        ),
    );
    let ran = site.run(&["settings", "--json"]).ok();
    let all = ran.json();
    assert_eq!(all["FINANCE_USERNAME"]["value"], "کاربر نمونه");
    assert_eq!(all["CRM_PASSWORD"]["value"], "(secret)");
    assert_eq!(all["POLL_INTERVAL_SECONDS"]["value"], "300");
    let notes = site.run(&["settings"]).ok().out;
    assert_eq!(notes.lines().filter(|line| line.contains("has no meaning for Tandem")).count(), 3, "{notes}");
}

#[test]
fn a_line_of_env_that_is_none_is_named_by_its_number_and_never_repeated() {
    for wrong in ["CRM_PASSWORD=s3cr3t with s3cr3t", "CRM_PASSWORD='s3cr3t", "s3cr3t"] {
        let site = Site::bare();
        site.write(".env", &format!("# s3cr3t with s3cr3t\n\nCRM_USERNAME=\"a\nb\"\n{wrong}\nPORT=3000\n"));
        let ran = site.run(&["settings"]).fails_with(2);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(ran.err.contains(".env: line 5 is no NAME=value"), "{wrong:?}: {}", ran.err);
        assert!(!ran.err.contains("s3cr3t") && !ran.out.contains("s3cr3t"), "{}{}", ran.out, ran.err);
    }
}

#[test]
fn a_name_in_env_that_is_nearly_a_setting_is_warned_of_and_the_environment_is_nobody_elses_business() {
    let site = Site::bare().with("CRM_PASWORD", "x");
    let names = "CRM_USERNAM=svc\nFINANCE_PASWORD_FILE=/x\nSIAGH_NUMBER_PREFIX=7-\nPOSTGRES_PASSWORD=x\nHOST=x\n";
    site.write(".env", names);
    let ran = site.run(&["settings"]).ok();
    let warned: Vec<&str> = ran.err.lines().filter(|line| line.contains("did you mean")).collect();
    assert_eq!((warned.len(), ran.err.lines().count()), (3, 3), "{}", ran.err);
    for (line, meant) in warned.iter().zip(["CRM_USERNAME", "FINANCE_PASSWORD_FILE", "TANDEM_SIAGH_NUMBER_PREFIX"]) {
        assert!(line.contains("WARN") && line.contains(&format!("did you mean {meant}?")), "{line}");
    }
    let service = site.run(&["status"]).fails_with(2);
    assert!(service.err.contains("DATABASE_URL: is missing"), "{}", service.err);
}

#[test]
fn of_a_file_that_cannot_be_read_nothing_is_said_to_be_missing() {
    let site = Site::bare();
    std::fs::create_dir(site.path(".env")).unwrap();
    let ran = site.run(&["status"]).fails_with(2);
    assert!(ran.err.contains(".env: can't be read") && ran.err.lines().count() == 1, "{}", ran.err);
    let site = Site::bare().with("DATABASE_URL_FILE", "/does/not/exist");
    let ran = site.run(&["status"]).fails_with(2);
    assert!(ran.err.contains("DATABASE_URL_FILE: can't read"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
}

#[test]
fn a_file_is_named_by_option_or_environment_and_has_to_be_there() {
    let site = Site::bare();
    site.write("other.toml", "port = 4711\n[siagh]\ncustomer_code_source = \"account_party_code\"\n");
    let by_option = site.run(&["settings", "--json", "--config", "other.toml"]).ok().json();
    assert_eq!(by_option["PORT"]["value"], "4711");
    assert_eq!(by_option["TANDEM_SIAGH_CUSTOMER_CODE_SOURCE"]["value"], "account_party_code");
    let site = site.with("TANDEM_CONFIG", "other.toml");
    assert_eq!(site.run(&["settings", "--json"]).ok().json()["PORT"]["value"], "4711");
    let missing = site.run(&["settings", "--config", "missing.toml"]).fails_with(2);
    assert!(missing.err.contains("missing.toml: can't be read: there is no such file"), "{}", missing.err);
}
