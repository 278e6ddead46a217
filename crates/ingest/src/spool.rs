//! Enters what was spooled: at once when the crowd has passed, a page now and then while it is there, and whatever another
//! copy or an earlier run has left.
//!
//! The spool itself is in the database; nothing here is lost with the process.

use crate::accept::Crowd;
use crate::contain::contained;
use crate::pump::ToPump;
use std::sync::Arc;
use std::time::Duration;
use tandem_engine::Engine;
use tandem_engine::boundary::{self, Boundary};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The pause after a page while calls crowd: work goes on in any storm, and takes little from the callers.
const BREATH: Duration = Duration::from_millis(100);
/// How often it is looked for pages that somebody else has left.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The wait while the database is away, or after a page that it refuses.
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

/// What came of one look at the spool.
enum Look {
    Entered,
    Empty,
    Trouble,
}

impl Unspooler {
    pub(crate) fn new(engine: Engine, pump: ToPump) -> (Self, ToUnspooler) {
        let fresh: Arc<Notify> = Arc::default();
        (Self { engine, pump, fresh: fresh.clone() }, ToUnspooler(fresh))
    }

    /// Enters pages until `stop`.
    pub(crate) async fn run(self, crowd: Crowd, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let rest = async {
                match contained(self.page()).await.unwrap_or(Look::Trouble) {
                    Look::Entered if crowd.is_there() => {
                        tokio::time::sleep(
                            std::env::var("X_BREATH").map_or(BREATH, |v| Duration::from_millis(v.parse().unwrap())),
                        )
                        .await
                    }
                    Look::Entered => {}
                    Look::Empty => {
                        let _ = tokio::time::timeout(LOOK_EVERY, self.fresh.notified()).await;
                    }
                    Look::Trouble => tokio::time::sleep(TROUBLE).await,
                }
            };
            stop.run_until_cancelled(rest).await;
        }
    }

    async fn page(&self) -> Look {
        match self.engine.store().unspool(self.engine.now()).await {
            Ok(None) => Look::Empty,
            Ok(Some(page)) => {
                if let Some(error) = page.refused {
                    tracing::error!(%error, "spooled webhook calls could not be entered; they stay in the spool");
                    return Look::Trouble;
                }
                boundary::pass(Boundary::PageEntered);
                self.pump.hand_over(page.nudges);
                Look::Entered
            }
            Err(error) => {
                tracing::debug!(%error, "the spool can't be looked into");
                Look::Trouble
            }
        }
    }
}
