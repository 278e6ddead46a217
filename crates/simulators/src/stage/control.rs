//! The control port's plumbing: JSON in, JSON out, one line for a mistake. The operations themselves are the
//! simulators' own.

use super::{
    desk::Desk,
    faults::Arm,
    reply::{Call, Reply},
};
use actix_web::{HttpRequest, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{future::Future, sync::Arc};

/// Why an administrative operation was refused, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub(crate) status: u16,
    message: String,
}

impl Refused {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into() }
    }

    pub(crate) fn missing(what: impl std::fmt::Display) -> Self {
        Self { status: 404, message: format!("{what} is not known") }
    }
}

pub(crate) type Controlled = Result<Value, Refused>;

/// Serves `operate` for every path of the control port. It gets method, path segments and body.
pub(crate) fn route<F, A>(config: &mut web::ServiceConfig, operate: F)
where
    F: Fn(Operation) -> A + Send + Sync + 'static,
    A: Future<Output = Controlled> + 'static,
{
    let operate = Arc::new(operate);
    config.default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
        let operate = Arc::clone(&operate);
        async move {
            let reply = match Operation::new(&Call::new(&request, body)) {
                Err(refused) => refuse(&refused),
                Ok(operation) => match operate(operation).await {
                    Ok(answer) => Reply::json(200, &answer),
                    Err(refused) => refuse(&refused),
                },
            };
            reply.into_response()
        }
    }));
}

fn refuse(refused: &Refused) -> Reply {
    Reply::json(refused.status, &json!({ "error": refused.to_string() }))
}

/// One request to the control port.
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: Vec<String>,
    pub(crate) body: Value,
}

impl Operation {
    fn new(call: &Call) -> Result<Self, Refused> {
        let body = if call.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&call.body)
                .map_err(|error| Refused::bad(format!("the body is not JSON: {error}")))?
        };
        let path = call.path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Ok(Self { method: call.method.clone(), path, body })
    }

    /// The body as `T`; an absent body counts as `{}`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        let body = if self.body.is_null() { json!({}) } else { self.body.clone() };
        serde_json::from_value(body).map_err(|error| Refused::bad(format!("the body does not fit: {error}")))
    }

    pub(crate) fn unknown(&self) -> Refused {
        Refused::missing(format_args!("{} /{}", self.method, self.path.join("/")))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockChange {
    skew_seconds: Option<i64>,
    at: Option<DateTime<Utc>>,
    advance_seconds: Option<i64>,
    freeze: Option<bool>,
}

/// What both control ports offer alike; none when the path is not one of them.
pub(crate) fn common(desk: &Desk, operation: &Operation) -> Option<Controlled> {
    let path: Vec<&str> = operation.path.iter().map(String::as_str).collect();
    Some(match (operation.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => Ok(json!({ "ok": true })),
        ("GET", ["faults"]) => Ok(json!(desk.armed())),
        ("POST", ["faults"]) => operation.read::<Arm>().map(|arm| {
            desk.arm(arm);
            json!(desk.armed())
        }),
        ("DELETE", ["faults"]) => {
            desk.disarm();
            Ok(json!([]))
        }
        ("GET", ["calls"]) => Ok(json!(desk.calls())),
        ("DELETE", ["calls"]) => {
            desk.forget_calls();
            Ok(json!({}))
        }
        ("GET", ["clock"]) => Ok(clock(desk)),
        ("POST", ["clock"]) => operation.read::<ClockChange>().map(|change| {
            set_clock(desk, &change);
            clock(desk)
        }),
        _ => return None,
    })
}

fn clock(desk: &Desk) -> Value {
    json!({ "local": desk.clock.tehran().to_rfc3339() })
}

fn set_clock(desk: &Desk, change: &ClockChange) {
    // First, so that a clock stopped and set in one request stands exactly where it was set.
    if let Some(frozen) = change.freeze {
        desk.clock.freeze(frozen);
    }
    if let Some(seconds) = change.skew_seconds {
        desk.clock.set_skew(TimeDelta::seconds(seconds));
    }
    if let Some(at) = change.at {
        desk.clock.set(at);
    }
    if let Some(seconds) = change.advance_seconds {
        desk.clock.advance(TimeDelta::seconds(seconds));
    }
}

/// `current` with the members of `change` put over it, both as JSON: how settings are changed while running.
pub(crate) fn merged<T: serde::Serialize + DeserializeOwned>(current: &T, change: &Value) -> Result<T, Refused> {
    let mut value = serde_json::to_value(current).map_err(|error| Refused::bad(error.to_string()))?;
    let (Some(target), Some(change)) = (value.as_object_mut(), change.as_object()) else {
        return Err(Refused::bad("settings must be a JSON object"));
    };
    for (name, new) in change {
        if !target.contains_key(name) {
            return Err(Refused::bad(format!("there is no setting {name}")));
        }
        target.insert(name.clone(), new.clone());
    }
    serde_json::from_value(value).map_err(|error| Refused::bad(format!("the settings do not fit: {error}")))
}
