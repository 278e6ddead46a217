//! The bare loop: plays a script for one record after the other, without Tandem. The baseline for settling.
//!
//! It has the habits of a client that one would write by hand: reads share kept-alive connections, each write opens its
//! own, every task has a database connection, statements are prepared once.

use crate::people::Person;
use crate::replay::{Action, Script, Values};
use anyhow::{Context as _, Result, ensure};
use reqwest::Client;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Connection, Encode, Executor, PgConnection, Postgres, Row, Type};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The clients of the systems.
#[derive(Clone)]
pub struct Clients {
    reads: Client,
    writes: Client,
}

impl Clients {
    pub fn new() -> Result<Self> {
        let build = |idle| Client::builder().no_proxy().pool_max_idle_per_host(idle).build();
        Ok(Self { reads: build(usize::MAX)?, writes: build(0)? })
    }

    /// One call; the code that a write was answered with.
    async fn call(
        &self,
        url: &str,
        headers: &reqwest::header::HeaderMap,
        body: Vec<u8>,
        write: bool,
    ) -> Result<Option<String>> {
        let client = if write { &self.writes } else { &self.reads };
        let answer = client.post(url).headers(headers.clone()).body(body).send().await?.error_for_status()?;
        let body = answer.bytes().await?;
        let read: serde_json::Value = serde_json::from_slice(&body).context("an answer that is no JSON")?;
        if !write {
            return Ok(None);
        }
        let text = read.to_string();
        let code = text.split_once("ReturnCode").map(|(_, rest)| rest).context("an answer without a code")?;
        let code: String = code.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        ensure!(!code.is_empty(), "Siagh refused: {text}");
        Ok(Some(code))
    }

    /// The calls of a script alone; how long they took.
    pub async fn calls(&self, script: &Script, person: &Person) -> Result<Duration> {
        let (values, began) = (Values::of(person), Instant::now());
        for action in &script.actions {
            if let Action::Call { url, headers, body, write } = action {
                self.call(url, headers, values.text(body), *write).await?;
            }
        }
        Ok(began.elapsed())
    }
}

/// Plays the script for all, `tasks` at once; records per second.
pub async fn play(script: &Arc<Script>, database: &str, people: &[Person], tasks: u16) -> Result<f64> {
    let (people, next, clients) = (Arc::new(people.to_vec()), Arc::new(AtomicUsize::new(0)), Clients::new()?);
    let mut connections = Vec::new();
    for _ in 0..tasks {
        connections.push(PgConnection::connect(database).await?);
    }
    let (began, mut running) = (Instant::now(), JoinSet::new());
    for mut connection in connections {
        let (script, people, next, clients) = (script.clone(), people.clone(), next.clone(), clients.clone());
        running.spawn(async move {
            while let Some(person) = people.get(next.fetch_add(1, Ordering::Relaxed)) {
                one(&script, &mut connection, &clients, person).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(people.len() as f64 / began.elapsed().as_secs_f64())
}

async fn one(script: &Script, connection: &mut PgConnection, clients: &Clients, person: &Person) -> Result<()> {
    let mut values = Values::of(person);
    for action in &script.actions {
        match action {
            Action::Text(sql) => {
                connection.execute(*sql).await?;
            }
            Action::Statement { sql, slots } => {
                let mut query = sqlx::query(*sql);
                for (of, slot) in slots {
                    query = query.bind(Raw { of: *of, value: values.value(slot) });
                }
                let rows = query.fetch_all(&mut *connection).await?;
                if values.row == 0 {
                    values.row = rows.first().context("the record is not open")?.try_get("id")?;
                }
            }
            Action::Call { url, headers, body, write } => {
                if let Some(code) = clients.call(url, headers, values.text(body), *write).await? {
                    values.code = code;
                }
            }
        }
    }
    Ok(())
}

/// A parameter in the form in which it was recorded.
struct Raw {
    of: u32,
    value: Option<Vec<u8>>,
}

impl Type<Postgres> for Raw {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Raw {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let Some(value) = &self.value else { return Ok(IsNull::Yes) };
        buffer.extend_from_slice(value);
        Ok(IsNull::No)
    }
    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.of)))
    }
}
