//! The calls: path, body, and what each answer means.

use crate::auth::Auth;
use crate::draft::IdentityDraft;
use crate::fault;
use crate::find::{Find, FindPages, Operator, Page, Query, field};
use crate::lenient::camel_case;
use crate::says::Refusal;
use crate::settings::Settings;
use crate::wire::{Billable, BillableKind, Identity, IdentityKind, IdentityStub, ObjectKind};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use std::sync::{Arc, OnceLock};
use tandem_core::Fault;
use tandem_core::text::normalize;
use tandem_outbound::{Answer, Call, HttpClient, Safety, json as bytes};
use uuid::Uuid;

const IDENTITY_SEARCH: &str = "/api/v2/crmobject/identity/search";

/// One Payamgostar installation, as one user. Cheap to clone; clones share the token and the limits.
#[derive(Clone)]
pub struct PayamgostarClient {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    http: HttpClient,
    auth: Auth,
    /// Whether lists count their pages from 0 or from 1, once that is known.
    first_page: OnceLock<u32>,
}

fn path(kind: ObjectKind, verb: &str) -> String {
    let kind = match kind {
        ObjectKind::Identity(IdentityKind::Person) => "person",
        ObjectKind::Identity(IdentityKind::Organization) => "organization",
        ObjectKind::Billable(BillableKind::Quote) => "quote/sales",
        ObjectKind::Billable(BillableKind::Invoice) => "invoice/sales",
    };
    format!("/api/v2/crmobject/{kind}/{verb}")
}

impl PayamgostarClient {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Systemic `payamgostar.misconfigured` when the address, the certificates or the proxy can't be used.
    pub fn new(settings: Settings) -> Result<Self, Fault> {
        let http = HttpClient::new(settings.http())?;
        Ok(Self { shared: Arc::new(Shared { settings, http, auth: Auth::new(), first_page: OnceLock::new() }) })
    }

    /// Logs in if needed and reads one row: address, user and licence are good.
    ///
    /// # Errors
    /// Whatever stands in the way.
    pub async fn probe(&self) -> Result<(), Fault> {
        self.search_identities("", 0, 1).await.map(drop)
    }

    /// The CRM's clock now, by its last answer. It may run minutes apart from ours (sheet §2.5).
    pub fn server_time(&self) -> Option<DateTime<Utc>> {
        self.shared.http.server_time()
    }

