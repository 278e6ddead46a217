//! The single list of settings. Parsing, `.env.example`, `docs/settings.md` and `tandem settings` all come from it.

/// One setting, under its name in the environment.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    /// What holds when it is not set, as somebody would write it. `None`: nothing, and the help says what that means.
    pub default: Option<&'static str>,
    /// Never shown, logged or repeated in an error.
    pub secret: bool,
    /// For `.env.example`. Given only where there is no default.
    pub example: &'static str,
    pub help: &'static str,
}

/// Settings that belong together.
#[derive(Debug)]
pub struct Group {
    pub title: &'static str,
    pub settings: &'static [Setting],
}

const fn with(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default: Some(default), secret: false, example: "", help }
}

const fn unset(name: &'static str, example: &'static str, help: &'static str) -> Setting {
    Setting { name, default: None, secret: false, example, help }
}

const fn secret(name: &'static str, example: &'static str, help: &'static str) -> Setting {
    Setting { name, default: None, secret: true, example, help }
}

/// Every setting, in the order in which people read them.
pub const TABLE: &[Group] = &[
    Group { title: "Database and broker", settings: DATABASE },
    Group { title: "CRM (Payamgostar)", settings: CRM },
    Group { title: "Finance (Siagh)", settings: FINANCE },
    Group { title: "What is kept in step, and how patiently", settings: SYNC },
    Group { title: "Webhooks and ports", settings: HTTP },
    Group { title: "Log, retention, process", settings: PROCESS },
];

const DATABASE: &[Setting] = &[
    secret(
        "DATABASE_URL",
        "postgres://tandem:change-me@localhost:5432/tandem",
        "Tandem's own database: `postgres://user:password@host:port/name` or `sqlite://path/to/file`. Required. On SQLite `tandem up` migrates at its start; on Postgres `tandem migrate` is a step of its own.",
    ),
    with("TANDEM_DATABASE_CONNECTIONS", "10", "The most connections that one process holds open."),
    with(
        "TANDEM_DATABASE_ACQUIRE_TIMEOUT_SECONDS",
        "5",
        "How long a request waits for a free connection before the database counts as away.",
    ),
    secret(
        "AMQP_URL",
        "amqp://tandem:change-me@localhost:5672/%2f",
        "RabbitMQ: `amqp://` or `amqps://`. Not set: embedded lanes, for one process (`tandem up`), or one `tandem worker` beside any number of `tandem ingest`: two would each write as many records at once as the destination bears.",
    ),
    with(
        "TANDEM_AMQP_PREFIX",
        "tandem",
        "How the names of our exchanges and queues begin: letters, digits, `-`, `_`, `.`; two installations on one broker need two.",
    ),
];

const CRM: &[Setting] = &[
    unset("CRM_API_BASE_URL", "http://crm.example.test", "Scheme, host and port of the CRM, without `/api`."),
    unset(
        "CRM_USERNAME",
        "svc-sync",
        "A CRM user of its own, exempt from one-time codes and from the limit of sessions.",
    ),
    secret("CRM_PASSWORD", "", "Its password, in plain text."),
    with("TANDEM_CRM_DEVICE_ID", "tandem", "The device name sent at login; one per installation."),
    with(
        "TANDEM_CRM_PLATFORM_TYPE",
        "1",
        "The platform number sent at login: 0 Android, 1 iOS, 2 Web, 3 Windows, 4 Linux.",
    ),
    with(
        "TANDEM_CRM_USE_REFRESH",
        "false",
        "Renew the session by its refresh token instead of a new login. The CRM documents no refresh; a refusal falls back to a login.",
    ),
    with(
        "TANDEM_CRM_REQUESTS_PER_SECOND",
        "5",
        "Calls started per second, averaged; 0 = no limit. The CRM names no limit of its own.",
    ),
    with("TANDEM_CRM_MAX_IN_FLIGHT", "4", "Calls under way at the same time."),
    with("TANDEM_CRM_PAGE_SIZE", "100", "Rows per page when lists are read, 1 to 500."),
    with(
        "TANDEM_CRM_POLL_OVERLAP_SECONDS",
        "600",
        "How far each poll reaches back before the last one. Covers a CRM clock that runs behind and records saved while the last poll read.",
    ),
    with(
        "TANDEM_CRM_PERSON_TYPES",
        "person",
        "Type codes of persons, comma separated; the first is used when a person is made by the import.",
    ),
    with(
        "TANDEM_CRM_ORGANIZATION_TYPES",
        "organization",
        "Type codes of organizations, comma separated; the first is used when one is made by the import.",
    ),
    with(
        "TANDEM_CRM_QUOTE_TYPES",
        "Productinvoice",
        "Type codes of the quotes to poll, comma separated. `Productinvoice` is the built-in type; sites add their own, such as `PI_5`.",
    ),
    unset(
        "TANDEM_CRM_INVOICE_TYPES",
        "",
        "Type codes of sales invoices that are pushed as quotes are, comma separated. Not set: none.",
    ),
    with(
        "TANDEM_CRM_TRUST",
        "system",
        "Whose TLS certificates the CRM may show: `system`, the path of a PEM file with your own authority, or `any` (only where nobody else can answer).",
    ),
    unset("TANDEM_CRM_PROXY", "", "A forward proxy for calls to the CRM, `http://host:port`. Not set: straight."),
    with(
        "TANDEM_CRM_CURRENCY",
        "rial",
        "What the CRM counts in: `rial` or `toman`. It is a setting of the CRM site and stands on no document; Siagh counts in Rial.",
    ),
    unset(
        "TANDEM_CRM_CATEGORY_KEY",
        "",
        "Key of the category that imported customers get; it must exist in the CRM. Not set: no category is sent.",
    ),
];

