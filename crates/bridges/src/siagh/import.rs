//! The initial import: Siagh's contacts -> CRM customers, once, at set-up (payamgostar sheet §5).
//!
//! A contact that the CRM knows already is linked, not skipped; a new one is created with the number that leads back
//! to its code. Either way the pair is in the ledger at once, so the CRM's webhooks about our own creates come back as
//! echoes.

use super::contact::{Agreement, agreement};
use super::customer::Customer;
use super::poll::identity_hint;
use super::sync_customer::{code, not_ours, read};
use super::{CONTACT, CUSTOMER, SiaghBridge};
use chrono::{DateTime, Utc};
use payamgostar::{AddressDraft, Identity, IdentityDraft, IdentityKind, PhoneDraft};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use siagh::{Contact, PartyKind};
use std::sync::Arc;
use tandem_core::bridge::{PlanContext, ScanFrom, ScanPage, StepContext};
use tandem_core::ledger::Sighting;
use tandem_core::plan::{Candidate, OpenIntent, Pair, Recovery, StepResult};
use tandem_core::text::non_blank;
use tandem_core::{
    Checksum, DestId, Effect, Fault, FaultClass, Fetched, Fields, LedgerRow, Plan, RecordKey, SourceRecord, State,
    Step, Verb,
};

pub const CREATE: &str = "create_identity";
pub const LINK: &str = "link_identity";

/// How many contacts one page of the import notices.
const PAGE: usize = 500;

/// One contact of the list that is being imported: as little as possible, since there may be a hundred thousand.
pub struct Listed {
    code: i64,
    checksum: Checksum,
}

/// What a create sends, as our journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Payload {
    organization: bool,
    type_code: String,
    number: String,
    code: i64,
    name: String,
    national_code: Option<String>,
    email: Option<String>,
    email2: Option<String>,
    website: Option<String>,
    description: String,
    mobiles: Vec<String>,
    telephone: Option<String>,
    address: Option<String>,
    postal_code: Option<String>,
    gender: Option<String>,
}

impl SiaghBridge {
    /// One page. The place is the last code of the page before: the list is a new one after a restart, and a contact that
    /// was removed meanwhile shifts all that follow it.
    pub(super) async fn scan_siagh(&self, from: ScanFrom<'_>) -> Result<ScanPage, Fault> {
        let mut listed = self.importing.lock().await;
        let after: Option<i64> = from.page.and_then(|page| page.parse().ok());
        if after.is_none() || listed.is_empty() {
            *listed = self.list().await?;
        }
        let at = after.map_or(0, |after| listed.partition_point(|contact| contact.code <= after));
        let page = &listed[at..(at + PAGE).min(listed.len())];
        let sightings = page.iter().map(|contact| Sighting {
            kind: CONTACT.into(),
            source_id: contact.code.to_string().into(),
            hint: None,
            checksum: Some(contact.checksum.clone()),
        });
        let (sightings, total) = (sightings.collect(), listed.len());
        let next = page.last().filter(|_| at + PAGE < total).map(|last| last.code.to_string());
        if next.is_none() {
            listed.clear();
        }
        Ok(ScanPage { sightings, next, total: Some(total as u64), ..ScanPage::default() })
    }

    /// All contacts but Siagh's own administrators, by code.
    async fn list(&self) -> Result<Vec<Listed>, Fault> {
        let mut listed = Vec::new();
        self.siagh
            .contacts_each(None, |contact| {
                if !contact.is_admin_user {
                    listed.push(Listed { code: contact.code, checksum: fields(&contact).checksum() });
                }
            })
            .await?;
        listed.sort_unstable_by_key(|contact| contact.code);
        Ok(listed)
    }

    pub(super) async fn fetch_contact(&self, row: &LedgerRow) -> Result<Fetched, Fault> {
        let id = DestId::new(row.key.source_id.as_str());
        let Some(contact) = self.contacts.contact_since(code(&id)?, row.noticed_at).await? else {
            return Ok(Fetched::Absent);
        };
        Ok(Fetched::Present(SourceRecord {
            fields: fields(&contact),
            stamp: None,
            version: None,
            hint: None,
            body: Arc::new(contact),
        }))
    }

