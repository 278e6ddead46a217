//! Enters what was spooled: at once when the crowd has passed, in the pauses while it is there, and whatever another copy
//! or an earlier run has left.
//!
//! The spool itself is in the database; nothing here is lost with the process.

use crate::accept::Crowd;
use crate::contain::contained;
use crate::pump::ToPump;
use chrono::TimeDelta;
use std::sync::Arc;
use std::time::Duration;
use tandem_engine::Engine;
use tandem_engine::boundary::{self, Boundary};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// While calls press, a rest of so many times what a page took: work goes on in any storm, and takes little from the
/// callers.
const REST: u32 = 4;
/// A page that has waited for so long is entered without rest: from then on callers and ledger share the database.
const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// How often it is looked for pages that somebody else has left.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The wait while the database is away.
const TROUBLE: Duration = Duration::from_secs(1);

/// Where it is said that there is a page.
#[derive(Clone)]
pub(crate) struct ToUnspooler(Arc<Notify>);

impl ToUnspooler {
    pub(crate) fn wake(&self) {
        self.0.notify_one();
    }
}

pub(crate) struct Unspooler {
    engine: Engine,
    pump: ToPump,
    fresh: Arc<Notify>,
}

/// What came of one page.
enum Turn {
    /// Entered, and whether its calls had waited for too long.
    Entered {
        late: bool,
    },
    Empty,
    Trouble,
}

impl Unspooler {
    pub(crate) fn new(engine: Engine, pump: ToPump) -> (Self, ToUnspooler) {
        let fresh: Arc<Notify> = Arc::default();
        (Self { engine, pump, fresh: fresh.clone() }, ToUnspooler(fresh))
    }

    /// Enters pages until `stop`; then what is in the spool is still entered.
    pub(crate) async fn run(self, crowd: Crowd, stop: CancellationToken) {
        loop {
            let began = Instant::now();
            let turn = contained(self.page()).await.unwrap_or(Turn::Trouble);
            if stop.is_cancelled() && !matches!(turn, Turn::Entered { .. }) {
                return;
            }
            // A page is never interrupted, only the rest after it.
            let rest = async {
                match turn {
                    Turn::Entered { late: false } if crowd.presses() => {
                        tokio::time::sleep(began.elapsed() * REST).await;
                    }
                    Turn::Entered { .. } => {}
                    Turn::Empty => {
                        let _ = tokio::time::timeout(LOOK_EVERY, self.fresh.notified()).await;
                    }
                    Turn::Trouble => tokio::time::sleep(TROUBLE).await,
                }
            };
            stop.run_until_cancelled(rest).await;
        }
    }

    async fn page(&self) -> Turn {
        let now = self.engine.now();
        match self.engine.store().unspool(now).await {
            Ok(None) => Turn::Empty,
            Ok(Some(page)) => {
                if let Some(error) = page.refused {
                    tracing::error!(%error, "a webhook call could not be entered into the ledger; it stays in the spool and is tried again in five minutes");
                }
                boundary::pass(Boundary::PageEntered);
                self.pump.hand_over_all(page.nudges).await;
                Turn::Entered { late: now - page.since > LONGEST_WAIT }
            }
            Err(error) => {
                tracing::debug!(%error, "the spool can't be looked into");
                Turn::Trouble
            }
        }
    }
}
