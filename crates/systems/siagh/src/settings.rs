//! Which Siagh, as which user, how hard; and the constants of the installation.

use secrecy::SecretString;
use std::fmt;
use std::time::Duration;
use tandem_outbound::{HttpSettings, Trust, Url, codes};

/// How to reach one Siagh installation. [`Settings::new`] fills in the defaults named at each field.
#[derive(Clone)]
pub struct Settings {
    /// Scheme, host and port, without `/api` (sheet §0).
    pub base_url: Url,
    /// Usually Persian; sent character by character as given (sheet §1).
    pub username: String,
    /// [`hash_password`](crate::hash_password) of the password. The hash is the credential: whoever has it can log in.
    pub password_hash: SecretString,
    /// Saves under way at once. 2 (sheet §4.4).
    pub max_writes: usize,
    /// Contact lists under way at once. 1 (sheet §4.4).
    pub max_lists: usize,
    /// Calls started per second. `None`: the limits above are enough.
    pub requests_per_second: Option<u32>,
    /// 10 s.
    pub connect_timeout: Duration,
    /// For a whole save, and between two pieces of a list. 30 s (sheet §4.4).
    pub timeout: Duration,
    /// A session older than this is replaced before use, so that the fiscal year told at login stays true
    /// around the new year. 1 h.
    pub session_age: Duration,
    /// Wait after a refused login. 15 min (sheet §6 assumes a lock after five failures).
    pub refused_wait: Duration,
    pub trust: Trust,
    pub constants: Constants,
}

/// What differs between installations, or is sent without its meaning being known (sheet §0, §2.1, §2.3, §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constants {
    pub login_path: String,
    pub save_path: String,
    pub contacts_path: String,
    /// Form id of a contact.
    pub contact_form: String,
    /// Form id of a sales pre-invoice.
    pub pre_invoice_form: String,
    pub post_code: String,
    /// Value of the control `NickName` on a contact, a form binding and not data. `None`: not sent; the owner's
    /// working update did without (sheet §2.4).
    pub nick_name_binding: Option<String>,
    /// The most characters of a name (assumed, sheet §6).
    pub longest_name: usize,
    /// The most characters of an address (assumed, sheet §6).
    pub longest_address: usize,
    /// The most characters of notes (assumed, sheet §6).
    pub longest_notes: usize,
    /// The most characters of any other text control.
    pub longest_other: usize,
}

impl Default for Constants {
    fn default() -> Self {
        Self {
            login_path: "/GeneralApi/LoginUser".to_owned(),
            save_path: "/BpmsApi/SaveFormData".to_owned(),
            contacts_path: "/api/Sgh/GEN/Gn_Web_Users/GetAll".to_owned(),
            contact_form: "2BFDA".to_owned(),
            pre_invoice_form: "43D81".to_owned(),
            post_code: "1110".to_owned(),
            nick_name_binding: Some("dbgrid1.#nickname#".to_owned()),
            longest_name: 200,
            longest_address: 500,
            longest_notes: 500,
            longest_other: 100,
        }
    }
}

impl Settings {
    pub fn new(base_url: Url, username: impl Into<String>, password_hash: SecretString) -> Self {
        Self {
            base_url,
            username: username.into(),
            password_hash,
            max_writes: 2,
            max_lists: 1,
            requests_per_second: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            session_age: Duration::from_secs(60 * 60),
            refused_wait: Duration::from_secs(15 * 60),
            trust: Trust::System,
            constants: Constants::default(),
        }
    }

    pub(crate) fn http(&self) -> HttpSettings {
        HttpSettings {
            connect_timeout: self.connect_timeout,
            timeout: self.timeout,
            // Room for a login beside the saves and the lists.
            max_in_flight: self.max_writes.max(1) + self.max_lists.max(1) + 1,
            requests_per_second: self.requests_per_second,
            trust: self.trust.clone(),
            ..HttpSettings::new(codes!("siagh"), self.base_url.clone())
        }
    }
}

/// Shows neither the user nor the hash.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("http", &self.http())
            .field("constants", &self.constants)
            .finish_non_exhaustive()
    }
}
