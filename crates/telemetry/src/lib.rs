//! Logs and metrics of every role: where they go and what they are called.
//!
//! Nothing here decides anything. Metric names are one closed list, and labels come from closed sets (bridge, kind,
//! state, outcome, route, lane): never an id, an address or a text from outside, so that no caller can make the list of
//! series grow.

pub mod log;
pub mod metric;

pub use metric::{Label, Metric};
