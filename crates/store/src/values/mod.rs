//! What goes into the store and comes out of it, beyond the core's own values. Plain data, nothing is done here.

mod neighbours;
mod operators;
mod work;

pub use neighbours::*;
pub use operators::*;
pub use work::*;
