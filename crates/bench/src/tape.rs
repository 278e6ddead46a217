//! A recording of everything that one look at a record sends out: SQL to the database, HTTP to the two systems, in order.
//!
//! Proxies stand between and copy what passes. The baseline plays the recording with other records in it: it makes the
//! same calls and runs the same statements because they are the same bytes, whatever Tandem does tomorrow.

use crate::wire::{HttpReader, PostgresReader, Reader};
use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// Which system an HTTP call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Crm,
    Finance,
}

/// One thing that was sent out.
#[derive(Debug, Clone)]
pub enum Sent {
    /// A prepared statement with the types and the binary values of its parameters.
    Statement {
        sql: String,
        types: Vec<u32>,
        values: Vec<Option<Vec<u8>>>,
    },
    /// Text without parameters: BEGIN, COMMIT.
    Text(String),
    Call {
        system: System,
        method: String,
        path: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
}

/// Where proxies write down what passes.
#[derive(Clone, Default)]
pub struct Tape(Arc<Mutex<Vec<Sent>>>);

impl Tape {
    fn add(&self, sent: Vec<Sent>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(sent);
    }

    /// What was recorded since the last time.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same address through a recording proxy.
    pub async fn listen_in(&self, address: &str, system: Option<System>) -> Result<String> {
        let mut url: Url = address.parse().with_context(|| format!("{address} is no address"))?;
        let upstream =
            (url.host_str().unwrap_or("127.0.0.1").to_owned(), url.port().context("an address with a port")?);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let here: SocketAddr = listener.local_addr()?;
        let tape = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let reader: Box<dyn Reader> = match system {
                    Some(system) => Box::new(HttpReader::new(system)),
                    None => Box::new(PostgresReader::default()),
                };
                tokio::spawn(pass(client, upstream.clone(), reader, tape.clone()));
            }
        });
        let _ = url.set_host(Some("127.0.0.1"));
        let _ = url.set_port(Some(here.port()));
        Ok(url.to_string().trim_end_matches('/').to_owned())
    }
}

async fn pass(client: TcpStream, upstream: (String, u16), mut reader: Box<dyn Reader>, tape: Tape) -> Result<()> {
    let server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = from_client.read(&mut piece).await?;
        if length == 0 {
            break;
        }
        // Before it goes on: what answers it can't be recorded before it.
        tape.add(reader.feed(&piece[..length]));
        to_server.write_all(&piece[..length]).await?;
    }
    to_server.shutdown().await?;
    let _ = back.await;
    Ok(())
}
