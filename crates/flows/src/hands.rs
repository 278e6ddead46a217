//! What people do in both systems, what comes in from them, and what an operator decides.

use crate::{Line, World, siagh_id};
use serde_json::{Value, json};
use tandem_bridges::siagh::{IMPORT, POLL};
use tandem_core::bridge::{WebhookCall, WebhookReading};
use tandem_core::{Actor, Bridge, Lane, Notice, RecordKey, Trigger};
use tandem_engine::{Engine, ScanError, ScanSummary};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::Contact;
use tandem_store::{Mapping, Resolution, Resolved};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The people in both systems.
impl World {
    /// A user of the CRM creates a person or an organization; nothing is noticed.
    pub fn create(&self, kind: Kind, fields: &Value) -> Uuid {
        let id = self.crm.create(kind, fields).expect("the CRM takes it");
        self.known().identities.insert(id);
        id
    }

    /// The same, and the CRM's webhook arrives.
    pub async fn created(&self, kind: Kind, fields: &Value) -> Uuid {
        let id = self.create(kind, fields);
        self.tell_customer("Insert", id).await;
        id
    }

    /// A user of the CRM changes a customer, and the webhook arrives.
    pub async fn edited(&self, id: Uuid, fields: &Value) {
        self.crm.edit(id, fields).expect("the CRM takes it");
        self.tell_customer("Update", id).await;
    }

    /// A contact that Siagh has had since before.
    pub fn contact(&self, contact: Contact) -> i64 {
        let code = self.finance.seed_contact(contact);
        self.known().contacts.insert(code);
        code
    }

    /// A user of the CRM writes a quote for a customer; it has no number yet and nothing is noticed.
    pub fn draft(&self, customer: Uuid, lines: &[Line], more: Value) -> Uuid {
        let details: Vec<&Value> = lines.iter().map(|line| &line.0).collect();
        let fields = json!({ "identityId": customer, "subject": "سفارش نمونه", "details": details });
        let id = self.crm.create(Kind::Quote, &crate::with(fields, more)).expect("the CRM takes the quote");
        self.known().quotes.insert(id);
        id
    }

    /// A numbered quote, and its webhook arrives.
    pub async fn quoted(&self, customer: Uuid, lines: &[Line]) -> Uuid {
        self.quoted_with(customer, lines, json!({})).await
    }

    pub async fn quoted_with(&self, customer: Uuid, lines: &[Line], more: Value) -> Uuid {
        let id = self.draft(customer, lines, more);
        self.crm.number(id).expect("the CRM numbers it");
        self.tell_quote("Insert", id).await;
        id
    }

    /// A user of the CRM changes a quote, and the webhook arrives.
    pub async fn requoted(&self, id: Uuid, fields: &Value) {
        self.crm.edit(id, fields).expect("the CRM takes it");
        self.tell_quote("Update", id).await;
    }

    /// The record may differ from now on, and the checker shall not complain.
    pub fn excuse(&self, key: &RecordKey) {
        self.known().excused.insert(key.clone());
    }
}

/// What comes in.
impl World {
    pub async fn tell_customer(&self, event: &str, id: Uuid) {
        self.webhook("identity", event, id, "Identity", "مخاطب").await;
    }

    pub async fn tell_quote(&self, event: &str, id: Uuid) {
        self.webhook("quote", event, id, "Quote", "پیش فاکتور فروش").await;
    }

    /// What ingest does with a call from the CRM.
    pub async fn webhook(&self, route: &str, event: &str, id: Uuid, kind: &str, label: &str) {
        let id = id.to_string();
        let call = WebhookCall { route, event: Some(event), id: Some(&id), kind: Some(kind), label: Some(label) };
        match self.bridge.read_webhook(&call) {
            WebhookReading::Record { kind, source_id, hint } => {
                let key = RecordKey { bridge: siagh_id(), kind, source_id };
                self.notice(&key, hint, Trigger::Webhook, Lane::Live).await;
            }
            other => panic!("the webhook was not understood: {other:?}"),
        }
    }

    pub async fn notice(&self, key: &RecordKey, hint: Option<String>, trigger: Trigger, lane: Lane) {
        self.known().noticed.insert(key.clone());
        let notice = Notice { key: key.clone(), hint, trigger, actor: Actor::new("crm"), lane };
        self.store.notice(&[notice], self.now()).await.expect("the ledger takes the notice");
    }

    /// An operator says: sync it now.
    pub async fn sync(&self, key: &RecordKey) {
        self.notice(key, None, Trigger::Manual, Lane::Live).await;
    }

    /// Runs a scan to its end.
    pub async fn scan(&self, job: &str) -> Result<Option<ScanSummary>, ScanError> {
        scan(&self.engine, job).await
    }

    pub async fn poll(&self) -> ScanSummary {
        self.scan(POLL).await.expect("the poll works").expect("nobody else polls")
    }

    pub async fn import(&self) -> ScanSummary {
        self.scan(IMPORT).await.expect("the import works").expect("nobody else imports")
    }

    /// An operator sets a value mapping.
    pub async fn map(&self, typ: &str, source: &str, target: &str) {
        let mapping = Mapping { typ: typ.into(), source: source.into(), target: target.into(), note: None };
        let actor = Actor::new("op");
        self.store.set_mappings(&siagh_id(), &[mapping], &actor, self.now()).await.expect("the mapping is kept");
    }

    /// An operator decides.
    pub async fn resolve(&self, key: &RecordKey, resolution: Resolution) -> Resolved {
        let actor = Actor::new("op");
        self.store.resolve(key, &resolution, &actor, self.now()).await.expect("the decision is kept")
    }
}

/// Runs a scan of one engine to its end.
pub async fn scan(engine: &Engine, job: &str) -> Result<Option<ScanSummary>, ScanError> {
    engine.scan(&siagh_id(), &job.into(), true, None, &CancellationToken::new(), &mut |_| {}).await
}
