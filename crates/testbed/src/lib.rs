//! What tests stand on: private servers, a proxy that misbehaves on command, and ways to wait for a signal.
//!
//! A private server has its own folder and its own port. It is started by the test process and ends with it, also
//! when that process panics or is killed. This crate never talks to a server that was running before, unless an
//! environment variable names it (see [`postgres::shared_database`], [`rabbitmq::shared_url`],
//! [`mariadb::shared_database`]). It never skips: a program that is missing is an error that says what to install.
//!
//! `cargo xtask test` starts one server of each kind and names them by those variables; without it each test process
//! starts what it asks for. Both ways run the same tests.

pub mod find;
mod home;
pub mod mariadb;
mod ports;
pub mod postgres;
mod process;
pub mod proxy;
pub mod rabbitmq;
pub mod signal;
mod url;
