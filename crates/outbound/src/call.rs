//! One request, described before it is sent.

use bytes::Bytes;
use reqwest::Method;
use std::fmt;
use std::time::Duration;

/// What repeating or losing this call would mean. The caller knows; the method alone does not say (many
/// business APIs read by POST).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// Changes nothing: may be repeated, a lost answer costs nothing.
    Read,
    /// Changes nothing worth recovering, but must not be repeated here: a login.
    Once,
    /// Changes the other side: never repeated here, a lost answer leaves it in doubt.
    Write,
}

/// One request to a destination: path below the base address, headers, body, and its [`Safety`].
#[derive(Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(&'static str, String, bool)>,
    pub(crate) body: Option<(&'static str, Bytes)>,
    pub(crate) safety: Safety,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_body: Option<usize>,
}

impl Call {
    /// A call without a body. `path` starts with `/` and holds neither a query nor a secret: it is logged.
    pub fn new(method: Method, path: impl Into<String>, safety: Safety) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            safety,
            timeout: None,
            max_body: None,
        }
    }

    /// A GET that is safe to repeat.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Safety::Read)
    }

    /// A POST with a JSON body.
    pub fn post_json(path: impl Into<String>, body: &serde_json::Value, safety: Safety) -> Self {
        Self::new(Method::POST, path, safety).json(body)
    }

    /// A POST with an `application/x-www-form-urlencoded` body.
    pub fn post_form(path: impl Into<String>, fields: &[(&str, &str)], safety: Safety) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::new(Method::POST, path, safety).bytes("application/x-www-form-urlencoded", body)
    }

    pub fn json(self, body: &serde_json::Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    pub fn bytes(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type, body.into()));
        self
    }

    /// Adds one query parameter; query strings are never logged.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into(), false));
        self
    }

    /// A header whose value is a credential: marked so that no layer below shows it.
    pub fn secret_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into(), true));
        self
    }

    /// Instead of the destination's [`timeout`](crate::HttpSettings::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Instead of the destination's [`max_body`](crate::HttpSettings::max_body).
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }
}

/// Shows method and path only.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
