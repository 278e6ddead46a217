//! One circuit per bridge: open while the other side as a whole is away.
//!
//! An open circuit costs no record an attempt. It lives in the ledger's database, so that all copies see it and a
//! restart does not start a new storm of logins.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tandem_core::{BridgeId, Fault, FaultClass};
use tandem_store::{Circuit, Store, StoreError};

#[derive(Clone)]
pub struct Circuits {
    store: Store,
    known: Arc<RwLock<HashMap<BridgeId, Circuit>>>,
    /// Transient faults in a row, per bridge.
    streaks: Arc<Mutex<HashMap<BridgeId, u32>>>,
    /// How often a circuit opened since a record last went through: a probe that succeeds proves less than a record.
    openings: Arc<Mutex<HashMap<BridgeId, u32>>>,
    first: Duration,
    longest: Duration,
}

impl Circuits {
    pub(crate) fn new(store: Store, first: Duration, longest: Duration) -> Self {
        Self { store, known: Arc::default(), streaks: Arc::default(), openings: Arc::default(), first, longest }
    }

    /// Reads all circuits from the database; whoever works, publishes or shows them calls this now and then (each second is cheap).
    ///
    /// # Errors
    /// When the database is away; what was known stays.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let fresh = self.store.circuits().await?.into_iter().map(|c| (c.bridge.clone(), c)).collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// As of the last refresh.
    pub fn get(&self, bridge: &BridgeId) -> Option<Circuit> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(bridge).cloned()
    }

    pub fn is_open(&self, bridge: &BridgeId) -> bool {
        self.get(bridge).is_some()
    }

    pub fn open_bridges(&self) -> Vec<BridgeId> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// One more transient fault; answers how many there were in a row.
    pub(crate) fn stumbled(&self, bridge: &BridgeId) -> u32 {
        let mut streaks = self.streaks.lock().unwrap_or_else(PoisonError::into_inner);
        let streak = streaks.entry(bridge.clone()).or_default();
        *streak += 1;
        *streak
    }

    /// A record went through.
    pub(crate) fn went_well(&self, bridge: &BridgeId) {
        self.streaks.lock().unwrap_or_else(PoisonError::into_inner).remove(bridge);
        self.openings.lock().unwrap_or_else(PoisonError::into_inner).remove(bridge);
    }

    /// Opens the circuit, or keeps it open for longer: each failure in a row doubles the wait until the next probe.
    pub(crate) async fn open(&self, bridge: &BridgeId, fault: &Fault, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.open_by(bridge, fault, now, false).await
    }

    async fn open_by(
        &self,
        bridge: &BridgeId,
        fault: &Fault,
        now: DateTime<Utc>,
        probed: bool,
    ) -> Result<(), StoreError> {
        let before = self.get(bridge);
        // Many records fail at once when a destination goes away: they are one failure, not many.
        if before.as_ref().is_some_and(|c| c.probe_at > now) && !probed {
            return Ok(());
        }
        let failures = {
            let mut openings = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
            let known = openings.entry(bridge.clone()).or_default();
            let failures = before.as_ref().map_or(0, |c| c.failures).max(*known);
            *known = failures + 1;
            failures
        };
        let wait = self
            .first
            .saturating_mul(2u32.saturating_pow(failures))
            .min(self.longest)
            .max(fault.retry_after.unwrap_or_default());
        let circuit = Circuit {
            bridge: bridge.clone(),
            reason: fault.message.clone(),
            code: fault.code.to_owned(),
            opened_at: before.map_or(now, |c| c.opened_at),
            probe_at: now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::days(1)),
            failures: failures + 1,
        };
        tracing::warn!(%bridge, code = fault.code, probe_in_s = wait.as_secs(), "the circuit is open: the bridge pauses, no record loses an attempt");
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(bridge.clone(), circuit.clone());
        self.store.open_circuit(&circuit).await
    }

    pub(crate) async fn close(&self, bridge: &BridgeId) -> Result<(), StoreError> {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(bridge);
        self.streaks.lock().unwrap_or_else(PoisonError::into_inner).remove(bridge);
        tracing::info!(%bridge, "the circuit is closed: the bridge goes on");
        self.store.close_circuit(bridge).await.map(drop)
    }
}

/// How long a copy that probes keeps the others from probing too.
const PROBE_TURN: TimeDelta = TimeDelta::seconds(60);

impl crate::Engine {
    /// If the bridge's circuit is open and its probe is due: probes, once, and closes the circuit or waits longer.
    /// Answers whether the bridge may be worked on.
    ///
    /// # Errors
    /// When our own database is away.
    pub async fn probe_if_due(&self, bridge: &BridgeId) -> Result<bool, StoreError> {
        let Some(circuit) = self.circuits.get(bridge) else { return Ok(true) };
        if circuit.probe_at > self.now() {
            return Ok(false);
        }
        let Some(port) = self.register.get(bridge) else { return Ok(false) };
        // One copy probes, the others wait for what it finds: a probe is a login, and many at once lock the user out.
        let until = self.now() + PROBE_TURN;
        if !self.store.claim_probe(bridge, self.now(), until).await? {
            return Ok(false);
        }
        match port.probe().await {
            Err(fault) if fault.class != FaultClass::Permanent => {
                self.circuits.open_by(bridge, &fault, self.now(), true).await?;
                Ok(false)
            }
            _ => {
                self.circuits.close(bridge).await?;
                Ok(true)
            }
        }
    }
}
