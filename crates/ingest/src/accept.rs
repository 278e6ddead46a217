//! The group commit: calls that wait at the same time share one transaction.
//!
//! A few batches are under way at a time and the next one gathers meanwhile, so a lone call costs one commit and no
//! timer, and many at once share commits: while one batch waits for the disk, the next is written. A batch goes into inbox
//! and ledger; while calls crowd, it goes into the spool as it is, which is durable too and costs a tenth, and is entered
//! afterwards. Nothing is answered for before it is committed, and nothing that was not committed is kept: with the
//! database away, callers hear so within [`AcceptSettings::patience`].

use crate::contain::contained;
use crate::pump::ToPump;
use crate::settings::AcceptSettings;
use crate::spool::ToUnspooler;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tandem_core::Nudge;
use tandem_engine::Engine;
use tandem_engine::boundary::{self, Boundary};
use tandem_store::{InboxEntry, StoreError};
use tandem_telemetry::metric::{self, Metric};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long a call waits for a place in the line.
const LINE_PATIENCE: Duration = Duration::from_millis(100);
/// So many calls without an answer press.
const PRESSING: usize = 16;

/// The call is not stored; the caller has to send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotStored;

struct Waiting {
    entry: InboxEntry,
    done: oneshot::Sender<Result<(), NotStored>>,
}

/// Where handlers hand in what they read.
#[derive(Clone)]
pub(crate) struct Acceptor {
    line: mpsc::Sender<Waiting>,
    crowd: Crowd,
}

impl Acceptor {
    /// Returns once the entry is committed.
    pub(crate) async fn accept(&self, entry: InboxEntry) -> Result<(), NotStored> {
        let _one_more = self.crowd.join();
        let (done, committed) = oneshot::channel();
        self.line.send_timeout(Waiting { entry, done }, LINE_PATIENCE).await.map_err(|_| NotStored)?;
        committed.await.unwrap_or(Err(NotStored))
    }
}

/// The calls that have no answer yet.
#[derive(Clone)]
pub(crate) struct Crowd {
    unanswered: Arc<AtomicUsize>,
    from: usize,
}

impl Crowd {
    /// Whether they are so many that their calls are spooled.
    fn is_to_be_spooled(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= self.from
    }

    /// Whether they are more than gather in a moment by chance, so that everything else takes its time.
    pub(crate) fn presses(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= PRESSING
    }

    fn join(&self) -> Unanswered {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        Unanswered(self.unanswered.clone())
    }
}

/// One of the crowd until it is dropped: a caller that hangs up drops its handler in the middle of it.
struct Unanswered(Arc<AtomicUsize>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) struct Batcher {
    line: mpsc::Receiver<Waiting>,
    clerk: Clerk,
}

/// Commits batches, several at once.
struct Clerk {
    settings: AcceptSettings,
    engine: Engine,
    crowd: Crowd,
    pump: ToPump,
    unspooler: ToUnspooler,
    /// The last commit failed: said once, not for each.
    away: AtomicBool,
}

/// The database is away or too slow: so it is for everybody who waits.
struct Away;

/// Why a batch is not stored.
enum Failed {
    Away(String),
    /// The database is there and refuses this batch.
    Refused(StoreError),
}

impl Batcher {
    pub(crate) fn new(
        settings: AcceptSettings,
        engine: Engine,
        pump: ToPump,
        unspooler: ToUnspooler,
    ) -> (Self, Acceptor, Crowd) {
        let (to_line, line) = mpsc::channel(settings.waiting.max(1));
        let crowd = Crowd { unanswered: Arc::default(), from: settings.crowd };
        let clerk = Clerk { settings, engine, crowd: crowd.clone(), pump, unspooler, away: AtomicBool::new(false) };
        (Self { line, clerk }, Acceptor { line: to_line, crowd: crowd.clone() }, crowd)
    }

