//! The same operations as [`super::Admin`] over HTTP, for people and for tests in other processes; see the README of
//! this crate for the requests.

use super::{
    admin::Admin,
    kind::{Kind, TypeSeed, Webhook},
};
use crate::stage::control::{Controlled, Operation, Refused, common};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct Seed {
    users: Vec<User>,
    types: Vec<TypeSeed>,
    categories: Vec<Category>,
    places: Vec<String>,
    persons: Vec<Value>,
    organizations: Vec<Value>,
    quotes: Vec<Value>,
    invoices: Vec<Value>,
}

#[derive(Deserialize)]
struct User {
    username: String,
    password: String,
}

#[derive(Deserialize)]
struct Category {
    key: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeChange {
    label: Option<String>,
    webhook: Option<Webhook>,
}

#[derive(Deserialize)]
struct Maintenance {
    seconds: Option<u64>,
    open: Option<bool>,
}

#[derive(Deserialize)]
struct State {
    state: u8,
}

#[derive(Deserialize)]
struct Lead {
    lead: bool,
}

pub(crate) async fn operate(admin: Admin, operation: Operation) -> Controlled {
    if let Some(done) = common(&admin.0.handle.desk, &operation) {
        return done;
    }
    let path: Vec<&str> = operation.path.iter().map(String::as_str).collect();
    match (operation.method.as_str(), path.as_slice()) {
        ("GET", ["settings"]) => Ok(json!(admin.settings())),
        ("POST", ["settings"]) => Ok(json!(admin.merge_settings(&operation.body)?)),
        ("POST", ["seed"]) => seed(&admin, operation.read()?),
        ("GET", ["types"]) => Ok(json!(admin.types())),
        ("POST", ["types", code]) => change_type(&admin, code, operation.read()?),
        ("GET", ["identities"]) => Ok(json!(admin.identities())),
        ("GET", ["deliveries"]) => {
            Ok(json!({ "pending": admin.pending_deliveries(), "deliveries": admin.deliveries() }))
        }
        ("DELETE", ["deliveries"]) => {
            admin.forget_deliveries();
            Ok(json!({}))
        }
        ("POST", ["deliveries", "drained"]) => {
            admin.deliveries_drained().await;
            Ok(json!({ "pending": 0 }))
        }
        ("POST", ["sessions", "expire"]) => {
            admin.expire_sessions();
            Ok(json!({}))
        }
        ("POST", ["maintenance"]) => maintenance(&admin, operation.read()?).await,
        ("GET", [list]) => Ok(json!(admin.all(kind(list).ok_or_else(|| operation.unknown())?))),
        ("POST", [list]) => {
            let kind = kind(list).ok_or_else(|| operation.unknown())?;
            Ok(json!({ "crmId": admin.create(kind, &operation.body)? }))
        }
        (method, ["objects", id, rest @ ..]) => {
            let id = Uuid::parse_str(id).map_err(|_| Refused::bad("the id is not a GUID"))?;
            object(&admin, method, id, rest, &operation)
        }
        _ => Err(operation.unknown()),
    }
}

fn kind(list: &str) -> Option<Kind> {
    Some(match list {
        "persons" => Kind::Person,
        "organizations" => Kind::Organization,
        "quotes" => Kind::Quote,
        "invoices" => Kind::Invoice,
        _ => return None,
    })
}

fn seed(admin: &Admin, seed: Seed) -> Controlled {
    for user in seed.users {
        admin.add_user(&user.username, &user.password);
    }
    for item in seed.types {
        admin.add_type(item)?;
    }
    for category in seed.categories {
        admin.add_category(&category.key, &category.name);
    }
    for place in seed.places {
        admin.add_place(&place);
    }
    let mut ids = Vec::new();
    let objects = [
        (Kind::Person, seed.persons),
        (Kind::Organization, seed.organizations),
        (Kind::Quote, seed.quotes),
        (Kind::Invoice, seed.invoices),
    ];
    for (kind, objects) in objects {
        for fields in objects {
            ids.push(admin.seed(kind, &fields)?);
        }
    }
    Ok(json!({ "crmIds": ids }))
}

fn change_type(admin: &Admin, code: &str, change: TypeChange) -> Controlled {
    if let Some(label) = change.label {
        admin.rename_type(code, &label)?;
    }
    if let Some(webhook) = change.webhook {
        let off = webhook.address.is_empty();
        admin.set_webhook(code, (!off).then_some(webhook))?;
    }
    Ok(json!(admin.types()))
}

fn object(admin: &Admin, method: &str, id: Uuid, rest: &[&str], operation: &Operation) -> Controlled {
    match (method, rest) {
        ("GET", []) => {}
        ("POST", []) => admin.edit(id, &operation.body)?,
        ("DELETE", []) => {
            admin.delete(id)?;
            return Ok(json!({}));
        }
        ("POST", ["touch"]) => admin.touch(id)?,
        ("POST", ["number"]) => drop(admin.number(id)?),
        ("POST", ["convert"]) => drop(admin.convert(id)?),
        ("POST", ["state"]) => admin.set_state(id, operation.read::<State>()?.state)?,
        ("POST", ["lead"]) => admin.set_lead(id, operation.read::<Lead>()?.lead)?,
        _ => return Err(operation.unknown()),
    }
    let (kind, object) = admin.object(id).ok_or_else(|| Refused::missing("the object"))?;
    Ok(json!({ "kind": kind, "object": object }))
}

async fn maintenance(admin: &Admin, wanted: Maintenance) -> Controlled {
    match (wanted.seconds, wanted.open) {
        (Some(seconds), _) => admin.close_for(Duration::from_secs(seconds)).await,
        (None, Some(true)) => admin.open().await.map_err(|error| Refused::bad(error.to_string()))?,
        (None, _) => admin.close().await,
    }
    Ok(json!({}))
}
