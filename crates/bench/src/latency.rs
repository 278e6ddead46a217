//! From a webhook to the write in the finance system, at a steady pace: what Tandem adds to the calls themselves.
//!
//! The real `tandem ingest` and `tandem worker` with a real database and broker. The simulated finance system is in this
//! process, so that the moment of each write is known here.

use crate::accept::webhook;
use crate::args::Args;
use crate::bare::Clients;
use crate::load::{Pace, SENDERS, Sender};
use crate::machine::resident_mb;
use crate::people::{self, Person};
use crate::replay::{self, Place, Script};
use crate::report::{Report, Target};
use crate::roles::Installation;
use crate::servers::Servers;
use crate::{rig, stats};
use anyhow::{Context as _, Result};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tandem_simulators::siagh::{Admin, Settings, SiaghSim};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

const PART: &str = "latency";
const PER_SECOND: f64 = 200.0;
/// How long the last writes are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(args: &Args, servers: &Servers, report: &mut Report) -> Result<()> {
    let (_crm_program, crm, crm_control) = rig::simulate("payamgostar").await?;
    let siagh = SiaghSim::start(Settings::quick()).await?;
    let finance = siagh.admin();
    let highest = finance.seed_contact(serde_json::from_value(replay::first_contact())?);

    let database = servers.postgres.fresh_database().await?;
    let tandem = Installation::new(&database, &servers.amqp, "latency", &crm, &siagh.api_url())?;
    tandem.migrate().await?;
    let place = Place { database: &database, crm: &crm, crm_control: &crm_control, finance: &siagh.api_url() };
    let script = Arc::new(replay::record(&place, 1).await?);
    let (ingest, at) = tandem.ingest().await?;
    let worker = tandem.worker().await?;

    let (count, rounds) = (args.pick(2_000, 200), args.pick(5, 1));
    let mut writes = Writes::watch(finance, highest + 1);
    let (mut total, mut bare, mut serial) = (Vec::new(), Vec::new(), 1_000);
    for round in 0..=rounds {
        let people = people::seed(&crm_control, serial..serial + 2 * count, 500, 0).await?;
        serial += 2 * count;
        let (for_bare, for_tandem) = people.split_at(count as usize);
        let calls = bare_calls(&script, for_bare).await?;
        let sent = send(at, for_tandem).await?;
        let times = writes.times(&sent).await?;
        // The first round logs in, connects and prepares statements.
        if round > 0 {
            bare.extend(calls);
            total.extend(times);
        }
    }
    let calls = stats::median(&bare);
    report.value(PART, "the bare calls at 200/s: p50", calls, "ms", None);
    report.value(PART, "the bare calls at 200/s: p99", stats::quantile(&bare, 0.99), "ms", None);
    report.value(PART, "webhook to finance write at 200/s: p50", stats::median(&total), "ms", None);
    report.value(PART, "webhook to finance write at 200/s: p99", stats::quantile(&total, 0.99), "ms", None);
    // The median of the calls is taken off each, also at the slow end: the strict way.
    let added: Vec<f64> = total.iter().map(|time| time - calls).collect();
    report.value(PART, "added by Tandem: p50", stats::median(&added), "ms", Some(Target::AtMost(5.0)));
    report.value(PART, "added by Tandem: p99", stats::quantile(&added, 0.99), "ms", Some(Target::AtMost(15.0)));
    for (role, program) in [("ingest", &ingest), ("worker", &worker)] {
        let memory = resident_mb(program.pid()).context("a role has ended")?;
        report.value(PART, format!("{role} resident"), memory, "MB", Some(Target::AtMost(64.0)));
    }
    worker.kill().await;
    ingest.kill().await;
    Ok(())
}

/// The calls alone, at the same pace; how long they took in milliseconds.
async fn bare_calls(script: &Arc<Script>, people: &[Person]) -> Result<Vec<f64>> {
    let (pace, clients) = (Pace::new(PER_SECOND, people.len() as u64), Clients::new()?);
    let (people, mut running) = (Arc::new(people.to_vec()), JoinSet::new());
    for _ in 0..rig::AT_ONCE {
        let (pace, clients, people, script) = (pace.clone(), clients.clone(), people.clone(), script.clone());
        running.spawn(async move {
            let mut times = Vec::new();
            while let Some((place, _)) = pace.turn().await {
                times.push(stats::millis(clients.calls(&script, &people[place as usize]).await?));
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

/// A webhook for each at the pace; when each was sent, by serial number.
async fn send(at: SocketAddr, people: &[Person]) -> Result<HashMap<String, Instant>> {
    let (pace, people, mut running) =
        (Pace::new(PER_SECOND, people.len() as u64), Arc::new(people.to_vec()), JoinSet::new());
    for _ in 0..SENDERS {
        let (pace, people, mut sender) = (pace.clone(), people.clone(), Sender::connect(at, &webhook()).await?);
        running.spawn(async move {
            let mut sent = Vec::new();
            while let Some((place, due)) = pace.turn().await {
                let person = &people[place as usize];
                sent.push((Person::digits(person.serial), due));
                sender.call(person.id).await?;
            }
            Ok::<_, anyhow::Error>(sent)
        });
    }
    let mut sent = HashMap::new();
    while let Some(done) = running.join_next().await {
        sent.extend(done??);
    }
    Ok(sent)
}

/// The contacts that appear in the finance system, and when.
struct Writes(mpsc::UnboundedReceiver<(String, Instant)>);

impl Writes {
    /// From the contact with this code on; codes are given out one after the other.
    fn watch(finance: Admin, mut next: i64) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            finance
                .until(|finance| {
                    while let Some(contact) = finance.contact(next) {
                        let now = Instant::now();
                        let mobile = contact.mobile_no.unwrap_or_default();
                        let digits = mobile.get(mobile.len().saturating_sub(7)..).unwrap_or_default().to_owned();
                        if tell.send((digits, now)).is_err() {
                            return true;
                        }
                        next += 1;
                    }
                    false
                })
                .await;
        });
        Self(told)
    }

    /// How long each of `sent` took to arrive, in milliseconds.
    async fn times(&mut self, sent: &HashMap<String, Instant>) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        while times.len() < sent.len() {
            let arrived = tokio::time::timeout(PATIENCE, self.0.recv()).await;
            let arrived = arrived.with_context(|| format!("{} of {} writes arrived", times.len(), sent.len()))?;
            let (digits, at) = arrived.context("the finance system has ended")?;
            times.extend(sent.get(&digits).map(|sent| stats::millis(at - *sent)));
        }
        Ok(times)
    }
}
