//! The calls: log in, list contacts, save a contact, save a pre-invoice.

use crate::auth::{Session, log_in};
use crate::controls::Controls;
use crate::fault;
use crate::forms::{ContactForm, PreInvoiceHeader, SaveContact};
use crate::grid::{PreInvoiceRow, Suid, data_rows};
use crate::reply::{Saved, Verdict, document_number, is_login_page, judge, net_amount};
use crate::rows::{NotRows, RowCutter};
use crate::settings::{Constants, Settings};
use crate::wire::{Contact, ContactFilter, SaveAnswer, ServerInfo};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use secrecy::ExposeSecret;
use serde_json::json;
use std::fmt;
use std::sync::Arc;
use tandem_core::Fault;
use tandem_outbound::{AnswerStream, Call, Held, HttpClient, Safety, SharedLogin, json as bytes};
use tokio::sync::Semaphore;

/// How much of an answer that is no list is read to find out what it is.
const ODD_ANSWER: usize = 64 * 1024;

/// One Siagh installation, as one user. Cheap to clone; clones share the session and the limits.
#[derive(Clone)]
pub struct SiaghClient {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    http: HttpClient,
    login: SharedLogin<Session>,
    writes: Semaphore,
    lists: Semaphore,
}

/// A contact that was surely saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactSaved {
    pub code: i64,
    /// What Siagh warned of.
    pub warnings: Vec<String>,
    /// What was cut to fit.
    pub notes: Vec<String>,
}

/// A pre-invoice that was surely saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreInvoiceSaved {
    /// Siagh's own code of the document: the key to map by (sheet §2.7).
    pub return_code: String,
    /// A third identifier of unknown meaning.
    pub return_params: Option<String>,
    /// The number people use; it starts again every year. Read from a sentence, so it may be missing.
    pub number: Option<String>,
    /// The net that Siagh names; with or without VAT is not known.
    pub net: Option<Decimal>,
    /// Siagh's sentences of success.
    pub messages: Vec<String>,
    pub warnings: Vec<String>,
    /// What was cut to fit.
    pub notes: Vec<String>,
}

/// Why a list did not come: the session, or anything else.
enum ListTrouble {
    Session(Fault),
    Fault(Fault),
}

impl SiaghClient {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Systemic `siagh.misconfigured` when the address or the certificates can't be used.
    pub fn new(settings: Settings) -> Result<Self, Fault> {
        let http = HttpClient::new(settings.http())?;
        let writes = Semaphore::new(settings.max_writes.max(1));
        let lists = Semaphore::new(settings.max_lists.max(1));
        Ok(Self { shared: Arc::new(Shared { settings, http, login: SharedLogin::default(), writes, lists }) })
    }

    /// A fresh login: address and user are good. Siagh has no cheaper call; the contact list is thousands of
    /// rows (sheet §1).
    ///
    /// # Errors
    /// Whatever stands in the way; after a refused login the same refusal, without asking again too early.
    pub async fn probe(&self) -> Result<(), Fault> {
        self.shared.login.forget().await;
        self.session().await.map(drop)
    }

    /// Fiscal year and date as told at the last login, which is at most
    /// [`session_age`](Settings::session_age) old.
    ///
    /// # Errors
    /// Those of a login.
    pub async fn server_info(&self) -> Result<ServerInfo, Fault> {
        Ok(self.session().await?.info.clone())
    }

    /// The constants of the installation, for whoever has to know what a form keeps of a value.
    pub fn constants(&self) -> &Constants {
        &self.shared.settings.constants
    }

    /// The server's clock now, by the `Date` header of its last answer.
    pub fn server_time(&self) -> Option<DateTime<Utc>> {
        self.shared.http.server_time()
    }

    /// Hands out every contact (or those that fit the filter) while the list arrives, in constant memory, and
    /// returns how many were handed out. There is no paging and no "changed since" (sheet §2.2).
    ///
    /// # Errors
    /// Transient when the list breaks off or is not JSON (contacts already handed out are then only a part);
    /// systemic when it is no list of contacts at all.
    pub async fn contacts_each(
        &self,
        filter: Option<&ContactFilter>,
        mut each: impl FnMut(Contact) + Send,
    ) -> Result<u64, Fault> {
        let _turn = self.shared.lists.acquire().await.expect("this semaphore is never closed");
        let mut replayed = false;
        loop {
            let session = self.session().await?;
            match self.list(&session, filter, &mut each).await {
                Ok(count) => return Ok(count),
                Err(ListTrouble::Fault(fault)) => return Err(fault),
                Err(ListTrouble::Session(fault)) => self.next_session(&session, fault, &mut replayed).await?,
            }
        }
    }

