//! The unsigned intake: `/webhook/<system>/<route>[/<token>]`, as the CRM calls it (payamgostar sheet §3).
//!
//! The order is: sizes, route, authentication, reading, one commit, answer. Up to authentication a call is looked at and
//! counted, nothing more. The path holds the token and is never logged.

use crate::accept::Acceptor;
use crate::answer::Answer;
use crate::callers::{Callers, is_in};
use crate::contain::contained_now;
use crate::http::{Address, read_body, within_limits};
use crate::params::Params;
use crate::rate::RateLimit;
use crate::settings::{HttpSettings, IngestSettings, WebhookSettings};
use crate::signed::Signatures;
use crate::tally::{Tally, route_name};
use crate::tokens::Tokens;
use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;
use tandem_core::bridge::WebhookReading;
use tandem_core::{Actor, Bridge, KindId, Lane, Notice, RecordKey, SourceId, Trigger};
use tandem_engine::Engine;
use tandem_engine::boundary::{self, Boundary};
use tandem_store::InboxEntry;
use tandem_telemetry::metric::{self, Label, Metric};
use uuid::Uuid;

/// A route that every system has: it shows that calls arrive, and does nothing.
const TEST: &str = "test";

/// What both intakes share: who may call, how often, and where calls go.
pub(crate) struct Intake {
    pub(crate) engine: Engine,
    pub(crate) http: HttpSettings,
    pub(crate) signatures: Signatures,
    takes_plain: bool,
    tokens: Tokens,
    allow_from: Vec<IpNet>,
    callers: Callers,
    strangers: Option<RateLimit>,
    known: Option<RateLimit>,
    acceptor: Acceptor,
    tally: Arc<Tally>,
}

/// The route that a call was counted under, and how it ended.
pub(crate) type Ended = (String, Answer);

impl Intake {
    pub(crate) fn new(
        settings: &IngestSettings,
        engine: Engine,
        acceptor: Acceptor,
        tally: Arc<Tally>,
    ) -> std::io::Result<Self> {
        let WebhookSettings { tokens, allow_from, trusted_proxies, rates, .. } = &settings.webhooks;
        Ok(Self {
            engine,
            http: settings.http.clone(),
            signatures: Signatures::new(&settings.webhooks)?,
            takes_plain: settings.webhooks.takes_plain(),
            tokens: Tokens::new(tokens),
            allow_from: allow_from.clone(),
            callers: Callers::new(trusted_proxies.clone()),
            strangers: rates.strangers.map(RateLimit::new),
            known: rates.known.map(RateLimit::new),
            acceptor,
            tally,
        })
    }

    /// Where the call comes from.
    pub(crate) fn caller(&self, request: &HttpRequest) -> IpAddr {
        // There is no peer only in tests without a socket.
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        // Proxies add to the header or add one of their own: only all of them together end with what the nearest wrote.
        // A byte that is no text must not hide them.
        let lines = request.headers().get_all("x-forwarded-for");
        let forwarded: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        self.callers.address(peer, &forwarded.join(","))
    }

    /// Counts a call that is not let in, and tells a caller who tries too often so.
    pub(crate) fn refuse(&self, caller: IpAddr, refusal: Answer) -> Answer {
        match &self.strangers {
            Some(limit) if !limit.admit(caller) => Answer::TooMany,
            _ => refusal,
        }
    }

    /// Whether an address has failed so often that it is not worth reading what it sends.
    pub(crate) fn is_spent(&self, caller: IpAddr) -> bool {
        self.strangers.as_ref().is_some_and(|limit| limit.is_full(caller))
    }

    /// Counts a call that is let in; false = it is one too many.
    pub(crate) fn admit(&self, caller: IpAddr) -> bool {
        self.known.as_ref().is_none_or(|limit| limit.admit(caller))
    }

    /// Commits a call and answers it.
    pub(crate) async fn store(&self, entry: InboxEntry) -> Answer {
        boundary::pass(Boundary::WebhookRead);
        let answer = match (&entry.notice, &entry.note) {
            (Some(_), _) => Answer::Accepted,
            (None, why) => Answer::Ignored(why.clone().unwrap_or_default()),
        };
        match self.acceptor.accept(entry).await {
            Ok(()) => answer,
            Err(_) => Answer::Unavailable,
        }
    }

    /// Counts and logs how a call ended, and makes the response of it.
    pub(crate) fn finish(&self, request: &HttpRequest, began: Instant, caller: IpAddr, ended: &Ended) -> HttpResponse {
        let (route, answer) = ended;
        let outcome = answer.outcome();
        metric::count(Metric::Webhooks, &[Label::Route(route), Label::Outcome(outcome)], 1);
        if matches!(answer, Answer::Accepted | Answer::Ignored(_)) {
            metric::observe(Metric::WebhookSeconds, &[], began.elapsed());
        }
        self.tally.count(route, answer, self.engine.now());
        if answer.is_rejection() {
            tracing::debug!(route, %caller, outcome, "a webhook call was turned away");
        } else {
            tracing::debug!(route, %caller, outcome, "a webhook call");
        }
        answer.response(request.method())
    }
}

