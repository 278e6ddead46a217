//! Working through a bridge's open records in this process, beside the workers or without any.
//!
//! What is open stands in the ledger and leases keep two processes from one record, so a drain may start, stop and run
//! next to others at any time. It ends when nothing of the bridge is open any more that it has to wait for, and gives up
//! when nothing has moved for as long as its patience: retries and the time gate are waited for, a destination that stays
//! away is not.

use crate::progress::Progress;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};
use tandem_core::lane::DueRecords;
use tandem_core::{BridgeId, RecordKey, State};
use tandem_engine::{Engine, Outcome, Publisher, Worked};
use tandem_store::{OpenWork, StoreError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long to wait before looking for work again when there was none.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How often the open records are counted while there is work.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing is open any more.
    Empty,
    /// A signal came.
    Stopped,
    /// Nothing moved for as long as the patience lasts.
    Stuck,
}

/// What a drain did.
#[derive(Debug)]
pub struct Drained {
    pub end: End,
    /// How the records ended that this process worked on.
    pub outcomes: BTreeMap<State, u64>,
    /// What is still open.
    pub left: OpenWork,
}

pub struct Drain<'a> {
    pub engine: &'a Engine,
    pub publisher: &'a Publisher,
    pub bridge: BridgeId,
    /// Records that were noticed earlier and are not due within a minute are not waited for.
    pub since: Option<DateTime<Utc>>,
    pub stop: &'a CancellationToken,
    pub patience: Duration,
}

impl Drain<'_> {
    /// Works until nothing is open, and tells how far it is.
    pub async fn run(&self) -> anyhow::Result<Drained> {
        let mut state = Running {
            in_hand: JoinSet::new(),
            keys: HashSet::new(),
            outcomes: BTreeMap::new(),
            done: 0,
            moved: Instant::now(),
        };
        let mut progress = Progress::new("working");
        let mut counted = (Instant::now(), self.open().await?);
        let end = loop {
            if self.stop.is_cancelled() {
                break End::Stopped;
            }
            // What came in a crowd may still be on its way into the ledger.
            while let Some(page) = self.engine.store().unspool(self.engine.now()).await? {
                if page.calls == 0 {
                    break;
                }
            }
            let idle = !self.fill(&mut state).await? && state.in_hand.is_empty();
            if idle || counted.0.elapsed() > COUNT_EVERY {
                let now_open = self.open().await?;
                if now_open.open != counted.1.open {
                    state.moved = Instant::now();
                }
                counted = (Instant::now(), now_open);
                progress.say(state.done, Some(state.done + counted.1.open), &self.remark(&counted.1));
            }
            if idle && counted.1.open == 0 {
                break End::Empty;
            }
            if idle && state.moved.elapsed() > self.patience {
                break End::Stuck;
            }
            self.wait(&mut state).await?;
        };
        progress.finish();
        // What is in hand is finished even on a stop: a write under way should not be left in doubt.
        while let Some(worked) = state.in_hand.join_next().await {
            self.take(&mut state, worked?).await?;
        }
        Ok(Drained { end, left: self.open().await?, outcomes: state.outcomes })
    }

    async fn open(&self) -> Result<OpenWork, StoreError> {
        self.engine.store().open_work_since(Some(&self.bridge), self.since, self.engine.now()).await
    }

    fn remark(&self, work: &OpenWork) -> String {
        match (self.engine.circuits().get(&self.bridge), work.next_due) {
            (Some(circuit), _) => format!("waiting for {}: {}", self.bridge, crate::show::one_line(&circuit.reason)),
            (None, Some(due)) if work.oldest.is_none() => {
                format!("the next is due {}", crate::show::distance(due, self.engine.now()))
            }
            _ => String::new(),
        }
    }

    /// Takes up due records as far as there is room. Answers whether it took any.
    async fn fill(&self, state: &mut Running) -> anyhow::Result<bool> {
        let room = self.concurrency().saturating_sub(state.in_hand.len());
        if room == 0 || !self.may_work().await? {
            return Ok(false);
        }
        let limit = u16::try_from(self.concurrency() * 2).unwrap_or(u16::MAX);
        let due = self.engine.store().due(&self.bridge, limit).await?;
        let mut took = false;
        for nudge in due.into_iter().filter(|nudge| !state.keys.contains(&nudge.key)).take(room).collect::<Vec<_>>() {
            state.keys.insert(nudge.key.clone());
            let engine = self.engine.clone();
            state.in_hand.spawn(async move {
                let worked = engine.work(&nudge.key).await;
                (nudge.key, worked)
            });
            took = true;
        }
        Ok(took)
    }

    fn concurrency(&self) -> usize {
        self.engine.register().get(&self.bridge).map_or(1, |bridge| usize::from(bridge.spec().concurrency.max(1)))
    }

    async fn may_work(&self) -> Result<bool, StoreError> {
        self.engine.circuits().refresh().await?;
        self.engine.probe_if_due(&self.bridge).await
    }

    /// Waits for something in hand to end, or a little while.
    async fn wait(&self, state: &mut Running) -> anyhow::Result<()> {
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            Some(ended) = state.in_hand.join_next() => ended,
            () = tokio::time::sleep(LOOK_AGAIN) => return Ok(()),
        };
        self.take(state, ended?).await
    }

    async fn take(
        &self,
        state: &mut Running,
        (key, worked): (RecordKey, Result<Worked, StoreError>),
    ) -> anyhow::Result<()> {
        state.keys.remove(&key);
        let worked = match worked {
            Ok(worked) => worked,
            // The patience decides how long that may last.
            Err(error) if error.is_unavailable() => {
                tracing::warn!(%error, "the database is away; trying again");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.publisher.publish(&worked.follow_ups).await;
        if let Outcome::Settled { state: settled, .. } = worked.outcome {
            *state.outcomes.entry(settled).or_default() += 1;
            state.done += 1;
            state.moved = Instant::now();
        }
        Ok(())
    }
}

struct Running {
    in_hand: JoinSet<(RecordKey, Result<Worked, StoreError>)>,
    keys: HashSet<RecordKey>,
    outcomes: BTreeMap<State, u64>,
    done: u64,
    /// When a record was last settled, or the number of open ones changed.
    moved: Instant,
}