const FINANCE: &[Setting] = &[
    unset("FINANCE_API_BASE_URL", "http://finance.example.test", "Scheme, host and port of Siagh."),
    unset(
        "FINANCE_USERNAME",
        "",
        "The Siagh user, letter by letter as Siagh spells it (mind the Persian letter forms and trailing spaces).",
    ),
    secret(
        "FINANCE_PASSWORD",
        "",
        "MD5 of the password as 32 upper-case hex digits; `tandem hash-password` makes it. It lets in like the password itself: keep it as safe.",
    ),
    with(
        "TANDEM_SIAGH_CUSTOMER_CODE_SOURCE",
        "contact_code",
        "Which code of a customer stands on a pre-invoice: `contact_code` or `account_party_code`. Sites differ; ask before the first push.",
    ),
    with("TANDEM_SIAGH_NUMBER_PREFIX", "100-", "How CRM customer numbers begin."),
    with("TANDEM_SIAGH_NUMBER_OFFSET", "1000", "CRM customer number = prefix + (Siagh code + this)."),
    unset(
        "TANDEM_SIAGH_QUOTE_STATES",
        "",
        "State numbers of quotes that may be pushed, comma separated. Not set: any state, once the quote has a number.",
    ),
    unset(
        "TANDEM_SIAGH_QUOTES_FROM",
        "2026-03-21",
        "Quotes dated before this day (their own date, else the day they were entered) are not pushed. Not set: all are.",
    ),
    with(
        "TANDEM_SIAGH_BLANK_OVERWRITES",
        "false",
        "Does an empty CRM field empty Siagh's field? By default Siagh keeps its value.",
    ),
    with(
        "TANDEM_SIAGH_WRITE_REF_ID",
        "false",
        "Write the Siagh code into the CRM's `refId` after a first sync. Off: the CRM replaces the whole object on update, and undoing somebody's edit is worse than a missing number.",
    ),
    unset(
        "TANDEM_SIAGH_STAMP_PROPERTY",
        "",
        "Key of an extended property in the CRM that carries the mark of our own writes. Not set: no mark is left there.",
    ),
    unset(
        "TANDEM_SIAGH_CODECONTACT",
        "",
        "What a pre-invoice carries as `codecontact`. Not set: empty, or the contact's code when the customer's code is `account_party_code`.",
    ),
    with("TANDEM_SIAGH_INTERMEDIARY", "31", "What a pre-invoice carries as `codevaseteh`."),
    with("TANDEM_SIAGH_DOCUMENT_TYPE", "2", "What a pre-invoice carries as `codenoeesanad`; 2 = sales pre-invoice."),
    with("TANDEM_SIAGH_DOCUMENT_STATE", "8", "What a pre-invoice carries as `hssanadstate`."),
    with("TANDEM_SIAGH_PAYMENT_KIND", "2", "What a pre-invoice carries as `codenoeepardakht`; 1 = cash, 2 = cheque."),
    with("TANDEM_SIAGH_SALE_KIND", "1", "What a pre-invoice carries as `codenoeeforush`; 1 = unofficial."),
    with(
        "TANDEM_SIAGH_VAT_PERCENT",
        "10",
        "The VAT that Siagh's own sum of a pre-invoice may include, in per cent, 0 to 100; the sum is compared with ours, and VAT itself is never sent.",
    ),
    with("TANDEM_SIAGH_DEFAULT_UNIT", "عدد", "The unit of a line whose product has none in the CRM."),
    with("TANDEM_SIAGH_CONTACT_FORM_ID", "2BFDA", "Form id of a contact; differs between installations."),
    with("TANDEM_SIAGH_PRE_INVOICE_FORM_ID", "43D81", "Form id of a sales pre-invoice; differs between installations."),
    with("TANDEM_SIAGH_POST_CODE", "1110", "The constant `postCode` of every save."),
    with("TANDEM_SIAGH_LOGIN_PATH", "/GeneralApi/LoginUser", "Path of the login call."),
    with("TANDEM_SIAGH_SAVE_PATH", "/BpmsApi/SaveFormData", "Path of the call that saves a form."),
    with("TANDEM_SIAGH_CONTACTS_PATH", "/api/Sgh/GEN/Gn_Web_Users/GetAll", "Path of the call that lists all contacts."),
    with(
        "TANDEM_SIAGH_CONTACTS_CACHE_SECONDS",
        "60",
        "How long one reading of the contact list is used; 0 = read it anew each time.",
    ),
    with(
        "TANDEM_SIAGH_LIST_LAG_SECONDS",
        "120",
        "After a lost answer: so long after the send a new contact without mobile and telephone may still be missing from Siagh's list; only then it counts as not made and is made again. 0 = at the first look.",
    ),
    with("TANDEM_SIAGH_MAX_WRITES", "2", "Saves that one process has under way at the same time, 1 to 16."),
    with(
        "TANDEM_SIAGH_CONCURRENCY",
        "2",
        "Records worked on at the same time, over all copies of the worker, 1 to 64.",
    ),
    with(
        "TANDEM_SIAGH_SESSION_SECONDS",
        "3600",
        "A session older than this is replaced before use; the fiscal year is told at login.",
    ),
    with(
        "TANDEM_SIAGH_LONGEST_NAME",
        "200",
        "Names longer than this are cut, with a remark in the log; so are the next two.",
    ),
    with("TANDEM_SIAGH_LONGEST_ADDRESS", "500", "The longest address, in characters."),
    with("TANDEM_SIAGH_LONGEST_NOTES", "500", "The longest notes, in characters."),
    with("TANDEM_SIAGH_TRUST", "system", "Whose TLS certificates Siagh may show; as TANDEM_CRM_TRUST."),
];

