//! One conformance suite over both kinds of lanes, and what RabbitMQ alone must stand.

mod bench;
mod conformance;
mod dead_letters;
mod outages;
mod publishing;
mod single_active;
mod topology;
