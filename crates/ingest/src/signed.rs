//! The signed intake: `POST /webhook/signed/<bridge>`, for systems that can sign.
//!
//! The body is JSON: `{"id": .., "kind": .., "source_id": .., "event": ..}`; `kind` and `source_id` name the record as
//! the ledger does. Two forms of signature are good, both HMAC-SHA256 over the bytes as they came:
//!
//! * Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64>`, over `id.timestamp.body`;
//! * a simple one: `x-webhook-timestamp` and `x-webhook-signature: [sha256=]<hex>`, over `timestamp.body`.
//!
//! Nothing is parsed before a signature fits. A copy of a call gets the same id, which the inbox takes once: it is answered
//! as the first one was, and notices nothing. Without a secret the intake is off.

use crate::answer::Answer;
use crate::http::{read_body, within_limits};
use crate::params::unreadable;
use crate::settings::{WebhookSettings, is_blank};
use crate::tally::route_name;
use crate::webhooks::{Ended, Intake, UNKNOWN, notice};
use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use actix_web::web::Payload;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use std::net::IpAddr;
use tandem_core::Bridge;
use tandem_store::InboxEntry;
use uuid::Uuid;

/// Signatures of one call that are looked at; more are not worth the work.
const SIGNATURES: usize = 8;
/// Characters of an id that make sense.
const ID_LIMIT: usize = 200;

/// The secrets, ready for use.
pub(crate) struct Signatures {
    keys: Vec<Hmac<Sha256>>,
    tolerance: TimeDelta,
}

/// A call whose signature fits.
struct Verified {
    /// What the sender calls this call, where the headers say so.
    name: Option<String>,
    /// The time stamp as it was signed.
    stamp: String,
}

#[derive(Deserialize)]
struct Body {
    id: Option<String>,
    kind: String,
    source_id: String,
    event: Option<String>,
}

impl Signatures {
    pub(crate) fn new(settings: &WebhookSettings) -> std::io::Result<Self> {
        let secrets = settings.signing_secrets.iter().filter(|secret| settings.enabled && !is_blank(secret));
        let keys = secrets.map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys, tolerance: settings.tolerance })
    }

    fn are_off(&self) -> bool {
        self.keys.is_empty()
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Option<Verified> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let (name, stamp, signatures): (_, _, Vec<Vec<u8>>) = match (text("webhook-id"), text("webhook-signature")) {
            (Some(name), Some(list)) => {
                let versions = list.split_whitespace().filter_map(|one| one.strip_prefix("v1,"));
                (
                    Some(name),
                    text("webhook-timestamp")?,
                    versions.filter_map(|one| STANDARD.decode(one).ok()).take(SIGNATURES).collect(),
                )
            }
            _ => {
                let signature = text("x-webhook-signature")?;
                let digits = signature.strip_prefix("sha256=").unwrap_or(signature);
                (None, text("x-webhook-timestamp")?, vec![hex::decode(digits).ok()?])
            }
        };
        if !self.is_timely(stamp, now) {
            return None;
        }
        let head = name.map_or_else(|| format!("{stamp}."), |name| format!("{name}.{stamp}."));
        let fits = |signature: &Vec<u8>| self.keys.iter().any(|key| fits(key, head.as_bytes(), body, signature));
        signatures.iter().any(fits).then(|| Verified { name: name.map(str::to_owned), stamp: stamp.to_owned() })
    }

    /// Whether a call of this time stamp is good now; one from the future is as suspicious as an old one.
    fn is_timely(&self, stamp: &str, now: DateTime<Utc>) -> bool {
        let apart = stamp.parse().ok().and_then(|stamp| now.timestamp().checked_sub(stamp)?.checked_abs());
        apart.is_some_and(|apart| apart <= self.tolerance.num_seconds())
    }
}

