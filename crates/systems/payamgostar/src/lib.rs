#![doc = include_str!("../README.md")]

mod auth;
mod client;
mod draft;
mod fault;
mod find;
mod lenient;
mod says;
mod settings;
mod wire;

pub use client::PayamgostarClient;
pub use draft::{AddressDraft, IdentityDraft, PhoneDraft};
pub use find::{Find, FindPages, Operator, Order, Query, field};
pub use lenient::{LocalTime, camel_case};
pub use settings::Settings;
pub use wire::{
    Address, Billable, BillableKind, Category, Detail, ExtendedProperty, Identity, IdentityKind, IdentityStub,
    ObjectKind, Phone,
};