    /// Creates or replaces a contact. Nothing makes a repeated create harmless but the uniqueness of its
    /// phones (sheet §4.2).
    ///
    /// # Errors
    /// Permanent: `siagh.duplicate_mobile`, `siagh.duplicate_phone`, `siagh.refused`, `siagh.script_crash`, and
    /// `siagh.update_created_duplicate` when an update was answered with another code, which means that a
    /// second contact now exists (sheet §2.4). In doubt when no clear answer came.
    pub async fn save_contact(&self, action: SaveContact, form: &ContactForm) -> Result<ContactSaved, Fault> {
        let constants = &self.shared.settings.constants;
        let controls = form.controls(action, constants);
        let parameters = match action {
            SaveContact::Create => "CodeMain=".to_owned(),
            SaveContact::Update { code } => format!("CodeMain={code}"),
        };
        let saved = self.save(&constants.contact_form, &controls, &parameters, "[]").await?;
        let code = saved.return_code.parse::<i64>().ok().filter(|code| *code > 0);
        let code =
            code.ok_or_else(|| fault::in_doubt("Siagh reports success with a ReturnCode that is no contact code"))?;
        match action {
            SaveContact::Update { code: sent } if sent != code => Err(Fault::permanent(
                "siagh.update_created_duplicate",
                format!(
                    "the update of contact {sent} was answered with code {code}: a second contact was probably created"
                ),
            )),
            _ => Ok(ContactSaved { code, warnings: saved.warnings, notes: controls.notes().to_vec() }),
        }
    }

    /// Creates a pre-invoice. Every call makes a new document, which can be neither read back, changed nor
    /// cancelled (sheet §2.6, §2.9): journal the intent first.
    ///
    /// # Errors
    /// Permanent: `siagh.bad_row` without sending, `siagh.bad_price`, `siagh.script_crash`, `siagh.refused`. In
    /// doubt when no clear answer came.
    pub async fn save_pre_invoice(
        &self,
        header: &PreInvoiceHeader,
        rows: &[PreInvoiceRow],
        suid: &Suid,
    ) -> Result<PreInvoiceSaved, Fault> {
        let constants = &self.shared.settings.constants;
        let controls = header.controls(constants);
        let grid = data_rows(rows, suid)?;
        let parameters = format!("_In_EditKeys=|_In_Suid={suid}|nocheck=");
        let Saved { return_code, return_params, messages, warnings } =
            self.save(&constants.pre_invoice_form, &controls, &parameters, &grid).await?;
        Ok(PreInvoiceSaved {
            number: messages.iter().find_map(|sentence| document_number(sentence)),
            net: messages.iter().find_map(|sentence| net_amount(sentence)),
            notes: controls.notes().to_vec(),
            return_code,
            return_params,
            messages,
            warnings,
        })
    }

    /// One save with the envelope of seven texts (sheet §2.3). A session that had ended was refused before
    /// anything was done, so this one case is sent again.
    async fn save(&self, form: &str, controls: &Controls, parameters: &str, grid: &str) -> Result<Saved, Fault> {
        let Shared { settings, http, writes, .. } = &*self.shared;
        let body = json!({
            "formId": form,
            "ctrlValues": controls.text(),
            "parameters": parameters,
            "dataRows": grid,
            "attachments": "[]",
            "postCode": settings.constants.post_code,
            "flowId": "",
        });
        let _turn = writes.acquire().await.expect("this semaphore is never closed");
        let mut replayed = false;
        loop {
            let session = self.session().await?;
            let call = Call::post_json(&settings.constants.save_path, &body, Safety::Write);
            match judge(&http.send(&with_session(call, &session)).await?) {
                Verdict::Saved(saved) => return Ok(saved),
                Verdict::Fault(fault) => return Err(fault),
                Verdict::SessionEnded(fault) => self.next_session(&session, fault, &mut replayed).await?,
            }
        }
    }

