//! Customers: fetch, plan, apply, recover.

use super::contact::{Payload, Places};
use super::customer::{self, Customer};
use super::directory::By;
use super::link::Search;
use super::poll::identity_hint;
use super::{CUSTOMER, SiaghBridge, guid, hint, mapping};
use payamgostar::{Identity, IdentityKind};
use serde_json::{Value, json};
use siagh::{Contact, PartyKind, SaveContact};
use std::sync::Arc;
use tandem_core::bridge::{Lookups, PlanContext, StepContext};
use tandem_core::plan::{OpenIntent, Recovery, StepResult};
use tandem_core::{
    Change, Checksum, DestId, Effect, Fault, FaultClass, Fetched, LedgerRow, Plan, SourceRecord, Stamp, State, Step,
    Verb,
};

pub const CREATE: &str = "create_contact";
pub const UPDATE: &str = "update_contact";
pub const WRITE_REF_ID: &str = "write_ref_id";

impl SiaghBridge {
    pub(super) async fn fetch_customer(&self, row: &LedgerRow) -> Result<Fetched, Fault> {
        let guess = if row.hint.as_deref() == Some(hint::ORGANIZATION) {
            IdentityKind::Organization
        } else {
            IdentityKind::Person
        };
        let Some(identity) = self.crm.identity_of_either_kind(guess, guid(&row.key.source_id)?).await? else {
            return Ok(Fetched::Absent);
        };
        Ok(Fetched::Present(SourceRecord {
            fields: Customer::of(&identity).fields(),
            stamp: customer::stamp(&identity, &self.settings).map(Stamp::new),
            version: identity.modified.as_ref().map(|at| at.text.clone()),
            hint: Some(identity_hint(identity.kind).to_owned()),
            body: Arc::new(identity),
        }))
    }

    pub(super) async fn plan_customer(&self, context: &PlanContext<'_>) -> Result<Plan, Fault> {
        let identity: &Identity = context.record.body().ok_or_else(not_ours)?;
        let customer = Customer::of(identity);
        if customer.name.is_none() {
            return Ok(Plan::Dead { reason: "it has no name in the CRM, and Siagh requires one".to_owned() });
        }
        if let Some(winner) = context.row.refs.get("duplicate_of").and_then(Value::as_str) {
            let reason = format!(
                "duplicate of customer {winner}, as a person decided; what is written for it goes to that one's contact"
            );
            return Ok(Plan::Nothing { state: State::Duplicate, reason, binds: None, notes: vec![], wanted: None });
        }
        if let Some(dest_id) = &context.row.dest_id {
            let Some(contact) = self.contacts.contact(code(dest_id)?).await? else {
                let reason = if context.row.source_checksum.is_some() {
                    format!(
                        "contact {dest_id}, which it is paired with, is no longer in Siagh; decide which contact it belongs to"
                    )
                } else {
                    // A link that a person decided is stored unseen, and their code may be a wrong one.
                    format!(
                        "contact {dest_id}, which it was linked to and never was in step with, is not in Siagh; check the code and decide which contact it belongs to"
                    )
                };
                return Ok(Plan::Review { reason, candidates: vec![], changes: vec![] });
            };
            return self.plan_update(context, identity, &customer, &contact, None).await;
        }
        if context.row.refs.get("decided").and_then(Value::as_str) == Some("new") {
            return self.plan_create(context, identity, &customer).await;
        }
        match self.search(&customer, context).await? {
            Search::Nobody => self.plan_create(context, identity, &customer).await,
            Search::Same(contact) => {
                let dest_id = DestId::new(contact.code.to_string());
                self.plan_update(context, identity, &customer, &contact, Some(dest_id)).await
            }
            Search::Decide(plan) => Ok(plan),
        }
    }

