//! The way to an orderly end: the first SIGINT or SIGTERM asks for it, a second SIGINT ends the process at once.

use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first signal, and what is known of that.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    pub token: CancellationToken,
    asked: Arc<OnceLock<(&'static str, Instant)>>,
}

impl Stop {
    /// Begins to listen for signals.
    pub fn on_signal() -> Self {
        let stop = Self::default();
        let listening = stop.clone();
        tokio::spawn(async move {
            let name = signal().await;
            let _ = listening.asked.set((name, Instant::now()));
            listening.token.cancel();
            if tokio::signal::ctrl_c().await.is_ok() {
                // What shells report for a process that was interrupted.
                std::process::exit(130);
            }
        });
        stop
    }

    /// The signal that came, and when; `None` while none has.
    pub fn asked(&self) -> Option<(&'static str, Instant)> {
        self.asked.get().copied()
    }
}

/// A token that is cancelled by the first signal.
pub fn on_signal() -> CancellationToken {
    Stop::on_signal().token
}

/// Waits for a signal; answers its name.
#[cfg(unix)]
async fn signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return "SIGINT";
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

#[cfg(not(unix))]
async fn signal() -> &'static str {
    let _ = tokio::signal::ctrl_c().await;
    "Ctrl-C"
}
