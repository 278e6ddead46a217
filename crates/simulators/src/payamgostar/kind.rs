//! The kinds of CRM objects the simulator serves, and the item types an administrator sets up for them.

use super::numbering::Template;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an object is; decides its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Person,
    Organization,
    Quote,
    Invoice,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Person, Self::Organization, Self::Quote, Self::Invoice];

    /// Persons and organizations, the two kinds of identity.
    pub fn is_identity(self) -> bool {
        matches!(self, Self::Person | Self::Organization)
    }

    /// The part of the path behind `/api/v2/crmobject/`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Organization => "organization",
            Self::Quote => "quote/sales",
            Self::Invoice => "invoice/sales",
        }
    }

    /// `type` in a webhook call (sheet §3).
    pub fn webhook_type(self) -> &'static str {
        match self {
            Self::Person | Self::Organization => "Identity",
            Self::Quote => "Quote",
            Self::Invoice => "Invoice",
        }
    }

    /// `crmObjectTypeIndex` (sheet §2.10).
    pub(crate) fn type_index(self) -> u32 {
        match self {
            Self::Person | Self::Organization => 24,
            Self::Quote => 8,
            Self::Invoice => 5,
        }
    }

    /// The field that carries the number the type's template rules.
    pub(crate) fn number_field(self) -> &'static str {
        if self.is_identity() { "customerNumber" } else { "number" }
    }
}

/// Which events a type reports (sheet §2.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    #[serde(default = "yes")]
    pub insert: bool,
    #[serde(default = "yes")]
    pub update: bool,
    #[serde(default = "yes")]
    pub delete: bool,
}

fn yes() -> bool {
    true
}

impl Events {
    pub const ALL: Self = Self { insert: true, update: true, delete: true };
}

/// Where a type sends its webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// `http://host:port/path` without `?`: the four parameters are appended to it.
    pub address: String,
    #[serde(default = "all")]
    pub events: Events,
}

fn all() -> Events {
    Events::ALL
}

impl Webhook {
    /// All events to this address.
    pub fn to(address: impl Into<String>) -> Self {
        Self { address: address.into(), events: Events::ALL }
    }
}

/// An item type as an administrator describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeSeed {
    /// `crmObjectTypeCode`, unique in the whole CRM.
    pub code: String,
    pub kind: Kind,
    /// The display name, sent as `subtype` in webhooks.
    pub label: String,
    /// Numbering template (sheet §4.3); without one any number is accepted and none is assigned.
    #[serde(default)]
    pub template: Option<String>,
    /// The first number issued is this plus one.
    #[serde(default)]
    pub initial: u64,
    #[serde(default)]
    pub webhook: Option<Webhook>,
}

impl TypeSeed {
    pub fn new(code: &str, kind: Kind, label: &str) -> Self {
        Self { code: code.to_owned(), kind, label: label.to_owned(), template: None, initial: 0, webhook: None }
    }

    pub fn numbered(mut self, template: &str, initial: u64) -> Self {
        self.template = Some(template.to_owned());
        self.initial = initial;
        self
    }

    /// The types a fresh simulator has: the default identity types with the vendor's numbering convention and the
    /// initial value the seeds imply (§4.3), the built-in quote type (§2.9), one quote type that carries a sale model
    /// in its code, and a sales invoice type.
    pub fn defaults() -> Vec<Self> {
        const IDENTITY: &str = "100-{*(AN)}";
        const BILLABLE: &str = "100-{____(SHYY)}/{*(AN)}";
        vec![
            Self::new("person", Kind::Person, "مخاطب حقیقی").numbered(IDENTITY, 1000),
            Self::new("organization", Kind::Organization, "مخاطب حقوقی").numbered(IDENTITY, 1000),
            Self::new("Productinvoice", Kind::Quote, "پیش فاکتور فروش").numbered(BILLABLE, 0),
            Self::new("PI_5", Kind::Quote, "پیش فاکتور فروش نمونه").numbered(BILLABLE, 0),
            Self::new("SalesInvoice", Kind::Invoice, "فاکتور فروش").numbered(BILLABLE, 0),
        ]
    }
}

/// An item type with the counter of its numbers.
#[derive(Debug)]
pub(crate) struct ItemType {
    pub(crate) seed: TypeSeed,
    pub(crate) id: Uuid,
    pub(crate) template: Option<Template>,
    pub(crate) highest: u64,
}