    async fn plan_update(
        &self,
        context: &PlanContext<'_>,
        identity: &Identity,
        customer: &Customer,
        contact: &Contact,
        binds: Option<DestId>,
    ) -> Result<Plan, Fault> {
        let now = Payload::of(contact);
        let (places, mut notes) = self.places(context, customer).await?;
        let tmpid = self.tmpid(customer, context.row.key.source_id.as_str());
        let payload = Payload::over(customer, &places, contact, tmpid, self.settings.blank_overwrites)
            .storable(self.siagh.constants(), &mut notes);
        let mut changes = payload.changes_from(&now);
        if contact.kind.is_none() && !payload.organization {
            // Siagh did not say what it is; for an organization this is among the changes already.
            changes.insert(0, Change { field: "organization".to_owned(), old: Value::Null, new: false.into() });
        }
        let wanted = Some(self.wanted(customer, &places));
        // Also after a crash between the two steps of a create.
        let ref_id =
            self.ref_id_step(identity).filter(|_| identity.ref_id.as_deref() != Some(&contact.code.to_string()));
        if !contact.is_active {
            notes.push(format!("contact {} is inactive in Siagh and stays so", contact.code));
        }
        notes.extend(kind_change(contact, customer));
        if changes.is_empty() && ref_id.is_none() {
            let (state, reason) = match &binds {
                Some(_) => {
                    (State::Synced, format!("linked to contact {}, which already holds these values", contact.code))
                }
                None => (State::Unchanged, format!("contact {} already holds these values", contact.code)),
            };
            return Ok(Plan::Nothing { state, reason: with_notes(reason, &notes), binds, notes, wanted });
        }
        if binds.is_none() && !changes.is_empty() && only_in_finance(context, wanted.as_ref()) {
            let fields = names(&changes);
            let reason = format!(
                "changed only in finance ({fields}); the CRM's own values have not changed, so Siagh is left alone"
            );
            return Ok(Plan::Nothing { state: State::Unchanged, reason, binds: None, notes, wanted: None });
        }
        if let Some(review) = self.number_taken(context, &payload, &now).await? {
            return Ok(review);
        }
        let verb = if binds.is_some() { "link to and update" } else { "update" };
        let summary = with_notes(format!("{verb} contact {}: {}", contact.code, names(&changes)), &notes);
        let update = (!changes.is_empty()).then(|| step(UPDATE, Verb::Update, false, &payload, Value::Null));
        Ok(Plan::Write { summary, binds, steps: update.into_iter().chain(ref_id).collect(), changes, notes, wanted })
    }

    async fn plan_create(
        &self,
        context: &PlanContext<'_>,
        identity: &Identity,
        customer: &Customer,
    ) -> Result<Plan, Fault> {
        let (places, mut notes) = self.places(context, customer).await?;
        let tmpid = self.tmpid(customer, context.row.key.source_id.as_str());
        let payload = Payload::new(customer, &places, tmpid).storable(self.siagh.constants(), &mut notes);
        let changes = payload.changes_from(&Payload::default());
        let before = json!({ "highest_code": self.contacts.highest(context.now).await? });
        let mut steps = vec![step(CREATE, Verb::Create, true, &payload, before)];
        steps.extend(self.ref_id_step(identity));
        let summary = with_notes(format!("create a contact: {}", names(&changes)), &notes);
        let wanted = Some(self.wanted(customer, &places));
        Ok(Plan::Write { summary, binds: None, steps, changes, notes, wanted })
    }

    /// Writing the Siagh code into the CRM, where the site wants that.
    fn ref_id_step(&self, identity: &Identity) -> Option<Step> {
        let organization = identity.kind == IdentityKind::Organization;
        let payload = json!({ "crm_id": identity.crm_id, "organization": organization });
        let step =
            Step { name: WRITE_REF_ID.to_owned(), verb: Verb::Update, once: false, payload, before: Value::Null };
        self.settings.write_ref_id.then_some(step)
    }

    /// What the CRM, the operator's tables and the settings ask of a contact, whatever Siagh holds now.
    fn wanted(&self, customer: &Customer, places: &Places) -> Checksum {
        let asked = Payload::new(customer, places, String::new()).storable(self.siagh.constants(), &mut Vec::new());
        let text = json!({ "asked": asked, "blank_overwrites": self.settings.blank_overwrites }).to_string();
        Checksum::of_bytes(text.as_bytes())
    }

    /// A mobile or telephone that is new to this contact and belongs to another one: Siagh would refuse it.
    async fn number_taken(
        &self,
        context: &PlanContext<'_>,
        payload: &Payload,
        now: &Payload,
    ) -> Result<Option<Plan>, Fault> {
        for (by, what, new, old) in [
            (By::Mobile, "mobile", &payload.mobile, &now.mobile),
            (By::Telephone, "telephone", &payload.telephone, &now.telephone),
        ] {
            if new.is_empty() || new == old {
                continue;
            }
            let mut owners = self.contacts.codes(by, new, context.now).await?;
            owners.retain(|owner| Some(*owner) != payload.code);
            for owner in owners {
                // The index may be a minute old and keeps numbers that were given up: the owner is read again.
                let holds = self.contacts.contact(owner).await?.is_some_and(|contact| {
                    let theirs = Payload::of(&contact);
                    let theirs = if by == By::Mobile { theirs.mobile } else { theirs.telephone };
                    tandem_core::text::digits(&theirs) == tandem_core::text::digits(new)
                });
                if holds {
                    let reason = format!(
                        "its {what} already belongs to contact {owner} in Siagh, where numbers are unique; correct one of the two"
                    );
                    return Ok(Some(Plan::Review { reason, candidates: vec![], changes: payload.changes_from(now) }));
                }
            }
        }
        Ok(None)
    }

