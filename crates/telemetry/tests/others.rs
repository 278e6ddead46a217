//! One process, one log: what libraries may say in it at the level that services log at.

use std::io::Write;
use std::sync::{Arc, Mutex};
use tandem_telemetry::log::{Format, init_to};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn at_info_libraries_are_heard_from_warn_on_unless_the_filter_names_them() {
    let lines = Lines::default();
    let to = lines.clone();
    init_to(Format::Text, "info,actix_web=info", false, move || to.clone()).unwrap();
    tracing::info!(target: "tandem_cli", "ours");
    tracing::info!(target: "actix_web::middleware", "named");
    tracing::warn!(target: "sqlx::pool", "odd");
    tracing::info!(target: "actix_server::builder", "noise");
    tracing::info!(target: "sea_orm_migration::migrator", "noise");
    tracing::info!(target: "sqlx::query", "noise");
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(["ours", "named", "odd"].iter().all(|word| log.contains(word)), "{log}");
    assert!(!log.contains("noise"), "{log}");
}
