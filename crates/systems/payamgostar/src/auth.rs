//! Login, and how long a token may be used.

use crate::lenient::camel_case;
use crate::settings::Settings;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tandem_core::Fault;
use tandem_outbound::{Answer, Call, Fresh, Held, HttpClient, Safety, SharedLogin};

const LOGIN: &str = "/api/v2/auth/login";
const REFRESH: &str = "/api/v2/auth/token/refresh";
const LEGACY_LOGIN: &str = "/api/v1/auth";
/// Tokens are given up this long before their end (sheet §1.1).
const MARGIN: Duration = Duration::from_secs(60);
/// For an answer that names no lifetime at all; the one observed is 7,200 s (sheet §1.1).
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// What later calls carry.
pub(crate) struct Token {
    pub(crate) access: SecretString,
}

/// The one login of a client.
pub(crate) struct Auth {
    shared: SharedLogin<Token>,
    /// "Locked" answers in a row: the second and later ones wait twice as long.
    locked: AtomicU32,
    /// v2 answered 402 once: this licence lacks its module, v1 is asked straight away (sheet §1.4).
    legacy: AtomicBool,
    /// Access and refresh token of the session that ends by time, when refreshing is switched on.
    renewable: Mutex<Option<(SecretString, SecretString)>>,
}

impl Auth {
    pub(crate) fn new() -> Self {
        Self {
            shared: SharedLogin::default(),
            locked: AtomicU32::new(0),
            legacy: AtomicBool::new(false),
            renewable: Mutex::new(None),
        }
    }

    pub(crate) async fn token(&self, http: &HttpClient, settings: &Settings) -> Result<Held<Token>, Fault> {
        self.shared.get(|| self.obtain(http, settings)).await
    }

    /// The CRM answered 401 to this token: forget it, and don't try to refresh it either.
    pub(crate) async fn expire(&self, token: &Held<Token>) {
        self.take_renewable();
        self.shared.expire(token).await;
    }

    pub(crate) async fn refuse(&self, token: &Held<Token>, fault: &Fault) {
        self.shared.refuse(token, fault).await;
    }

    async fn obtain(&self, http: &HttpClient, settings: &Settings) -> Result<Fresh<Token>, Fault> {
        if let Some(fresh) = self.refreshed(http, settings).await {
            return Ok(fresh);
        }
        let mut answer = None;
        if !self.legacy.load(Ordering::Relaxed) {
            let v2 = http.send(&login_v2(settings)).await?;
            self.legacy.store(v2.status().as_u16() == 402, Ordering::Relaxed);
            answer = Some(v2).filter(|v2| v2.status().as_u16() != 402);
        }
        let answer = match answer {
            Some(answer) => answer,
            None => http.send(&login_v1(settings)).await?,
        };
        if !answer.status().is_success() {
            return Err(self.refusal(&answer, settings));
        }
        self.locked.store(0, Ordering::Relaxed);
        self.accept(&answer, settings).ok_or_else(|| {
            Fault::systemic(
                "payamgostar.not_the_api",
                "the login was answered without a token; is the base address right?",
            )
        })
    }

    /// A new token for one that ended by time. Body and answer are assumed (sheet §1.3); whatever goes wrong
    /// here, a full login follows.
    async fn refreshed(&self, http: &HttpClient, settings: &Settings) -> Option<Fresh<Token>> {
        let (access, refresh) = self.take_renewable()?;
        let body = json!({"accessToken": access.expose_secret(), "refreshToken": refresh.expose_secret()});
        let answer = http.send(&Call::post_json(REFRESH, &body, Safety::Once)).await.ok()?;
        if answer.status().as_u16() == 200 { self.accept(&answer, settings) } else { None }
    }