    /// Place names to codes by the operator's tables. An unknown place is no obstacle: Siagh keeps its code, and the log says so.
    async fn places(&self, context: &PlanContext<'_>, customer: &Customer) -> Result<(Places, Vec<String>), Fault> {
        let mut notes = Vec::new();
        let mut found = [None, None, None];
        let asked =
            [(mapping::CITY, &customer.city), (mapping::STATE, &customer.state), (mapping::COUNTRY, &customer.country)];
        for (slot, (typ, name)) in found.iter_mut().zip(asked) {
            let Some(name) = name else { continue };
            *slot = context.lookups.mapping(&context.row.key.bridge, typ, name).await?;
            if slot.is_none() {
                notes.push(format!("the {typ} {name:?} has no mapping and was not sent"));
            }
        }
        let [city, state, country] = found;
        Ok((Places { city, state, country }, notes))
    }

    /// The outside id that the contact carries: the derived code, or the CRM id (siagh sheet §5.2).
    fn tmpid(&self, customer: &Customer, crm_id: &str) -> String {
        let derived = customer.number.as_deref().and_then(|number| self.settings.numbering.code_of(number));
        derived.map_or_else(|| crm_id.to_owned(), |code| code.to_string())
    }

    pub(super) async fn save_contact(&self, step: &Step) -> StepResult {
        let payload: Payload = read(&step.payload)?;
        let (action, form) =
            (payload.code.map_or(SaveContact::Create, |code| SaveContact::Update { code }), payload.form());
        match self.siagh.save_contact(action, &form).await {
            Ok(saved) => {
                self.contacts.saved(saved.code, &form).await;
                let notes = [saved.warnings, saved.notes].concat();
                Ok(Effect { dest_id: Some(saved.code.to_string().into()), notes, ..Effect::default() })
            }
            Err(fault) if matches!(fault.code, "siagh.duplicate_mobile" | "siagh.duplicate_phone") => {
                // Somebody owns the number whom our list did not show. With a new list the next look finds them, and
                // links or asks.
                self.contacts.forget().await;
                Err(Fault { class: FaultClass::Transient, ..fault })
            }
            Err(fault) => Err(fault),
        }
    }

    /// Looks for a contact whose creation was not answered: exactly one that is newer than everything known before the send
    /// and bears the same mobile, telephone or national code, or the same name and kind (siagh sheet §4.2). Those that are paired
    /// with other customers are theirs.
    pub(super) async fn recover_contact(
        &self,
        row: &LedgerRow,
        intent: &OpenIntent,
        lookups: &dyn Lookups,
    ) -> Result<Recovery, Fault> {
        let sent: Payload = read(&intent.step.payload)?;
        let highest = intent.step.before.get("highest_code").and_then(Value::as_i64).unwrap_or(i64::MAX);
        let mut similar = Vec::new();
        self.siagh
            .contacts_each(None, |contact| {
                if contact.code > highest && is_what_was_sent(&sent, &Payload::of(&contact)) {
                    similar.push(contact.code);
                }
            })
            .await?;
        self.contacts.forget().await;
        let mut matches = Vec::new();
        for code in similar {
            let paired = lookups.paired_with(&row.key.bridge, &row.key.kind, &code.to_string().into()).await?;
            if paired.is_none_or(|other| other.key == row.key) {
                matches.push(code);
            }
        }
        Ok(match matches[..] {
            // A second one with the same number Siagh itself would refuse; without one only time tells a contact that was
            // not made from one that the list does not show yet.
            [] if sent.mobile.is_empty() && sent.telephone.is_empty() => {
                Recovery::NotSeen { believed_from: intent.opened_at + self.settings.list_lag }
            }
            [] => Recovery::DidNotHappen,
            [code] => Recovery::Happened(Effect {
                dest_id: Some(code.to_string().into()),
                notes: vec![format!("the answer was lost; contact {code} was found to be the one")],
                ..Effect::default()
            }),
            _ => Recovery::CantTell {
                what_to_check: format!(
                    "several new contacts look like it ({matches:?}); decide with: tandem review resolve siagh customer {} --link <code>",
                    row.key.source_id
                ),
            },
        })
    }

