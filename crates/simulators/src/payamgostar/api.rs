//! The CRM's HTTP surface: which path does what (payamgostar sheet §2.1, §7.4, §7.15, §7.16).

use super::{
    auth::bearer,
    crm::{Crm, Site},
    error::Refusal,
    kind::Kind,
    render::View,
    save::{Announce, Unsent},
};
use crate::stage::{
    desk::Desk,
    json::{member, text},
    lock,
    reply::{Call, Reply},
    surface::Surface,
};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use uuid::Uuid;

enum Endpoint {
    Login,
    LoginV1,
    Refresh,
    LegacyIdentities,
    Search,
    Object(Kind, Verb),
}

enum Verb {
    Get,
    Find,
    Create,
    Update,
    Delete,
    /// make-numbered
    Number,
    /// make-pending, make-approved, make-rejected: the state's index.
    State(u8),
}

/// Paths are compared without case, as ASP.NET does.
fn endpoint(path: &str) -> Option<Endpoint> {
    let path = path.to_ascii_lowercase();
    Some(match path.as_str() {
        "/api/v2/auth/login" => Endpoint::Login,
        "/api/v1/auth" => Endpoint::LoginV1,
        "/api/v2/auth/token/refresh" => Endpoint::Refresh,
        "/api/v2/identities" => Endpoint::LegacyIdentities,
        _ => {
            let rest = path.strip_prefix("/api/v2/crmobject/")?;
            if let Some(verb) = rest.strip_prefix("identity/") {
                let lists = ["search", "getidentitiessimple", "getidentities", "getcustomers"];
                return lists.contains(&verb).then_some(Endpoint::Search);
            }
            let (kind, verb) = Kind::ALL
                .into_iter()
                .find_map(|kind| Some((kind, rest.strip_prefix(kind.path())?.strip_prefix('/')?)))?;
            Endpoint::Object(kind, verb_named(kind, verb)?)
        }
    })
}

fn verb_named(kind: Kind, verb: &str) -> Option<Verb> {
    Some(match verb {
        "get" => Verb::Get,
        "find" => Verb::Find,
        "create" => Verb::Create,
        "update" => Verb::Update,
        "delete" => Verb::Delete,
        _ if kind.is_identity() => return None,
        "make-numbered" => Verb::Number,
        "make-pending" => Verb::State(1),
        "make-approved" => Verb::State(2),
        "make-rejected" => Verb::State(3),
        _ => return None,
    })
}

impl Surface for Site {
    fn desk(&self) -> &Desk {
        &self.handle.desk
    }

    fn key(&self, call: &Call) -> String {
        call.path.clone()
    }

    fn latency(&self, _key: &str) -> Duration {
        let settings = self.look(Crm::settings);
        self.handle.desk.draw_latency(&settings.latency)
    }

    fn gate(&self, _key: &str) -> Option<Arc<Semaphore>> {
        None
    }

    fn answer(&self, call: &Call) -> Reply {
        let Some(endpoint) = endpoint(&call.path) else { return Reply::empty(404) };
        if call.method != "POST" {
            return Reply::wrong_method("POST");
        }
        let mut crm = lock(&self.crm);
        match endpoint {
            Endpoint::Login => return crm.login(call),
            Endpoint::LoginV1 => return crm.login_v1(call),
            Endpoint::Refresh => return crm.refresh(call),
            _ if !crm.is_authorized(call) => return self.unauthorized(),
            // The answer that gave no id (sheet §4.1).
            Endpoint::LegacyIdentities => return Reply::raw_json(201, "\"\""),
            Endpoint::Search | Endpoint::Object(..) => {}
        }
        let done = body(call).and_then(|body| match endpoint {
            Endpoint::Object(kind, verb) => crm.perform(kind, &verb, &body),
            _ => crm.search_identities(&body).map(|rows| Reply::raw_json(200, rows)),
        });
        done.unwrap_or_else(|refusal| refusal.reply())
    }

    fn unauthorized(&self) -> Reply {
        Reply::empty(401)
    }

    fn drop_session(&self, call: &Call) {
        if let Some(token) = bearer(call) {
            lock(&self.crm).sessions.drop_token(token);
        }
    }

    fn refuse_inside(&self, text: &str) -> Reply {
        Refusal::bad(text).reply()
    }
}

fn body(call: &Call) -> Result<Map<String, Value>, Refusal> {
    if !call.content_type.as_deref().is_some_and(|kind| kind.to_ascii_lowercase().contains("json")) {
        return Err(Refusal::Error { status: 415, field: None, message: "The body must be JSON.".to_owned() });
    }
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(body)) => Ok(body),
        _ => Err(Refusal::bad("The body is not a JSON object.")),
    }
}

fn id(body: &Map<String, Value>, name: &str) -> Result<Uuid, Refusal> {
    let id = text(body, name).and_then(|id| Uuid::parse_str(id).ok());
    id.ok_or_else(|| Refusal::field(name, "An id is required."))
}

fn created(id: Uuid) -> Reply {
    Reply::json(200, &json!({ "crmId": id }))
}

impl Crm {
    fn perform(&mut self, kind: Kind, verb: &Verb, body: &Map<String, Value>) -> Result<Reply, Refusal> {
        let settings = self.settings();
        let announce = if settings.api_fires_webhooks { Announce::Yes } else { Announce::No };
        match verb {
            Verb::Get => self.read(kind, id(body, "id")?, body),
            Verb::Find => self.find(kind, body).map(|rows| Reply::raw_json(200, rows)),
            Verb::Create => self.create(kind, body, announce).map(created),
            Verb::Update => {
                let id = id(body, "crmId")?;
                let unsent = if settings.merge_updates { Unsent::Keep } else { Unsent::Blank };
                self.update(kind, id, body, unsent, announce)?;
                Ok(created(id))
            }
            Verb::Delete => {
                let id = id(body, "id")?;
                self.delete(Some(kind), id, announce)?;
                Ok(created(id))
            }
            Verb::Number => {
                let id = self.own(kind, id(body, "id")?)?;
                self.make_numbered(id)?;
                Ok(created(id))
            }
            Verb::State(state) => {
                let id = self.own(kind, id(body, "id")?)?;
                self.alter(id, announce, |object| object.state = *state)?;
                Ok(created(id))
            }
        }
    }

    fn own(&self, kind: Kind, id: Uuid) -> Result<Uuid, Refusal> {
        let object = self.store.get(id).filter(|object| object.kind == kind && object.is_readable());
        object.map(|object| object.id).ok_or_else(Refusal::not_found)
    }

    fn read(&self, kind: Kind, id: Uuid, body: &Map<String, Value>) -> Result<Reply, Refusal> {
        let id = self.own(kind, id)?;
        let object = self.store.get(id).ok_or_else(Refusal::not_found)?;
        let wants = |name: &str| member(body, name).and_then(Value::as_bool).unwrap_or(false);
        let view = View { previews: wants("showPreviews") || wants("showExtendedPreviews") };
        Ok(Reply::json(200, &self.rendered(object, view)))
    }
}
