//! Payamgostar CRM -> Siagh finance: customers and pre-invoices; once, at set-up, Siagh's contacts -> CRM.
//!
//! The CRM always wins: a change that was made only in finance is told and left alone, a change on both sides is
//! overwritten by the CRM's and stays in the log. Nothing is ever deleted on either side.

mod check;
mod contact;
mod customer;
mod directory;
mod fiscal_year;
mod goods;
mod import;
mod link;
mod number;
mod numbers;
mod phone;
mod poll;
mod pre_invoice;
mod quote;
mod settings;
mod sync_customer;
mod sync_quote;
mod webhook;

pub use number::Numbering;
pub use settings::{CustomerCodeSource, SiaghSettings};
pub use webhook::ROUTES;

use async_trait::async_trait;
use directory::Directory;
use fiscal_year::OpenYear;
use numbers::Numbers;
use payamgostar::PayamgostarClient;
use siagh::SiaghClient;
use tandem_core::bridge::{
    CheckLine, JobSpec, KindSpec, Lookups, PlanContext, ScanFrom, ScanPage, StepContext, WebhookCall, WebhookReading,
    WebhookSpec,
};
use tandem_core::plan::{OpenIntent, Recovery, StepResult};
use tandem_core::{Bridge, BridgeSpec, Fault, Fetched, JobId, Lane, LedgerRow, Plan, SourceId, Trigger};
use tokio::sync::Mutex;
use uuid::Uuid;

/// The bridge's name.
pub const SIAGH: &str = "siagh";
/// A CRM person or organization -> a Siagh contact.
pub const CUSTOMER: &str = "customer";
/// A CRM quote or sales invoice -> a Siagh pre-invoice.
pub const PRE_INVOICE: &str = "pre_invoice";
/// A Siagh contact -> a CRM person or organization: the initial import.
pub const CONTACT: &str = "contact";

/// Notices what changed in the CRM since the last time.
pub const POLL: &str = "poll";
/// Notices every customer and document of the CRM.
pub const SWEEP: &str = "sweep";
/// Notices every contact of Siagh.
pub const IMPORT: &str = "import";

/// The value types of `tandem mapping`.
pub mod mapping {
    pub const GOODS: &str = "goods";
    pub const UNIT: &str = "unit";
    pub const SALE_MODEL: &str = "sale_model";
    pub const SALES_CENTRE: &str = "sales_centre";
    pub const DOCUMENT_NAME: &str = "document_name";
    pub const CITY: &str = "city";
    pub const STATE: &str = "state";
    pub const COUNTRY: &str = "country";
    pub const ALL: &[&str] = &[GOODS, UNIT, SALE_MODEL, SALES_CENTRE, DOCUMENT_NAME, CITY, STATE, COUNTRY];
}

/// What a record is within its kind.
pub mod hint {
    pub const PERSON: &str = "person";
    pub const ORGANIZATION: &str = "organization";
    pub const QUOTE: &str = "quote";
    pub const INVOICE: &str = "invoice";
}

pub struct SiaghBridge {
    spec: BridgeSpec,
    settings: SiaghSettings,
    crm: PayamgostarClient,
    siagh: SiaghClient,
    contacts: Directory,
    numbers: Numbers,
    open_year: OpenYear,
    /// What an import has still to page through: codes and checksums of all contacts.
    importing: Mutex<Vec<import::Listed>>,
}

impl SiaghBridge {
    pub fn new(settings: SiaghSettings, crm: PayamgostarClient, siagh: SiaghClient) -> Self {
        let contacts = Directory::new(siagh.clone(), settings.contacts_max_age);
        let numbers = Numbers::new(crm.clone());
        let open_year = OpenYear::new(siagh.clone());
        Self { spec: spec(&settings), contacts, numbers, open_year, settings, crm, siagh, importing: Mutex::default() }
    }
}

fn spec(settings: &SiaghSettings) -> BridgeSpec {
    let kind = |id: &str, mappings| KindSpec { id: id.into(), mappings };
    let job = |id: &str, trigger, every| JobSpec { id: id.into(), trigger, every, lane: Lane::Bulk };
    BridgeSpec {
        id: SIAGH.into(),
        kinds: vec![
            kind(CUSTOMER, &[mapping::CITY, mapping::STATE, mapping::COUNTRY]),
            kind(
                PRE_INVOICE,
                &[mapping::GOODS, mapping::UNIT, mapping::SALE_MODEL, mapping::SALES_CENTRE, mapping::DOCUMENT_NAME],
            ),
            kind(CONTACT, &[]),
        ],
        jobs: vec![
            job(POLL, Trigger::Poll, settings.poll_every),
            job(SWEEP, Trigger::Reconcile, None),
            job(IMPORT, Trigger::Import, None),
        ],
        webhooks: Some(WebhookSpec { system: "crm", routes: webhook::ROUTES }),
        concurrency: settings.concurrency,
    }
}

