//! Both simulated systems, a database, perhaps a broker, and the settings that lead our processes to them.

use crate::check;
use crate::common::Ran;
use crate::service::Service;
use crate::world::World;
use chrono::Utc;
use serde_json::{Value, json};
use std::time::Duration;
use tandem_bridges::siagh::{SIAGH, mapping};
use tandem_core::{Actor, LedgerRow, RecordKey};
use tandem_simulators::payamgostar::{self as crm, Kind, Webhook};
use tandem_simulators::siagh::{self as finance, Good};
use tandem_store::{Mapping, Options, Store};
use tandem_testbed::signal::poll;
use tandem_testbed::{postgres, rabbitmq};
use uuid::Uuid;

pub const TOKEN: &str = "token-of-the-services-tests";
pub const PRODUCT: &str = "Product-1";
const GOOD: &str = "500100001";
/// The longest wait: a lease, a rescue of lost nudges and a broker's way back fit in, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// What our processes run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// One process, `up`, on SQLite with embedded lanes.
    One,
    /// `ingest` and `worker` on PostgreSQL and RabbitMQ.
    Two,
}

pub struct House {
    pub world: World,
    pub crm: crm::Admin,
    pub finance: finance::Admin,
    pub store: Store,
    pub ground: Ground,
}

impl House {
    pub fn new(ground: Ground) -> Self {
        let world = World::with(0);
        match ground {
            Ground::One => {
                let database = world.site.database_url();
                Self::around(world, ground, &database)
            }
            Ground::Two => {
                let (database, broker) = world.runtime.block_on(async {
                    (postgres::shared_database().await.unwrap(), rabbitmq::shared_url().await.unwrap())
                });
                Self::on(world, &database, &broker)
            }
        }
    }

    /// On these servers.
    pub fn on(mut world: World, database: &str, broker: &str) -> Self {
        let prefix = format!("tandem-{}", Uuid::new_v4().simple());
        world.site =
            world.site.with("DATABASE_URL", database).with("AMQP_URL", broker).with("TANDEM_AMQP_PREFIX", &prefix);
        world.site.run(&["migrate"]).ok();
        Self::around(world, Ground::Two, database)
    }

    /// In a migrated database.
    pub fn around(mut world: World, ground: Ground, database: &str) -> Self {
        world.site = world
            .site
            .with("ENABLE_WEBHOOKS", "true")
            .with("TANDEM_WEBHOOK_TOKEN", TOKEN)
            .with("POLL_INTERVAL_SECONDS", "0")
            .with("TANDEM_LEASE_SECONDS", "5")
            .with("TANDEM_RETRY_BASE_SECONDS", "1")
            .with("TANDEM_IN_DOUBT_WAIT_SECONDS", "0")
            .with("TANDEM_CIRCUIT_FIRST_SECONDS", "1")
            .with("TANDEM_CIRCUIT_LONGEST_SECONDS", "2");
        let store = world.runtime.block_on(Store::connect(database, Options::default())).unwrap();
        let (crm, finance) = (world.crm.admin(), world.siagh.admin());
        Self { crm, finance, store, ground, world }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.world.site = self.world.site.with(name, value);
        self
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.world.runtime.block_on(work)
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.world.site.run(args)
    }

    pub fn spawn(&self, role: &str, more: &[(&str, &str)]) -> Service {
        Service::spawn(&self.world.site, &[role], more)
    }

    /// Starts a role and waits until it listens.
    pub fn start(&self, role: &str) -> Service {
        let mut service = self.spawn(role, &[]);
        let address = self.block_on(service.address());
        assert!(address.is_some(), "{role} did not start:\n{}", service.log());
        service
    }

    /// Starts the role that takes webhooks, and has them sent there.
    pub fn start_ingest(&self, role: &str) -> Service {
        let mut service = self.spawn(role, &[]);
        let address = self.block_on(service.address());
        self.send_webhooks_to(&address.unwrap_or_else(|| panic!("{role} did not start:\n{}", service.log())));
        service
    }

