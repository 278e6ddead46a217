//! Logins, tokens and locks (payamgostar sheet §1, §7.1 to §7.3).

use super::{crm::Crm, error::Refusal, settings::Settings};
use crate::stage::{
    json::text,
    reply::{Call, Reply},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, FixedOffset, TimeDelta};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};

/// Bad logins older than this no longer count towards a lock (sheet §7.2).
const FAILURES_COUNT_FOR: TimeDelta = TimeDelta::minutes(5);

type Time = DateTime<FixedOffset>;

#[derive(Default)]
struct User {
    password: String,
    failures: VecDeque<Time>,
    locked_until: Option<Time>,
    /// Oldest first.
    tokens: VecDeque<String>,
}

struct Token {
    user: String,
    expires: Time,
    refresh: String,
}

#[derive(Default)]
pub(crate) struct Sessions {
    users: HashMap<String, User>,
    tokens: HashMap<String, Token>,
}

/// Why a login was refused, as its status.
enum Denied {
    Wrong,
    Locked,
}

impl Denied {
    fn reply(&self) -> Reply {
        let (status, message) = match self {
            Self::Wrong => (401, "The user name or password is wrong."),
            Self::Locked => (403, "Too many attempts. The account is locked temporarily."),
        };
        Refusal::Error { status, field: None, message: message.to_owned() }.reply()
    }
}

struct Granted {
    access: String,
    refresh: String,
    expires: Time,
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
        let user = self.users.entry(name.to_owned()).or_default();
        user.password = password.to_owned();
        user.failures.clear();
        user.locked_until = None;
    }

    /// Makes every token invalid.
    pub(crate) fn expire_all(&mut self) {
        self.tokens.clear();
        for user in self.users.values_mut() {
            user.tokens.clear();
        }
    }

    pub(crate) fn drop_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    pub(crate) fn live(&self, now: Time) -> usize {
        self.tokens.values().filter(|token| token.expires > now).count()
    }

    fn holds(&self, token: &str, now: Time) -> bool {
        self.tokens.get(token).is_some_and(|token| token.expires > now)
    }

    fn check(&mut self, name: &str, password: &str, now: Time, settings: &Settings) -> Result<(), Denied> {
        let user = self.users.get_mut(name).ok_or(Denied::Wrong)?;
        if user.locked_until.is_some_and(|until| now < until) {
            return Err(Denied::Locked);
        }
        if user.password == password {
            user.failures.clear();
            return Ok(());
        }
        user.failures.retain(|at| now - *at < FAILURES_COUNT_FOR);
        user.failures.push_back(now);
        if user.failures.len() >= settings.lock_after {
            user.failures.clear();
            user.locked_until = Some(now + TimeDelta::seconds(settings.lock_seconds));
        }
        Err(Denied::Wrong)
    }
}

impl Crm {
    /// Whether the call carries a token that is good now.
    pub(crate) fn is_authorized(&self, call: &Call) -> bool {
        bearer(call).is_some_and(|token| self.sessions.holds(token, self.desk.clock.tehran()))
    }

    pub(crate) fn login(&mut self, call: &Call) -> Reply {
        let Ok(Value::Object(body)) = serde_json::from_slice(&call.body) else {
            return Refusal::bad("The body is not a JSON object.").reply();
        };
        if self.settings().without_mobile_module {
            let message = "The licence does not include this module.".to_owned();
            return Refusal::Error { status: 402, field: None, message }.reply();
        }
        let (Some(name), Some(password)) = (text(&body, "username"), text(&body, "password")) else {
            return Refusal::bad("User name and password are required.").reply();
        };
        match self.enter(name, password) {
            Ok(granted) => granted.reply(),
            Err(denied) => denied.reply(),
        }
    }

    /// The legacy login with a form body (sheet §1.4).
    pub(crate) fn login_v1(&mut self, call: &Call) -> Reply {
        let form = form_values(&call.body);
        let value = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if value("grant_type") != "password" || value("username").is_empty() {
            return Refusal::bad("grant_type, username and password are required.").reply();
        }
        match self.enter(value("username"), value("password")) {
            Ok(granted) => Reply::json(
                200,
                &json!({ "access_token": granted.access, "expires_in": self.settings().token_ttl_seconds }),
            ),
            Err(denied) => denied.reply(),
        }
    }

    /// Body and answer of the refresh are assumed (sheet §1.3).
    pub(crate) fn refresh(&mut self, call: &Call) -> Reply {
        if !self.settings().refresh {
            return Reply::empty(404);
        }
        let Ok(Value::Object(body)) = serde_json::from_slice(&call.body) else {
            return Refusal::bad("The body is not a JSON object.").reply();
        };
        let access = text(&body, "accessToken").unwrap_or_default();
        let refresh = text(&body, "refreshToken").unwrap_or_default();
        let user =
            self.sessions.tokens.get(access).filter(|token| token.refresh == refresh).map(|token| token.user.clone());
        match user {
            None => Reply::empty(401),
            Some(user) => {
                self.sessions.drop_token(access);
                self.grant(&user).reply()
            }
        }
    }

    fn enter(&mut self, name: &str, password: &str) -> Result<Granted, Denied> {
        let settings = self.settings();
        self.sessions.check(name, password, self.desk.clock.tehran(), &settings)?;
        Ok(self.grant(name))
    }

    fn grant(&mut self, name: &str) -> Granted {
        let settings = self.settings();
        let now = self.desk.clock.tehran();
        let expires = now + TimeDelta::seconds(settings.token_ttl_seconds);
        let access = self.token_text(name, now, expires);
        let refresh = hex::encode(self.desk.random_bytes::<32>());
        let user = self.sessions.users.entry(name.to_owned()).or_default();
        user.tokens.push_back(access.clone());
        let surplus = settings.session_cap.map_or(0, |cap| user.tokens.len().saturating_sub(cap));
        for evicted in user.tokens.drain(..surplus) {
            self.sessions.tokens.remove(&evicted);
        }
        let token = Token { user: name.to_owned(), expires, refresh: refresh.clone() };
        self.sessions.tokens.insert(access.clone(), token);
        Granted { access, refresh, expires }
    }

    /// Looks like the RS256 token of the sheet; the signature is random, nobody here checks it.
    fn token_text(&self, name: &str, now: Time, expires: Time) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({
            "iss": "PayamGostar.com", "unique_name": name, "jti": self.new_id(),
            "nbf": now.timestamp(), "exp": expires.timestamp(),
        });
        let signature = URL_SAFE_NO_PAD.encode(self.desk.random_bytes::<32>());
        format!("{}.{}.{signature}", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims))
    }
}

impl Granted {
    fn reply(&self) -> Reply {
        let ticks = self.expires.timestamp_subsec_nanos() / 100;
        let expires = format!("{}.{ticks:07}{}", self.expires.format("%Y-%m-%dT%H:%M:%S"), self.expires.format("%:z"));
        Reply::json(200, &json!({ "expiresAt": expires, "accessToken": self.access, "refreshToken": self.refresh }))
    }
}

/// The token of a call, whatever the case of the scheme's name.
pub(crate) fn bearer(call: &Call) -> Option<&str> {
    let (scheme, token) = call.authorization.as_deref()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn form_values(body: &[u8]) -> HashMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (form_decode(name), form_decode(value))).collect()
}

fn form_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], escaped) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
