//! A link that is always being restored: the supervisor that replaces a connection when it is lost or stalls.
//!
//! It believes in answers, not in the connection's own word: every beat it opens a channel and waits for the broker's
//! reply. A link that gives none is hung up and dialled anew, for as long as the program runs.

use super::dial::Link;
use super::settings::RabbitSettings;
use super::topology::Topology;
use futures_util::StreamExt;
use lapin::Event;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::lane::LaneError;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

/// The link in use, or why there is none.
type Current = Result<Arc<Link>, LaneError>;

/// A supervised link to the broker.
pub(crate) struct Line {
    current: watch::Receiver<Current>,
    suspicion: Arc<Notify>,
    supervisor: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl Line {
    /// Starts to connect and returns at once. With a `topology`, the line also declares it after each connect and
    /// renews it with each beat. Must be called inside a tokio runtime.
    pub(crate) fn start(role: &'static str, settings: Arc<RabbitSettings>, topology: Option<Arc<Topology>>) -> Self {
        let (announce, current) = watch::channel(Err(LaneError("not connected yet".into())));
        let suspicion = Arc::new(Notify::new());
        let keeper = Keeper { role, settings, topology, announce, suspicion: Arc::clone(&suspicion) };
        Self { current, suspicion, supervisor: tokio::spawn(keeper.keep()) }
    }

    /// The link, as soon as there is one, or an error at `deadline`.
    pub(crate) async fn link(&self, deadline: Instant) -> Result<Arc<Link>, LaneError> {
        let mut current = self.current.clone();
        // The outcome does not matter: what is there by then is the answer.
        let _ = timeout_at(deadline, current.wait_for(Result::is_ok)).await;
        current.borrow().clone().map_err(|why| LaneError(format!("the broker can't be reached: {why}")))
    }

    pub(crate) fn is_up(&self) -> bool {
        self.current.borrow().is_ok()
    }

    /// Something failed that should not have: look at the link and at the topology now.
    pub(crate) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// A future that ends when `link` is no longer the one in use.
    pub(crate) fn gone(&self, link: &Arc<Link>) -> impl Future<Output = ()> + Send + use<> {
        let mut current = self.current.clone();
        let link = Arc::downgrade(link);
        async move {
            let replaced = |now: &Current| now.as_ref().map_or(true, |now| Arc::as_ptr(now) != link.as_ptr());
            // An error means that the supervisor has ended, and the link with it.
            let _ = current.wait_for(replaced).await;
        }
    }
}

struct Keeper {
    role: &'static str,
    settings: Arc<RabbitSettings>,
    topology: Option<Arc<Topology>>,
    announce: watch::Sender<Current>,
    suspicion: Arc<Notify>,
}

impl Keeper {
    async fn keep(self) {
        let mut pause = self.settings.reconnect_first;
        loop {
            match Link::dial(&self.settings, self.role).await {
                Ok(link) => {
                    let since = Instant::now();
                    let why = self.serve(Arc::new(link)).await;
                    tracing::warn!(line = self.role, broker = %self.settings.place(), %why, "the link to the broker is lost; connecting again");
                    if since.elapsed() > self.settings.reconnect_last {
                        pause = self.settings.reconnect_first;
                    }
                }
                Err(why) => {
                    let before = self.announce.send_replace(Err(why.clone()));
                    // Said once until it changes.
                    if before.err().is_none_or(|before| before.0 != why.0) {
                        tracing::warn!(line = self.role, broker = %self.settings.place(), %why, "no link to the broker; trying again");
                    }
                }
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(self.settings.reconnect_last);
        }
    }

    /// Serves one link until it is good for nothing; answers why.
    async fn serve(&self, link: Arc<Link>) -> LaneError {
        // Subscribed before anything else, or an early event is lost.
        let watched = self.watch(&link);
        self.renew_topology(&link).await;
        tracing::info!(line = self.role, broker = %self.settings.place(), "connected to the broker");
        let _ = self.announce.send_replace(Ok(Arc::clone(&link)));
        let why = watched.await;
        let _ = self.announce.send_replace(Err(why.clone()));
        link.hang_up();
        why
    }

    fn watch<'a>(&'a self, link: &'a Arc<Link>) -> impl Future<Output = LaneError> + 'a {
        let mut events = Box::pin(link.connection.events_listener());
        async move {
            let mut beat = interval(self.settings.beat());
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            beat.reset();
            loop {
                tokio::select! {
                    event = events.next() => match event {
                        // The broker closed one channel; who used it knows. The connection is as good as before.
                        Some(Event::Error(error)) if error.is_amqp_soft_error() => {}
                        Some(Event::Error(error)) => return super::dial::lane_error(&error),
                        Some(Event::ConnectionBlocked(why)) => tracing::warn!(line = self.role, %why, "the broker accepts no more nudges for now"),
                        Some(Event::ConnectionUnblocked) => tracing::info!(line = self.role, "the broker accepts nudges again"),
                        Some(_) => {}
                        None => return LaneError("the connection has ended".into()),
                    },
                    _ = beat.tick() => if let Err(why) = self.examine(link).await { return why },
                    () = self.suspicion.notified() => if let Err(why) = self.examine(link).await { return why },
                }
            }
        }
    }

    async fn examine(&self, link: &Arc<Link>) -> Result<(), LaneError> {
        // A blocked connection may not write, so it can't ask; the heartbeats still watch over it.
        if link.connection.status().blocked() {
            return Ok(());
        }
        let channel = link.channel().await?;
        self.renew_topology(link).await;
        drop(channel);
        Ok(())
    }

    /// Trouble with a queue is that queue's, not the link's: it is reported by the topology, and the link stays.
    async fn renew_topology(&self, link: &Arc<Link>) {
        if let Some(topology) = &self.topology {
            let _ = topology.declare_all(link).await;
        }
    }
}

/// Between half the pause and the whole, so that the copies of a service don't all come back at the same moment.
fn jittered(pause: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_bytes()[0];
    pause / 2 + pause / 2 * u32::from(random) / 255
}
