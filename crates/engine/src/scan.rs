//! Running a bridge's scan: page by page, each page noticed durably before its place is saved.
//!
//! One scan of a job runs at a time over all copies, by a lease that lives as long as a record's and is renewed while the
//! scan runs. A scan that was cut off goes on at the page it had reached; noticing a page twice does no harm.

use crate::Engine;
use crate::boundary::{self, Boundary};
use crate::publisher::Publisher;
use tandem_core::bridge::{JobSpec, ScanFrom, ScanPage};
use tandem_core::{Actor, BridgeId, Fault, FaultClass, JobId};
use tandem_store::{JobLease, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanProgress {
    pub seen: u64,
    pub noticed: u64,
    /// How many there are in all, where the source says so.
    pub total: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanSummary {
    pub run_id: Uuid,
    pub seen: u64,
    pub noticed: u64,
    /// Something could not be read; the run is kept as failed, with what it was, and everything else is noticed.
    pub incomplete: bool,
}

/// Why a scan did not come to its end. The text is for the operator who asked for the scan: it may repeat the source's own
/// words, so a log gets the fault's code instead.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error("the {bridge} bridge has no job {job:?}; it has {known}")]
    UnknownJob { bridge: BridgeId, job: JobId, known: String },
    #[error("there is no bridge {0} in this process")]
    UnknownBridge(BridgeId),
    #[error("{0}")]
    Source(Fault),
    #[error("stopped on request; the next run goes on where this one was")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Fault> for ScanError {
    fn from(fault: Fault) -> Self {
        StoreError::of_lookup(&fault).map_or(Self::Source(fault), Self::Store)
    }
}

impl Engine {
    /// Runs a scan to its end. `None`: it is running elsewhere, or, unless a person `force`s it, it is not due, switched off,
    /// or its bridge's circuit is open: what keeps coming then is a storm of logins.
    ///
    /// # Errors
    /// What the source said, or that our own database is away. Everything noticed so far stays noticed.
    pub async fn scan(
        &self,
        bridge: &BridgeId,
        job: &JobId,
        force: bool,
        publisher: Option<&Publisher>,
        stop: &CancellationToken,
        progress: &mut (dyn FnMut(&ScanProgress) + Send),
    ) -> Result<Option<ScanSummary>, ScanError> {
        let spec = self.job(bridge, job)?;
        if !force {
            self.circuits.refresh().await?;
            if self.circuits.is_open(bridge) {
                return Ok(None);
            }
        }
        self.store.ensure_job(bridge, job, spec.every, self.now()).await?;
        let ttl = self.policy.lease;
        let Some(lease) = self.store.take_job(bridge, job, self.owner(), ttl, force, self.now()).await? else {
            return Ok(None);
        };
        let lost = self.keep(|until| self.store.renew_job(&lease, until));
        let mut gaps = Vec::new();
        let scan = Scan { engine: self, spec: &spec, lease: &lease, publisher, stop };
        let ended = tokio::select! {
            biased;
            // Somebody else runs it now.
            () = lost => return Err(StoreError::LostLease.into()),
            ended = scan.run(progress, &mut gaps) => ended,
        };
        if let Err(ScanError::Source(fault)) = &ended
            && fault.class == FaultClass::Systemic
        {
            self.circuits.open(bridge, fault, self.now()).await?;
        }
        let outcome = match &ended {
            Ok(_) if !gaps.is_empty() => Err(format!("incomplete: {}", gaps.join("; "))),
            ended => ended.as_ref().map(|_| ()).map_err(ToString::to_string),
        };
        self.store.finish_job(&lease, outcome, self.now()).await?;
        let (run_id, incomplete) = (lease.run_id, !gaps.is_empty());
        ended.map(|p| Some(ScanSummary { run_id, seen: p.seen, noticed: p.noticed, incomplete }))
    }

    fn job(&self, bridge: &BridgeId, job: &JobId) -> Result<JobSpec, ScanError> {
        let spec = self.register.get(bridge).ok_or_else(|| ScanError::UnknownBridge(bridge.clone()))?.spec();
        spec.jobs.iter().find(|j| j.id == *job).cloned().ok_or_else(|| ScanError::UnknownJob {
            bridge: bridge.clone(),
            job: job.clone(),
            known: spec.jobs.iter().map(|j| j.id.as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}

struct Scan<'a> {
    engine: &'a Engine,
    spec: &'a JobSpec,
    lease: &'a JobLease,
    publisher: Option<&'a Publisher>,
    stop: &'a CancellationToken,
}

impl Scan<'_> {
    async fn run(
        &self,
        progress: &mut (dyn FnMut(&ScanProgress) + Send),
        gaps: &mut Vec<String>,
    ) -> Result<ScanProgress, ScanError> {
        let mut at = ScanProgress::default();
        let mut next = Some(self.read(self.lease.page.as_deref()).await?);
        while let Some(page) = next {
            if self.stop.is_cancelled() {
                return Err(ScanError::Stopped);
            }
            // The source and our database work at the same time; a page's place is saved only once the page is noticed.
            let following = async {
                match &page.next {
                    Some(place) => self.read(Some(place)).await.map(Some),
                    None => Ok(None),
                }
            };
            let (noticed, following) = tokio::join!(self.notice(&page, &mut at), following);
            noticed?;
            gaps.extend(page.gaps);
            progress(&at);
            next = following?;
        }
        Ok(at)
    }

    async fn read(&self, place: Option<&str>) -> Result<ScanPage, ScanError> {
        let JobLease { bridge, job, watermark, .. } = self.lease;
        let bridge = self.engine.register.get(bridge).ok_or_else(|| ScanError::UnknownBridge(bridge.clone()))?;
        let from = ScanFrom { watermark: watermark.as_deref(), page: place };
        let page = bridge.scan(job, from, &self.engine.store).await?;
        boundary::pass(Boundary::ScanPageRead);
        Ok(page)
    }

    async fn notice(&self, page: &ScanPage, at: &mut ScanProgress) -> Result<(), ScanError> {
        let (engine, spec) = (self.engine, self.spec);
        let actor = Actor::new("tandem");
        let seen = engine
            .store
            .notice_sightings(&self.lease.bridge, &page.sightings, spec.trigger, &actor, spec.lane, engine.now())
            .await?;
        boundary::pass(Boundary::ScanPageNoticed);
        at.seen += page.sightings.len() as u64;
        at.noticed += seen.noticed;
        at.total = page.total.or(at.total);
        if let Some(publisher) = self.publisher {
            publisher.publish(&seen.nudges).await;
        }
        let (place, watermark) = (page.next.as_deref(), page.watermark.as_deref());
        let (now, ttl) = (engine.now(), engine.policy.lease);
        engine.store.save_job(self.lease, place, watermark, at.noticed, at.seen, now, ttl).await?;
        Ok(())
    }
}
