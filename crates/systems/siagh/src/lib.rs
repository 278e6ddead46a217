#![doc = include_str!("../README.md")]

mod auth;
mod client;
mod controls;
mod fault;
mod forms;
mod grid;
mod reply;
mod rows;
mod settings;
mod wire;

pub use auth::hash_password;
pub use client::{ContactSaved, PreInvoiceSaved, SiaghClient};
pub use controls::{Controls, sanitize};
pub use forms::{ContactForm, PartyKind, PreInvoiceHeader, SaveContact};
pub use grid::{PreInvoiceRow, Suid, data_rows};
pub use reply::{document_number, net_amount};
pub use settings::{Constants, Settings};
pub use wire::{Contact, ContactFilter, ServerInfo};
