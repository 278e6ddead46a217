//! SIGTERM: work in hand is finished or given back, and nothing is left leased.

use crate::house::{Doubt, Ground, House, PATIENCE};
use crate::load::People;
use crate::service::Service;
use serde_json::json;
use std::time::{Duration, Instant};
use tandem_simulators::siagh::{CONTACT_FORM, Settings};
use tandem_simulators::{Arm, Fault, Latency};
use tandem_testbed::signal::eventually;

fn slow_writes(house: &House) {
    let settings = house.finance.settings();
    house.finance.set_settings(Settings { save_latency: Latency::between(200, 400), ..settings });
}

fn in_the_middle(house: &House) {
    let at_work = || async { (house.finance.calls_to(CONTACT_FORM) >= 3).then_some(()) };
    house.block_on(eventually(PATIENCE, at_work));
}

/// All of them are asked to end at once.
fn stop_within(house: &House, services: &mut Vec<Service>, grace: Duration) {
    let asked = Instant::now();
    house.stop_all(std::mem::take(services));
    assert!(asked.elapsed() < grace, "it took {:?}", asked.elapsed());
    let status = house.run(&["status", "--json"]).ok().json();
    assert_eq!(status["leased"], json!(0), "{status}");
}

fn a_stop_in_the_middle(ground: Ground) {
    let house = House::new(ground);
    house.stock();
    slow_writes(&house);
    let mut services = house.start_all();
    People::new(house.crm.clone(), 5).go(25);
    in_the_middle(&house);
    // The default grace is 20 s; writes take less than half a second.
    stop_within(&house, &mut services, Duration::from_secs(10));
    house.block_on(house.crm.deliveries_drained());
    let asked = house.run(&["review", "list", "--json"]).ok().json();
    assert_eq!(asked, json!([]), "a stop leaves nothing in doubt");
    let services = house.start_all();
    house.run(&["run", "siagh", "poll"]).ok();
    house.ends_well(services, Doubt::None);
}

#[test]
fn one_process_stopped_in_the_middle_of_its_work_ends_in_order() {
    a_stop_in_the_middle(Ground::One);
}

#[test]
fn two_services_stopped_in_the_middle_of_their_work_end_in_order() {
    a_stop_in_the_middle(Ground::Two);
}

#[test]
fn a_write_that_outlasts_the_grace_keeps_its_lease_and_is_looked_up_later() {
    let house = House::new(Ground::One).with("TANDEM_GRACE_SECONDS", "1");
    house.finance.arm(Arm::once(Fault::SlowAnswer { ms: 20_000 }).on(format!("#{CONTACT_FORM}")));
    let services = house.start_all();
    house.create_person("علی نمونه", "09000000001");
    house.block_on(house.finance.until(|finance| finance.contact_count() == 1));
    let asked = Instant::now();
    house.stop_all(services);
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
    let status = house.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["leased"], &status["open"]), (&json!(1), &json!(1)), "{status}");
    let services = house.start_all();
    house.ends_well(services, Doubt::None);
    assert_eq!(house.finance.contact_count(), 1);
}
