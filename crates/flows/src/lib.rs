//! The flows of the product, end to end: the world that a test runs them in, and the checker that ends every such test.
//!
//! Everything between the two simulated systems is real: clients over HTTP, bridge, engine, ledger in SQL. Only time is
//! the test's: the engine's clock stands still until the test or [`World::settle`] moves it.

mod check;
mod cut;
mod hands;
mod people;
mod soup;
mod stand_in;
mod working;
mod world;

pub use cut::run_until;
pub use hands::scan;
pub use people::{Line, address, mobile, organization, person, phones, with};
pub use soup::soup;
pub use stand_in::{Door, StandIn};
pub use working::work_due;
pub use world::{Database, GOOD, Setup, World, contact, customer, pre_invoice, siagh_id};