const SYNC: &[Setting] = &[
    unset("TANDEM_BRIDGES", "siagh", "The bridges to run, comma separated. Not set: those whose settings are present."),
    with("POLL_INTERVAL_SECONDS", "300", "How often the CRM is asked for changes, 1 to 604800; 0 = only when asked."),
    with(
        "MAX_RETRY_ATTEMPTS",
        "3",
        "How often a record that failed in a way that may pass is tried again before it is DEAD, 0 to 100.",
    ),
    with("TANDEM_RETRY_BASE_SECONDS", "30", "The wait before the first retry; each further one is four times as long."),
    with("TANDEM_RETRY_CAP_SECONDS", "21600", "No wait between retries is longer."),
    with(
        "TANDEM_TIME_GATE_SECONDS",
        "10",
        "A change seen sooner than this after our own write of the same record waits until then; it is never dropped. 0 = no wait.",
    ),
    with("TANDEM_LEASE_SECONDS", "45", "After a crash a record is free for others when this has passed; at least 5."),
    with("TANDEM_IN_DOUBT_WAIT_SECONDS", "10", "How long after a lost answer its effect is looked for."),
    with(
        "TANDEM_CIRCUIT_AFTER_FAULTS",
        "5",
        "So many time-outs and server errors in a row, with no record going through between them, count as the destination being away.",
    ),
    with(
        "TANDEM_CIRCUIT_FIRST_SECONDS",
        "15",
        "When a destination is away, its first probe comes after this; the wait doubles with each that fails.",
    ),
    with("TANDEM_CIRCUIT_LONGEST_SECONDS", "300", "No wait between probes is longer."),
    with("TANDEM_HTTP_TIMEOUT_SECONDS", "30", "How long a call to one of the systems may take."),
    with(
        "TANDEM_LOGIN_WAIT_SECONDS",
        "900",
        "After one of the systems refused a login, none is tried there for so long: repeated failures lock the user.",
    ),
];