    pub(super) async fn plan_import(&self, context: &PlanContext<'_>) -> Result<Plan, Fault> {
        let contact: &Contact = context.record.body().ok_or_else(not_ours)?;
        if contact.is_admin_user {
            return Ok(nothing(State::Ignored, "an administrator of Siagh, not a customer"));
        }
        let dest = DestId::new(contact.code.to_string());
        if let Some(customer) = context.lookups.paired_with(&context.row.key.bridge, &CUSTOMER.into(), &dest).await? {
            return Ok(nothing(
                State::Unchanged,
                format!("already paired with CRM customer {}", customer.key.source_id),
            ));
        }
        let Some(kind) = contact.kind else {
            return Ok(review("Siagh does not say whether it is a person or an organization", vec![]));
        };
        let number = self.settings.numbering.number_of(contact.code);
        let guess = if kind == PartyKind::Organization { IdentityKind::Organization } else { IdentityKind::Person };
        match self.known_to_crm(&number, guess, context.now).await?.as_slice() {
            [] => Ok(self.plan_new_identity(contact, kind, number)),
            [identity] => self.plan_link(context, contact, identity, &number).await,
            several => {
                Ok(review(format!("{} CRM customers have the number {number}", several.len()), candidates(several)))
            }
        }
    }

    /// The CRM's identities with a customer number, whatever their type: numbers are unique only within one.
    async fn known_to_crm(
        &self,
        number: &str,
        guess: IdentityKind,
        now: DateTime<Utc>,
    ) -> Result<Vec<Identity>, Fault> {
        let mut found = Vec::new();
        for id in self.numbers.ids(number, now).await? {
            let identity = self.crm.identity_of_either_kind(guess, id).await?;
            // The list may be minutes old: only what bears the number now counts.
            found.extend(identity.filter(|i| i.customer_number.as_deref().map(str::trim) == Some(number)));
        }
        Ok(found)
    }

    async fn plan_link(
        &self,
        context: &PlanContext<'_>,
        contact: &Contact,
        identity: &Identity,
        number: &str,
    ) -> Result<Plan, Fault> {
        let key = RecordKey::new(context.row.key.bridge.clone(), CUSTOMER, identity.crm_id.to_string());
        if let Some(other) = context.lookups.row(&key).await?.and_then(|row| row.dest_id) {
            return Ok(review(
                format!("CRM customer {} has the number {number} but is paired with contact {other}", identity.crm_id),
                candidates(std::slice::from_ref(identity)),
            ));
        }
        let customer = Customer::of(identity);
        if let Agreement::Differs(why) = agreement(&customer, contact, false) {
            return Ok(review(
                format!("CRM customer {} has the number {number}, but {why}", identity.crm_id),
                candidates(std::slice::from_ref(identity)),
            ));
        }
        let payload = json!({ "crm_id": identity.crm_id, "hint": identity_hint(identity.kind), "checksum": customer.fields().checksum() });
        let step = Step { name: LINK.to_owned(), verb: Verb::Update, once: false, payload, before: Value::Null };
        let summary = format!("link to CRM customer {} by its number {number}", identity.crm_id);
        Ok(Plan::Write {
            summary,
            binds: Some(identity.crm_id.to_string().into()),
            steps: vec![step],
            changes: vec![],
            notes: vec![],
            wanted: None,
        })
    }

    fn plan_new_identity(&self, contact: &Contact, kind: PartyKind, number: String) -> Plan {
        let payload = self.payload(contact, kind, number);
        let summary = format!(
            "create a CRM {} with the number {}",
            if payload.organization { "organization" } else { "person" },
            payload.number
        );
        let changes = fields(contact).changes_since(&Fields::new());
        let payload = serde_json::to_value(payload).expect("a payload holds only texts");
        let step = Step { name: CREATE.to_owned(), verb: Verb::Create, once: true, payload, before: Value::Null };
        Plan::Write { summary, binds: None, steps: vec![step], changes, notes: vec![], wanted: None }
    }

    fn payload(&self, contact: &Contact, kind: PartyKind, number: String) -> Payload {
        let text = |value: &Option<String>| value.as_deref().and_then(non_blank).map(str::to_owned);
        let organization = kind == PartyKind::Organization;
        let (types, default) = match organization {
            true => (&self.settings.organization_types, IdentityKind::Organization),
            false => (&self.settings.person_types, IdentityKind::Person),
        };
        Payload {
            organization,
            type_code: types.first().cloned().unwrap_or_else(|| default.default_type_code().to_owned()),
            number,
            code: contact.code,
            name: text(&contact.name).unwrap_or_else(|| format!("Siagh {}", contact.code)),
            national_code: text(&contact.national_code),
            email: text(&contact.email),
            email2: text(&contact.email2),
            website: text(&contact.web_site_address),
            description: text(&contact.description).unwrap_or_else(|| remark(contact.code)),
            mobiles: [&contact.mobile_no, &contact.mobile_no2].into_iter().filter_map(text).collect(),
            telephone: text(&contact.tel_no),
            address: text(&contact.address),
            postal_code: text(&contact.postal_code),
            gender: text(&contact.gender),
        }
    }

