//! A TCP proxy that misbehaves on command: cut, silent, slow, closed, or losing one answer.
//!
//! It knows nothing of what passes through, so that it stands in front of a database, a broker or an HTTP service alike.
//! What it cannot imitate is a lost packet: the kernel on this machine acknowledges what it has received, also while
//! the proxy is silent.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::ports::Port;
use crate::process::lock;
use crate::url::ServerUrl;

const CHUNK_BYTES: usize = 16 * 1024;
/// What may wait in one direction while it is delayed; more than that is back pressure.
const CHUNKS_UNDERWAY: usize = 64;

/// A running proxy on a port of its own. Dropping it closes the port and resets every connection.
pub struct ChaosProxy {
    port: Port,
    shared: Arc<Shared>,
    mode: watch::Sender<Mode>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mode {
    silent: bool,
    delay: Duration,
}

struct Shared {
    upstream: String,
    connections: Mutex<Vec<JoinHandle<()>>>,
    accepted: AtomicUsize,
    lose_reply: AtomicBool,
}

impl ChaosProxy {
    /// Listens on 127.0.0.1 and passes everything on to `upstream`, written `host:port`. Upstream need not be up.
    pub async fn start(upstream: impl Into<String>) -> Result<Self> {
        let shared = Shared {
            upstream: upstream.into(),
            connections: Mutex::default(),
            accepted: AtomicUsize::new(0),
            lose_reply: AtomicBool::new(false),
        };
        let (mode, _) = watch::channel(Mode::default());
        let mut proxy = Self { port: Port::reserve()?, shared: Arc::new(shared), mode, listening: None };
        proxy.refuse(false).await?;
        Ok(proxy)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// The same as `host:port`.
    pub fn host_port(&self) -> String {
        self.address().to_string()
    }

    /// `url` with its host and port replaced by the proxy's.
    pub fn through(&self, url: &str) -> Result<String> {
        Ok(ServerUrl::parse(url)?.with_place(&self.host_port()))
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Resets (RST) every connection, on both sides. New ones are welcome. Done when this returns.
    pub async fn cut(&self) {
        let connections = std::mem::take(&mut *lock(&self.shared.connections));
        for connection in &connections {
            connection.abort();
        }
        for connection in connections {
            // Aborted or ended by itself: gone in both cases.
            let _ = connection.await;
        }
    }

    /// While `true`, connections are accepted and stay open, and no byte passes in either direction. With `false` the
    /// held bytes flow again.
    pub fn blackhole(&self, silent: bool) {
        self.mode.send_modify(|mode| mode.silent = silent);
    }

    /// From now on every byte arrives this much later, in both directions, without limiting the rate.
    pub fn delay(&self, delay: Duration) {
        self.mode.send_modify(|mode| mode.delay = delay);
    }

    /// While `true`, new connections are refused as by a service that is down; those that exist stay. Done when this
    /// returns.
    pub async fn refuse(&mut self, refuse: bool) -> Result<()> {
        match (refuse, self.listening.take()) {
            (true, Some(listening)) => {
                listening.abort();
                let _ = listening.await;
            }
            (false, None) => {
                let listener = TcpListener::bind(self.address()).await.context("cannot listen on the proxy's port")?;
                self.listening = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared), self.mode.subscribe())));
            }
            (_, unchanged) => self.listening = unchanged,
        }
        Ok(())
    }

    /// The next answer from upstream is swallowed and its connection reset: the work was done, the caller does not
    /// know. Once per call.
    pub fn lose_next_reply(&self) {
        self.shared.lose_reply.store(true, Ordering::SeqCst);
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
        for connection in lock(&self.shared.connections).drain(..) {
            connection.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mode: watch::Receiver<Mode>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut connections = lock(&shared.connections);
        connections.retain(|connection| !connection.is_finished());
        connections.push(tokio::spawn(serve(client, Arc::clone(&shared), mode.clone())));
        shared.accepted.fetch_add(1, Ordering::SeqCst);
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>, mode: watch::Receiver<Mode>) {
    let mut client = Side { stream: client, reset: true };
    let Ok(upstream) = TcpStream::connect(&shared.upstream).await else { return };
    let mut upstream = Side { stream: upstream, reset: true };
    for side in [&client, &upstream] {
        // Only a matter of speed.
        let _ = side.stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.stream.split();
    let (from_upstream, to_upstream) = upstream.stream.split();
    let requests = pump(from_client, to_upstream, mode.clone(), None);
    let replies = pump(from_upstream, to_client, mode, Some(&shared.lose_reply));
    if tokio::try_join!(requests, replies).is_ok() {
        client.reset = false;
        upstream.reset = false;
    }
}

/// One end of a connection: closed in order after an orderly end, reset in every other case.
struct Side {
    stream: TcpStream,
    reset: bool,
}

impl Drop for Side {
    fn drop(&mut self) {
        if self.reset {
            // With no time to linger, closing sends RST. A connection that is gone needs none.
            let _ = self.stream.set_zero_linger();
        }
    }
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut mode: watch::Receiver<Mode>,
    lose: Option<&AtomicBool>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut underway: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut open = true;
    loop {
        let now = *mode.borrow_and_update();
        if now.silent {
            mode.changed().await.map_err(io::Error::other)?;
            continue;
        }
        while underway.front().is_some_and(|(due, _)| *due <= Instant::now()) {
            if let Some((_, chunk)) = underway.pop_front() {
                to.write_all(&chunk).await?;
            }
        }
        if !open && underway.is_empty() {
            return to.shutdown().await;
        }
        let due = underway.front().map(|(due, _)| *due);
        tokio::select! {
            changed = mode.changed() => changed.map_err(io::Error::other)?,
            read = from.read(&mut buffer), if open && underway.len() < CHUNKS_UNDERWAY => match read? {
                0 => open = false,
                _ if lose.is_some_and(|lose| lose.swap(false, Ordering::SeqCst)) => {
                    return Err(io::Error::other("this answer was to be lost"));
                }
                count => underway.push_back((Instant::now() + now.delay, buffer[..count].to_vec())),
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
    }
}
