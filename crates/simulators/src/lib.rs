//! Stand-ins for Payamgostar and Siagh, for tests, benchmarks and the demo.
//!
//! Each simulator serves the real HTTP surface of its system as the project's API sheets describe it, keeps its
//! state in memory, and opens a second port (or an in-process [`payamgostar::Admin`] / [`siagh::Admin`]) through
//! which a test plays the user, the administrator and the failing network.
//!
//! The simulators are written from the sheets alone: they share no code and no type with the clients they judge.
//! They refuse to be lenient where a sheet names a trap, and they never belong into a production image.

pub mod company;
pub mod payamgostar;
pub mod siagh;
mod stage;

pub use stage::clock::jalali;
pub use stage::faults::{Arm, Fault, How};
pub use stage::handle::Handle;
pub use stage::latency::Latency;
