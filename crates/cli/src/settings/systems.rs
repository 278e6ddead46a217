//! The settings of the two systems and of the siagh bridge between them, in those crates' own types.

use super::reader::Reader;
use chrono::TimeDelta;
use secrecy::SecretString;
use siagh::Constants;
use std::time::Duration;
use tandem_bridges::siagh::{CustomerCodeSource, Numbering, SiaghSettings};

/// What the siagh bridge is made of.
#[derive(Debug, Clone)]
pub struct Systems {
    /// `None` while one of `missing` is not set.
    pub crm: Option<payamgostar::Settings>,
    /// `None` while one of `missing` is not set.
    pub finance: Option<siagh::Settings>,
    pub siagh: SiaghSettings,
    /// The required names that are not set, or do not fit.
    pub missing: Vec<&'static str>,
}

impl Systems {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut missing = Vec::new();
        let (crm, finance) = (crm(reader, &mut missing), finance(reader, &mut missing));
        Self { crm, finance, siagh: bridge(reader), missing }
    }
}

fn need<T>(value: Option<T>, name: &'static str, missing: &mut Vec<&'static str>) -> Option<T> {
    if value.is_none() {
        missing.push(name);
    }
    value
}

fn crm(reader: &mut Reader<'_>, missing: &mut Vec<&'static str>) -> Option<payamgostar::Settings> {
    let base_url = need(reader.web_address("CRM_API_BASE_URL"), "CRM_API_BASE_URL", missing);
    let username = need(reader.exact("CRM_USERNAME"), "CRM_USERNAME", missing);
    let password = need(reader.secret("CRM_PASSWORD"), "CRM_PASSWORD", missing);
    let device_id = reader.word("TANDEM_CRM_DEVICE_ID");
    let platform_type = reader.number("TANDEM_CRM_PLATFORM_TYPE", 0..=u8::MAX);
    let refresh_tokens = reader.flag("TANDEM_CRM_USE_REFRESH");
    let requests_per_second = reader.number("TANDEM_CRM_REQUESTS_PER_SECOND", 0..=10_000u32);
    let max_in_flight = reader.number("TANDEM_CRM_MAX_IN_FLIGHT", 1..=64u16);
    let timeout = reader.seconds("TANDEM_HTTP_TIMEOUT_SECONDS", 1);
    let login_wait = reader.seconds("TANDEM_LOGIN_WAIT_SECONDS", 0);
    let trust = reader.trust("TANDEM_CRM_TRUST");
    let proxy = reader.web_address("TANDEM_CRM_PROXY");
    Some(payamgostar::Settings {
        platform_type,
        refresh_tokens,
        requests_per_second: (requests_per_second > 0).then_some(requests_per_second),
        max_in_flight: usize::from(max_in_flight),
        timeout,
        connect_timeout: timeout.min(Duration::from_secs(10)),
        trust,
        proxy,
        locked_wait: login_wait,
        refused_wait: login_wait,
        ..payamgostar::Settings::new(base_url?, username?, password?, device_id)
    })
}

fn finance(reader: &mut Reader<'_>, missing: &mut Vec<&'static str>) -> Option<siagh::Settings> {
    let base_url = need(reader.web_address("FINANCE_API_BASE_URL"), "FINANCE_API_BASE_URL", missing);
    let username = need(reader.exact("FINANCE_USERNAME"), "FINANCE_USERNAME", missing);
    let password = need(reader.parsed("FINANCE_PASSWORD", password_hash), "FINANCE_PASSWORD", missing);
    let constants = Constants {
        login_path: reader.path("TANDEM_SIAGH_LOGIN_PATH"),
        save_path: reader.path("TANDEM_SIAGH_SAVE_PATH"),
        contacts_path: reader.path("TANDEM_SIAGH_CONTACTS_PATH"),
        contact_form: reader.word("TANDEM_SIAGH_CONTACT_FORM_ID"),
        pre_invoice_form: reader.word("TANDEM_SIAGH_PRE_INVOICE_FORM_ID"),
        post_code: reader.word("TANDEM_SIAGH_POST_CODE"),
        longest_name: usize::from(reader.number("TANDEM_SIAGH_LONGEST_NAME", 1..=10_000u16)),
        longest_address: usize::from(reader.number("TANDEM_SIAGH_LONGEST_ADDRESS", 1..=10_000u16)),
        longest_notes: usize::from(reader.number("TANDEM_SIAGH_LONGEST_NOTES", 1..=10_000u16)),
        ..Constants::default()
    };
    let max_writes = reader.number("TANDEM_SIAGH_MAX_WRITES", 1..=16u16);
    let timeout = reader.seconds("TANDEM_HTTP_TIMEOUT_SECONDS", 1);
    let session_age = reader.seconds("TANDEM_SIAGH_SESSION_SECONDS", 1);
    let refused_wait = reader.seconds("TANDEM_LOGIN_WAIT_SECONDS", 0);
    let trust = reader.trust("TANDEM_SIAGH_TRUST");
    Some(siagh::Settings {
        max_writes: usize::from(max_writes),
        timeout,
        connect_timeout: timeout.min(Duration::from_secs(10)),
        session_age,
        refused_wait,
        trust,
        constants,
        ..siagh::Settings::new(base_url?, username?, password?)
    })
}

