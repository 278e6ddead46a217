//! Both simulated systems and a site whose settings lead to them.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use crate::common::Site;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Stdio};
use tandem_simulators::company::Company;
use tandem_simulators::payamgostar::{self, Kind, PayamgostarSim};
use tandem_simulators::siagh::{self, SiaghSim};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Both simulated systems, and a site whose settings lead to them.
pub struct World {
    pub runtime: Runtime,
    pub crm: PayamgostarSim,
    pub siagh: SiaghSim,
    pub company: Company,
    pub site: Site,
}

impl World {
    /// `contacts` made-up contacts stand in Siagh; the CRM is empty.
    pub fn with(contacts: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (crm, siagh) = runtime.block_on(async {
            let crm = PayamgostarSim::start(payamgostar::Settings::quick()).await.unwrap();
            (crm, SiaghSim::start(siagh::Settings::quick()).await.unwrap())
        });
        let company = Company::generate(1, contacts);
        company.seed_siagh(&siagh.admin());
        let url = Site::bare();
        let database = url.database_url();
        let site = url
            .with("DATABASE_URL", &database)
            .with("CRM_API_BASE_URL", &crm.api_url())
            .with("CRM_USERNAME", payamgostar::USERNAME)
            .with("CRM_PASSWORD", payamgostar::PASSWORD)
            .with("FINANCE_API_BASE_URL", &siagh.api_url())
            .with("FINANCE_USERNAME", siagh::USERNAME)
            .with("FINANCE_PASSWORD", "6A03CCD0C813FB03ECAD5A210C7D5A8E")
            .with("TANDEM_CRM_REQUESTS_PER_SECOND", "0")
            .with("TANDEM_CRM_QUOTE_TYPES", "PI_5")
            .with("TANDEM_TIME_GATE_SECONDS", "0")
            .with("TANDEM_SIAGH_CONTACTS_CACHE_SECONDS", "0")
            .with("TANDEM_BIND", "127.0.0.1")
            .with("PORT", "0")
            .with("TANDEM_WORKER_PORT", "0");
        site.run(&["migrate"]).ok();
        Self { runtime, crm, siagh, company, site }
    }

    pub fn person(&self, name: &str, mobile: &str) -> Uuid {
        let fields = json!({
            "crmObjectTypeCode": "person", "firstName": name, "lastName": "نمونه", "nickName": format!("{name} نمونه"),
            "phoneContacts": [{ "default": true, "phoneType": "Mobile", "phoneNumber": mobile }],
        });
        self.crm.admin().create(Kind::Person, &fields).unwrap()
    }

    pub fn state_of(&self, kind: &str, id: Uuid) -> Value {
        self.site.run(&["why", "siagh", kind, &id.to_string(), "--json"]).ok().json()["record"]["state"].clone()
    }
}

/// A service of the site that is up.
pub struct Service {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl Service {
    /// Starts it and waits until it listens. Its log goes nowhere.
    pub fn start(site: &Site, command: &str) -> Self {
        Self::start_with(site, command, Stdio::null())
    }

    /// As [`start`](Self::start), with its log kept for [`log_after_its_end`](Self::log_after_its_end).
    pub fn start_logging(site: &Site, command: &str) -> Self {
        Self::start_with(site, command, Stdio::piped())
    }

    fn start_with(site: &Site, command: &str, log: Stdio) -> Self {
        let mut child = site.command(&[command]).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{command} said {line:?}"));
        Self { url: format!("http://{address}"), child }
    }

    /// Asks it to end, and waits. True if it ended in order.
    pub fn ends_in_order(mut self) -> bool {
        self.ask_to_end();
        self.child.wait().unwrap().success()
    }

    /// Asks it to end, and answers everything it logged.
    pub fn log_after_its_end(mut self) -> String {
        self.ask_to_end();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    fn ask_to_end(&self) {
        std::process::Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Nothing to do about one that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
