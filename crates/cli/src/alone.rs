//! One process that works on records per SQLite file.
//!
//! Without a broker nothing but the ledger stands between two workers, and each would write as many records at once as
//! the destination bears. A lock beside the database, which the system takes back however a process ends, keeps the
//! second one out. Other machines do not see it, which is one reason more against network shares.

use crate::settings::Settings;
use anyhow::bail;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Held as long as it lives. Empty where nothing has to be held.
#[derive(Debug)]
pub struct Alone {
    _lock: Option<File>,
}

impl Alone {
    /// Makes this process the one that works on the records of its database, where there may be only one: on an SQLite
    /// file without a broker. The file has to be there.
    ///
    /// # Errors
    /// When another process is that one.
    pub fn among_workers(settings: &Settings) -> anyhow::Result<Self> {
        let file = settings.database.sqlite_file().filter(|_| settings.broker.is_none());
        let Some(database) = file else { return Ok(Self { _lock: None }) };
        Self::beside(&database)
    }

    fn beside(database: &Path) -> anyhow::Result<Self> {
        let path = lock_file(database);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut lock = match opened {
            Ok(lock) => lock,
            Err(error) => return Ok(unguarded(&path, &error)),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another process{} works on the records of {} already; on SQLite only one `tandem up` or `tandem worker` may run",
                    holder(&mut lock),
                    database.display()
                )
            }
            Err(TryLockError::Error(error)) => return Ok(unguarded(&path, &error)),
        }
        // For the message above only.
        let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        Ok(Self { _lock: Some(lock) })
    }
}

/// The same for every way of writing the database's path.
fn lock_file(database: &Path) -> PathBuf {
    let mut path = database.canonicalize().unwrap_or_else(|_| database.to_owned()).into_os_string();
    path.push(".lock");
    path.into()
}

/// A file system without locks is no reason not to work.
fn unguarded(path: &Path, error: &std::io::Error) -> Alone {
    tracing::warn!(path = %path.display(), %error, "can't lock this file, so nothing keeps a second worker away from the database");
    Alone { _lock: None }
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok()) {
        Some(process) => format!(" ({process})"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_worker_of_a_file_is_refused_until_the_first_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("tandem.db");
        std::fs::write(&database, "").unwrap();
        let first = Alone::beside(&database).unwrap();
        let refused = Alone::beside(&folder.path().join(".").join("tandem.db")).unwrap_err().to_string();
        assert!(refused.contains(&format!("another process ({}) works", std::process::id())), "{refused}");
        drop(first);
        Alone::beside(&database).unwrap();
    }
}
