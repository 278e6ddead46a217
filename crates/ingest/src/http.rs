//! The HTTP listener: routes, sizes, patience. Speaks HTTP/1.1; TLS ends at the proxy in front.

use crate::answer::Answer;
use crate::ops::{self, Ops};
use crate::settings::HttpSettings;
use crate::webhooks::Intake;
use crate::{signed, webhooks};
use actix_web::dev::Server;
use actix_web::http::{Method, header};
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, guard};
use futures_util::StreamExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Connections at once, per thread.
const CONNECTIONS: usize = 2_048;

/// Binds the port. Without an intake only the operators' endpoints are served.
pub(crate) fn bind(
    settings: &HttpSettings,
    intake: Option<Arc<Intake>>,
    ops: Arc<Ops>,
) -> std::io::Result<(Server, SocketAddr)> {
    let app = move || {
        let app = App::new().app_data(Data::new(ops.clone())).configure(ops::routes);
        match &intake {
            Some(intake) => app.app_data(Data::new(intake.clone())).configure(intake_routes),
            None => app,
        }
    };
    let listener = HttpServer::new(app)
        .workers(settings.threads.max(1))
        .worker_max_blocking_threads(1)
        .max_connections(CONNECTIONS)
        .client_request_timeout(settings.patience)
        .shutdown_timeout(settings.grace.as_secs())
        .disable_signals()
        .bind(settings.listen)?;
    let addr = listener.addrs().first().copied().unwrap_or(settings.listen);
    Ok((listener.run(), addr))
}

/// Serves until `stop`, then answers what is in hand.
pub(crate) async fn serve(server: Server, stop: &CancellationToken) -> std::io::Result<()> {
    let handle = server.handle();
    let mut served = tokio::spawn(server);
    tokio::select! {
        ended = &mut served => {
            ended.map_err(std::io::Error::other)??;
            return Err(std::io::Error::other("the HTTP server ended by itself"));
        }
        () = stop.cancelled() => handle.stop(true).await,
    }
    served.await.map_err(std::io::Error::other)?
}

/// One fixed prefix, and the rest read by hand: patterns would be matched as regular expressions, one after the other, for
/// each call.
fn intake_routes(config: &mut web::ServiceConfig) {
    // The scope's own guard: a default service does not heed its.
    config.service(web::scope("/webhook").guard(any_of_four()).default_service(web::to(take)));
}

fn any_of_four() -> impl guard::Guard {
    guard::Any(guard::Get()).or(guard::Post()).or(guard::Head()).or(guard::Options())
}

async fn take(request: HttpRequest, body: Payload, intake: Data<Arc<Intake>>) -> HttpResponse {
    let began = Instant::now();
    let caller = intake.caller(&request);
    let address = Address::of(request.match_info().unprocessed());
    let ended = if address.is_signed(request.method()) {
        signed::answer(&request, body, &intake, caller, address.route).await
    } else {
        webhooks::answer(&request, body, &intake, caller, &address).await
    };
    intake.finish(&request, began, caller, &ended)
}

/// What comes after `/webhook/`.
pub(crate) struct Address<'p> {
    pub(crate) system: &'p str,
    pub(crate) route: &'p str,
    /// Everything behind, where the token stands.
    pub(crate) rest: &'p str,
}

impl<'p> Address<'p> {
    fn of(path: &'p str) -> Self {
        let mut parts = path.strip_prefix('/').unwrap_or(path).splitn(3, '/');
        let mut next = || parts.next().unwrap_or_default();
        Self { system: next(), route: next(), rest: next() }
    }

    /// Any other method, and anything behind it, is left to the unsigned intake, which knows no such route.
    fn is_signed(&self, method: &Method) -> bool {
        self.system == "signed" && self.rest.is_empty() && method == Method::POST
    }
}

/// Whether address, headers and announced body are of a size that is read at all.
pub(crate) fn within_limits(request: &HttpRequest, settings: &HttpSettings) -> Result<(), Answer> {
    let uri = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    if uri > settings.url_limit {
        return Err(Answer::UrlTooLong);
    }
    let head: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if head > settings.head_limit {
        return Err(Answer::HeadTooLong);
    }
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > settings.body_limit) {
        return Err(Answer::BodyTooLong);
    }
    Ok(())
}

/// The bytes of the body as they came.
pub(crate) async fn read_body(mut body: Payload, settings: &HttpSettings) -> Result<Vec<u8>, Answer> {
    let read = async {
        let mut bytes = Vec::new();
        while let Some(part) = body.next().await {
            let part = part.map_err(|_| Answer::Malformed("the body broke off".to_owned()))?;
            if bytes.len() + part.len() > settings.body_limit {
                return Err(Answer::BodyTooLong);
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    };
    tokio::time::timeout(settings.patience, read).await.unwrap_or(Err(Answer::TooSlow))
}
