//! Ports for private servers: free now, and still ours after a server was killed.
//!
//! The numbers lie below the range from which operating systems take ports for outgoing connections (Linux 32768,
//! macOS 49152). Inside that range a client that calls a killed server on its own machine may be given the server's
//! port, connect to itself, and keep the port from the restart. A lock file keeps two test processes apart.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

const FIRST: u16 = 21_000;
const COUNT: u16 = 4_000;

/// A port on 127.0.0.1 that no other test process uses while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Finds a free port and keeps it.
    pub fn reserve() -> Result<Self> {
        let folder = lock_folder()?;
        let start = starting_point();
        for step in 0..COUNT {
            let number = FIRST + (start + step) % COUNT;
            if let Some(port) = Self::take(&folder, number)? {
                return Ok(port);
            }
        }
        bail!("no free port between {FIRST} and {} on 127.0.0.1", FIRST + COUNT - 1)
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }

    fn take(folder: &std::path::Path, number: u16) -> Result<Option<Self>> {
        let path = folder.join(number.to_string());
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open the lock file {}", path.display()))?;
        let free = lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        Ok(free.then_some(Self { number, _lock: lock }))
    }
}

fn lock_folder() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("tandem-testbed-ports-{}", nix::unistd::getuid()));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Somewhere in the range, different for each call and process, so that searches rarely meet.
fn starting_point() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_micros());
    let mixed =
        now.wrapping_add(std::process::id().wrapping_mul(61)).wrapping_add(CALLS.fetch_add(7, Ordering::Relaxed));
    u16::try_from(mixed % u32::from(COUNT)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_not_given_out_twice() {
        let first = Port::reserve().unwrap();
        let folder = lock_folder().unwrap();
        assert!(Port::take(&folder, first.number()).unwrap().is_none());
    }

    #[test]
    fn a_port_in_use_is_not_given_out() {
        let number = Port::reserve().unwrap().number();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
        assert!(Port::take(&lock_folder().unwrap(), number).unwrap().is_none());
    }
}