    /// One page of the light list of persons and organizations together; `page` counts from **0** here. The
    /// end is a page with fewer than `size` rows (sheet §2.2). Which fields `term` matches is unknown; `""`
    /// is everything.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn search_identities(&self, term: &str, page: u32, size: u32) -> Result<Vec<IdentityStub>, Fault> {
        let body = json!({"pageNumber": page, "pageSize": size, "searchTerm": term});
        self.read(IDENTITY_SEARCH, &body).await
    }

    /// A person or an organization by its id; `None` when it does not exist, or not as this kind.
    ///
    /// Absent is: 404 without a page of HTML, 200 with `null`, and 400 or 500 whose words say beyond doubt
    /// that the object does not exist (sheet §2.3 allows all of them). Any other 400 is a permanent fault and
    /// any other 500 a transient one: an object that is there must not be taken for absent.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn identity(&self, kind: IdentityKind, id: Uuid) -> Result<Option<Identity>, Fault> {
        let Some(value) = self.get(kind.into(), id).await? else { return Ok(None) };
        let identity =
            Identity::from_json(kind, value).map_err(|bad| fault::unreadable(&bad, "reading an identity"))?;
        same_object(id, identity.crm_id)?;
        Ok(Some(identity))
    }

    /// As [`identity`](Self::identity), when the kind is only guessed: on "absent", and on a refusal that may
    /// mean the wrong kind, the other kind is asked once (sheet §2.3).
    ///
    /// # Errors
    /// Those of any read; of the first question when the second finds nothing.
    pub async fn identity_of_either_kind(&self, guess: IdentityKind, id: Uuid) -> Result<Option<Identity>, Fault> {
        let first = self.identity(guess, id).await;
        match &first {
            Ok(None) => self.identity(guess.other(), id).await,
            Err(fault) if matches!(fault.code, "payamgostar.refused" | "payamgostar.server_error") => {
                self.identity(guess.other(), id).await.ok().flatten().map_or(first, |found| Ok(Some(found)))
            }
            _ => first,
        }
    }

    /// A quote or a sales invoice by its id; absence as for [`identity`](Self::identity).
    ///
    /// # Errors
    /// Those of any read.
    pub async fn billable(&self, kind: BillableKind, id: Uuid) -> Result<Option<Billable>, Fault> {
        let Some(value) = self.get(kind.into(), id).await? else { return Ok(None) };
        let billable = Billable::from_json(kind, value).map_err(|bad| fault::unreadable(&bad, "reading a document"))?;
        same_object(id, billable.crm_id)?;
        Ok(Some(billable))
    }

    /// Everything that fits, page by page. Nothing is sent before the first
    /// [`next_page`](FindPages::next_page).
    pub fn find(&self, find: Find) -> FindPages {
        FindPages::new(self.clone(), find)
    }

    /// The identities of one type with this customer number: none, one, or several, since numbers are
    /// unique only within a type. The CRM's notion of "equal" is checked again here, after normalizing.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn identities_by_customer_number(
        &self,
        kind: IdentityKind,
        type_key: &str,
        number: &str,
    ) -> Result<Vec<Identity>, Fault> {
        let wanted = normalize(number);
        let mut found = self.identities_where(kind, type_key, field::CUSTOMER_NUMBER, number).await?;
        found.retain(|identity| identity.customer_number.as_deref().map(normalize).as_ref() == Some(&wanted));
        Ok(found)
    }

    /// The identities of one type with this external reference, checked again here. The CRM does not keep
    /// references unique (sheet §2.6).
    ///
    /// # Errors
    /// Those of any read.
    pub async fn identities_by_ref_id(
        &self,
        kind: IdentityKind,
        type_key: &str,
        ref_id: &str,
    ) -> Result<Vec<Identity>, Fault> {
        let wanted = normalize(ref_id);
        let mut found = self.identities_where(kind, type_key, field::REF_ID, ref_id).await?;
        found.retain(|identity| identity.ref_id.as_deref().map(normalize).as_ref() == Some(&wanted));
        Ok(found)
    }

    /// Creates a person or an organization and returns its id. Doing it twice makes two records (sheet §4.2).
    ///
    /// # Errors
    /// Permanent with the CRM's words (`payamgostar.duplicate_customer_number`, `payamgostar.duplicate`,
    /// `payamgostar.refused`); in doubt when the answer is lost, is 5xx, or names no id.
    pub async fn create_identity(&self, kind: IdentityKind, draft: &IdentityDraft) -> Result<Uuid, Fault> {
        let what = "creating an identity";
        let answer = self.call(&path(kind.into(), "create"), &draft.body(), Safety::Write).await?;
        written_id(&answer, what)
    }

    /// Replaces a whole object: hand in [`Identity::raw`] with the changed members, row ids included.
    /// Whether the CRM keeps or blanks what is left out is unknown (sheet §2.8).
    ///
    /// # Errors
    /// As for [`create_identity`](Self::create_identity); permanent `payamgostar.not_found` when it is gone,
    /// `payamgostar.refused` without sending when `object` has no `crmId`.
    pub async fn update_identity(&self, kind: IdentityKind, object: &Value) -> Result<(), Fault> {
        let what = "updating an identity";
        let object_id = object.get("crmId").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
        let Some(id) = object_id.filter(|id| !id.is_nil()) else {
            return Err(Fault::permanent("payamgostar.refused", format!("{what}: the object to send has no crmId")));
        };
        let answer = self.call(&path(kind.into(), "update"), object, Safety::Write).await?;
        let answered = written_id(&answer, what)?;
        if answered != id {
            return Err(Fault::in_doubt(
                "payamgostar.other_id",
                format!("{what} {id}: the CRM answered with the id {answered}"),
            ));
        }
        Ok(())
    }

    pub(crate) async fn find_page(&self, find: &Find, page: u32) -> Result<Page, Fault> {
        let answer: Value = self.read(&path(find.kind, "find"), &find.body(page)).await?;
        let rows = match answer.get("data") {
            Some(Value::Array(rows)) => rows.clone(),
            Some(Value::Null) => Vec::new(),
            _ => return Err(fault::unreadable(&bytes::BadJson::Shape { path: "data".to_owned() }, "reading a list")),
        };
        Ok(Page { rows, total: answer.get("total").and_then(Value::as_u64) })
    }

    /// One page of a list, `skip` full pages after the first, and how many rows there are in all.
    ///
    /// Whether lists count their pages from 1 or from 0 is not certain (sheet §2.4). The first list with more rows than
    /// page 1 showed settles it for this client: page 0 is asked for once, and lists count from 0 if it shows other rows.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn find_one_page(&self, find: &Find, skip: u32) -> Result<(Vec<Value>, Option<u64>), Fault> {
        let first = match self.shared.first_page.get() {
            Some(first) => *first,
            None => match self.settle_first_page(find).await? {
                Ok(first) => *self.shared.first_page.get_or_init(|| first),
                Err(whole_list) if skip == 0 => {
                    return Ok((whole_list.rows.into_iter().map(camel_case).collect(), whole_list.total));
                }
                Err(_) => 1,
            },
        };
        let page = self.find_page(find, first.saturating_add(skip)).await?;
        Ok((page.rows.into_iter().map(camel_case).collect(), page.total))
    }

    /// The number of the first page, or page 1 where it shows the whole list and so settles nothing.
    async fn settle_first_page(&self, find: &Find) -> Result<Result<u32, Page>, Fault> {
        let one = self.find_page(find, 1).await?;
        if one.total.is_some_and(|total| total <= one.rows.len() as u64) {
            return Ok(Err(one));
        }
        // A server that counts from 1 may refuse page 0, or show page 1 for it.
        let zero = self.find_page(find, 0).await.map_or_else(|_| Vec::new(), |page| page.rows);
        Ok(Ok(if zero.is_empty() || zero == one.rows { 1 } else { 0 }))
    }

    async fn identities_where(
        &self,
        kind: IdentityKind,
        type_key: &str,
        name: &str,
        value: &str,
    ) -> Result<Vec<Identity>, Fault> {
        let mut pages = self.find(Find::new(kind, type_key).query(Query::new(name, Operator::Equals, value)));
        let mut found = Vec::new();
        while let Some(rows) = pages.next_page().await? {
            for row in rows {
                found.push(
                    Identity::from_json(kind, row)
                        .map_err(|bad| fault::unreadable(&bad, "reading a list of identities"))?,
                );
            }
        }
        Ok(found)
    }

    /// The body's key is `id`, not `identityId` (sheet §2.3).
    async fn get(&self, kind: ObjectKind, id: Uuid) -> Result<Option<Value>, Fault> {
        let path = path(kind, "get");
        let answer = self.call_any(&path, &json!({ "id": id }), Safety::Read).await?;
        let status = answer.status();
        if status.is_success() {
            let value: Value = bytes::from_slice(&answer.body).map_err(|bad| fault::unreadable(&bad, &path))?;
            // An empty text has been seen where an object belongs (sheet §4.1): a bad moment of the server, and no word
            // about the object.
            if !value.is_null() && !value.is_object() {
                return Err(Fault::transient(
                    "payamgostar.bad_answer",
                    format!("{path}: the CRM answered with no object"),
                ));
            }
            return Ok((!value.is_null()).then_some(value));
        }
        let absent = match status.as_u16() {
            404 if answer.is_markup() => {
                return Err(Fault::transient(
                    "payamgostar.not_the_api",
                    format!("{path}: 404 with an HTML page; the object may exist"),
                ));
            }
            404 => true,
            400 | 500 => Refusal::of(&answer).says_absent(),
            _ => false,
        };
        if absent { Ok(None) } else { Err(fault::of_status(&answer, Safety::Read, &path)) }
    }

    async fn read<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Fault> {
        let answer = self.call(path, body, Safety::Read).await?;
        let read = |answer: &Answer| bytes::from_value(&camel_case(bytes::from_slice(&answer.body)?));
        read(&answer).map_err(|bad| fault::unreadable(&bad, path))
    }

    async fn call(&self, path: &str, body: &Value, safety: Safety) -> Result<Answer, Fault> {
        let answer = self.call_any(path, body, safety).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(fault::of_status(&answer, safety, path)) }
    }

    /// Sends with the shared token. A first 401 means the token ended: nothing was done, so drop it, log in
    /// once and send once more, also for a write (sheet §1.5). A second 401 stops everything for a while.
    async fn call_any(&self, path: &str, body: &Value, safety: Safety) -> Result<Answer, Fault> {
        let Shared { settings, http, auth, .. } = &*self.shared;
        let mut replayed = false;
        loop {
            let token = auth.token(http, settings).await?;
            let bearer = format!("Bearer {}", token.access.expose_secret());
            let answer = http.send(&Call::post_json(path, body, safety).secret_header("authorization", bearer)).await?;
            if answer.status().as_u16() != 401 {
                return Ok(answer);
            }
            if replayed {
                let fault = fault::of_status(&answer, safety, path);
                auth.refuse(&token, &fault).await;
                return Err(fault);
            }
            auth.expire(&token).await;
            replayed = true;
        }
    }
}

impl fmt::Debug for PayamgostarClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PayamgostarClient").field(&self.shared.settings).finish()
    }
}

/// The id in a write's answer, which is always `crmId` (sheet §2.6, §4.1).
fn written_id(answer: &Answer, what: &str) -> Result<Uuid, Fault> {
    let body: Option<Value> = bytes::from_slice(&answer.body).ok().map(camel_case);
    let id = body.as_ref().and_then(|body| body.get("crmId")).and_then(Value::as_str);
    id.and_then(|id| Uuid::try_parse(id).ok()).filter(|id| !id.is_nil()).ok_or_else(|| fault::no_id(what))
}

fn same_object(asked: Uuid, got: Uuid) -> Result<(), Fault> {
    if asked == got {
        return Ok(());
    }
    Err(Fault::permanent(
        "payamgostar.unexpected_shape",
        format!("the CRM was asked for {asked} and answered with {got}"),
    ))
}
