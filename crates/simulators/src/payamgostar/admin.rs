//! The hand of the administrator and of the CRM's users, inside the process.
//!
//! "Seeding" puts data there silently; everything else is done as a user would and fires webhooks.

use super::{
    crm::{Crm, Site},
    error::Refusal,
    kind::{Kind, TypeSeed, Webhook},
    save::{Announce, Unsent},
    settings::Settings,
    webhooks::Delivery,
};
use crate::{
    Handle,
    stage::control::{Refused, merged},
};
use serde_json::{Map, Value};
use std::{ops::Deref, sync::Arc};
use uuid::Uuid;

/// A handle on a running simulator; clones act on the same one.
#[derive(Clone)]
pub struct Admin(pub(super) Arc<Site>);

impl Deref for Admin {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0.handle
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::Error { status: 404, .. } => Self::missing("the object"),
            _ => Self::bad(refusal.line()),
        }
    }
}

/// Objects are described as JSON with the members of the API; anything the API would refuse is refused here too.
fn members(fields: &Value) -> Result<&Map<String, Value>, Refused> {
    fields.as_object().ok_or_else(|| Refused::bad("an object is described by a JSON object"))
}

fn with_default_type(kind: Kind, fields: &Value) -> Result<Map<String, Value>, Refused> {
    let mut fields = members(fields)?.clone();
    if !fields.contains_key("crmObjectTypeCode") {
        let code = match kind {
            Kind::Person => "person",
            Kind::Organization => "organization",
            Kind::Quote => "PI_5",
            Kind::Invoice => "SalesInvoice",
        };
        fields.insert("crmObjectTypeCode".to_owned(), code.into());
    }
    Ok(fields)
}

/// Users, types and settings.
impl Admin {
    /// Adds a user, or gives a known one another password and lifts its lock.
    pub fn add_user(&self, name: &str, password: &str) {
        self.0.with(|crm| crm.sessions.add_user(name, password));
    }

    /// Adds or replaces an item type.
    pub fn add_type(&self, seed: TypeSeed) -> Result<(), Refused> {
        self.0.with(|crm| crm.add_type(seed))
    }

    /// Gives a type another display name, which webhooks send as `subtype`.
    pub fn rename_type(&self, code: &str, label: &str) -> Result<(), Refused> {
        self.change_type(code, |seed| seed.label = label.to_owned())
    }

    /// Where a type reports to; none turns its webhooks off. Refused: an address that is not `http://` or carries `?`.
    pub fn set_webhook(&self, code: &str, webhook: Option<Webhook>) -> Result<(), Refused> {
        if webhook
            .as_ref()
            .is_some_and(|webhook| !webhook.address.starts_with("http://") || webhook.address.contains('?'))
        {
            return Err(Refused::bad("a webhook address starts with http:// and has no ?"));
        }
        self.change_type(code, |seed| seed.webhook = webhook)
    }

    fn change_type(&self, code: &str, change: impl FnOnce(&mut TypeSeed)) -> Result<(), Refused> {
        self.0.with(|crm| {
            let item = crm.store.types.get_mut(code).ok_or_else(|| Refused::missing(format_args!("type {code}")))?;
            change(&mut item.seed);
            Ok(())
        })
    }

    /// All types as they are now.
    pub fn types(&self) -> Vec<TypeSeed> {
        self.0.look(|crm| crm.store.types.values().map(|item| item.seed.clone()).collect())
    }

    /// Makes a category key known; creates with an unknown one are refused.
    pub fn add_category(&self, key: &str, name: &str) {
        self.0.with(|crm| crm.store.categories.insert(key.to_owned(), name.to_owned()));
    }

    /// Makes a country, state or city known; unknown ones are dropped from addresses.
    pub fn add_place(&self, name: &str) {
        self.0.with(|crm| crm.store.places.insert(name.to_owned()));
    }

    pub fn settings(&self) -> Settings {
        (*self.0.look(Crm::settings)).clone()
    }

    /// Changes switches while the simulator runs.
    pub fn set_settings(&self, settings: Settings) {
        self.0.with(|crm| crm.set_settings(settings));
    }

    pub(super) fn merge_settings(&self, change: &Value) -> Result<Settings, Refused> {
        let settings = merged(&self.settings(), change)?;
        self.set_settings(settings.clone());
        Ok(settings)
    }
}

/// Objects.
impl Admin {
    /// Puts an object there without a webhook. Members are those of the API; `crmId` may be given, and
    /// `crmObjectTypeCode` defaults to `person`, `organization`, `PI_5` or `SalesInvoice`.
    pub fn seed(&self, kind: Kind, fields: &Value) -> Result<Uuid, Refused> {
        let fields = with_default_type(kind, fields)?;
        self.0.with(|crm| {
            crm.accept_ids = true;
            let seeded = crm.create(kind, &fields, Announce::No);
            crm.accept_ids = false;
            Ok(seeded?)
        })
    }

