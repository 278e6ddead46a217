//! The address of a database server: `scheme://user:password@host:port/database?options`.
//!
//! Just what the tests need to pass an address on to a client program by environment variables, where a password is
//! not visible to other users of the machine as it would be among the arguments.

use anyhow::{Context, Result};

/// An address taken apart. Parts that are not in the text are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    scheme: String,
    /// `user:password@`, as written.
    credentials: String,
    /// `host:port`, as written.
    place: String,
    has_path: bool,
    database: String,
    /// `?options`, as written.
    options: String,
}

impl ServerUrl {
    /// Takes the text apart. The error never repeats the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) =
            text.split_once("://").context("not an address of the form scheme://user:password@host:port/database")?;
        let (rest, options) = match rest.find('?') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, place) = match authority.rfind('@') {
            Some(at) => authority.split_at(at + 1),
            None => ("", authority),
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            credentials: credentials.to_owned(),
            place: place.to_owned(),
            has_path: rest.contains('/'),
            database: database.to_owned(),
            options: options.to_owned(),
        })
    }

    /// The same server, another database.
    pub fn with_database(&self, database: &str) -> String {
        format!("{}://{}{}/{database}{}", self.scheme, self.credentials, self.place, self.options)
    }

    /// The same database, reached by another `host:port`.
    pub fn with_place(&self, place: &str) -> String {
        let slash = if self.has_path { "/" } else { "" };
        format!("{}://{}{place}{slash}{}{}", self.scheme, self.credentials, self.database, self.options)
    }

    pub fn user(&self) -> String {
        let text = self.credentials.trim_end_matches('@');
        decode(text.split_once(':').map_or(text, |(user, _)| user))
    }

    pub fn password(&self) -> String {
        let text = self.credentials.strip_suffix('@').unwrap_or_default();
        decode(text.split_once(':').map_or("", |(_, password)| password))
    }

    pub fn host(&self) -> &str {
        match self.place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
            None => self.place.split_once(':').map_or(self.place.as_str(), |(host, _)| host),
        }
    }

    pub fn port(&self) -> &str {
        let after = self.place.rsplit_once(']').map_or(self.place.as_str(), |(_, rest)| rest);
        after.rsplit_once(':').map_or("", |(_, port)| port)
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    /// The value of an option after the question mark.
    pub fn option(&self, name: &str) -> Option<String> {
        let pairs = self.options.strip_prefix('?')?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| decode(value))
    }
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_address_is_taken_apart() {
        let url = ServerUrl::parse("postgres://us%40er:p%3Aw@db.example:5433/main?sslmode=require").unwrap();
        assert_eq!((url.user().as_str(), url.password().as_str()), ("us@er", "p:w"));
        assert_eq!((url.host(), url.port(), url.database()), ("db.example", "5433", "main"));
        assert_eq!(url.option("sslmode").as_deref(), Some("require"));
        assert_eq!(url.with_database("t1"), "postgres://us%40er:p%3Aw@db.example:5433/t1?sslmode=require");
    }

    #[test]
    fn missing_parts_are_empty() {
        let url = ServerUrl::parse("mysql://localhost").unwrap();
        assert_eq!(
            (url.user().as_str(), url.password().as_str(), url.host(), url.port(), url.database()),
            ("", "", "localhost", "", "")
        );
    }

    #[test]
    fn another_place_leaves_the_rest_as_it_is() {
        let moved = |text: &str| ServerUrl::parse(text).unwrap().with_place("127.0.0.1:9");
        assert_eq!(moved("amqp://guest:guest@rabbit:5672/%2f"), "amqp://guest:guest@127.0.0.1:9/%2f");
        assert_eq!(moved("http://crm.example"), "http://127.0.0.1:9");
        assert_eq!(moved("http://crm.example/"), "http://127.0.0.1:9/");
    }

    #[test]
    fn an_ipv6_host_keeps_its_colons() {
        let url = ServerUrl::parse("postgres://app@[::1]:5432/x").unwrap();
        assert_eq!((url.host(), url.port()), ("::1", "5432"));
    }

    #[test]
    fn an_error_does_not_repeat_the_text() {
        let error = ServerUrl::parse("user:secret@host").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