    /// Writes the Siagh code into the CRM's `refId`, whole object read just before (payamgostar sheet §2.8).
    pub(super) async fn write_ref_id(&self, context: &StepContext<'_>) -> StepResult {
        let Some(code) = context.row.dest_id.as_ref() else { return Ok(Effect::default()) };
        let id = guid(&context.row.key.source_id)?;
        let organization = context.step.payload.get("organization").and_then(Value::as_bool) == Some(true);
        let guess = if organization { IdentityKind::Organization } else { IdentityKind::Person };
        let Some(mut identity) = self.crm.identity_of_either_kind(guess, id).await? else {
            return Ok(Effect::default());
        };
        if identity.ref_id.as_deref() == Some(code.as_str()) {
            return Ok(Effect::default());
        }
        identity.raw["refId"] = code.as_str().into();
        if let Some(key) = &self.settings.stamp_property {
            set_extended(&mut identity.raw, key, context.stamp.as_str());
        }
        self.crm.update_identity(identity.kind, &identity.raw).await?;
        Ok(Effect { notes: vec![format!("wrote refId {code} into the CRM")], ..Effect::default() })
    }
}

fn set_extended(raw: &mut Value, key: &str, value: &str) {
    if !raw["extendedProperties"].is_array() {
        raw["extendedProperties"] = json!([]);
    }
    if let Some(rows) = raw["extendedProperties"].as_array_mut() {
        match rows.iter_mut().find(|row| row["userKey"] == key) {
            Some(row) => row["value"] = value.into(),
            None => rows.push(json!({ "userKey": key, "value": value })),
        }
    }
}

/// A look at a record of which the CRM asks what it asked when both were last in step, and of which no write is in doubt:
/// what differs was changed in Siagh.
fn only_in_finance(context: &PlanContext<'_>, wanted: Option<&Checksum>) -> bool {
    let row = context.row;
    let as_before = match &row.dest_checksum {
        Some(before) => Some(before) == wanted,
        // Paired by the import, which has never written to Siagh.
        None => row.source_checksum == Some(context.record.fields.checksum()),
    };
    as_before && row.source_checksum.is_some() && !context.uncertain && context.done.is_empty()
}

/// The warning that the sheet asks for (§5.2): in Siagh the same contact goes on under another kind.
fn kind_change(contact: &Contact, customer: &Customer) -> Option<String> {
    let named = |organization: bool| if organization { "an organization" } else { "a person" };
    let now = contact.kind? == PartyKind::Organization;
    (now != customer.is_organization()).then(|| {
        format!("contact {} is {} in Siagh and becomes {}", contact.code, named(now), named(customer.is_organization()))
    })
}

fn is_what_was_sent(sent: &Payload, found: &Payload) -> bool {
    let equal = |a: &str, b: &str| !a.is_empty() && tandem_core::text::digits(a) == tandem_core::text::digits(b);
    if found.organization != sent.organization {
        return false;
    }
    equal(&sent.mobile, &found.mobile)
        || equal(&sent.telephone, &found.telephone)
        || equal(&sent.national_code, &found.national_code)
        || tandem_core::text::normalize(&sent.name) == tandem_core::text::normalize(&found.name)
}

fn step(name: &str, verb: Verb, once: bool, payload: &Payload, before: Value) -> Step {
    let payload = serde_json::to_value(payload).expect("a payload holds only texts and flags");
    Step { name: name.to_owned(), verb, once, payload, before }
}

pub(super) fn read<T: serde::de::DeserializeOwned>(payload: &Value) -> Result<T, Fault> {
    serde_json::from_value(payload.clone()).map_err(|_| {
        Fault::permanent("siagh.bad_payload", "a journaled step of an earlier version can't be read; decide by hand")
    })
}

pub(super) fn code(dest_id: &DestId) -> Result<i64, Fault> {
    dest_id.as_str().parse().map_err(|_| {
        Fault::permanent("siagh.not_a_code", format!("{:?} is not the code of a Siagh contact", dest_id.as_str()))
    })
}

pub(super) fn not_ours() -> Fault {
    Fault::permanent("siagh.foreign_record", format!("this record was not fetched by the {CUSTOMER} bridge"))
}

fn names(changes: &[Change]) -> String {
    changes.iter().map(|c| c.field.as_str()).collect::<Vec<_>>().join(", ")
}

fn with_notes(sentence: String, notes: &[String]) -> String {
    if notes.is_empty() { sentence } else { format!("{sentence} ({})", notes.join("; ")) }
}