    /// Every role of this ground, with webhooks sent to it.
    pub fn start_all(&self) -> Vec<Service> {
        match self.ground {
            Ground::One => vec![self.start_ingest("up")],
            Ground::Two => vec![self.start_ingest("ingest"), self.start("worker")],
        }
    }

    pub fn stop_all(&self, services: Vec<Service>) {
        for service in services {
            self.block_on(service.stop_well());
        }
    }

    /// An administrator of the CRM enters our addresses.
    pub fn send_webhooks_to(&self, address: &str) {
        for (code, route) in [("person", "person"), ("organization", "organization"), ("PI_5", "quote")] {
            let address = format!("{address}/webhook/crm/{route}/{TOKEN}");
            self.crm.set_webhook(code, Some(Webhook::to(address))).unwrap();
        }
    }

    /// Siagh has the good behind [`PRODUCT`], and the operator has said what the quotes' codes mean.
    pub fn stock(&self) {
        self.finance.add_good(Good::new(GOOD, "کالای نمونه", 100_000));
        let said = [
            (mapping::GOODS, PRODUCT, GOOD),
            (mapping::UNIT, "عدد", "عدد"),
            (mapping::SALE_MODEL, "PI_5", "5"),
            (mapping::SALES_CENTRE, "PI_5", "5"),
            (mapping::DOCUMENT_NAME, "PI_5", "پیش فاکتور فروش نمونه"),
        ];
        let mappings =
            said.map(|(typ, from, to)| Mapping { typ: typ.into(), source: from.into(), target: to.into(), note: None });
        let actor = Actor::new("test");
        self.block_on(self.store.set_mappings(&SIAGH.into(), &mappings, &actor, Utc::now())).unwrap();
    }

    pub fn row(&self, kind: &str, id: Uuid) -> Option<LedgerRow> {
        let key = RecordKey::new(SIAGH, kind, id.to_string());
        self.block_on(self.store.row(&key)).unwrap()
    }

    /// Waits until everything is reflected exactly once and nothing is left over, and says what is wrong if that does not come.
    #[track_caller]
    pub fn settles(&self, doubt: Doubt) {
        let look = || async { check::findings(self, doubt).await.is_empty().then_some(()) };
        if self.block_on(poll(PATIENCE, look)).is_none() {
            let wrong = self.block_on(check::findings(self, doubt)).join("\n");
            panic!("the systems do not agree:\n{wrong}");
        }
    }

    /// Nobody works any more: looks once.
    #[track_caller]
    pub fn agrees(&self, doubt: Doubt) {
        let wrong = self.block_on(check::findings(self, doubt));
        assert!(wrong.is_empty(), "the systems do not agree:\n{}", wrong.join("\n"));
    }

    /// The end of every test: settled, stopped in order, and still right.
    #[track_caller]
    pub fn ends_well(&self, services: Vec<Service>, doubt: Doubt) {
        self.settles(doubt);
        self.stop_all(services);
        self.agrees(doubt);
    }
}

/// Whether a document whose writing was cut off may wait for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    None,
    Documents,
}

/// A person as the CRM's API describes one.
pub fn person(name: &str, mobile: &str) -> Value {
    let (first, last) = name.split_once(' ').unwrap_or(("", name));
    json!({
        "crmObjectTypeCode": "person", "firstName": first, "lastName": last, "nickName": name,
        "phoneContacts": [{ "default": true, "phoneType": "Mobile", "phoneNumber": mobile }],
    })
}

/// A quote over so many pieces.
pub fn quote(customer: Uuid, count: u32) -> Value {
    json!({
        "identityId": customer, "subject": "سفارش نمونه",
        "details": [{
            "productCode": PRODUCT, "productName": PRODUCT, "productUnitTypeName": "عدد",
            "count": count, "baseUnitPrice": 100_000, "totalDiscount": 0,
        }],
    })
}

impl House {
    /// A person of whom no webhook tells.
    pub fn seed_person(&self, name: &str, mobile: &str) -> Uuid {
        self.crm.seed(Kind::Person, &person(name, mobile)).unwrap()
    }

    pub fn create_person(&self, name: &str, mobile: &str) -> Uuid {
        self.crm.create(Kind::Person, &person(name, mobile)).unwrap()
    }
}
