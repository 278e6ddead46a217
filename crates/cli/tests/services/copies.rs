//! Several copies at once, and one that overslept.

use crate::house::{Doubt, Ground, House, PATIENCE, person, quote};
use crate::service::Service;
use crate::world::World;
use nix::sys::signal::Signal;
use std::process::Stdio;
use tandem_bridges::siagh::{CUSTOMER, PRE_INVOICE};
use tandem_core::State;
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::{CONTACT_FORM, INVOICE_FORM};
use tandem_simulators::{Arm, Fault};
use tandem_testbed::signal::eventually;
use tandem_testbed::{postgres, rabbitmq};

/// On PostgreSQL with embedded lanes: two workers then meet at each record, with nothing but its lease between them.
fn without_a_broker() -> House {
    let mut world = World::with(0);
    let database = world.runtime.block_on(postgres::shared_database()).unwrap();
    world.site = world.site.with("DATABASE_URL", &database);
    let migrators: Vec<_> =
        (0..3).map(|_| world.site.command(&["migrate"]).stdout(Stdio::null()).spawn().unwrap()).collect();
    assert!(migrators.into_iter().all(|mut child| child.wait().unwrap().success()), "several migrators at once");
    House::around(world, Ground::Two, &database)
}

#[test]
fn of_two_ingests_one_polls_at_a_time() {
    let house = House::new(Ground::Two).with("POLL_INTERVAL_SECONDS", "5");
    let services = vec![house.start("ingest"), house.start("ingest"), house.start("worker"), house.start("worker")];
    for n in 0..20 {
        house.seed_person(&format!("نفر{n} نمونه"), &format!("090000000{n:02}"));
    }
    house.settles(Doubt::None);
    let runs = || async {
        let mut runs = house.store.runs(None, 100).await.unwrap();
        runs.retain(|run| run.finished_at.is_some());
        (runs.len() >= 3).then_some(runs)
    };
    let mut runs = house.block_on(eventually(PATIENCE, runs));
    runs.reverse();
    assert!(runs.iter().all(|run| run.status == "DONE"), "{runs:?}");
    for (one, next) in runs.iter().zip(&runs[1..]) {
        // A period lies between the end of one and the beginning of the next, whoever runs them.
        let pause = next.started_at - one.finished_at.unwrap();
        assert!(pause.num_milliseconds() >= 4_900, "{runs:?}");
    }
    assert_eq!(house.finance.calls_to(CONTACT_FORM), 20, "each was written once");
    house.ends_well(services, Doubt::None);
}

#[test]
fn a_worker_that_hangs_is_replaced_by_the_other_one() {
    let house = House::new(Ground::Two);
    // The broker notices by the heartbeat; the usual one takes most of a minute.
    let broker = house.block_on(rabbitmq::shared_url()).unwrap();
    let house = house.with("AMQP_URL", &format!("{broker}?heartbeat=3"));
    let ingest = house.start_ingest("ingest");
    let mut first = house.start("worker");
    house.create_person("علی نمونه", "09000000001");
    house.settles(Doubt::None);
    // It holds the lane, as only one worker does at a time.
    let second = house.start("worker");
    first.signal(Signal::SIGSTOP);
    house.create_person("زهرا نمونه", "09000000002");
    house.settles(Doubt::None);
    first.signal(Signal::SIGCONT);
    house.ends_well(vec![ingest, first, second], Doubt::None);
}

/// A worker that sleeps past its lease while `on` is under way; the other one takes the record over meanwhile.
fn overslept(house: &House, on: &str, wait_for: impl Fn() -> bool) {
    let mut sleeper = house.start("worker");
    let at_work = || async { wait_for().then_some(()) };
    house.block_on(eventually(PATIENCE, at_work));
    sleeper.signal(Signal::SIGSTOP);
    let other = house.start("worker");
    house.settles(Doubt::Documents);
    let before = house.finance.calls_to(on);
    sleeper.signal(Signal::SIGCONT);
    // It ends in order, so whatever it was still going to do is done.
    let ends: Vec<Service> = vec![sleeper, other];
    house.ends_well(ends, Doubt::Documents);
    assert_eq!(house.finance.calls_to(on), before, "nothing was written by the one who overslept");
}

#[test]
fn a_worker_that_slept_past_its_lease_while_it_read_writes_nothing() {
    let house = without_a_broker();
    let id = house.seed_person("علی نمونه", "09000000001");
    house.run(&["run", "siagh", "poll"]).ok();
    house.crm.arm(Arm::once(Fault::SlowAnswer { ms: 3_000 }).on("person/get"));
    let before = house.crm.calls_to("person/get");
    overslept(&house, CONTACT_FORM, || house.crm.calls_to("person/get") > before);
    assert_eq!(house.finance.contact_count(), 1);
    assert_eq!(house.row(CUSTOMER, id).unwrap().state, State::Synced);
}

#[test]
fn a_worker_that_slept_past_its_lease_while_it_wrote_makes_no_second_contact() {
    let house = without_a_broker();
    let id = house.seed_person("علی نمونه", "09000000001");
    house.run(&["run", "siagh", "poll"]).ok();
    house.finance.arm(Arm::once(Fault::SlowAnswer { ms: 3_000 }).on(format!("#{CONTACT_FORM}")));
    overslept(&house, CONTACT_FORM, || house.finance.contact_count() == 1);
    assert_eq!(house.finance.contact_count(), 1);
    let row = house.row(CUSTOMER, id).unwrap();
    assert_eq!(row.state, State::Synced, "{}", row.reason);
}

#[test]
fn a_worker_that_slept_past_its_lease_while_it_sent_a_document_leaves_one_and_a_question() {
    let house = without_a_broker();
    house.stock();
    let customer = house.crm.seed(Kind::Person, &person("علی نمونه", "09000000001")).unwrap();
    house.run(&["run", "siagh", "--wait"]).ok();
    let id = house.crm.create(Kind::Quote, &quote(customer, 3)).unwrap();
    house.crm.number(id).unwrap();
    house.run(&["run", "siagh", "poll"]).ok();
    house.finance.arm(Arm::once(Fault::SlowAnswer { ms: 3_000 }).on(format!("#{INVOICE_FORM}")));
    overslept(&house, INVOICE_FORM, || house.finance.document_count() == 1);
    assert_eq!(house.finance.document_count(), 1);
    let row = house.row(PRE_INVOICE, id).unwrap();
    assert_eq!(row.state, State::NeedsReview, "{}", row.reason);
}
