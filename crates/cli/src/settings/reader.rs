//! Turns texts into typed values and keeps a list of everything that does not fit.
//!
//! A value that does not fit is reported and the default is taken in its place, so that one start names every problem.

use super::problem::Problem;
use super::sources::Raw;
use super::table;
use chrono::NaiveDate;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;
use tandem_outbound::Trust;
use url::Url;

/// A week. Longer waits are typing errors.
pub const LONGEST_WAIT: Duration = Duration::from_secs(604_800);

pub struct Reader<'a> {
    raw: &'a Raw,
    pub problems: Vec<Problem>,
    /// Every name that was asked for, for the test that nothing in the table is forgotten.
    #[cfg(test)]
    pub asked: std::collections::BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub fn new(raw: &'a Raw) -> Self {
        Self {
            raw,
            problems: Vec::new(),
            #[cfg(test)]
            asked: std::collections::BTreeSet::new(),
        }
    }

    /// What somebody set, or else the table's default.
    fn given(&mut self, name: &'static str) -> Option<SecretString> {
        let setting =
            table::find(name).expect("only settings of the table are asked for; a test goes through all of them");
        #[cfg(test)]
        self.asked.insert(setting.name);
        self.raw
            .values
            .get(setting.name)
            .map(|value| value.text.clone())
            .or_else(|| setting.default.map(SecretString::from))
    }

    pub fn problem(&mut self, name: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(name, what));
    }

    /// Reads a value with `parse`, whose error says what would be right. The value itself is repeated only where the
    /// setting is no secret.
    pub fn parsed<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.given(name)?;
        let text = text.expose_secret().trim();
        match parse(text) {
            Ok(value) => Some(value),
            Err(right) => {
                let secret = table::find(name).is_some_and(|s| s.secret);
                let shown: String = text.chars().take(80).collect();
                self.problem(name, if secret { right } else { format!("{right}, not {shown:?}") });
                table::find(name).and_then(|s| s.default).and_then(|default| parse(default).ok())
            }
        }
    }

    pub fn with_default<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        self.parsed(name, parse).expect("the setting has a default that fits; a test reads them all")
    }

    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.parsed(name, |text| Ok(text.to_owned()))
    }

    /// A text with its spaces kept, because the other side compares it letter by letter.
    pub fn exact(&mut self, name: &'static str) -> Option<String> {
        self.given(name).map(|text| text.expose_secret().to_owned())
    }

    /// A text that has a default.
    pub fn word(&mut self, name: &'static str) -> String {
        self.with_default(name, |text| Ok(text.to_owned()))
    }

    /// A secret, its spaces kept.
    pub fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.given(name)
    }

    pub fn flag(&mut self, name: &'static str) -> bool {
        self.with_default(name, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("has to be true or false".to_owned()),
        })
    }

    pub fn number<T: Copy + PartialOrd + FromStr + Display>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<T>,
    ) -> T {
        self.with_default(name, |text| {
            let right = || format!("has to be a whole number from {} to {}", range.start(), range.end());
            text.parse().ok().filter(|n| range.contains(n)).ok_or_else(right)
        })
    }

    pub fn seconds(&mut self, name: &'static str, at_least: u32) -> Duration {
        Duration::from_secs(self.number(name, u64::from(at_least)..=LONGEST_WAIT.as_secs()))
    }

    /// 0 stands for "only when asked"; else at least one second.
    pub fn poll_interval(&mut self, name: &'static str) -> Option<Duration> {
        let seconds = self.with_default(name, |text| {
            let fits = |n: &u64| *n <= LONGEST_WAIT.as_secs();
            text.parse()
                .ok()
                .filter(fits)
                .ok_or_else(|| "has to be 0 (never by itself) or a whole number from 1 to 604800".to_owned())
        });
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    pub fn day(&mut self, name: &'static str) -> Option<NaiveDate> {
        self.parsed(name, |text| text.parse().map_err(|_| "has to be a day such as 2026-03-21".to_owned()))
    }

    /// `system`, `any`, or the path of a PEM file with further authorities.
    pub fn trust(&mut self, name: &'static str) -> Trust {
        self.with_default(name, |text| match text {
            "system" => Ok(Trust::System),
            "any" => Ok(Trust::AnyCertificate),
            path => std::fs::read(path)
                .map(Trust::Also)
                .map_err(|_| "has to be system, any, or the path of a readable PEM file".to_owned()),
        })
    }

    pub fn one_of<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> T {
        self.with_default(name, |text| {
            let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
            words
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text))
                .map(|(_, value)| *value)
                .ok_or_else(|| format!("has to be {}", known()))
        })
    }

    /// A comma separated list; empty items are left out.
    pub fn list(&mut self, name: &'static str) -> Vec<String> {
        self.text(name).map(|text| items(&text)).unwrap_or_default()
    }

    /// Comma separated secrets, each at least `shortest` characters of those that `allowed` lets through.
    pub fn secrets(
        &mut self,
        name: &'static str,
        shortest: usize,
        allowed: fn(char) -> bool,
        right: &str,
    ) -> Vec<SecretString> {
        let Some(text) = self.given(name) else { return Vec::new() };
        let found = items(text.expose_secret());
        if found.iter().any(|item| item.chars().count() < shortest || !item.chars().all(allowed)) {
            self.problem(name, right);
        }
        found.into_iter().map(SecretString::from).collect()
    }

    pub fn networks(&mut self, name: &'static str) -> Vec<IpNet> {
        self.parsed(name, |text| items(text).iter().map(|item| network(item)).collect()).unwrap_or_default()
    }

    pub fn numbers(&mut self, name: &'static str) -> Vec<i64> {
        self.parsed(name, |text| {
            items(text)
                .iter()
                .map(|item| item.parse().map_err(|_| "has to be whole numbers, comma separated".to_owned()))
                .collect()
        })
        .unwrap_or_default()
    }

    pub fn address(&mut self, name: &'static str) -> IpAddr {
        self.with_default(name, |text| text.parse().map_err(|_| "has to be an IP address".to_owned()))
    }

    /// An http or https address. User names and passwords have settings of their own.
    pub fn web_address(&mut self, name: &'static str) -> Option<Url> {
        let text = self.given(name)?;
        let url = Url::parse(text.expose_secret().trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        match url {
            // The address may hold a password: it is not repeated.
            Some(url) if !url.username().is_empty() || url.password().is_some() => {
                self.problem(name, "holds a user name or a password; those have settings of their own");
                None
            }
            Some(url) if url.query().is_some() || url.fragment().is_some() => {
                self.problem(name, "has to end with the host, the port or a path; ? and # have no place in it");
                None
            }
            Some(url) => Some(url),
            None => {
                self.problem(name, "has to be an address such as http://host:port");
                None
            }
        }
    }

    /// A path below a base address.
    pub fn path(&mut self, name: &'static str) -> String {
        self.with_default(name, |text| {
            let fits = text.starts_with('/') && !text.contains(char::is_whitespace) && !text.contains(['?', '#']);
            fits.then(|| text.to_owned()).ok_or_else(|| "has to be a path that begins with /".to_owned())
        })
    }
}

fn items(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn network(item: &str) -> Result<IpNet, String> {
    let whole = item.parse::<IpNet>().ok();
    whole
        .or_else(|| item.parse::<IpAddr>().ok().map(IpNet::from))
        .ok_or_else(|| "has to be addresses or networks such as 192.0.2.0/24, comma separated".to_owned())
}
