//! What differs from site to site (siagh sheet §6, payamgostar sheet §6). Defaults are the sheets'.

use super::number::Numbering;
use std::time::Duration;

/// Which of a contact's two codes a pre-invoice names its customer by (siagh sheet §5.3, open).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CustomerCodeSource {
    #[default]
    ContactCode,
    /// `AccountPartyCode`; `codecontact` then carries the contact code.
    AccountPartyCode,
}

#[derive(Debug, Clone)]
pub struct SiaghSettings {
    pub numbering: Numbering,
    pub customer_code_source: CustomerCodeSource,
    /// `codecontact` of a pre-invoice when the customer is named by contact code. Default: empty.
    pub codecontact: String,
    /// A blank in the CRM blanks the value in Siagh. Default: false, Siagh keeps what the CRM does not say.
    pub blank_overwrites: bool,
    /// `codevaseteh`, the intermediary. Default 31.
    pub intermediary: String,
    /// `codenoeesanad`, `codenoeepardakht`, `codenoeeforush`, `hssanadstate`. Defaults 2, 2, 1, 8.
    pub document_type: String,
    pub payment_kind: String,
    pub sale_kind: String,
    pub document_state: String,
    /// How many Rial one unit of the CRM's currency is: 1 (the CRM counts in Rial, the default) or 10 (in Toman). The
    /// currency is a setting of the CRM site and stands on no document (payamgostar sheet §0).
    pub rial_per_unit: u32,
    /// The unit of a line that names none. Default `عدد` (piece).
    pub default_unit: String,
    /// The states (`billableObjectStateIndex`) in which a quote may be sent. Default: empty, any state with a number.
    pub quote_states: Vec<i64>,
    /// Write the Siagh code into the CRM's `refId` after a first sync. Default false: the CRM's update replaces the whole
    /// object without a condition, and undoing a user's edit is worse than a missing number.
    pub write_ref_id: bool,
    /// The user key of the extended property that carries our transaction id in the CRM. Default: none.
    pub stamp_property: Option<String>,
    /// The category key that imported customers get. Default: none.
    pub category_key: Option<String>,
    /// CRM type codes to poll and to create under; the first person and organization type is used for creating.
    pub person_types: Vec<String>,
    pub organization_types: Vec<String>,
    pub quote_types: Vec<String>,
    pub invoice_types: Vec<String>,
    /// Documents created before this day (CRM date) are not sent. Default: none, everything is.
    pub quotes_from: Option<chrono::NaiveDate>,
    /// How often the CRM is polled (`POLL_INTERVAL_SECONDS`, default 300); `None` = only when asked.
    pub poll_every: Option<Duration>,
    /// How far each poll looks back behind its watermark. Default 10 min.
    pub poll_overlap: chrono::TimeDelta,
    /// Rows per page of a poll. Default 100.
    pub page_size: u32,
    /// How many records are worked on at once. Default 2 (siagh sheet §4.4: a fragile server).
    pub concurrency: u16,
    /// How old the list of Siagh's contacts may be when a link is looked for. Default 60 s.
    pub contacts_max_age: Duration,
    /// How long after its send a contact may be missing from Siagh's own list although it was made (siagh sheet §7.16: the
    /// list may be old). After a lost answer a contact without mobile and telephone, of which Siagh would take a second
    /// one, is made again only when it is still missing then. Default 2 min, for a save of half a minute and a list that is a
    /// minute old; zero believes the first reading.
    pub list_lag: chrono::TimeDelta,
    /// The per cent of VAT that Siagh's own sum of a document may include (siagh sheet §2.7, open; §7.12). Default 10. Only
    /// for comparing that sum with ours; VAT is never sent.
    pub vat_percent: u32,
}

impl Default for SiaghSettings {
    fn default() -> Self {
        Self {
            numbering: Numbering::default(),
            customer_code_source: CustomerCodeSource::default(),
            codecontact: String::new(),
            blank_overwrites: false,
            intermediary: "31".to_owned(),
            document_type: "2".to_owned(),
            payment_kind: "2".to_owned(),
            sale_kind: "1".to_owned(),
            document_state: "8".to_owned(),
            rial_per_unit: 1,
            default_unit: "عدد".to_owned(),
            quote_states: Vec::new(),
            write_ref_id: false,
            stamp_property: None,
            category_key: None,
            person_types: vec!["person".to_owned()],
            organization_types: vec!["organization".to_owned()],
            quote_types: vec!["Productinvoice".to_owned()],
            invoice_types: Vec::new(),
            quotes_from: None,
            poll_every: Some(Duration::from_secs(300)),
            poll_overlap: chrono::TimeDelta::minutes(10),
            page_size: 100,
            concurrency: 2,
            contacts_max_age: Duration::from_secs(60),
            list_lag: chrono::TimeDelta::minutes(2),
            vat_percent: 10,
        }
    }
}
