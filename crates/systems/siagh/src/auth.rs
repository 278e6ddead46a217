//! Login, and the session every later call carries.

use crate::fault;
use crate::settings::Settings;
use crate::wire::{LoginAnswer, ServerInfo};
use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::time::Duration;
use tandem_core::Fault;
use tandem_outbound::{Call, Fresh, HttpClient, Safety};

/// Upper-case hexadecimal MD5 of the UTF-8 password, the form Siagh expects (sheet §1). It protects nothing
/// once it leaks: keep it like the password.
pub fn hash_password(password: &str) -> String {
    hex::encode_upper(Md5::digest(password.as_bytes()))
}

/// A session and what the login told beside it.
pub(crate) struct Session {
    pub(crate) id: SecretString,
    pub(crate) info: ServerInfo,
}

/// One login (sheet §1). A refusal carries a long wait; see [`tandem_outbound::SharedLogin`].
pub(crate) async fn log_in(http: &HttpClient, settings: &Settings) -> Result<Fresh<Session>, Fault> {
    // A lower-case hash would be refused like a wrong password.
    let hash = settings.password_hash.expose_secret().trim().to_ascii_uppercase();
    let body = json!({"UserName": settings.username, "Password": hash});
    let answer = http.send(&Call::post_json(&settings.constants.login_path, &body, Safety::Once)).await?;
    match answer.status().as_u16() {
        200..=299 => {}
        400 | 401 => {
            return Err(Fault::systemic("siagh.login_refused", "Siagh refused the login: wrong user name or password")
                .after(settings.refused_wait));
        }
        403 => {
            return Err(Fault::systemic("siagh.login_locked", "Siagh refuses logins of this user for now")
                .after(settings.refused_wait));
        }
        status @ 500..=599 => {
            return Err(Fault::transient("siagh.server_error", format!("the login was answered {status}")));
        }
        status => return Err(fault::not_the_api(format!("the login was answered {status}"))),
    }
    let told: LoginAnswer = tandem_outbound::json::from_slice(&answer.body)
        .map_err(|bad| fault::not_the_api(format!("the answer to the login can't be read: {bad}")))?;
    // `Token` is something else and must never stand in for a missing SessionId (sheet §4.5 #2).
    let id = told.session_id.as_deref().map(str::trim).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| fault::not_the_api("the login was answered without a session".to_owned()))?;
    let session = Session { id: SecretString::from(id), info: told.info() };
    Ok(Fresh { session, usable_for: Some(settings.session_age.max(Duration::from_secs(1))) })
}

#[cfg(test)]
mod tests {
    use super::hash_password;

    #[test]
    fn the_vectors_of_the_sheet_hold() {
        assert_eq!(hash_password("tandem-demo-1"), "6A03CCD0C813FB03ECAD5A210C7D5A8E");
        assert_eq!(hash_password("رمز-نمونه"), "B4FEEE4A8D0373F779675A96064FC08A");
    }
}
