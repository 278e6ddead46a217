//! The caller: many senders on kept-alive HTTP/1.1 connections. As light as can be, and the same for every server, so
//! that what differs between two servers is the servers.

use anyhow::{Context as _, Result, bail};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

/// Senders at once.
pub const SENDERS: usize = 64;

/// A request that differs from call to call in one GUID only: its bytes are prepared once.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    id_at: usize,
}

impl Template {
    /// A webhook as the CRM sends it: GET, everything in the query, `+` for spaces, a Persian label.
    pub fn webhook(path: &str, event: &str) -> Self {
        let label = "%D9%85%D8%AE%D8%A7%D8%B7%D8%A8+%D8%AD%D9%82%DB%8C%D9%82%DB%8C";
        let before = format!("GET {path}?event={event}&id=");
        let id = Uuid::nil();
        let bytes = format!("{before}{id}&type=Identity&subtype={label} HTTP/1.1\r\nHost: tandem.test\r\n\r\n");
        Self { id_at: before.len(), bytes: bytes.into_bytes() }
    }

    fn fill(&mut self, id: Uuid) {
        id.hyphenated().encode_lower(&mut self.bytes[self.id_at..]);
    }
}

pub struct Sender {
    stream: TcpStream,
    template: Template,
    answer: Vec<u8>,
}

impl Sender {
    pub async fn connect(to: SocketAddr, template: &Template) -> Result<Self> {
        let stream = TcpStream::connect(to).await.with_context(|| format!("can't connect to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, template: template.clone(), answer: Vec::with_capacity(1_024) })
    }

    /// Sends one call and reads its whole answer; anything but 2xx is an error.
    pub async fn call(&mut self, id: Uuid) -> Result<()> {
        self.template.fill(id);
        self.stream.write_all(&self.template.bytes).await?;
        self.answer.clear();
        let body_at = loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server hung up");
            }
            if let Some(at) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = std::str::from_utf8(&self.answer[..body_at]).context("an answer that is no text")?;
        let status = head.get(9..12).unwrap_or_default();
        if !status.starts_with('2') {
            bail!("the server answered {status}");
        }
        let length = head.lines().filter_map(|line| line.split_once(':'));
        let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.map(|(_, value)| value.trim().parse()).next().transpose()?.unwrap_or(0);
        while self.answer.len() < body_at + length {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server hung up");
            }
        }
        Ok(())
    }
}

/// Which records the calls are about.
#[derive(Clone)]
pub enum About {
    /// A new one each time.
    New,
    /// These, again and again.
    Known(Arc<Vec<Uuid>>),
}

impl About {
    fn id(&self, number: u64) -> Uuid {
        match self {
            Self::New => Uuid::new_v4(),
            Self::Known(ids) => ids[number as usize % ids.len()],
        }
    }
}

/// All senders call as fast as they are answered; the answers per second.
pub async fn flat_out(to: SocketAddr, template: &Template, time: Duration, about: About) -> Result<f64> {
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        senders.push(Sender::connect(to, template).await?);
    }
    let (began, mut running, next) = (Instant::now(), JoinSet::new(), Arc::new(AtomicU64::new(0)));
    for mut sender in senders {
        let (about, next) = (about.clone(), next.clone());
        running.spawn(async move {
            let mut answered = 0u64;
            while began.elapsed() < time {
                sender.call(about.id(next.fetch_add(1, Ordering::Relaxed))).await?;
                answered += 1;
            }
            Ok::<_, anyhow::Error>(answered)
        });
    }
    let mut answered = 0;
    while let Some(done) = running.join_next().await {
        answered += done??;
    }
    Ok(answered as f64 / began.elapsed().as_secs_f64())
}

/// Who gets which place in a paced sequence, and when it is due.
pub struct Pace {
    began: Instant,
    per_second: f64,
    next: AtomicU64,
    total: u64,
}

impl Pace {
    pub fn new(per_second: f64, total: u64) -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), per_second, next: AtomicU64::new(0), total })
    }

    /// Waits for the next place; `None` when all are gone. The moment is the one it was due at, so that a caller who is
    /// kept waiting by the server counts that wait too; only what the timer itself is late is not held against the
    /// server.
    pub async fn turn(&self) -> Option<(u64, Instant)> {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        if place >= self.total {
            return None;
        }
        let due = self.began + Duration::from_secs_f64(place as f64 / self.per_second);
        if due <= Instant::now() {
            return Some((place, due));
        }
        tokio::time::sleep_until(due).await;
        Some((place, Instant::now()))
    }
}

/// So many calls per second in all; how long each took, in milliseconds.
pub async fn paced(to: SocketAddr, template: &Template, per_second: f64, total: u64) -> Result<Vec<f64>> {
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        senders.push(Sender::connect(to, template).await?);
    }
    let (pace, mut running) = (Pace::new(per_second, total), JoinSet::new());
    for mut sender in senders {
        let pace = pace.clone();
        running.spawn(async move {
            let mut times = Vec::new();
            while let Some((_, due)) = pace.turn().await {
                sender.call(Uuid::new_v4()).await?;
                times.push(crate::stats::millis(due.elapsed()));
            }
            Ok::<_, anyhow::Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = running.join_next().await {
        times.extend(done??);
    }
    Ok(times)
}
