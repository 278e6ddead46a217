//! The whole state of one simulated CRM, behind one lock.

use super::{
    auth::Sessions,
    kind::{ItemType, Kind, TypeSeed},
    numbering::Template,
    render::{Rendered, View},
    settings::Settings,
    store::{Object, Store},
    webhooks::{Job, Outbox},
};
use crate::stage::{control::Refused, desk::Desk, handle::Handle, lock};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use uuid::Uuid;

pub(crate) struct Crm {
    pub(crate) store: Store,
    pub(crate) desk: Arc<Desk>,
    settings: Arc<Settings>,
    pub(crate) sessions: Sessions,
    pub(crate) outbox: Outbox,
    /// Objects keep an id they are created with; only while seeding.
    pub(crate) accept_ids: bool,
    /// How many times were emitted, for their varying fractions.
    pub(crate) stamps: usize,
    actor: Uuid,
}

impl Crm {
    pub(crate) fn new(settings: Settings, desk: Arc<Desk>, jobs: mpsc::UnboundedSender<Job>) -> Self {
        let mut crm = Self {
            store: Store::default(),
            actor: desk.new_id(),
            sessions: Sessions::new(&settings.users),
            outbox: Outbox::new(jobs),
            accept_ids: false,
            stamps: 0,
            settings: Arc::new(settings),
            desk,
        };
        for seed in TypeSeed::defaults() {
            crm.add_type(seed).expect("the default types have valid templates and different codes");
        }
        crm
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    pub(crate) fn set_settings(&mut self, settings: Settings) {
        self.settings = Arc::new(settings);
    }

    pub(crate) fn new_id(&self) -> Uuid {
        self.desk.new_id()
    }

    /// Adds a type; a type of the same code and kind is replaced and keeps its id and the numbers used so far.
    pub(crate) fn add_type(&mut self, seed: TypeSeed) -> Result<(), Refused> {
        let template = seed.template.as_deref().map(Template::parse).transpose().map_err(Refused::bad)?;
        let (id, used) = match self.store.types.get(&seed.code) {
            Some(known) if known.seed.kind != seed.kind => {
                return Err(Refused::bad(format!("type {} exists with another kind", seed.code)));
            }
            Some(known) => (known.id, known.highest),
            None => (self.new_id(), 0),
        };
        let item = ItemType { id, template, highest: seed.initial.max(used), seed };
        self.store.types.insert(item.seed.code.clone(), item);
        Ok(())
    }

    pub(crate) fn rendered<'a>(&'a self, object: &'a Object, view: View) -> Rendered<'a> {
        let identity = Uuid::parse_str(object.text("identityId")).ok().and_then(|id| self.store.get(id));
        Rendered {
            object,
            item_type: self.store.item_type(object),
            actor: self.actor,
            identity_name: identity.map(|identity| identity.text("nickName")),
            view,
        }
    }

    pub(crate) fn json(&self, object: &Object) -> Value {
        serde_json::to_value(self.rendered(object, View::default())).expect("objects have string keys only")
    }

    /// Every object of a kind in the order of creation, hidden ones included.
    pub(crate) fn all(&self, kind: Kind) -> Vec<Value> {
        let mut objects: Vec<_> = self.store.by_modified(kind).filter_map(|(_, _, id)| self.store.get(*id)).collect();
        objects.sort_by_key(|object| object.rank);
        objects.into_iter().map(|object| self.json(object)).collect()
    }
}

/// What the ports, the deliverer and the admin handles share.
pub(crate) struct Site {
    pub(crate) crm: Mutex<Crm>,
    pub(crate) handle: Handle,
}

impl Site {
    /// Works on the state and wakes whoever waits for a change.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Crm) -> T) -> T {
        let result = work(&mut lock(&self.crm));
        self.handle.desk.something_happened();
        result
    }

    /// Looks at the state.
    pub(crate) fn look<T>(&self, work: impl FnOnce(&Crm) -> T) -> T {
        work(&lock(&self.crm))
    }
}
