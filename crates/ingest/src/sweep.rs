//! The sweep: finds in the ledger what is due and in no lane, and publishes it: retries whose time has come, records that
//! a scan noticed, nudges that got lost, and whatever the pump could not get rid of.
//!
//! As many copies may sweep as there are processes; the ledger gives each of them different records.

use crate::contain::contained;
use crate::outlet::Outlet;
use crate::settings::PumpSettings;
use chrono::TimeDelta;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::lane::Depth;
use tandem_core::{Bridge, BridgeId};
use tandem_store::{Claim, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Records that are tried while the lanes are known to take nothing.
const TRIAL: u32 = 20;
/// The wait between sweeps while the lanes or the ledger are away.
const AWAY: Duration = Duration::from_secs(1);
/// A thorough look reads all open rows: it is taken so much less often the longer it takes.
const THOROUGH_SHARE: u32 = 20;
const THOROUGH_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// The wait before lanes that could not be declared are declared again. They remember what was asked for and declare it
/// themselves when the broker comes back; this is for the rest.
const PREPARE_AGAIN: Duration = Duration::from_secs(30);

pub(crate) struct Sweep {
    settings: PumpSettings,
    outlet: Arc<Outlet>,
    /// When the lanes are to be declared; `None` = they are.
    prepare_at: Option<Instant>,
    /// Bridges that have open work in the ledger and do not run here: their work is left to those who have them.
    foreign: BTreeSet<BridgeId>,
    next_thorough: Instant,
    next_rescue: Instant,
}

impl Sweep {
    pub(crate) fn new(settings: PumpSettings, outlet: Arc<Outlet>) -> Self {
        let now = Instant::now();
        Self { settings, outlet, prepare_at: Some(now), foreign: BTreeSet::new(), next_thorough: now, next_rescue: now }
    }

    /// Sweeps until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = contained(self.look(&stop)).await.unwrap_or(AWAY);
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// One look at the ledger. Answers how long to wait until the next one.
    async fn look(&mut self, stop: &CancellationToken) -> Duration {
        self.prepare().await;
        match self.sweep_once(stop).await {
            Ok(_) if self.outlet.is_away() => AWAY,
            Ok(0) => self.settings.sweep_every,
            Ok(_) => self.settings.sweep_every / 5,
            Err(error) => {
                tracing::debug!(%error, "the ledger can't be swept");
                AWAY
            }
        }
    }

    async fn sweep_once(&mut self, stop: &CancellationToken) -> Result<usize, StoreError> {
        self.outlet.engine.circuits().refresh().await?;
        let mut found = self.claim_all(None, stop).await?;
        if self.next_thorough <= Instant::now() && !self.outlet.is_away() {
            let began = Instant::now();
            found += self.claim_all(Some(self.settings.republish_after), stop).await?;
            let rest = (began.elapsed() * THOROUGH_SHARE).min(THOROUGH_AT_LEAST_EVERY);
            self.next_thorough = Instant::now() + rest;
        }
        if self.next_rescue <= Instant::now() && !self.outlet.is_away() {
            self.next_rescue = Instant::now() + self.settings.rescue_every;
            found += self.rescue().await?;
        }
        Ok(found)
    }

    /// Takes due records and publishes them until there are no more; answers how many they were.
    async fn claim_all(
        &mut self,
        republish_after: Option<TimeDelta>,
        stop: &CancellationToken,
    ) -> Result<usize, StoreError> {
        let mut found = 0;
        loop {
            let limit = if self.outlet.is_away() { TRIAL } else { self.settings.sweep_limit.max(1) };
            let skip = self.outlet.engine.circuits().open_bridges();
            let due = self.claim(limit, self.settings.bulk_window, republish_after, skip).await?;
            found += due;
            if due < limit as usize || self.outlet.is_away() || stop.is_cancelled() {
                return Ok(found);
            }
        }
    }

    /// Takes so many due records at most and publishes them; answers how many they were.
    async fn claim(
        &mut self,
        limit: u32,
        bulk_window: u32,
        republish_after: Option<TimeDelta>,
        mut skip: Vec<BridgeId>,
    ) -> Result<usize, StoreError> {
        skip.extend(self.foreign.iter().cloned());
        let claim = Claim { limit, bulk_window, republish_after, skip };
        let due = self.outlet.engine.store().claim_due(&claim, self.outlet.engine.now()).await?;
        let register = self.outlet.engine.register();
        let (own, foreign): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|nudge| register.get(&nudge.key.bridge).is_some());
        for nudge in &foreign {
            if self.foreign.insert(nudge.key.bridge.clone()) {
                tracing::warn!(bridge = %nudge.key.bridge, "the ledger has open work of a bridge that does not run here; it is left alone");
            }
        }
        self.outlet.give_back(&foreign).await;
        self.outlet.publish(&own).await;
        Ok(own.len())
    }

    /// Publishes again what was published a while ago and can't be in its lane, because that is empty.
    async fn rescue(&mut self) -> Result<usize, StoreError> {
        let all: Vec<BridgeId> = self.outlet.engine.register().iter().map(|bridge| bridge.spec().id.clone()).collect();
        let mut found = 0;
        for bridge in &all {
            if self.outlet.engine.circuits().is_open(bridge) {
                continue;
            }
            let Ok(Depth { live: 0, bulk, .. }) = self.outlet.lanes.depth(bridge).await else { continue };
            let bulk_window = if bulk == 0 { self.settings.bulk_window } else { 0 };
            let others = all.iter().filter(|other| *other != bridge).cloned().collect();
            let lost = self
                .claim(self.settings.sweep_limit.max(1), bulk_window, Some(self.settings.rescue_after), others)
                .await?;
            if lost > 0 {
                tracing::debug!(%bridge, records = lost, "its lane is empty and its work is open: published again");
                found += lost;
            }
        }
        Ok(found)
    }

    async fn prepare(&mut self) {
        if self.prepare_at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        let options = |bridge: &Arc<dyn Bridge>| (bridge.spec().id.clone(), bridge.spec().consume_options());
        let bridges: Vec<_> = self.outlet.engine.register().iter().map(options).collect();
        self.prepare_at = match self.outlet.lanes.prepare(&bridges).await {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(lanes = self.outlet.lanes.name(), %error, "the lanes can't be declared yet");
                Some(Instant::now() + PREPARE_AGAIN)
            }
        };
    }
}
