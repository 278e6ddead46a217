//! Brings webhooks to their receivers: one attempt each, beside everything else the CRM does.
//!
//! Plain `http` addresses only; the sheet knows no other receiver.

use super::{
    crm::Site,
    webhooks::{Job, Outcome, Parcel},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};

/// Deliveries without a delay go through this many connections; those of one object through the same, in order.
const LANES: usize = 8;
/// How long a reordered delivery waits for another one of its object.
const HELD_FOR: Duration = Duration::from_secs(2);
/// More than any answer head a receiver sends.
const LARGEST_HEAD: usize = 64 * 1024;

/// Sends what the CRM announces until the simulator stops.
pub(crate) async fn deliver(site: Arc<Site>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let lanes: Vec<_> = (0..LANES).map(|_| lane(Arc::clone(&site))).collect();
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Send(parcels) if parcels.iter().all(|parcel| parcel.delay.is_zero()) => {
                let Some(first) = parcels.first() else { continue };
                let mut hasher = DefaultHasher::new();
                first.object.hash(&mut hasher);
                let _ = lanes[hasher.finish() as usize % LANES].send(parcels);
            }
            Job::Send(parcels) => {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    let mut courier = Courier::default();
                    for parcel in parcels {
                        sleep(parcel.delay).await;
                        courier.bring(&site, parcel).await;
                    }
                });
            }
            Job::ReleaseLater(object) => {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    sleep(HELD_FOR).await;
                    site.with(|crm| crm.release(object));
                });
            }
        }
    }
}

fn lane(site: Arc<Site>) -> mpsc::UnboundedSender<Vec<Parcel>> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<Parcel>>();
    tokio::spawn(async move {
        let mut courier = Courier::default();
        while let Some(parcels) = receiver.recv().await {
            for parcel in parcels {
                courier.bring(&site, parcel).await;
            }
        }
    });
    sender
}

/// One sender with the connection it keeps alive.
#[derive(Default)]
struct Courier {
    open: Option<(String, TcpStream)>,
}

impl Courier {
    async fn bring(&mut self, site: &Site, parcel: Parcel) {
        let outcome = match timeout(parcel.timeout, self.get(&parcel.target)).await {
            Ok(Ok(status)) => Outcome::Answered(status),
            Ok(Err(error)) => Outcome::Failed(error.to_string()),
            Err(_) => Outcome::Failed("no answer in time".to_owned()),
        };
        if !matches!(outcome, Outcome::Answered(_)) {
            self.open = None;
        }
        site.with(|crm| crm.outbox.settle(parcel.serial, outcome));
    }

    async fn get(&mut self, target: &str) -> io::Result<u16> {
        let rest = target.strip_prefix("http://").ok_or_else(|| io::Error::other("the address is not http://"))?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let mut stream = self.connection(host).await?;
        let request = format!("GET {slash}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: Keep-Alive\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let (status, reusable) = read_answer(&mut stream).await?;
        self.open = reusable.then(|| (host.to_owned(), stream));
        Ok(status)
    }

    async fn connection(&mut self, host: &str) -> io::Result<TcpStream> {
        if let Some((_, stream)) = self.open.take().filter(|(open, _)| open == host) {
            // A connection with something to read was closed by the other side meanwhile.
            let idle = stream.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            if idle {
                return Ok(stream);
            }
        }
        let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let stream = TcpStream::connect(with_port).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The status of an answer, and whether its end was seen so that the connection can be used again.
async fn read_answer(stream: &mut TcpStream) -> io::Result<(u16, bool)> {
    let mut read = Vec::with_capacity(1024);
    let head_end = loop {
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if read.len() > LARGEST_HEAD || stream.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&read[..head_end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.get(..3)).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the answer is not HTTP"))?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
    let length = header("content-length:").and_then(|length| length.parse::<usize>().ok());
    let Some(length) = length.filter(|_| header("connection:") != Some("close")) else { return Ok((status, false)) };
    while read.len() < head_end + length {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok((status, false));
        }
    }
    Ok((status, read.len() == head_end + length))
}
