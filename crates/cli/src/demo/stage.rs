//! Everything that the show needs, started in this process: both simulated systems over real HTTP, a database file,
//! and Tandem's own two roles, wired as `tandem up` wires them.

use crate::commands::roles::Up;
use crate::settings::{self, Needs, Places, Settings};
use crate::wiring;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use tandem_engine::Engine;
use tandem_simulators::Latency;
use tandem_simulators::company::Company;
use tandem_simulators::payamgostar::{self, PayamgostarSim, Webhook};
use tandem_simulators::siagh::{self, SiaghSim};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long our own write keeps a further change waiting; 10 s by default, less here so that the show does not drag.
pub const GATE_SECONDS: u64 = 3;

pub struct Stage {
    pub crm: payamgostar::Admin,
    pub finance: siagh::Admin,
    pub company: Company,
    pub engine: Engine,
    pub database: String,
    /// The address to register, with ROUTE for the item type's route.
    webhook: String,
    stop: CancellationToken,
    roles: JoinHandle<anyhow::Result<()>>,
    // Both end when they are dropped.
    sims: (PayamgostarSim, SiaghSim),
    // After them: the database has to be closed before its folder can go.
    _folder: Folder,
}

/// A folder that goes when it is dropped, however the show ends.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("tandem-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "the demo's folder could not be removed");
        }
    }
}

impl Stage {
    pub async fn build(contacts: usize) -> anyhow::Result<Self> {
        let company = Company::generate(1404, contacts);
        let crm = PayamgostarSim::start(crm_settings()).await.context("starting the simulated CRM")?;
        let finance = SiaghSim::start(finance_settings()).await.context("starting the simulated finance system")?;
        company.seed_siagh(&finance.admin());
        let folder = Folder::make()?;
        let (settings, database, token) = settings(&folder.0, &crm, &finance)?;
        let store = wiring::connect_or_make(&settings).await?;
        store.migrate().await?;
        let stop = CancellationToken::new();
        let up = Up::start(settings, store, stop.clone()).await?;
        Ok(Self {
            crm: crm.admin(),
            finance: finance.admin(),
            company,
            engine: up.engine,
            database,
            webhook: format!("http://{}/webhook/crm/ROUTE/{token}", up.address),
            stop,
            roles: up.ended,
            sims: (crm, finance),
            _folder: folder,
        })
    }

    /// What the administrator of the CRM does once for each item type.
    pub fn register_webhooks(&self) -> anyhow::Result<()> {
        for (code, route) in [("person", "person"), ("organization", "organization"), ("PI_5", "quote")] {
            self.webhook(code, Some(route))?;
        }
        Ok(())
    }

    pub fn webhook(&self, code: &str, route: Option<&str>) -> anyhow::Result<()> {
        let address = route.map(|route| Webhook::to(self.webhook.replace("ROUTE", route)));
        self.crm.set_webhook(code, address).map_err(|refused| anyhow::anyhow!("the simulated CRM refused: {refused:?}"))
    }

    pub fn urls(&self) -> [(&'static str, String); 2] {
        [
            ("the CRM's control port", self.sims.0.control_url()),
            ("the finance system's control port", self.sims.1.control_url()),
        ]
    }

    /// Ends the roles, then the simulators, and removes the database file.
    pub async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.roles.await.context("the roles").and_then(|ended| ended) {
            tracing::warn!("the roles ended badly: {error:#}");
        }
        self.sims.0.stop().await;
        self.sims.1.stop().await;
    }
}

/// Quick, but with the delays that make progress visible, and numbering as a company has it.
fn crm_settings() -> payamgostar::Settings {
    payamgostar::Settings {
        latency: Latency::between(1, 4),
        webhook_delay: Latency::between(20, 120),
        skew_seconds: -208,
        number_identities: true,
        ..payamgostar::Settings::quick()
    }
}

fn finance_settings() -> siagh::Settings {
    siagh::Settings {
        list_latency: Latency::between(3, 10),
        save_latency: Latency::between(15, 40),
        ..siagh::Settings::quick()
    }
}

fn settings(folder: &Path, crm: &PayamgostarSim, finance: &SiaghSim) -> anyhow::Result<(Settings, String, String)> {
    let database = format!("sqlite://{}", folder.join("tandem.sqlite").display());
    let token = Uuid::new_v4().simple().to_string();
    let hash = ::siagh::hash_password(siagh::PASSWORD);
    let given: Vec<(&str, String)> = vec![
        ("DATABASE_URL", database.clone()),
        ("CRM_API_BASE_URL", crm.api_url()),
        ("CRM_USERNAME", payamgostar::USERNAME.to_owned()),
        ("CRM_PASSWORD", payamgostar::PASSWORD.to_owned()),
        ("FINANCE_API_BASE_URL", finance.api_url()),
        ("FINANCE_USERNAME", siagh::USERNAME.to_owned()),
        ("FINANCE_PASSWORD", hash),
        ("ENABLE_WEBHOOKS", "true".to_owned()),
        ("TANDEM_WEBHOOK_TOKEN", token.clone()),
        ("TANDEM_BIND", "127.0.0.1".to_owned()),
        ("PORT", "0".to_owned()),
        ("TANDEM_WORKER_PORT", "0".to_owned()),
        // The show polls when it wants to.
        ("POLL_INTERVAL_SECONDS", "86400".to_owned()),
        ("TANDEM_TIME_GATE_SECONDS", GATE_SECONDS.to_string()),
        ("TANDEM_IN_DOUBT_WAIT_SECONDS", "1".to_owned()),
        ("TANDEM_CRM_REQUESTS_PER_SECOND", "1000".to_owned()),
        ("TANDEM_CRM_QUOTE_TYPES", "PI_5".to_owned()),
    ];
    let places = Places {
        config: None,
        folder: folder.to_owned(),
        environment: given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    let settings = Settings::load(&settings::read(&places), Needs::Bridges)?;
    Ok((settings, database, token))
}