    async fn session(&self) -> Result<Held<Session>, Fault> {
        let Shared { settings, http, login, .. } = &*self.shared;
        login.get(|| log_in(http, settings)).await
    }

    /// After the first refusal of a session: drop it, so that the caller goes round once more. After the
    /// second one: give up.
    async fn next_session(&self, session: &Held<Session>, fault: Fault, replayed: &mut bool) -> Result<(), Fault> {
        if *replayed {
            self.shared.login.refuse(session, &fault).await;
            return Err(fault);
        }
        self.shared.login.expire(session).await;
        *replayed = true;
        Ok(())
    }

    async fn list(
        &self,
        session: &Session,
        filter: Option<&ContactFilter>,
        each: &mut (impl FnMut(Contact) + Send),
    ) -> Result<u64, ListTrouble> {
        let path = &self.shared.settings.constants.contacts_path;
        let call = match filter {
            None => Call::get(path),
            Some(filter) => Call::post_json(path, &filter.body(), Safety::Read),
        };
        let mut answer = self.shared.http.open(&with_session(call, session)).await.map_err(ListTrouble::Fault)?;
        match answer.head.status.as_u16() {
            200..=299 => {}
            status @ (401 | 403 | 300..=399) => {
                return Err(ListTrouble::Session(fault::session_refused(&format!(
                    "Siagh answered the contact list with {status}, also with a new session"
                ))));
            }
            status => return Err(ListTrouble::Fault(fault::of_read_status(status, answer.head.retry_after))),
        }
        let mut cutter = RowCutter::new();
        let mut count = 0;
        while let Some(piece) = answer.next().await.map_err(ListTrouble::Fault)? {
            let fed = cutter.feed(&piece, |row| {
                let contact: Contact = bytes::from_slice(row).map_err(RowTrouble::Contact)?;
                if filter.is_none_or(|filter| filter.fits(&contact)) {
                    count += 1;
                    each(contact);
                }
                Ok(())
            });
            match fed {
                Ok(()) => {}
                Err(RowTrouble::List(NotRows::Other)) => return Err(no_list(piece.to_vec(), answer).await),
                Err(RowTrouble::List(why)) => {
                    return Err(ListTrouble::Fault(Fault::transient(
                        "siagh.bad_answer",
                        format!("the contact list can't be read: {why}"),
                    )));
                }
                Err(RowTrouble::Contact(why)) => {
                    let said = format!("a row of the contact list can't be read: {why}");
                    return Err(ListTrouble::Fault(Fault::systemic("siagh.unexpected_shape", said)));
                }
            }
        }
        if cutter.is_complete() {
            return Ok(count);
        }
        Err(ListTrouble::Fault(Fault::transient("siagh.bad_answer", "the contact list breaks off")))
    }
}

enum RowTrouble {
    List(NotRows),
    Contact(bytes::BadJson),
}

impl From<NotRows> for RowTrouble {
    fn from(why: NotRows) -> Self {
        Self::List(why)
    }
}

/// The bare session id, without `Bearer` or any other scheme (sheet §1).
fn with_session(call: Call, session: &Session) -> Call {
    call.secret_header("authorization", session.id.expose_secret())
}

/// Finds out what came instead of a list: a login page or a complaint about the session ends the session,
/// anything else is a fault of the installation.
async fn no_list(mut body: Vec<u8>, mut answer: AnswerStream) -> ListTrouble {
    while body.len() < ODD_ANSWER {
        match answer.next().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            _ => break,
        }
    }
    let about_session = if bytes::looks_like_markup(&body) {
        is_login_page(&body)
    } else {
        bytes::from_slice::<SaveAnswer>(&body).is_ok_and(|reply| reply.is_about_session())
    };
    if about_session {
        return ListTrouble::Session(fault::session_refused(
            "Siagh asks for a login instead of listing contacts, also with a new session",
        ));
    }
    ListTrouble::Fault(fault::not_the_api("Siagh answered the contact list with something else".to_owned()))
}

impl fmt::Debug for SiaghClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SiaghClient").field(&self.shared.settings).finish()
    }
}