    pub(super) async fn create_identity(&self, context: &StepContext<'_>) -> StepResult {
        let payload: Payload = read(&context.step.payload)?;
        let draft = self.draft(&payload, context.stamp.as_str());
        match self.crm.create_identity(payload.kind(), &draft).await {
            Ok(id) => self.paired(&payload, id, &draft),
            Err(fault) if fault.class == FaultClass::Permanent && self.is_taken(&payload).await => {
                // Somebody has the number whom our list did not show: the next look finds them, and links or asks.
                self.numbers.forget().await;
                Err(Fault { class: FaultClass::Transient, ..fault })
            }
            Err(fault) => Err(fault),
        }
    }

    /// Whether somebody bears the number now, asked of the CRM itself: its words for "already used" differ from site to site.
    async fn is_taken(&self, payload: &Payload) -> bool {
        let found = self.crm.identities_by_customer_number(payload.kind(), &payload.type_code, &payload.number).await;
        found.is_ok_and(|identities| !identities.is_empty())
    }

    /// A link writes nothing into either system: the pair in the ledger is all of it.
    pub(super) fn link_identity(&self, context: &StepContext<'_>) -> StepResult {
        let text = |name: &str| context.step.payload.get(name).and_then(Value::as_str).map(str::to_owned);
        let crm_id = text("crm_id").ok_or_else(not_ours)?;
        let code = context.row.key.source_id.as_str();
        let pair = Pair {
            key: RecordKey::new(self.spec.id.clone(), CUSTOMER, crm_id.clone()),
            dest_id: code.into(),
            // Whether the two agree is for the customer's own plan to find out, and the CRM's values win.
            source_checksum: None,
            hint: text("hint"),
            reason: format!("linked to contact {code} by the initial import"),
        };
        Ok(Effect { dest_id: Some(crm_id.into()), pairs: vec![pair], ..Effect::default() })
    }

    fn paired(&self, payload: &Payload, id: uuid::Uuid, draft: &IdentityDraft) -> StepResult {
        let pair = Pair {
            key: RecordKey::new(self.spec.id.clone(), CUSTOMER, id.to_string()),
            dest_id: payload.code.to_string().into(),
            source_checksum: as_the_crm_will_show_it(payload.kind(), id, draft),
            hint: Some(identity_hint(payload.kind()).to_owned()),
            reason: format!("imported from contact {}", payload.code),
        };
        Ok(Effect { dest_id: Some(id.to_string().into()), pairs: vec![pair], ..Effect::default() })
    }

    /// Looks for an identity whose creation was not answered, by the number it was given: numbers are unique within a type.
    pub(super) async fn recover_identity(&self, _row: &LedgerRow, intent: &OpenIntent) -> Result<Recovery, Fault> {
        let payload: Payload = read(&intent.step.payload)?;
        // The light list is the one search that is proven to work (payamgostar sheet §2.1); it is read anew.
        self.numbers.forget().await;
        let mut found = self.known_to_crm(&payload.number, payload.kind(), intent.opened_at).await?;
        found.retain(|identity| identity.kind == payload.kind());
        Ok(match found.as_slice() {
            [] => Recovery::DidNotHappen,
            [identity] => {
                let mut effect = self.paired(&payload, identity.crm_id, &self.draft(&payload, ""))?;
                effect.notes.push("the answer was lost; the customer was found by its number".to_owned());
                Recovery::Happened(effect)
            }
            several => Recovery::CantTell {
                what_to_check: format!("{} CRM customers have the number {}; keep one", several.len(), payload.number),
            },
        })
    }

