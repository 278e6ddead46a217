//! The same operations as [`super::Admin`] over HTTP, for people and for tests in other processes; see the README of
//! this crate for the requests.

use super::{
    admin::Admin,
    contact::Contact,
    tables::{Good, Table},
};
use crate::stage::control::{Controlled, Operation, Refused, common};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Seed {
    users: Vec<User>,
    contacts: Vec<Contact>,
    goods: Vec<Good>,
    tables: BTreeMap<Table, Vec<String>>,
}

#[derive(Deserialize)]
struct User {
    username: String,
    password: String,
}

#[derive(Deserialize)]
struct Maintenance {
    seconds: Option<u64>,
    open: Option<bool>,
}

#[derive(Deserialize)]
struct FiscalYear {
    year: Option<i32>,
}

pub(crate) async fn operate(admin: Admin, operation: Operation) -> Controlled {
    if let Some(done) = common(&admin.0.handle.desk, &operation) {
        return done;
    }
    let path: Vec<&str> = operation.path.iter().map(String::as_str).collect();
    match (operation.method.as_str(), path.as_slice()) {
        ("GET", ["settings"]) => Ok(json!(admin.settings())),
        ("POST", ["settings"]) => Ok(json!(admin.merge_settings(&operation.body)?)),
        ("POST", ["seed"]) => Ok(seed(&admin, operation.read()?)),
        ("GET", ["contacts"]) => Ok(admin.contacts().iter().map(shown).collect()),
        ("POST", ["contacts"]) => Ok(json!({ "code": admin.seed_contact(operation.read()?) })),
        (method, ["contacts", code]) => contact(&admin, method, code, &operation),
        ("GET", ["documents"]) => Ok(json!(admin.documents())),
        ("POST", ["fiscal-year"]) => {
            admin.set_fiscal_year(operation.read::<FiscalYear>()?.year);
            Ok(json!({ "year": admin.0.look(|office| office.open_year()) }))
        }
        ("POST", ["sessions", "expire"]) => {
            admin.expire_sessions();
            Ok(json!({}))
        }
        ("POST", ["maintenance"]) => maintenance(&admin, operation.read()?).await,
        _ => Err(operation.unknown()),
    }
}

/// A contact with the member the list hides.
fn shown(contact: &Contact) -> Value {
    let mut value = json!(contact);
    value["tmpid"] = json!(contact.tmpid);
    value
}

fn seed(admin: &Admin, seed: Seed) -> Value {
    for user in seed.users {
        admin.add_user(&user.username, &user.password);
    }
    for good in seed.goods {
        admin.add_good(good);
    }
    for (table, codes) in seed.tables {
        admin.set_table(table, codes);
    }
    let codes: Vec<i64> = seed.contacts.into_iter().map(|contact| admin.seed_contact(contact)).collect();
    json!({ "codes": codes })
}

fn contact(admin: &Admin, method: &str, code: &str, operation: &Operation) -> Controlled {
    let code: i64 = code.parse().map_err(|_| Refused::bad("a contact code is a whole number"))?;
    let known = admin.contact(code).ok_or_else(|| Refused::missing(format_args!("contact {code}")))?;
    match method {
        "GET" => Ok(shown(&known)),
        "DELETE" => {
            admin.delete_contact(code)?;
            Ok(json!({}))
        }
        "POST" => {
            let mut changed = shown(&known);
            for (name, value) in operation.body.as_object().into_iter().flatten() {
                changed[name.as_str()] = value.clone();
            }
            let changed: Contact = serde_json::from_value(changed)
                .map_err(|error| Refused::bad(format!("the body does not fit: {error}")))?;
            admin.edit_contact(code, |contact| *contact = changed)?;
            Ok(admin.contact(code).as_ref().map_or(Value::Null, shown))
        }
        _ => Err(operation.unknown()),
    }
}

async fn maintenance(admin: &Admin, wanted: Maintenance) -> Controlled {
    match (wanted.seconds, wanted.open) {
        (Some(seconds), _) => admin.close_for(Duration::from_secs(seconds)).await,
        (None, Some(true)) => admin.open().await.map_err(|error| Refused::bad(error.to_string()))?,
        (None, _) => admin.close().await,
    }
    Ok(json!({}))
}
