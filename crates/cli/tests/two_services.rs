//! `ingest` and `worker` as two processes on PostgreSQL and RabbitMQ, the real binary.

#![cfg(unix)]

mod common;
mod world;

use serde_json::json;
use std::process::Stdio;
use tandem_testbed::{postgres, rabbitmq};
use uuid::Uuid;
use world::{Service, World};

fn world() -> World {
    let mut world = World::with(0);
    let (database, broker) = world
        .runtime
        .block_on(async { (postgres::shared_database().await.unwrap(), rabbitmq::shared_url().await.unwrap()) });
    let prefix = format!("tandem-{}", Uuid::new_v4().simple());
    world.site =
        world.site.with("DATABASE_URL", &database).with("AMQP_URL", &broker).with("TANDEM_AMQP_PREFIX", &prefix);
    world
}

#[test]
fn two_services_keep_the_systems_in_step_and_end_in_order() {
    let world = world();
    let not_yet = world.site.run(&["check", "--json"]).fails_with(1).json();
    assert!(not_yet[0]["detail"].as_str().unwrap().contains("tandem migrate"), "{not_yet}");
    assert!(world.site.run(&["ingest"]).fails_with(1).err.contains("tandem migrate"));

    let migrate = || world.site.command(&["migrate"]).stdout(Stdio::null()).spawn().unwrap();
    let both = [migrate(), migrate()];
    assert!(both.into_iter().all(|mut child| child.wait().unwrap().success()), "two migrators at once");
    let ready = world.site.run(&["check", "--json"]).ok().json();
    assert!(ready.as_array().unwrap().iter().all(|line| line["ok"] == json!(true)), "{ready}");

    let of = |what: &str| ready.as_array().unwrap().iter().find(|line| line["what"] == what).unwrap()["detail"].clone();
    assert!(of("broker").as_str().unwrap().contains("queues are declared"), "{ready}");
    assert!(of("clock").as_str().unwrap().contains("agrees"), "{ready}");

    world.person("سارا", "09000000001");
    let (ingest, worker) = (Service::start(&world.site, "ingest"), Service::start(&world.site, "worker"));
    for service in [&ingest, &worker] {
        world.site.run(&["health", "--url", &service.url]).ok();
    }
    world.runtime.block_on(world.siagh.admin().until(|siagh| siagh.contact_count() == 1));

    world.person("مریم", "09000000002");
    world.site.run(&["run", "siagh"]).ok();
    world.runtime.block_on(world.siagh.admin().until(|siagh| siagh.contact_count() == 2));

    world.person("لیلا", "09000000003");
    let waited = world.site.run(&["run", "siagh", "--wait", "--json"]).ok().json();
    assert_eq!(waited["status"]["open"], json!(0), "{waited}");
    assert_eq!(waited["status"]["bridges"]["siagh"]["customer"]["SYNCED"], json!(3), "{waited}");
    assert!(ingest.ends_in_order() && worker.ends_in_order());
    assert_eq!(world.siagh.admin().contact_count(), 3);
}
