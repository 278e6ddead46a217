//! Tandem's own roles as processes: the real program with a private database and broker.

use crate::programs::{Program, beside_this};
use anyhow::Result;
use std::net::SocketAddr;
use tokio::process::Command;

/// The secret last segment of the webhook addresses.
pub const TOKEN: &str = "benchmark-0123456789";

/// What every process of one installation is told.
#[derive(Clone)]
pub struct Installation {
    pub database: String,
    pub amqp: String,
    /// Installations share one broker.
    pub prefix: String,
    pub crm: String,
    pub finance: String,
    folder: std::sync::Arc<tempfile::TempDir>,
}

impl Installation {
    pub fn new(database: &str, amqp: &str, prefix: &str, crm: &str, finance: &str) -> Result<Self> {
        Ok(Self {
            database: database.to_owned(),
            amqp: amqp.to_owned(),
            prefix: prefix.to_owned(),
            crm: crm.to_owned(),
            finance: finance.to_owned(),
            folder: std::sync::Arc::new(tempfile::tempdir()?),
        })
    }

    /// `tandem` with these arguments. Eight records at once and no limits of the clients: the systems are simulated.
    pub fn tandem(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(beside_this("tandem")?);
        // A folder of its own: no settings file of whoever runs this.
        command.args(args).current_dir(self.folder.path()).env_clear().stderr(std::process::Stdio::inherit());
        let hash = siagh::hash_password(tandem_simulators::siagh::PASSWORD);
        for (name, value) in [
            ("DATABASE_URL", self.database.as_str()),
            ("AMQP_URL", &self.amqp),
            ("TANDEM_AMQP_PREFIX", &self.prefix),
            ("CRM_API_BASE_URL", &self.crm),
            ("CRM_USERNAME", tandem_simulators::payamgostar::USERNAME),
            ("CRM_PASSWORD", tandem_simulators::payamgostar::PASSWORD),
            ("FINANCE_API_BASE_URL", &self.finance),
            ("FINANCE_USERNAME", tandem_simulators::siagh::USERNAME),
            ("FINANCE_PASSWORD", &hash),
            ("POLL_INTERVAL_SECONDS", "0"),
            ("ENABLE_WEBHOOKS", "true"),
            ("TANDEM_WEBHOOK_TOKEN", TOKEN),
            ("TANDEM_CRM_REQUESTS_PER_SECOND", "0"),
            ("TANDEM_CRM_MAX_IN_FLIGHT", "16"),
            ("TANDEM_SIAGH_CONCURRENCY", "8"),
            ("TANDEM_SIAGH_MAX_WRITES", "8"),
            ("TANDEM_BIND", "127.0.0.1"),
            ("PORT", "0"),
            ("TANDEM_WORKER_PORT", "0"),
            ("TANDEM_LOG", "warn"),
        ] {
            command.env(name, value);
        }
        Ok(command)
    }

    pub async fn migrate(&self) -> Result<()> {
        Program::start("tandem migrate", &mut self.tandem(&["migrate"])?)?.ended().await
    }

    /// `tandem ingest`, listening.
    pub async fn ingest(&self) -> Result<(Program, SocketAddr)> {
        let mut ingest = Program::start("tandem ingest", &mut self.tandem(&["ingest"])?)?;
        let at = ingest.address_after("listening on").await?;
        Ok((ingest, at))
    }

    /// `tandem worker`, running.
    pub async fn worker(&self) -> Result<Program> {
        let mut worker = Program::start("tandem worker", &mut self.tandem(&["worker"])?)?;
        worker.address_after("listening on").await?;
        Ok(worker)
    }
}