    fn draft(&self, payload: &Payload, stamp: &str) -> IdentityDraft {
        let (first, last) = match payload.organization {
            true => (None, None),
            // First word, then the rest; a single word is the last name.
            false => match payload.name.split_once(' ') {
                Some((first, last)) => (Some(first.to_owned()), Some(last.trim().to_owned())),
                None => (None, Some(payload.name.clone())),
            },
        };
        let mobiles = payload.mobiles.iter().enumerate().map(|(at, number)| PhoneDraft {
            default: at == 0,
            phone_type: "Mobile".to_owned(),
            number: number.clone(),
        });
        let office = payload.telephone.iter().map(|number| PhoneDraft {
            default: payload.mobiles.is_empty(),
            phone_type: "Office".to_owned(),
            number: number.clone(),
        });
        let address = payload.address.as_ref().map(|address| AddressDraft {
            default: true,
            address: address.clone(),
            zip_code: payload.postal_code.clone(),
            ..AddressDraft::default()
        });
        IdentityDraft {
            type_code: payload.type_code.clone(),
            ref_id: Some(payload.code.to_string()),
            customer_number: Some(payload.number.clone()),
            nick_name: Some(payload.name.clone()),
            first_name: first,
            last_name: last,
            national_code: payload.national_code.clone(),
            gender: payload.gender.clone(),
            email: payload.email.clone(),
            alternative_email: payload.email2.clone(),
            website: payload.website.clone(),
            description: Some(payload.description.clone()),
            phones: mobiles.chain(office).collect(),
            addresses: address.into_iter().collect(),
            category_keys: self.settings.category_key.iter().cloned().collect(),
            extended: self
                .settings
                .stamp_property
                .iter()
                .filter(|_| !stamp.is_empty())
                .map(|key| (key.clone(), stamp.to_owned()))
                .collect(),
            ..IdentityDraft::default()
        }
    }
}

impl Payload {
    fn kind(&self) -> IdentityKind {
        if self.organization { IdentityKind::Organization } else { IdentityKind::Person }
    }
}

const REMARK: &str = "imported from Siagh (code ";

/// What the CRM shall say of a contact that has no description of its own.
fn remark(code: i64) -> String {
    format!("{REMARK}{code})")
}

/// Our own remark is no description: it is not synced back.
pub fn is_remark(description: &str) -> bool {
    description
        .strip_prefix(REMARK)
        .and_then(|rest| rest.strip_suffix(')'))
        .is_some_and(|code| code.parse::<i64>().is_ok())
}

/// The checksum that the new identity will have when it is fetched, so that the webhook about our own create is known as
/// an echo. It is computed from what was sent and not from a second look: an edit in between would be swallowed.
fn as_the_crm_will_show_it(kind: IdentityKind, id: uuid::Uuid, draft: &IdentityDraft) -> Option<Checksum> {
    let mut body = draft.body();
    body["crmId"] = id.to_string().into();
    let identity = Identity::from_json(kind, body).ok()?;
    Some(Customer::of(&identity).fields().checksum())
}

fn fields(contact: &Contact) -> Fields {
    let kind = match contact.kind {
        Some(kind) => Fields::new().flag("organization", kind == PartyKind::Organization),
        // Said later, it is a change: the contact waits for that.
        None => Fields::new(),
    };
    kind.flag("active", contact.is_active)
        .text("name", contact.name.as_deref())
        .text("national_code", contact.national_code.as_deref())
        .text("mobile", contact.mobile_no.as_deref())
        .text("mobile2", contact.mobile_no2.as_deref())
        .text("telephone", contact.tel_no.as_deref())
        .text("email", contact.email.as_deref())
        .text("email2", contact.email2.as_deref())
        .text("website", contact.web_site_address.as_deref())
        .text("address", contact.address.as_deref())
        .text("postal_code", contact.postal_code.as_deref())
        .text("gender", contact.gender.as_deref())
        .text("description", contact.description.as_deref())
}

fn nothing(state: State, reason: impl Into<String>) -> Plan {
    Plan::Nothing { state, reason: reason.into(), binds: None, notes: vec![], wanted: None }
}

fn review(reason: impl Into<String>, candidates: Vec<Candidate>) -> Plan {
    Plan::Review { reason: reason.into(), candidates, changes: vec![] }
}

fn candidates(identities: &[Identity]) -> Vec<Candidate> {
    let named = |identity: &Identity| Candidate {
        dest_id: identity.crm_id.to_string().into(),
        what: identity.nick_name.clone().unwrap_or_else(|| "without a name".to_owned()),
    };
    identities.iter().map(named).collect()
}
