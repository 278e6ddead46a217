//! Days on which the servers are restarted, emptied or away.

use crate::house::{Doubt, Ground, House, PATIENCE};
use crate::load::People;
use crate::service::Service;
use crate::world::World;
use tandem_simulators::payamgostar::Outcome;
use tandem_testbed::postgres::{self, Postgres};
use tandem_testbed::rabbitmq::{self, RabbitMq};
use tandem_testbed::signal::eventually;
use uuid::Uuid;

fn on_private_postgres() -> (House, Postgres) {
    let world = World::with(0);
    let (server, database, broker) = world.runtime.block_on(async {
        let server = Postgres::start().await.unwrap();
        let database = server.fresh_database().await.unwrap();
        (server, database, rabbitmq::shared_url().await.unwrap())
    });
    (House::on(world, &database, &broker), server)
}

fn on_private_broker() -> (House, RabbitMq) {
    let world = World::with(0);
    let (broker, database) = world
        .runtime
        .block_on(async { (RabbitMq::start().await.unwrap(), postgres::shared_database().await.unwrap()) });
    (House::on(world, &database, &broker.url()), broker)
}

impl House {
    /// Waits until Siagh was asked to save so many more times.
    fn saves(&self, more: u64) {
        let goal = self.finance.calls_to("SaveFormData") + more;
        self.block_on(eventually(PATIENCE, || async { (self.finance.calls_to("SaveFormData") >= goal).then_some(()) }));
    }

    /// A person is created; what the CRM heard when it told us.
    fn told(&self, name: &str, mobile: &str) -> Outcome {
        let id = self.create_person(name, mobile);
        self.block_on(self.heard(id))
    }

    /// The end of the newest call about an object.
    async fn heard(&self, id: Uuid) -> Outcome {
        self.crm.deliveries_drained().await;
        let calls = self.crm.deliveries();
        calls.iter().rev().find(|call| call.object == id).expect("the CRM told us").outcome.clone()
    }

    /// Somebody saves a record again and again, until a call is taken.
    fn taken_again(&self) {
        let id = self.create_person("رضا نمونه", "09000000003");
        self.block_on(eventually(PATIENCE, || async {
            self.crm.touch(id).unwrap();
            (self.heard(id).await == Outcome::Answered(200)).then_some(())
        }));
    }

    fn is_ready(&self, address: &str) -> bool {
        self.run(&["health", "--url", &format!("{address}/ready")]).code == 0
    }
}

#[test]
fn postgres_restarted_under_load_loses_nothing() {
    let (house, mut server) = on_private_postgres();
    house.stock();
    let services = house.start_all();
    let mut people = People::new(house.crm.clone(), 2);
    for _ in 0..3 {
        people.go(15);
        house.saves(2);
        // While people go on.
        house.block_on(server.stop());
        people.go(5);
        house.block_on(server.restart()).unwrap();
    }
    people.go(5);
    house.clean_up();
    house.ends_well(services, Doubt::None);
}

#[test]
fn rabbitmq_restarted_under_load_loses_nothing() {
    let (house, mut broker) = on_private_broker();
    house.stock();
    let services = house.start_all();
    let mut people = People::new(house.crm.clone(), 3);
    people.go(25);
    house.saves(2);
    house.block_on(broker.stop());
    people.go(15);
    house.block_on(broker.restart()).unwrap();
    people.go(10);
    // No webhook was lost and nothing was killed, so nothing is found by a poll and nothing is in doubt.
    house.ends_well(services, Doubt::None);
}

#[test]
fn a_broker_that_is_emptied_in_a_restart_while_work_is_open_costs_nothing() {
    let (house, mut broker) = on_private_broker();
    house.stock();
    let ingest = house.start_ingest("ingest");
    let mut people = People::new(house.crm.clone(), 4);
    people.go(25);
    house.block_on(house.crm.deliveries_drained());
    house.block_on(broker.wipe()).unwrap();
    let worker = house.start("worker");
    house.ends_well(vec![ingest, worker], Doubt::None);
}

#[test]
fn with_the_broker_away_in_outages_services_start_and_calls_are_taken() {
    let (house, mut broker) = on_private_broker();
    house.stock();
    house.block_on(broker.kill());
    let mut ingest = house.spawn("ingest", &[]);
    let address = house.block_on(ingest.address()).expect("it starts without a broker");
    house.send_webhooks_to(&address);
    let worker = house.start("worker");
    assert_eq!(house.told("علی نمونه", "09000000001"), Outcome::Answered(200));
    assert!(house.is_ready(&address), "it can do what it is for");
    house.block_on(broker.restart()).unwrap();
    assert_eq!(house.told("زهرا نمونه", "09000000002"), Outcome::Answered(200));
    house.ends_well(vec![ingest, worker], Doubt::None);
}

#[test]
fn with_the_database_away_in_outages_calls_are_turned_away_until_it_is_back() {
    let (house, mut server) = on_private_postgres();
    let mut ingest = house.spawn("ingest", &[]);
    let address = house.block_on(ingest.address()).expect("it starts");
    house.send_webhooks_to(&address);
    let mut worker = house.start("worker");
    assert_eq!(house.told("علی نمونه", "09000000001"), Outcome::Answered(200));
    house.block_on(server.kill());
    assert_eq!(house.told("زهرا نمونه", "09000000002"), Outcome::Answered(503));
    house.block_on(eventually(PATIENCE, || async { (!house.is_ready(&address)).then_some(()) }));
    assert!(ingest.ended().is_none() && worker.ended().is_none(), "they wait for it");
    house.block_on(server.restart()).unwrap();
    house.taken_again();
    // Those who were turned away: the CRM does not call again.
    house.run(&["run", "siagh", "poll"]).ok();
    house.ends_well(vec![ingest, worker], Doubt::None);
}

#[test]
#[cfg(target_os = "linux")]
fn on_a_full_disk_calls_are_turned_away_and_nothing_is_lost_once_there_is_room() {
    let house = House::new(Ground::One);
    house.stock();
    house.seed_person("علی نمونه", "09000000001");
    house.run(&["run", "siagh", "--wait"]).ok();
    // Less than the log of one change needs.
    let mut service = Service::spawn_cramped(&house.world.site, &["up"], 16);
    let address = house.block_on(service.address()).unwrap_or_else(|| panic!("no start:\n{}", service.log()));
    house.send_webhooks_to(&address);
    let id = house.crm.identities()[0]["crmId"].as_str().unwrap().parse().unwrap();
    house.block_on(eventually(PATIENCE, || async {
        house.crm.touch(id).unwrap();
        (house.heard(id).await == Outcome::Answered(503)).then_some(())
    }));
    assert_eq!(house.told("زهرا نمونه", "09000000002"), Outcome::Answered(503));
    service.make_room();
    assert_eq!(house.told("رضا نمونه", "09000000003"), Outcome::Answered(200));
    // The CRM does not call again about what was turned away.
    house.run(&["run", "siagh", "poll"]).ok();
    house.ends_well(vec![service], Doubt::None);
}
