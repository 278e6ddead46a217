//! What an administrator can do to either simulator: faults, calls, time, maintenance.

use super::{desk::Desk, faults::Arm, server::Door};
use chrono::{DateTime, TimeDelta, Utc};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

/// The part of the admin handles that both simulators share.
pub struct Handle {
    pub(crate) desk: Arc<Desk>,
    pub(crate) door: Door,
}

impl Handle {
    /// How often each key was called: the path, for Siagh's saves with `#<formId>` behind.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.desk.calls()
    }

    /// Calls whose key contains `part`, compared without case.
    pub fn calls_to(&self, part: &str) -> u64 {
        self.desk.calls_to(part)
    }

    pub fn forget_calls(&self) {
        self.desk.forget_calls();
    }

    /// Arms a fault.
    pub fn arm(&self, arm: Arm) {
        self.desk.arm(arm);
    }

    /// Takes all faults back.
    pub fn disarm(&self) {
        self.desk.disarm();
    }

    /// The faults that are still to fire.
    pub fn armed(&self) -> Vec<Arm> {
        self.desk.armed()
    }

    /// The server's idea of now.
    pub fn now(&self) -> DateTime<Utc> {
        self.desk.clock.now()
    }

    /// Sets the server's clock, for instance across a Jalali new year; a skew stays on top of it.
    pub fn set_clock(&self, at: DateTime<Utc>) {
        self.desk.clock.set(at);
    }

    /// How far the server's clock is ahead.
    pub fn set_skew(&self, skew: TimeDelta) {
        self.desk.clock.set_skew(skew);
    }

    pub fn advance(&self, by: TimeDelta) {
        self.desk.clock.advance(by);
    }

    /// Stops the server's clock, or lets it run on.
    pub fn freeze(&self, frozen: bool) {
        self.desk.clock.freeze(frozen);
    }

    /// Refuses connections until [`Handle::open`]: a maintenance window.
    pub async fn close(&self) {
        self.door.close().await;
    }

    /// Ends a maintenance window. Errors: the port was taken meanwhile.
    pub async fn open(&self) -> io::Result<()> {
        self.door.open().await
    }

    /// Refuses connections for a while, then accepts them again by itself.
    pub async fn close_for(&self, time: Duration) {
        self.close().await;
        let door = self.door.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            let _ = door.open().await;
        });
    }
}
