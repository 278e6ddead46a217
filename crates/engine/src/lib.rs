//! The order of things for one record: lease, recover, fetch, guard, plan, apply, settle.
//!
//! The worker runs it, the command line and the console preview with it, the crash tests drive it: one path,
//! always used. It knows bridges only by their trait and destinations not at all.

pub mod boundary;
mod circuit;
mod clock;
mod engine;
mod look;
mod policy;
mod preview;
mod publisher;
mod register;
mod scan;
mod settle;

pub use boundary::Boundary;
pub use circuit::Circuits;
pub use clock::{Clock, ManualClock, SystemClock};
pub use engine::{Engine, NotNow, Outcome, Worked};
pub use policy::Policy;
pub use preview::Preview;
pub use publisher::Publisher;
pub use register::Register;
pub use scan::{ScanError, ScanProgress, ScanSummary};