    /// Creates an object as a user would: fires Insert.
    pub fn create(&self, kind: Kind, fields: &Value) -> Result<Uuid, Refused> {
        let fields = with_default_type(kind, fields)?;
        self.0.with(|crm| Ok(crm.create(kind, &fields, Announce::Yes)?))
    }

    /// Changes only the given members, as a user would: bumps the modify date and fires Update. Numbers
    /// (`customerNumber`, `number`) can be edited this way too; `null` clears a member.
    pub fn edit(&self, id: Uuid, fields: &Value) -> Result<(), Refused> {
        let fields = members(fields)?;
        self.0.with(|crm| {
            let kind = crm.store.get(id).ok_or_else(Refusal::not_found)?.kind;
            Ok(crm.update(kind, id, fields, Unsent::Keep, Announce::Yes)?)
        })
    }

    /// Saves an object without a change: a new modify date and an Update.
    pub fn touch(&self, id: Uuid) -> Result<(), Refused> {
        self.0.with(|crm| Ok(crm.alter(id, Announce::Yes, |_| {})?))
    }

    /// Removes an object: fires Delete.
    pub fn delete(&self, id: Uuid) -> Result<(), Refused> {
        self.0.with(|crm| Ok(crm.delete(None, id, Announce::Yes)?))
    }

    /// Person↔organization: same id, other endpoint. Returns the new kind.
    pub fn convert(&self, id: Uuid) -> Result<Kind, Refused> {
        self.0.with(|crm| Ok(crm.convert(id)?))
    }

    /// Gives an object the next number of its type, unless it has one, and returns its number.
    pub fn number(&self, id: Uuid) -> Result<String, Refused> {
        self.0.with(|crm| Ok(crm.make_numbered(id)?))
    }

    /// Sets the state of a quote or invoice: 1 pending, 2 approved, 3 rejected.
    pub fn set_state(&self, id: Uuid, state: u8) -> Result<(), Refused> {
        self.0.with(|crm| Ok(crm.alter(id, Announce::Yes, |object| object.state = state)?))
    }

    /// Makes an identity a lead, or no longer one; quotes for leads are refused.
    pub fn set_lead(&self, id: Uuid, lead: bool) -> Result<(), Refused> {
        self.0
            .with(|crm| crm.store.change(id, |object| object.lead = lead).ok_or_else(|| Refused::missing("the object")))
    }

    /// An object as the API shows it, with its kind.
    pub fn object(&self, id: Uuid) -> Option<(Kind, Value)> {
        self.0.look(|crm| crm.store.get(id).map(|object| (object.kind, crm.json(object))))
    }

    /// Every object of a kind as the API shows it, in the order of creation.
    pub fn all(&self, kind: Kind) -> Vec<Value> {
        self.0.look(|crm| crm.all(kind))
    }

    /// Persons and organizations as the API shows them.
    pub fn identities(&self) -> Vec<Value> {
        self.0.look(|crm| [crm.all(Kind::Person), crm.all(Kind::Organization)].concat())
    }

    /// Quotes as the API shows them.
    pub fn quotes(&self) -> Vec<Value> {
        self.all(Kind::Quote)
    }

    /// How many persons and organizations there are.
    pub fn identity_count(&self) -> usize {
        self.0.look(|crm| crm.store.identities().len())
    }
}

/// Deliveries and sessions; calls, faults, time and maintenance are in [`Handle`].
impl Admin {
    /// The webhook deliveries so far, in the order they were decided.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.0.look(|crm| crm.outbox.log().to_vec())
    }

    /// Deliveries that have not come to an end.
    pub fn pending_deliveries(&self) -> usize {
        self.0.look(|crm| crm.outbox.pending())
    }

    /// Empties the delivery log, unless something is still on its way.
    pub fn forget_deliveries(&self) {
        self.0.with(|crm| crm.outbox.forget());
    }

    /// Waits until every delivery has come to an end.
    pub async fn deliveries_drained(&self) {
        self.until(|admin| admin.pending_deliveries() == 0).await;
    }

    /// Waits until `reached` holds; it is asked now and after everything that happens in the simulator.
    pub async fn until(&self, mut reached: impl FnMut(&Self) -> bool) {
        self.0.handle.desk.until(|| reached(self)).await;
    }

    /// Makes every token invalid.
    pub fn expire_sessions(&self) {
        self.0.with(|crm| crm.sessions.expire_all());
    }

    /// Tokens that are good now.
    pub fn live_sessions(&self) -> usize {
        self.0.look(|crm| crm.sessions.live(crm.desk.clock.tehran()))
    }
}
