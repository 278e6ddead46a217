//! Siagh's HTTP surface: which path does what (siagh sheet §2.1, §7.1 to §7.5).

use super::{
    answer::{Answer, Notice},
    form::{BadEnvelope, Form},
    office::{Office, Site},
    session::Denied,
};
use crate::stage::{
    clock::jalali_text,
    desk::Desk,
    json::text,
    lock,
    reply::{Call, Reply},
    surface::Surface,
};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Login,
    List,
    Save,
}

/// Paths are compared without case, as IIS does.
fn endpoint(path: &str, aliases: bool) -> Option<Endpoint> {
    match path.to_ascii_lowercase().as_str() {
        "/generalapi/loginuser" => Some(Endpoint::Login),
        "/api/sgh/gen/gn_web_users/getall" => Some(Endpoint::List),
        "/bpmsapi/saveformdata" => Some(Endpoint::Save),
        "/generalapi/getallusers" if aliases => Some(Endpoint::List),
        "/generalapi/saveformdata" if aliases => Some(Endpoint::Save),
        _ => None,
    }
}

fn is_save(key: &str) -> bool {
    key.to_ascii_lowercase().contains("saveformdata")
}

impl Surface for Site {
    fn desk(&self) -> &Desk {
        &self.handle.desk
    }

    /// Saves are counted and matched with their form behind the path.
    fn key(&self, call: &Call) -> String {
        let form = is_save(&call.path).then(|| object(call)).flatten();
        match form.as_ref().and_then(|body| text(body, "formId")) {
            Some(form) => format!("{}#{form}", call.path),
            None => call.path.clone(),
        }
    }

    fn latency(&self, key: &str) -> Duration {
        let settings = self.look(Office::settings);
        let path = key.split('#').next().unwrap_or_default();
        match endpoint(path, settings.aliases) {
            Some(Endpoint::Login) => self.handle.desk.draw_latency(&settings.login_latency),
            Some(Endpoint::List) => self.handle.desk.draw_latency(&settings.list_latency),
            Some(Endpoint::Save) => self.handle.desk.draw_latency(&settings.save_latency),
            None => Duration::ZERO,
        }
    }

    fn gate(&self, key: &str) -> Option<Arc<Semaphore>> {
        is_save(key).then(|| Arc::clone(&self.saves))
    }

    fn answer(&self, call: &Call) -> Reply {
        let mut office = lock(&self.office);
        let Some(endpoint) = endpoint(&call.path, office.settings().aliases) else { return Reply::empty(404) };
        let reads = call.method == "GET" && endpoint == Endpoint::List;
        if call.method != "POST" && !reads {
            return Reply::wrong_method("POST");
        }
        if endpoint == Endpoint::Login {
            return office.login(call);
        }
        if !office.is_authorized(call) {
            return self.unauthorized();
        }
        if endpoint == Endpoint::Save {
            return office.save(call);
        }
        let filter = if reads { Some(Map::new()) } else { object(call) };
        filter.map_or_else(|| Reply::html(500, "Runtime Error"), |filter| office.list(&filter))
    }

    fn unauthorized(&self) -> Reply {
        Reply::json(401, &json!({ "Message": "Authorization has been denied for this request." }))
    }

    fn drop_session(&self, call: &Call) {
        if let Some(session) = &call.authorization {
            lock(&self.office).sessions.drop_one(session);
        }
    }

    fn refuse_inside(&self, text: &str) -> Reply {
        Answer::refused(vec![Notice::error(text)]).reply()
    }
}

fn object(call: &Call) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(body)) => Some(body),
        _ => None,
    }
}

impl Office {
    /// The header is the bare session id; a scheme, the token or an old id are unknown sessions.
    fn is_authorized(&mut self, call: &Call) -> bool {
        let (now, settings) = (self.desk.clock.now(), self.settings());
        call.authorization.as_deref().is_some_and(|session| self.sessions.touch(session, now, &settings))
    }

    fn login(&mut self, call: &Call) -> Reply {
        let body = object(call).unwrap_or_default();
        let name = text(&body, "UserName").unwrap_or_default();
        let hash = text(&body, "Password").unwrap_or_default();
        let (now, settings) = (self.desk.clock.now(), self.settings());
        match self.sessions.check(name, hash, now, &settings) {
            Err(Denied::Wrong) => Reply::json(401, &json!({ "Message": "Invalid username or password" })),
            Err(Denied::Locked) => Reply::json(403, &json!({ "Message": "User is locked" })),
            Ok(user) => {
                let session = hex::encode(self.desk.random_bytes::<16>());
                self.sessions.open(session.clone(), now);
                self.welcome(name, user, &session)
            }
        }
    }

    fn welcome(&self, name: &str, user: i64, session: &str) -> Reply {
        let local = self.desk.clock.local();
        Reply::json(
            200,
            &json!({
                "SessionId": session,
                "Token": format!("{session}:0"),
                "UserCode": user,
                "UserName": name,
                "ContactCode": user + 1,
                "ContactName": name,
                "BranchCode": 1,
                "BranchName": "دفتر مرکزی",
                "IsAdminUser": true,
                "FiscalYear": self.open_year(),
                "MobileNo": "9000000001",
                "SystemDate": jalali_text(local.date()),
                "SystemTime": local.format("%H:%M").to_string(),
            }),
        )
    }

    fn list(&mut self, filter: &Map<String, Value>) -> Reply {
        let stale = self.stale_contacts();
        Reply::parts(stale.as_deref().unwrap_or(&self.contacts).list(filter))
    }

    fn save(&mut self, call: &Call) -> Reply {
        let form = match object(call).ok_or(BadEnvelope::Member).and_then(|body| Form::read(&body)) {
            Ok(form) => form,
            Err(BadEnvelope::Member) => return Reply::html(500, "Runtime Error"),
            Err(BadEnvelope::Json(member)) => {
                return Answer::refused(vec![Notice::error(format!("Invalid JSON in {member}"))]).reply();
            }
        };
        let settings = self.settings();
        let answer = if form.id == settings.contact_form {
            self.save_contact(&form)
        } else if form.id == settings.invoice_form {
            self.save_invoice(&form)
        } else {
            Answer::refused(vec![Notice::error("فرم یافت نشد")])
        };
        answer.reply()
    }
}
