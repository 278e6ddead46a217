//! The ingest role over real HTTP.

mod calls;
mod house;
mod many;
mod operators;
mod outages;
mod polls;
mod pumping;
mod refusals;
mod signatures;
mod upkeep;