fn password_hash(text: &str) -> Result<SecretString, String> {
    let hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex {
        return Err(
            "has to be the MD5 of the password as 32 upper-case hex digits; `tandem hash-password` makes it".to_owned()
        );
    }
    if text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(
            "has lower-case hex digits, which Siagh refuses; `tandem hash-password` makes it in upper case".to_owned()
        );
    }
    Ok(SecretString::from(text))
}

fn bridge(reader: &mut Reader<'_>) -> SiaghSettings {
    let sources = [
        ("contact_code", CustomerCodeSource::ContactCode),
        ("account_party_code", CustomerCodeSource::AccountPartyCode),
    ];
    let poll = reader.poll_interval("POLL_INTERVAL_SECONDS");
    SiaghSettings {
        numbering: Numbering {
            prefix: reader.word("TANDEM_SIAGH_NUMBER_PREFIX"),
            offset: i64::from(reader.number("TANDEM_SIAGH_NUMBER_OFFSET", 0..=1_000_000_000u32)),
        },
        customer_code_source: reader.one_of("TANDEM_SIAGH_CUSTOMER_CODE_SOURCE", &sources),
        codecontact: reader.text("TANDEM_SIAGH_CODECONTACT").unwrap_or_default(),
        blank_overwrites: reader.flag("TANDEM_SIAGH_BLANK_OVERWRITES"),
        intermediary: reader.word("TANDEM_SIAGH_INTERMEDIARY"),
        document_type: reader.word("TANDEM_SIAGH_DOCUMENT_TYPE"),
        payment_kind: reader.word("TANDEM_SIAGH_PAYMENT_KIND"),
        sale_kind: reader.word("TANDEM_SIAGH_SALE_KIND"),
        document_state: reader.word("TANDEM_SIAGH_DOCUMENT_STATE"),
        rial_per_unit: reader.one_of("TANDEM_CRM_CURRENCY", &[("rial", 1), ("toman", 10)]),
        default_unit: reader.word("TANDEM_SIAGH_DEFAULT_UNIT"),
        quote_states: reader.numbers("TANDEM_SIAGH_QUOTE_STATES"),
        quotes_from: reader.day("TANDEM_SIAGH_QUOTES_FROM"),
        write_ref_id: reader.flag("TANDEM_SIAGH_WRITE_REF_ID"),
        stamp_property: reader.text("TANDEM_SIAGH_STAMP_PROPERTY"),
        category_key: reader.text("TANDEM_CRM_CATEGORY_KEY"),
        person_types: reader.list("TANDEM_CRM_PERSON_TYPES"),
        organization_types: reader.list("TANDEM_CRM_ORGANIZATION_TYPES"),
        quote_types: reader.list("TANDEM_CRM_QUOTE_TYPES"),
        invoice_types: reader.list("TANDEM_CRM_INVOICE_TYPES"),
        poll_every: poll,
        poll_overlap: TimeDelta::from_std(reader.seconds("TANDEM_CRM_POLL_OVERLAP_SECONDS", 0)).expect("a week fits"),
        page_size: reader.number("TANDEM_CRM_PAGE_SIZE", 1..=500u32),
        concurrency: reader.number("TANDEM_SIAGH_CONCURRENCY", 1..=64u16),
        contacts_max_age: reader.seconds("TANDEM_SIAGH_CONTACTS_CACHE_SECONDS", 0),
        list_lag: TimeDelta::from_std(reader.seconds("TANDEM_SIAGH_LIST_LAG_SECONDS", 0)).expect("a week fits"),
        vat_percent: reader.number("TANDEM_SIAGH_VAT_PERCENT", 0..=100u32),
    }
}
