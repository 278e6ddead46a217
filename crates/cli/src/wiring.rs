//! Puts the parts together: settings to store, lanes, bridges, engine. The only place that knows them all.

use crate::args::Command;
use crate::reach;
use crate::register;
use crate::settings::{self, Needs, Places, Problem, Problems, Settings};
use anyhow::{Context as _, bail};
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tandem_core::lane::Lanes;
use tandem_engine::{Engine, Publisher, Register, SystemClock};
use tandem_queue::{EmbeddedLanes, RabbitLanes, RabbitSettings};
use tandem_store::{Options, Store};
use tandem_telemetry::log::Format;
use uuid::Uuid;

/// How long publishing waits for the lane's word.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(5);

/// What every command starts with.
#[derive(Debug, Clone)]
pub struct Start {
    pub config: Option<PathBuf>,
    pub json: bool,
}

impl Start {
    /// Reads the settings.
    ///
    /// # Errors
    /// All that is wrong with them; exit code 2.
    pub fn settings(&self, needs: Needs) -> anyhow::Result<Settings> {
        let raw = settings::read(&Places::of_this_process(self.config.clone()));
        let settings = Settings::load(&raw, needs)?;
        raw.notes.iter().for_each(|note| tracing::info!("{note}"));
        raw.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(settings)
    }

    /// The settings and a migrated database.
    pub async fn store(&self) -> anyhow::Result<(Settings, Store)> {
        let settings = self.settings(Needs::Database)?;
        let store = connect(&settings).await?;
        ready(&store).await?;
        Ok((settings, store))
    }

    /// The settings and an engine over a migrated database, with all bridges.
    pub async fn engine(&self) -> anyhow::Result<(Settings, Engine)> {
        let settings = self.settings(Needs::Bridges)?;
        let store = connect(&settings).await?;
        ready(&store).await?;
        let engine = engine(&settings, store)?;
        Ok((settings, engine))
    }
}

/// Connects to Tandem's own database, which has to be there: of a wrong path an empty database would be made.
pub async fn connect(settings: &Settings) -> anyhow::Result<Store> {
    if let Some(file) = settings.database.sqlite_file().filter(|file| matches!(file.try_exists(), Ok(false))) {
        bail!(
            "there is no database at {}; look at DATABASE_URL, or make a new one there: `tandem migrate` does, and so does `tandem up`",
            file.display()
        );
    }
    connect_or_make(settings).await
}

/// As [`connect`]; an SQLite file that is not there is made.
pub async fn connect_or_make(settings: &Settings) -> anyhow::Result<Store> {
    let url = settings.database.url.as_ref().context("DATABASE_URL is missing")?;
    let options =
        Options { max_connections: settings.database.connections, acquire_timeout: settings.database.acquire_timeout };
    match Store::connect(url.expose_secret(), options).await {
        Err(error) if error.is_unavailable() => match reach::why_not(url.expose_secret()).await {
            Some(why) => bail!("{error} ({why})"),
            None => Err(error.into()),
        },
        connected => Ok(connected?),
    }
}

/// Stops a command whose database is not migrated.
pub async fn ready(store: &Store) -> anyhow::Result<()> {
    let pending = store.pending_migrations().await?;
    if !pending.is_empty() {
        let count = crate::show::counted(pending.len() as u64, "migration");
        bail!("the database is not migrated ({count} to apply); run `tandem migrate`");
    }
    Ok(())
}

/// The engine with the bridges that run here.
pub fn engine(settings: &Settings, store: Store) -> anyhow::Result<Engine> {
    let bridges = register::build(settings)?;
    let owner = owner(settings);
    Ok(Engine::new(store, Register::new(bridges), Arc::new(SystemClock), settings.policy.clone(), owner))
}

/// RabbitMQ where it is set, else the ledger itself. The broker need not be there yet.
pub fn lanes(settings: &Settings, store: &Store) -> anyhow::Result<Arc<dyn Lanes>> {
    let Some(broker) = &settings.broker else {
        return Ok(Arc::new(EmbeddedLanes::new(Arc::new(store.clone()), EmbeddedLanes::DEFAULT_POLL)));
    };
    let mut rabbit = RabbitSettings::new(&broker.url)?;
    rabbit.prefix.clone_from(&broker.prefix);
    Ok(Arc::new(RabbitLanes::connect(rabbit)))
}

pub fn publisher(lanes: &Arc<dyn Lanes>, store: &Store) -> Publisher {
    Publisher::new(lanes.clone(), store.clone(), PUBLISH_PATIENCE)
}

/// The name of this process in leases: readable, and different for each process.
fn owner(settings: &Settings) -> String {
    let instance = settings.process.instance.clone().unwrap_or_else(host_name);
    let random = Uuid::new_v4().simple().to_string();
    format!("{instance}:{}:{}", std::process::id(), &random[..6])
}

fn host_name() -> String {
    let named = ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    named
        .or_else(kernel)
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "tandem".to_owned())
}

/// Sets up the log. Services log as the settings say; other commands only what went wrong, unless `TANDEM_LOG` is set.
///
/// # Errors
/// When the filter can't be read. Other problems of the settings are left to the command.
pub fn log(start: &Start, command: &Command) -> anyhow::Result<()> {
    let raw = settings::read(&Places::of_this_process(start.config.clone()));
    let service = matches!(command, Command::Up | Command::Ingest | Command::Worker);
    let mut process = settings::process_of(&raw);
    if !service && !raw.values.contains_key("TANDEM_LOG") {
        // The connections that the demo's faults cut are no news.
        let cut = if command.is_demo() { ",actix_http=off" } else { "" };
        process.log = format!("warn{cut}");
    }
    let format = if process.json_log { Format::Json } else { Format::Text };
    tandem_telemetry::log::init(format, &process.log)
        .map_err(|error| Problems(vec![Problem::new("TANDEM_LOG", error.to_string())]).into())
}