/// In constant time, as far as the signature's bytes go.
fn fits(key: &Hmac<Sha256>, head: &[u8], body: &[u8], signature: &[u8]) -> bool {
    let mut mac = key.clone();
    mac.update(head);
    mac.update(body);
    mac.verify_slice(signature).is_ok()
}

fn key(secret: &SecretString) -> std::io::Result<Hmac<Sha256>> {
    let text = secret.expose_secret().trim();
    let bytes = match text.strip_prefix("whsec_") {
        Some(coded) => STANDARD.decode(coded).map_err(|_| {
            std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "a webhook signing secret begins with whsec_ and what follows is not base64",
            )
        })?,
        None => text.as_bytes().to_vec(),
    };
    Ok(Hmac::new_from_slice(&bytes).expect("HMAC takes a key of any length"))
}

/// Handles a call to the signed intake; `named` is the bridge in its address.
pub(crate) async fn answer(
    request: &HttpRequest,
    body: Payload,
    intake: &Intake,
    caller: IpAddr,
    named: &str,
) -> Ended {
    let bridge = intake.engine.register().get(&named.into());
    let route = bridge.map_or_else(|| UNKNOWN.to_owned(), |bridge| route_name("signed", bridge.spec().id.as_str()));
    if let Err(answer) = within_limits(request, &intake.http) {
        return (route, intake.refuse(caller, answer));
    }
    let Some(bridge) = bridge.filter(|_| !intake.signatures.are_off()) else {
        return (route, intake.refuse(caller, Answer::NotFound));
    };
    // Unlike a token, a signature costs something to check, so an address that keeps failing is not read any more.
    if intake.is_spent(caller) {
        return (route, Answer::TooMany);
    }
    let body = match read_body(body, &intake.http).await {
        Ok(body) => body,
        Err(answer) => return (route, intake.refuse(caller, answer)),
    };
    let Some(call) = intake.signatures.verify(request.headers(), &body, intake.engine.now()) else {
        return (route, intake.refuse(caller, Answer::Unsigned));
    };
    if !intake.admit(caller) {
        return (route, Answer::TooMany);
    }
    let answer = match entry(&**bridge, &route, caller, &call, &body) {
        Ok(entry) => intake.store(entry).await,
        Err(why) => Answer::Malformed(why),
    };
    (route, answer)
}

fn entry(bridge: &dyn Bridge, route: &str, caller: IpAddr, call: &Verified, body: &[u8]) -> Result<InboxEntry, String> {
    let body_read: Body = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let source_id = source_id(&body_read.source_id)?;
    let kinds = &bridge.spec().kinds;
    let kind = kinds.iter().find(|kind| kind.id.as_str() == body_read.kind);
    let known = || kinds.iter().map(|kind| kind.id.as_str()).collect::<Vec<_>>().join(", ");
    // The sender's name for the call; else all the signed bytes, the time stamp included: two saves of one record may
    // well have the same body, and the second is no repetition of the first.
    let signed = || [call.stamp.as_bytes(), b".", body].concat();
    let name = call.name.clone().or(body_read.id).map_or_else(signed, String::into_bytes);
    Ok(InboxEntry {
        id: Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_URL, route.as_bytes()), &name),
        route: route.to_owned(),
        remote: caller.to_string(),
        event: body_read.event.map(|event| plain(&event)),
        kind_word: Some(plain(&body_read.kind)),
        label: None,
        notice: kind.map(|kind| notice(bridge, kind.id.clone(), source_id.into(), None, "signed")),
        note: kind.is_none().then(|| format!("the kind is not synced; known are {}", known())),
    })
}

/// The id as the ledger has it: a GUID in lower case, so that one record has one row.
fn source_id(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("source_id is empty".to_owned()),
        1..=ID_LIMIT if !text.chars().any(char::is_control) => {
            let guid = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
            Ok(guid.map_or_else(|| text.to_owned(), |guid| guid.to_string()))
        }
        _ => Err(format!("source_id is longer than {ID_LIMIT} characters or holds control characters")),
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ID_LIMIT).collect()
}
