//! The services as real processes against both simulated systems: killed, stopped, cut off from their servers, started
//! twice. Each test ends with the checker: is every change reflected, exactly once?

#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../world/mod.rs"]
mod world;

mod boundaries;
mod by_hand;
mod canary;
mod check;
mod copies;
mod flow;
mod house;
mod kills;
mod load;
mod outages;
mod service;
mod stops;
