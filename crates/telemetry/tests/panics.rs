//! One process, one log: what a panic leaves in it.

use std::io::Write;
use std::sync::{Arc, Mutex};
use tandem_telemetry::log::{Format, LogError, init_to};

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
fn a_panic_is_logged_with_its_place_and_without_its_message() {
    let lines = Lines::default();
    let to = lines.clone();
    init_to(Format::Json, "info", false, move || to.clone()).unwrap();
    let ended = std::thread::spawn(|| panic!("the customer 0012345678 is odd")).join();
    assert!(ended.is_err());
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("panics.rs"), "{log}");
    assert!(!log.contains("0012345678"), "{log}");
    assert!(log.trim_end().starts_with('{'), "one JSON object per line: {log}");
    assert!(matches!(init_to(Format::Text, "info", false, std::io::sink), Err(LogError::Twice)));
}