    /// Commits until `stop`; then what has a place in the line is committed too.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self { mut line, clerk } = self;
        let (most, at_once) = (clerk.settings.batch.max(1), clerk.settings.under_way.max(1));
        let (mut batch, mut under_way, mut ended) = (Vec::with_capacity(most), FuturesUnordered::new(), false);
        while !(ended && under_way.is_empty()) {
            tokio::select! {
                biased;
                Some(committed) = under_way.next() => {
                    // Who waits in a batch that panicked is answered by its dropped channel.
                    if let Some(Err(Away)) = committed {
                        turn_all_away(&mut line);
                    }
                }
                taken = line.recv_many(&mut batch, most), if !ended && under_way.len() < at_once => {
                    ended = taken == 0;
                    if !ended {
                        under_way.push(contained(clerk.commit(std::mem::take(&mut batch))));
                    }
                }
                () = stop.cancelled(), if !line.is_closed() => line.close(),
            }
        }
    }
}

/// Everybody in the line hears it now: to let each batch wait for itself would keep the last for minutes.
fn turn_all_away(line: &mut mpsc::Receiver<Waiting>) {
    while let Ok(waiting) = line.try_recv() {
        answer([waiting.done], Err(NotStored));
    }
}

impl Clerk {
    async fn commit(&self, batch: Vec<Waiting>) -> Result<(), Away> {
        let (entries, callers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.entry, waiting.done)).unzip();
        metric::observe_size(Metric::AcceptBatch, &[], u32::try_from(entries.len()).unwrap_or(u32::MAX));
        match self.store(&entries).await {
            Ok(nudges) => {
                answer(callers, Ok(()));
                self.pump.hand_over(nudges);
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the database takes webhooks again");
                }
            }
            Err(Failed::Away(why)) => {
                answer(callers, Err(NotStored));
                return Err(self.went_away(&why));
            }
            // Alone or among others, it is told apart the same way.
            Err(Failed::Refused(_)) => return self.one_by_one(entries, callers).await,
        }
        Ok(())
    }

    async fn store(&self, entries: &[InboxEntry]) -> Result<Vec<Nudge>, Failed> {
        match tokio::time::timeout(self.settings.patience, self.enter_or_spool(entries)).await {
            Ok(Ok(nudges)) => {
                boundary::pass(Boundary::WebhookCommitted);
                Ok(nudges)
            }
            Ok(Err(error)) if error.is_unavailable() => Err(Failed::Away(error.to_string())),
            Ok(Err(error)) => Err(Failed::Refused(error)),
            Err(_) => Err(Failed::Away(format!("no commit within {:?}", self.settings.patience))),
        }
    }

    async fn enter_or_spool(&self, entries: &[InboxEntry]) -> Result<Vec<Nudge>, StoreError> {
        let (store, now) = (self.engine.store(), self.engine.now());
        if !self.crowd.is_to_be_spooled() {
            return store.accept(entries, now).await;
        }
        store.spool(entries, now).await?;
        self.unspooler.wake();
        Ok(Vec::new())
    }

    /// One entry that the database refuses must not take the others with it.
    async fn one_by_one(
        &self,
        entries: Vec<InboxEntry>,
        callers: Vec<oneshot::Sender<Result<(), NotStored>>>,
    ) -> Result<(), Away> {
        let mut waiting = entries.into_iter().zip(callers);
        for (entry, caller) in &mut waiting {
            match self.store(std::slice::from_ref(&entry)).await {
                Ok(nudges) => {
                    answer([caller], Ok(()));
                    self.pump.hand_over(nudges);
                }
                Err(Failed::Refused(error)) => {
                    tracing::error!(route = %entry.route, %error, "a webhook call could not be stored");
                    answer([caller], Err(NotStored));
                }
                Err(Failed::Away(why)) => {
                    answer([caller], Err(NotStored));
                    answer(waiting.map(|(_, caller)| caller), Err(NotStored));
                    return Err(self.went_away(&why));
                }
            }
        }
        Ok(())
    }

    fn went_away(&self, why: &str) -> Away {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "webhooks can't be stored; they are answered with 503 until the database is back");
        }
        Away
    }
}

fn answer(callers: impl IntoIterator<Item = oneshot::Sender<Result<(), NotStored>>>, outcome: Result<(), NotStored>) {
    for caller in callers {
        // A caller that has hung up needs no answer; its notice is stored all the same.
        let _ = caller.send(outcome);
    }
}