/// The name under which calls to unknown addresses are counted.
pub(crate) const UNKNOWN: &str = "unknown";

/// Handles a call to the unsigned intake.
pub(crate) async fn answer(
    request: &HttpRequest,
    body: Payload,
    intake: &Intake,
    caller: IpAddr,
    address: &Address<'_>,
) -> Ended {
    let found = find(address, intake);
    let route = found.as_ref().map_or_else(|| UNKNOWN.to_owned(), |(_, route)| route.clone());
    if let Err(answer) = within_limits(request, &intake.http) {
        return (route, intake.refuse(caller, answer));
    }
    let Some((bridge, _)) = found.filter(|_| intake.takes_plain) else {
        return (route, intake.refuse(caller, Answer::NotFound));
    };
    if let Err(refusal) = authenticate(address.rest, intake, caller) {
        return (route, intake.refuse(caller, refusal));
    }
    if !intake.admit(caller) {
        return (route, Answer::TooMany);
    }
    if request.method() == Method::HEAD || request.method() == Method::OPTIONS {
        return (route, Answer::Nothing);
    }
    let params = match read(request, body, intake).await {
        Ok(params) => params,
        Err(answer) => return (route, answer),
    };
    let answer = match entry(&*bridge, &route, caller, params) {
        Ok(entry) => intake.store(entry).await,
        Err(answer) => answer,
    };
    (route, answer)
}

/// The bridge that has the route, and the route's name.
fn find(address: &Address<'_>, intake: &Intake) -> Option<(Arc<dyn Bridge>, String)> {
    let Address { system, route, .. } = *address;
    let bridge = intake.engine.register().by_webhook_system(system)?;
    let known = bridge.spec().webhooks.as_ref()?.routes.contains(&route) || route == TEST;
    known.then(|| (bridge.clone(), route_name(system, route)))
}

/// A token that is presented has to be right, also from an address that could do without.
fn authenticate(presented: &str, intake: &Intake, caller: IpAddr) -> Result<(), Answer> {
    let presented = presented.trim_end_matches('/');
    let allowed = is_in(&intake.allow_from, caller);
    match presented {
        "" if allowed => Ok(()),
        "" => Err(Answer::Forbidden),
        _ if intake.tokens.is_empty() => {
            if allowed {
                Ok(())
            } else {
                Err(Answer::NotFound)
            }
        }
        token if intake.tokens.accept(token) => Ok(()),
        _ => Err(Answer::NotFound),
    }
}

/// Only a call whose query names no record has its body read: the CRM's own calls have none.
async fn read(request: &HttpRequest, body: Payload, intake: &Intake) -> Result<Params, Answer> {
    let mut params = Params::of_query(request.query_string());
    if params.id.is_none() && request.method() == Method::POST {
        let body = read_body(body, &intake.http).await?;
        params.add_body(&body).map_err(Answer::Malformed)?;
    }
    Ok(params)
}

fn entry(bridge: &dyn Bridge, route: &str, caller: IpAddr, params: Params) -> Result<InboxEntry, Answer> {
    let (system, last) = route.split_once('/').unwrap_or((route, ""));
    let reading = if last == TEST {
        WebhookReading::Ignored("a test call".to_owned())
    } else {
        // A bridge that panics over a call must not cost the hint: the sender is asked to come again.
        contained_now(|| bridge.read_webhook(&params.as_call(last))).ok_or(Answer::Unavailable)?
    };
    let mut entry = InboxEntry {
        id: Uuid::now_v7(),
        route: route.to_owned(),
        remote: caller.to_string(),
        event: params.event,
        kind_word: params.kind,
        label: params.label,
        notice: None,
        note: None,
    };
    match reading {
        WebhookReading::Record { kind, source_id, hint } => {
            entry.notice = Some(notice(bridge, kind, source_id, hint, system));
        }
        WebhookReading::Ignored(why) => entry.note = Some(why),
        WebhookReading::Malformed(why) => return Err(Answer::Malformed(why)),
    }
    Ok(entry)
}

/// A live notice of a record, on behalf of whoever called.
pub(crate) fn notice(
    bridge: &dyn Bridge,
    kind: KindId,
    source_id: SourceId,
    hint: Option<String>,
    actor: &str,
) -> Notice {
    Notice {
        key: RecordKey { bridge: bridge.spec().id.clone(), kind, source_id },
        hint,
        trigger: Trigger::Webhook,
        actor: Actor::new(actor),
        lane: Lane::Live,
    }
}
