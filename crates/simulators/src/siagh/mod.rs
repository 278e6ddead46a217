//! A simulated Siagh finance system: login, contact list, `SaveFormData` (siagh sheet §7).
//!
//! It serves the two forms the sheet knows, contacts and sales pre-invoices. It refuses the addresses that were only
//! ever guessed, and it has no way to read, change or cancel a document: the real one offers none either.

mod admin;
mod answer;
mod api;
mod contact;
mod contact_form;
mod control;
mod form;
mod invoice_form;
mod office;
mod session;
mod settings;
mod tables;

pub use crate::stage::control::Refused;
pub use admin::Admin;
pub use contact::Contact;
pub use invoice_form::{Document, DocumentRow};
pub use settings::{CONTACT_FORM, CustomerCode, INVOICE_FORM, PASSWORD, Settings, USERNAME};
pub use tables::{Good, Table};

use crate::stage::{
    clock::Clock,
    control as plumbing,
    desk::Desk,
    handle::Handle,
    server::{self, Door, Ports},
    surface,
};
use chrono::TimeDelta;
use office::{Office, Site};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::sync::Semaphore;

/// A running simulator. It ends when dropped; [`SiaghSim::stop`] also waits for that.
pub struct SiaghSim {
    site: Arc<Site>,
    ports: Ports,
}

impl SiaghSim {
    /// Starts on two free ports of 127.0.0.1.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_on(settings, any, any).await
    }

    /// Starts on these addresses; port 0 takes a free one. Errors: an address that cannot be bound.
    pub async fn start_on(settings: Settings, api: SocketAddr, control: SocketAddr) -> io::Result<Self> {
        let clock = Clock::new(TimeDelta::seconds(settings.skew_seconds), settings.frozen_at);
        let desk = Arc::new(Desk::new(clock, settings.seed));
        let (door, commands) = Door::new();
        let saves = Arc::new(Semaphore::new(settings.parallel_saves.max(1)));
        let office = Mutex::new(Office::new(settings, Arc::clone(&desk)));
        let site = Arc::new(Site { office, handle: Handle { desk, door }, saves });
        let (for_api, for_control) = (Arc::clone(&site), Admin(Arc::clone(&site)));
        let ports = server::open(
            api,
            control,
            commands,
            Arc::new(move |config| surface::route(&for_api, config)),
            Arc::new(move |config| {
                let admin = for_control.clone();
                plumbing::route(config, move |operation| control::operate(admin.clone(), operation));
            }),
            Box::new(|| Box::pin(std::future::pending())),
        )
        .await?;
        Ok(Self { site, ports })
    }

    /// `http://host:port` of Siagh's API, without a slash at the end.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.ports.api)
    }

    /// `http://host:port` of the control port.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.ports.control)
    }

    pub fn admin(&self) -> Admin {
        Admin(Arc::clone(&self.site))
    }

    /// Closes both ports and waits until they are closed.
    pub async fn stop(self) {
        self.site.handle.door.stop().await;
    }
}

impl Drop for SiaghSim {
    fn drop(&mut self) {
        self.site.handle.door.abandon();
    }
}
