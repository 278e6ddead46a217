//! The client of one destination.

use crate::answer::{Answer, AnswerHead, AnswerStream, whole_body};
use crate::call::{Call, Safety};
use crate::failure::Failure;
use crate::limits::Limits;
use crate::settings::{HttpSettings, Trust, host_of};
use backon::{ExponentialBuilder, Retryable};
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Proxy, Request, Response, redirect, retry};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tandem_core::Fault;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use url::Url;

/// Idle connections are given up before a usual server does the same (IIS: 120 s, many proxies: 60 s), so
/// that a read seldom meets a connection the other side has just closed.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);
/// The longest wait that still counts as a short repeat; a longer `Retry-After` is the queue's business.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// Calls one destination over HTTP within its limits. Cheap to clone; clones share limits and connections.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    settings: HttpSettings,
    /// Reads share kept-alive connections.
    reads: Client,
    /// Every write opens its own: on a kept-alive connection which the other side closes at that moment
    /// nobody could tell whether the write arrived, and some writes would end in doubt for nothing.
    writes: Client,
    limits: Limits,
    clock: Mutex<Option<(DateTime<Utc>, Instant)>>,
}

/// Why an attempt is not simply the answer: it failed, or its status invites a short repeat.
enum Unsettled {
    Failed(Failure),
    Busy(Box<Answer>),
}

impl HttpClient {
    /// # Errors
    /// Systemic `<system>.misconfigured` when the address has no host, or the certificates or the proxy
    /// can't be used.
    pub fn new(settings: HttpSettings) -> Result<Self, Fault> {
        let wrong = |why: &dyn fmt::Display| {
            Fault::systemic(settings.codes.misconfigured, format!("the HTTP client can't be set up: {why}"))
        };
        if !matches!(settings.base_url.scheme(), "http" | "https") || !settings.base_url.has_host() {
            return Err(wrong(&"the base address must be http://host or https://host"));
        }
        let build = |idle: usize| builder(&settings)?.pool_max_idle_per_host(idle).build();
        let reads = build(usize::MAX).map_err(|error| wrong(&error.without_url()))?;
        let writes = build(0).map_err(|error| wrong(&error.without_url()))?;
        let limits = Limits::new(settings.max_in_flight, settings.requests_per_second);
        Ok(Self { shared: Arc::new(Shared { settings, reads, writes, limits, clock: Mutex::new(None) }) })
    }

