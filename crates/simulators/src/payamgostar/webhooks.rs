//! Webhooks as the CRM really sends them: an unsigned GET with four parameters, one attempt
//! (payamgostar sheet §3, §7.12, §7.13). What is announced is decided here; [`super::courier`] sends it.

use super::{crm::Crm, save::Announce, store::Object};
use crate::stage::faults::Fault;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fmt::Write as _,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Insert,
    Update,
    /// Spelling assumed (sheet §3).
    Delete,
}

impl Event {
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "Insert",
            Self::Update => "Update",
            Self::Delete => "Delete",
        }
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Pending,
    /// The receiver's status.
    Answered(u16),
    /// Not delivered; nobody tries again.
    Failed(String),
    /// Swallowed by a fault, never sent.
    Lost,
}

/// One entry of the delivery log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    pub event: Event,
    pub object: Uuid,
    /// `Identity`, `Quote` or `Invoice`.
    pub object_type: String,
    pub subtype: String,
    pub address: String,
    pub outcome: Outcome,
}

pub(crate) struct Parcel {
    pub(super) serial: usize,
    pub(super) object: Uuid,
    pub(super) target: String,
    pub(super) delay: Duration,
    pub(super) timeout: Duration,
}

/// Work for the deliverer: parcels to be sent one after the other.
pub(crate) enum Job {
    Send(Vec<Parcel>),
    ReleaseLater(Uuid),
}

pub(crate) struct Outbox {
    log: Vec<Delivery>,
    pending: usize,
    held: HashMap<Uuid, Vec<Parcel>>,
    hides: bool,
    jobs: mpsc::UnboundedSender<Job>,
}

impl Outbox {
    pub(crate) fn new(jobs: mpsc::UnboundedSender<Job>) -> Self {
        Self { log: Vec::new(), pending: 0, held: HashMap::new(), hides: false, jobs }
    }

    pub(crate) fn log(&self) -> &[Delivery] {
        &self.log
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// Forgets what is done; what is still on its way keeps its entry.
    pub(crate) fn forget(&mut self) {
        if self.pending == 0 {
            self.log.clear();
        }
    }

    /// Whether any object was ever hidden from reads.
    pub(crate) fn hides(&self) -> bool {
        self.hides
    }

    fn send(&mut self, parcels: Vec<Parcel>) {
        let _ = self.jobs.send(Job::Send(parcels));
    }

    pub(crate) fn settle(&mut self, serial: usize, outcome: Outcome) {
        self.pending -= 1;
        self.log[serial].outcome = outcome;
    }
}

impl Crm {
    pub(crate) fn announce(&mut self, event: Event, id: Uuid, announce: Announce) {
        if let Some(object) = self.store.get(id).cloned() {
            self.announce_object(event, &object, announce);
        }
    }

    pub(crate) fn announce_object(&mut self, event: Event, object: &Object, announce: Announce) {
        if announce == Announce::No || self.webhook_of(event, object).is_none() {
            return;
        }
        let fault = self.desk.draw_delivery(&format!("webhook/{}/{}", object.type_code, event.name()));
        let at_once = matches!(fault, Some(Fault::BeforeReadable { .. }));
        let mut parcels = vec![self.parcel(event, object, at_once)];
        match fault {
            Some(Fault::LoseDelivery) => {
                self.outbox.settle(parcels[0].serial, Outcome::Lost);
                return;
            }
            Some(Fault::DuplicateDelivery) => parcels.push(self.parcel(event, object, at_once)),
            Some(Fault::BurstOfUpdates { count }) => parcels.extend(self.burst(object, count)),
            Some(Fault::BeforeReadable { ms }) => {
                self.outbox.hides = true;
                let until = Instant::now() + Duration::from_millis(ms);
                self.store.change(object.id, |object| object.hidden_until = Some(until));
            }
            Some(Fault::ReorderDelivery) => {
                self.outbox.held.entry(object.id).or_default().append(&mut parcels);
                let _ = self.outbox.jobs.send(Job::ReleaseLater(object.id));
                return;
            }
            _ => {}
        }
        parcels.extend(self.outbox.held.remove(&object.id).unwrap_or_default());
        self.outbox.send(parcels);
    }

    fn webhook_of(&self, event: Event, object: &Object) -> Option<&str> {
        let webhook = self.store.types.get(&*object.type_code)?.seed.webhook.as_ref()?;
        let wanted = match event {
            Event::Insert => webhook.events.insert,
            Event::Update => webhook.events.update,
            Event::Delete => webhook.events.delete,
        };
        wanted.then_some(webhook.address.as_str())
    }

    /// Updates that follow by themselves, each with a later modify date.
    fn burst(&mut self, object: &Object, count: u32) -> Vec<Parcel> {
        let mut parcels = Vec::new();
        for _ in 0..count {
            if self.alter(object.id, Announce::No, |_| {}).is_ok() && self.webhook_of(Event::Update, object).is_some() {
                parcels.push(self.parcel(Event::Update, object, false));
            }
        }
        parcels
    }

    fn parcel(&mut self, event: Event, object: &Object, at_once: bool) -> Parcel {
        let settings = self.settings();
        let subtype = self.store.item_type(object).seed.label.clone();
        let address = self.webhook_of(event, object).unwrap_or_default().to_owned();
        let object_type = object.kind.webhook_type();
        let target = format!(
            "{address}?event={}&id={}&type={object_type}&subtype={}",
            event.name(),
            object.id,
            form_encode(&subtype)
        );
        let delivery = Delivery {
            event,
            object: object.id,
            object_type: object_type.to_owned(),
            subtype,
            address,
            outcome: Outcome::Pending,
        };
        self.outbox.log.push(delivery);
        self.outbox.pending += 1;
        Parcel {
            serial: self.outbox.log.len() - 1,
            object: object.id,
            target,
            delay: if at_once { Duration::ZERO } else { self.desk.draw_latency(&settings.webhook_delay) },
            timeout: Duration::from_millis(settings.webhook_timeout_ms),
        }
    }

    pub(super) fn release(&mut self, object: Uuid) {
        if let Some(parcels) = self.outbox.held.remove(&object) {
            self.outbox.send(parcels);
        }
    }
}

/// UTF-8 percent-escapes and `+` for space (sheet §3).
fn form_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}
