//! The bridges of this process, by name. Handed in by the assembly, so that a test hands in its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use tandem_core::{Bridge, BridgeId};

#[derive(Clone, Default)]
pub struct Register(Arc<BTreeMap<BridgeId, Arc<dyn Bridge>>>);

impl Register {
    pub fn new(bridges: impl IntoIterator<Item = Arc<dyn Bridge>>) -> Self {
        Self(Arc::new(bridges.into_iter().map(|b| (b.spec().id.clone(), b)).collect()))
    }
    pub fn get(&self, id: &BridgeId) -> Option<&Arc<dyn Bridge>> {
        self.0.get(id)
    }
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Bridge>> {
        self.0.values()
    }
    /// The bridge that takes webhooks under `/webhook/<system>/`.
    pub fn by_webhook_system(&self, system: &str) -> Option<&Arc<dyn Bridge>> {
        self.iter().find(|b| b.spec().webhooks.as_ref().is_some_and(|w| w.system == system))
    }
}