    fn take_renewable(&self) -> Option<(SecretString, SecretString)> {
        self.renewable.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn accept(&self, answer: &Answer, settings: &Settings) -> Option<Fresh<Token>> {
        let body = camel_case(tandem_outbound::json::from_slice::<Value>(&answer.body).ok()?);
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let access = text("accessToken").or_else(|| text("access_token"))?;
        if let Some(refresh) = text("refreshToken").filter(|_| settings.refresh_tokens) {
            let pair = (SecretString::from(access), SecretString::from(refresh));
            *self.renewable.lock().unwrap_or_else(PoisonError::into_inner) = Some(pair);
        }
        let told = Told {
            server_now: answer.head.server_time,
            expires_at: text("expiresAt").and_then(|at| DateTime::parse_from_rfc3339(at).ok()).map(|at| at.to_utc()),
            claims: claims(access),
            expires_in: body
                .get("expires_in")
                .and_then(|n| n.as_u64().or_else(|| n.as_str()?.parse().ok()))
                .map(Duration::from_secs),
        };
        Some(Fresh { session: Token { access: access.into() }, usable_for: Some(told.usable_for()) })
    }

    /// The meaning of a refused login (sheet §1.2). None of these may be tried again in a loop.
    fn refusal(&self, answer: &Answer, settings: &Settings) -> Fault {
        let wait = settings.refused_wait;
        match answer.status().as_u16() {
            403 => {
                let times = self.locked.fetch_add(1, Ordering::Relaxed).min(1);
                let wait = settings.locked_wait.saturating_mul(1 << times);
                Fault::systemic("payamgostar.login_locked", "the CRM refuses logins of this user for now (too many attempts, or locked); an administrator can unlock it").after(wait)
            }
            400 | 401 => {
                Fault::systemic("payamgostar.login_refused", "the CRM refused the login: wrong user name or password")
                    .after(wait)
            }
            402 => Fault::systemic("payamgostar.licence", "the CRM's licence does not allow this login").after(wait),
            429 => Fault::systemic("payamgostar.rate_limited", "the CRM asks to log in less often")
                .after(answer.head.retry_after.unwrap_or(MARGIN)),
            status @ 500..=599 => {
                Fault::transient("payamgostar.server_error", format!("the login was answered {status}"))
            }
            status => Fault::systemic(
                "payamgostar.not_the_api",
                format!("the login was answered {status}; is the base address right?"),
            ),
        }
    }
}

fn login_v2(settings: &Settings) -> Call {
    let body = json!({
        "username": settings.username,
        "password": settings.password.expose_secret(),
        "deviceId": settings.device_id,
        "platformType": settings.platform_type,
        "os": "Linux",
        "osVersion": "1.0",
        "token": "",
    });
    Call::post_json(LOGIN, &body, Safety::Once)
}

fn login_v1(settings: &Settings) -> Call {
    let fields = [
        ("username", settings.username.as_str()),
        ("password", settings.password.expose_secret()),
        ("grant_type", "password"),
    ];
    Call::post_form(LEGACY_LOGIN, &fields, Safety::Once)
}

/// `nbf` and `exp` of the token, in seconds since 1970. Read, not verified: it is the server's own token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Claims {
    nbf: Option<i64>,
    exp: Option<i64>,
}

fn claims(token: &str) -> Claims {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
    let payload: Option<Value> = payload.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let claim = |name: &str| payload.as_ref().and_then(|payload| payload.get(name)).and_then(Value::as_i64);
    Claims { nbf: claim("nbf").or_else(|| claim("iat")), exp: claim("exp") }
}

/// All a login answer says about time.
#[derive(Debug, Default)]
struct Told {
    server_now: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    claims: Claims,
    expires_in: Option<Duration>,
}

impl Told {
    /// The shortest lifetime that follows from the server's own times, less a margin; our clock has no part
    /// in it, since the server's may run minutes apart (sheet §2.5). A "now" behind the end (a proxy's clock,
    /// say) is not believed.
    fn usable_for(&self) -> Duration {
        let expires = self.expires_at.map(|at| at.timestamp());
        let now = self.server_now.map(|at| at.timestamp());
        let between = |from: Option<i64>, to: Option<i64>| {
            u64::try_from(to?.checked_sub(from?)?).ok().filter(|s| *s > 0).map(Duration::from_secs)
        };
        let Claims { nbf, exp } = self.claims;
        let lifetime =
            [between(now, expires), between(now, exp), between(nbf, exp), between(nbf, expires), self.expires_in]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(UNKNOWN_LIFETIME);
        if lifetime > MARGIN * 2 { lifetime - MARGIN } else { lifetime / 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<DateTime<Utc>> {
        text.parse().ok()
    }

    #[test]
    fn a_tokens_life_is_measured_on_the_servers_clock_alone() {
        // The server runs 208 s behind: only its own two times count.
        let told =
            Told { server_now: at("2026-02-01T06:10:00Z"), expires_at: at("2026-02-01T08:10:00Z"), ..Told::default() };
        assert_eq!(told.usable_for(), Duration::from_secs(7200 - 60));
    }

    #[test]
    fn without_a_date_header_the_tokens_own_claims_count() {
        let claims = Claims { nbf: Some(1_000), exp: Some(1_000 + 3_600) };
        assert_eq!(Told { claims, ..Told::default() }.usable_for(), Duration::from_secs(3_540));
    }

    #[test]
    fn the_shortest_of_contradicting_lifetimes_is_taken() {
        let claims = Claims { nbf: Some(1_769_926_200), exp: Some(1_769_926_200 + 600) };
        let told = Told {
            server_now: at("2026-02-01T06:00:00Z"),
            expires_at: at("2026-02-01T08:00:00Z"),
            claims,
            ..Told::default()
        };
        assert_eq!(told.usable_for(), Duration::from_secs(540));
    }

    #[test]
    fn an_end_before_now_is_not_believed_and_short_lives_are_halved() {
        let told =
            Told { server_now: at("2026-02-01T08:00:00Z"), expires_at: at("2026-02-01T07:00:00Z"), ..Told::default() };
        assert_eq!(told.usable_for(), UNKNOWN_LIFETIME - MARGIN);
        assert_eq!(
            Told { expires_in: Some(Duration::from_secs(90)), ..Told::default() }.usable_for(),
            Duration::from_secs(45)
        );
    }

    #[test]
    fn claims_are_read_from_the_middle_of_the_token_and_never_fail() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"nbf":10,"exp":7210,"name":"x"}"#);
        assert_eq!(claims(&format!("h.{payload}.s")), Claims { nbf: Some(10), exp: Some(7210) });
        for odd in ["", "opaque", "a.b.c", "a.!!.c"] {
            assert_eq!(claims(odd), Claims::default());
        }
    }
}