/// A CRM id. The ledger holds whatever an operator typed, so it may be none.
fn guid(id: &SourceId) -> Result<Uuid, Fault> {
    Uuid::try_parse(id.as_str()).map_err(|_| {
        Fault::permanent(
            "siagh.not_a_guid",
            format!("{:?} is not the id of a CRM record; those are GUIDs", id.as_str()),
        )
    })
}

#[async_trait]
impl Bridge for SiaghBridge {
    fn spec(&self) -> &BridgeSpec {
        &self.spec
    }

    fn read_webhook(&self, call: &WebhookCall<'_>) -> WebhookReading {
        webhook::read(call)
    }

    async fn fetch(&self, row: &LedgerRow) -> Result<Fetched, Fault> {
        match row.key.kind.as_str() {
            CUSTOMER => self.fetch_customer(row).await,
            PRE_INVOICE => self.fetch_quote(row).await,
            CONTACT => self.fetch_contact(row).await,
            _ => Err(unknown_kind(row)),
        }
    }

    async fn plan_absent(&self, row: &LedgerRow, _lookups: &dyn Lookups) -> Result<Plan, Fault> {
        // A webhook can arrive before its object is readable (payamgostar sheet §7.13): a record that was never seen gets
        // another look or two before its absence is believed.
        if row.seen_checksum.is_none() && row.dest_id.is_none() && row.attempts < 2 && row.trigger == Trigger::Webhook {
            return Err(Fault::transient("siagh.not_readable_yet", "the CRM does not show this record (yet)"));
        }
        let reason = match (&row.dest_id, row.key.kind.as_str()) {
            (Some(code), CUSTOMER) => format!("the CRM no longer has it; contact {code} stays in Siagh as it is"),
            (Some(code), PRE_INVOICE) => {
                format!("the CRM no longer has it; pre-invoice {code} stays in Siagh as it is")
            }
            (_, CONTACT) => "Siagh has no such contact".to_owned(),
            _ => "the CRM has no such record; there is nothing to do".to_owned(),
        };
        Ok(Plan::Nothing { state: tandem_core::State::Unchanged, reason, binds: None, notes: vec![], wanted: None })
    }

    async fn plan(&self, context: PlanContext<'_>) -> Result<Plan, Fault> {
        match context.row.key.kind.as_str() {
            CUSTOMER => self.plan_customer(&context).await,
            PRE_INVOICE => self.plan_quote(&context).await,
            CONTACT => self.plan_import(&context).await,
            _ => Err(unknown_kind(context.row)),
        }
    }

    async fn apply(&self, context: StepContext<'_>) -> StepResult {
        match context.step.name.as_str() {
            sync_customer::CREATE | sync_customer::UPDATE => self.save_contact(context.step).await,
            sync_customer::WRITE_REF_ID => self.write_ref_id(&context).await,
            pre_invoice::CREATE => self.send_pre_invoice(&context).await,
            import::CREATE => self.create_identity(&context).await,
            import::LINK => self.link_identity(&context),
            other => Err(Fault::permanent("siagh.unknown_step", format!("there is no step {other:?}"))),
        }
    }

    async fn recover(&self, row: &LedgerRow, intent: &OpenIntent, lookups: &dyn Lookups) -> Result<Recovery, Fault> {
        match intent.step.name.as_str() {
            sync_customer::CREATE => self.recover_contact(row, intent, lookups).await,
            import::CREATE => self.recover_identity(row, intent).await,
            _ => Ok(Recovery::CantTell { what_to_check: pre_invoice::what_to_check(row, &intent.step) }),
        }
    }

    async fn scan(&self, job: &JobId, from: ScanFrom<'_>, lookups: &dyn Lookups) -> Result<ScanPage, Fault> {
        match job.as_str() {
            POLL => self.scan_crm(from, false, lookups).await,
            SWEEP => self.scan_crm(from, true, lookups).await,
            IMPORT => self.scan_siagh(from).await,
            other => Err(Fault::permanent("siagh.unknown_job", format!("there is no job {other:?}"))),
        }
    }

    async fn probe(&self) -> Result<(), Fault> {
        self.crm.probe().await?;
        self.siagh.probe().await
    }

    async fn check(&self) -> Vec<CheckLine> {
        self.check_systems().await
    }
}

fn unknown_kind(row: &LedgerRow) -> Fault {
    Fault::permanent("siagh.unknown_kind", format!("the siagh bridge has no kind {:?}", row.key.kind.as_str()))
}