const HTTP: &[Setting] = &[
    with(
        "ENABLE_WEBHOOKS",
        "false",
        "Take webhooks. Needs TANDEM_WEBHOOK_TOKEN or TANDEM_WEBHOOK_ALLOW_FROM as well; with neither, webhooks stay off and the start says so.",
    ),
    secret(
        "TANDEM_WEBHOOK_TOKEN",
        "",
        "The secret last segment of the webhook addresses, at least 16 letters, digits, `-` or `_`. Several, comma separated, while one is being replaced.",
    ),
    unset(
        "TANDEM_WEBHOOK_ALLOW_FROM",
        "192.0.2.10,198.51.100.0/24",
        "Addresses or networks that may call without the token, comma separated.",
    ),
    unset(
        "TANDEM_WEBHOOK_TRUSTED_PROXIES",
        "",
        "Addresses or networks of reverse proxies whose `X-Forwarded-For` is believed, comma separated. Not set: the caller's own address counts.",
    ),
    secret(
        "TANDEM_WEBHOOK_SIGNING_SECRET",
        "",
        "Secret of the signed JSON intake, at least 16 characters. Several, comma separated, while one is being replaced. Not set: that intake is off.",
    ),
    with(
        "TANDEM_WEBHOOK_CALLS_PER_SECOND",
        "50000",
        "Calls that one address may make with the token, from the allow-list, or signed; 0 = no limit.",
    ),
    with(
        "TANDEM_WEBHOOK_STRANGERS_PER_SECOND",
        "200",
        "Calls that one address may make without being let in; 0 = no limit.",
    ),
    with(
        "TANDEM_WEBHOOK_CROWD",
        "16",
        "So many calls without an answer at once are a crowd: they are stored at once and entered into the ledger a little later; 0 = always.",
    ),
    with("PORT", "3000", "The port of `ingest` and `up`: webhooks, /health, /ready, /metrics."),
    with("TANDEM_WORKER_PORT", "3001", "The port of `worker`: /health, /ready, /metrics."),
    with("TANDEM_BIND", "0.0.0.0", "The address that both listen on."),
];

const PROCESS: &[Setting] = &[
    unset(
        "TANDEM_CONFIG",
        "tandem.toml",
        "A settings file in TOML. Not set: `tandem.toml` in the current folder, if there is one. Read from the environment only; `--config` wins.",
    ),
    unset("TANDEM_INSTANCE", "", "The name of this process in leases and in the log. Not set: the host's name."),
    with(
        "TANDEM_LOG",
        "info",
        "What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), or a filter such as `info,tandem_engine=debug`.",
    ),
    with("TANDEM_LOG_FORMAT", "text", "`text` for people, `json` for collectors."),
    with(
        "TANDEM_GRACE_SECONDS",
        "20",
        "On a stop, how long records in work may take to finish before they are released.",
    ),
    with("TANDEM_LOG_RETENTION_DAYS", "400", "How long the sync log is kept, at least 1."),
    with("TANDEM_INBOX_RETENTION_DAYS", "14", "How long received webhooks are kept, at least 1."),
    with("TANDEM_RUNS_RETENTION_DAYS", "90", "How long the list of runs is kept, at least 1."),
];

/// Names that belong to the test suite and are no settings of the program.
pub const OF_THE_TESTS: &[&str] = &["TANDEM_TEST_", "TANDEM_TESTBED_", "TANDEM_CRASH_AT"];

/// Names in a seed system's `.env` that Tandem has no use for: exact names and beginnings.
pub const WITHOUT_MEANING: &[&str] = &["NODE_ENV", "REDIS_"];

/// Every setting without its group.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().flat_map(|group| group.settings)
}

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_name_stands_twice_and_no_secret_has_a_default() {
        let names: BTreeSet<&str> = all().map(|s| s.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(all().all(|s| !(s.secret && s.default.is_some())));
    }

    #[test]
    fn a_spelling_in_the_file_means_one_setting_only() {
        for setting in all() {
            if let Some(short) = setting.name.strip_prefix("TANDEM_") {
                assert!(find(short).is_none(), "{short} and {} could not be told apart in tandem.toml", setting.name);
            }
        }
    }

    #[test]
    fn no_name_ends_like_a_file_reference() {
        assert!(all().all(|s| !s.name.ends_with("_FILE")));
    }
}
