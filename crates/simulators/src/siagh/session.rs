//! Logins and sessions (siagh sheet §1, §7.1, §7.2).

use super::settings::Settings;
use chrono::{DateTime, TimeDelta, Utc};
use md5::{Digest, Md5};
use std::collections::HashMap;

struct User {
    /// Upper-case MD5 of the password.
    hash: String,
    code: i64,
    failures: usize,
    locked_until: Option<DateTime<Utc>>,
}

#[derive(Default)]
pub(crate) struct Sessions {
    users: HashMap<String, User>,
    /// Session id and when it was last used.
    live: HashMap<String, DateTime<Utc>>,
}

pub(crate) enum Denied {
    Wrong,
    Locked,
}

/// The upper-case MD5 of a password, as the API takes it.
pub(crate) fn password_hash(password: &str) -> String {
    hex::encode_upper(Md5::digest(password.as_bytes()))
}

impl Sessions {
    pub(crate) fn new(users: &[(String, String)]) -> Self {
        let mut sessions = Self::default();
        for (name, password) in users {
            sessions.add_user(name, password);
        }
        sessions
    }

    /// Adds a user, or gives a known one another password and lifts its lock.
    pub(crate) fn add_user(&mut self, name: &str, password: &str) {
        let next = i64::try_from(self.users.len()).unwrap_or(i64::MAX - 1) + 1;
        let code = self.users.get(name).map_or(next, |user| user.code);
        let user = User { hash: password_hash(password), code, failures: 0, locked_until: None };
        self.users.insert(name.to_owned(), user);
    }

    /// The user's code when name and hash are right. Names are compared exactly.
    pub(crate) fn check(
        &mut self,
        name: &str,
        hash: &str,
        now: DateTime<Utc>,
        settings: &Settings,
    ) -> Result<i64, Denied> {
        let user = self.users.get_mut(name).ok_or(Denied::Wrong)?;
        if user.locked_until.is_some_and(|until| now < until) {
            return Err(Denied::Locked);
        }
        if user.hash == hash || (settings.accept_lower_case_hash && user.hash.eq_ignore_ascii_case(hash)) {
            user.failures = 0;
            return Ok(user.code);
        }
        user.failures += 1;
        if user.failures >= settings.lock_after {
            user.failures = 0;
            user.locked_until = Some(now + TimeDelta::seconds(settings.lock_seconds));
        }
        Err(Denied::Wrong)
    }

    pub(crate) fn open(&mut self, id: String, now: DateTime<Utc>) {
        self.live.insert(id, now);
    }

    /// Whether `id` is a live session; using one keeps it alive.
    pub(crate) fn touch(&mut self, id: &str, now: DateTime<Utc>, settings: &Settings) -> bool {
        let Some(used) = self.live.get_mut(id) else { return false };
        if now - *used > TimeDelta::seconds(settings.session_idle_seconds) {
            self.live.remove(id);
            return false;
        }
        *used = now;
        true
    }

    pub(crate) fn drop_one(&mut self, id: &str) {
        self.live.remove(id);
    }

    pub(crate) fn expire_all(&mut self) {
        self.live.clear();
    }

    pub(crate) fn live(&self) -> usize {
        self.live.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_hash_to_the_test_vectors_of_the_sheet() {
        assert_eq!(password_hash("tandem-demo-1"), "6A03CCD0C813FB03ECAD5A210C7D5A8E");
        assert_eq!(password_hash("رمز-نمونه"), "B4FEEE4A8D0373F779675A96064FC08A");
    }
}
