//! The engine over a bridge between two maps: what it promises whichever systems a bridge is for.

mod looks;
mod scans;
mod support;