    /// Sends one call and reads its whole answer, whatever its status.
    ///
    /// A [`Safety::Read`] is repeated within seconds (with growing, jittered waits, or the server's own
    /// `Retry-After` up to 5 s) when the connection broke or the status is 408, 429, 502, 503 or 504; the
    /// last answer is returned. Nothing else is repeated.
    ///
    /// # Errors
    /// No connection: Systemic. No whole answer: Transient for reads and logins, InDoubt for writes. Answer
    /// over the cap: Permanent for reads, InDoubt for writes.
    pub async fn send(&self, call: &Call) -> Result<Answer, Fault> {
        let outcome = if call.safety == Safety::Read {
            let waits = ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(200))
                .with_max_delay(SHORT_WAIT)
                .with_max_times(self.shared.settings.read_attempts.saturating_sub(1) as usize)
                .with_jitter();
            (|| async { self.attempt(call).await.map_err(Unsettled::Failed).and_then(unless_busy) })
                .retry(waits)
                .when(Unsettled::is_brief)
                .adjust(|unsettled, wait| wait.map(|wait| unsettled.wish().unwrap_or(wait)))
                .await
        } else {
            self.attempt(call).await.map_err(Unsettled::Failed)
        };
        match outcome {
            Ok(answer) => Ok(answer),
            Err(Unsettled::Busy(answer)) => Ok(*answer),
            Err(Unsettled::Failed(failure)) => Err(self.fault(failure, call)),
        }
    }

    /// Sends one call and returns as soon as the head of the answer is there; the body follows piece by
    /// piece. Not repeated. The time-out then counts between two pieces, not for the whole.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn open(&self, call: &Call) -> Result<AnswerStream, Fault> {
        let (response, permit) = self.begin(call, None).await.map_err(|failure| self.fault(failure, call))?;
        let (this, call) = (self.clone(), call.clone());
        Ok(AnswerStream {
            head: self.head(&response),
            response,
            piece_within: call.timeout.unwrap_or(self.shared.settings.timeout),
            fault_of: Box::new(move |failure| this.fault(failure, &call)),
            _permit: permit,
        })
    }

    /// The destination's clock now: its last `Date` header, moved on by our monotonic clock. `None` before
    /// the first answer, or if it never sends one.
    pub fn server_time(&self) -> Option<DateTime<Utc>> {
        let clock = *self.shared.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.and_then(|(time, at)| chrono::TimeDelta::from_std(at.elapsed()).ok().map(|passed| time + passed))
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, Failure> {
        let timeout = call.timeout.unwrap_or(self.shared.settings.timeout);
        let (response, _permit) = self.begin(call, Some(timeout)).await?;
        let head = self.head(&response);
        let body = whole_body(response, call.max_body.unwrap_or(self.shared.settings.max_body)).await?;
        Ok(Answer { head, body })
    }

    /// Waits its turn, sends, and leaves one line of trace.
    async fn begin(&self, call: &Call, timeout: Option<Duration>) -> Result<(Response, OwnedSemaphorePermit), Failure> {
        let shared = &*self.shared;
        let mut request = request(&shared.settings.base_url, call)?;
        *request.timeout_mut() = timeout;
        let permit = shared.limits.enter().await;
        let client = if call.safety == Safety::Write { &shared.writes } else { &shared.reads };
        let started = Instant::now();
        let head_within = call.timeout.unwrap_or(shared.settings.timeout);
        let result = match tokio::time::timeout(head_within, client.execute(request)).await {
            Ok(result) => result.map_err(|error| Failure::of(&error)),
            Err(_) => Err(Failure::TimedOut),
        };
        tracing::debug!(
            system = shared.settings.codes.system,
            method = %call.method,
            host = %host_of(&shared.settings.base_url),
            path = %call.path,
            status = result.as_ref().map_or(0, |response| response.status().as_u16()),
            ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "called out"
        );
        Ok((result?, permit))
    }

    fn head(&self, response: &Response) -> AnswerHead {
        let head = AnswerHead::of(response);
        if let Some(time) = head.server_time {
            *self.shared.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, head.received_at));
        }
        head
    }

    fn fault(&self, failure: Failure, call: &Call) -> Fault {
        let settings = &self.shared.settings;
        failure.into_fault(&settings.codes, &settings.base_url, call, call.timeout.unwrap_or(settings.timeout))
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpClient").field(&self.shared.settings).finish()
    }
}

impl Unsettled {
    fn wish(&self) -> Option<Duration> {
        match self {
            Self::Busy(answer) => answer.head.retry_after,
            Self::Failed(_) => None,
        }
    }

    fn is_brief(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.is_brief(),
            Self::Busy(_) => self.wish().is_none_or(|wait| wait <= SHORT_WAIT),
        }
    }
}

fn unless_busy(answer: Answer) -> Result<Answer, Unsettled> {
    match answer.head.status.as_u16() {
        408 | 429 | 502 | 503 | 504 => Err(Unsettled::Busy(Box::new(answer))),
        _ => Ok(answer),
    }
}

fn builder(settings: &HttpSettings) -> reqwest::Result<ClientBuilder> {
    let builder = Client::builder()
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")));
    let builder = match &settings.proxy {
        Some(proxy) => builder.proxy(Proxy::all(proxy.clone())?),
        None => builder.no_proxy(),
    };
    Ok(match &settings.trust {
        Trust::System => builder,
        Trust::Also(pem) => builder.tls_certs_merge(Certificate::from_pem_bundle(pem)?),
        Trust::AnyCertificate => builder.tls_danger_accept_invalid_certs(true),
    })
}

fn request(base: &Url, call: &Call) -> Result<Request, Failure> {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}{}", base.path().trim_end_matches('/'), call.path));
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&call.query);
    }
    let mut request = Request::new(call.method.clone(), url);
    if let Some((content_type, body)) = &call.body {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        *request.body_mut() = Some(body.clone().into());
    }
    for (name, value, secret) in &call.headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Failure::Misconfigured(format!("`{name}` is no header name")))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            Failure::Misconfigured(format!("the value of header `{name}` has characters that can't be sent"))
        })?;
        value.set_sensitive(*secret);
        request.headers_mut().insert(header, value);
    }
    Ok(request)
}
