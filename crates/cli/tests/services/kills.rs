//! `kill -9` of everything, in turn, at moments that nobody chose, while people work.

use crate::house::{Doubt, House};
use crate::load::People;
use crate::service::Service;
use crate::world::World;
use std::time::Duration;
use tandem_simulators::Latency;
use tandem_testbed::postgres::Postgres;
use tandem_testbed::rabbitmq::RabbitMq;
use tandem_testbed::signal::poll;

/// How many kills a usual run makes. `TANDEM_TEST_KILLS` asks for more; then without nextest, which ends a test that runs for
/// minutes.
const KILLS: usize = 30;
/// Longer than this nobody waits for the work to get on before the next kill.
const SOON: Duration = Duration::from_millis(700);

#[derive(Debug, Clone, Copy)]
enum Victim {
    Service(usize),
    Broker,
    Database,
}

const IN_TURN: [Victim; 6] =
    [Victim::Service(0), Victim::Service(1), Victim::Database, Victim::Service(2), Victim::Service(3), Victim::Broker];
/// Two copies of each.
const ROLES: [&str; 4] = ["ingest", "worker", "ingest", "worker"];

struct Town {
    house: House,
    database: Postgres,
    broker: RabbitMq,
    services: Vec<Option<Service>>,
}

impl Town {
    fn new() -> Self {
        let world = World::with(0);
        let (database, broker, url) = world.runtime.block_on(async {
            let (database, broker) = (Postgres::start().await.unwrap(), RabbitMq::start().await.unwrap());
            let url = database.fresh_database().await.unwrap();
            (database, broker, url)
        });
        let house = House::on(world, &url, &broker.url())
            .with("POLL_INTERVAL_SECONDS", "5")
            .with("TANDEM_TIME_GATE_SECONDS", "1");
        house.stock();
        // So that kills meet writes that are under way.
        let slow = house.finance.settings();
        house
            .finance
            .set_settings(tandem_simulators::siagh::Settings { save_latency: Latency::between(5, 60), ..slow });
        let services = ROLES.iter().map(|role| Some(start(&house, role))).collect();
        Self { house, database, broker, services }
    }

    async fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Service(at) => self.services[at].take().expect("it runs").kill().await,
            Victim::Broker => self.broker.kill().await,
            Victim::Database => self.database.kill().await,
        }
    }

    fn bring_back(&mut self, victim: Victim) {
        match victim {
            Victim::Service(at) => self.services[at] = Some(start(&self.house, ROLES[at])),
            Victim::Broker => self.house.world.runtime.block_on(self.broker.restart()).unwrap(),
            Victim::Database => self.house.world.runtime.block_on(self.database.restart()).unwrap(),
        }
    }
}

fn start(house: &House, role: &str) -> Service {
    if role == "ingest" { house.start_ingest(role) } else { house.start(role) }
}

#[test]
fn everything_killed_in_turn_under_load_loses_nothing_and_doubles_nothing() {
    let kills = std::env::var("TANDEM_TEST_KILLS").ok().map_or(KILLS, |n| n.parse().expect("a number of kills"));
    let mut town = Town::new();
    let (crm, finance, runtime) =
        (town.house.crm.clone(), town.house.finance.clone(), town.house.world.runtime.handle().clone());
    let mut people = People::new(crm, 1);
    for round in 0..kills {
        let victim = IN_TURN[round % IN_TURN.len()];
        people.go(3);
        // The moment: after a few more writes, a random number of them.
        let goal = finance.calls_to("SaveFormData") + people.dice.roll(8) as u64;
        runtime.block_on(poll(SOON, || async { (finance.calls_to("SaveFormData") >= goal).then_some(()) }));
        runtime.block_on(town.kill(victim));
        people.go(3);
        town.bring_back(victim);
        for service in town.services.iter_mut().flatten() {
            assert!(
                service.ended().is_none(),
                "round {round}, {victim:?} killed: another process ended too\n{}",
                service.log()
            );
        }
    }
    let decided = town.house.clean_up();
    println!("{kills} kills, {} saves, {decided} documents in doubt", finance.calls_to("SaveFormData"));
    let services = town.services.into_iter().flatten().collect();
    town.house.ends_well(services, Doubt::None);
}
