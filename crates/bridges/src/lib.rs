//! One module per bridge: fetch, map, plan, apply, recover.
//!
//! A bridge is the only place where the field names of two systems meet. It knows no queue, no table, no lease
//! and no retry; it reads, it plans, and it performs a single step when the engine tells it to.

pub mod siagh;
