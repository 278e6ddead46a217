//! A simulated Payamgostar CRM: REST v2, legacy login, webhooks (payamgostar sheet §7).
//!
//! It serves identities, sales quotes and sales invoices. It refuses everything the sheet says was only ever
//! guessed (`/crm/*`, `/webhooks`, ...) and has no SOAP side.

mod admin;
mod api;
mod auth;
mod control;
mod courier;
mod crm;
mod error;
mod fields;
mod find;
mod kind;
mod numbering;
mod query;
mod render;
mod save;
mod settings;
mod store;
mod time;
mod webhooks;

pub use crate::stage::control::Refused;
pub use admin::Admin;
pub use kind::{Events, Kind, TypeSeed, Webhook};
pub use settings::{Ban, PASSWORD, Settings, USERNAME};
pub use webhooks::{Delivery, Event, Outcome};

pub(crate) use save::national_code_is_valid;

use crate::stage::{
    clock::Clock,
    control as plumbing,
    desk::Desk,
    handle::Handle,
    server::{self, Door, Ports},
    surface,
};
use chrono::TimeDelta;
use crm::{Crm, Site};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::sync::mpsc;

/// A running simulator. It ends when dropped; [`PayamgostarSim::stop`] also waits for that.
pub struct PayamgostarSim {
    site: Arc<Site>,
    ports: Ports,
}

impl PayamgostarSim {
    /// Starts on two free ports of 127.0.0.1.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_on(settings, any, any).await
    }

    /// Starts on these addresses; port 0 takes a free one. Errors: an address that cannot be bound.
    pub async fn start_on(settings: Settings, api: SocketAddr, control: SocketAddr) -> io::Result<Self> {
        let clock = Clock::new(TimeDelta::seconds(settings.skew_seconds), settings.frozen_at);
        let desk = Arc::new(Desk::new(clock, settings.seed));
        let (jobs, waiting) = mpsc::unbounded_channel();
        let (door, commands) = Door::new();
        let crm = Mutex::new(Crm::new(settings, Arc::clone(&desk), jobs));
        let site = Arc::new(Site { crm, handle: Handle { desk, door } });
        let (for_api, for_control, for_deliveries) = (Arc::clone(&site), Admin(Arc::clone(&site)), Arc::clone(&site));
        let ports = server::open(
            api,
            control,
            commands,
            Arc::new(move |config| surface::route(&for_api, config)),
            Arc::new(move |config| {
                let admin = for_control.clone();
                plumbing::route(config, move |operation| control::operate(admin.clone(), operation));
            }),
            Box::new(move || Box::pin(courier::deliver(for_deliveries, waiting))),
        )
        .await?;
        Ok(Self { site, ports })
    }

    /// `http://host:port` of the CRM's API, without a slash at the end.
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

impl Drop for PayamgostarSim {
    fn drop(&mut self) {
        self.site.handle.door.abandon();
    }
}
