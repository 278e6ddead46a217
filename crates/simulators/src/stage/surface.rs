//! The way every simulated call goes: counted, delayed, perhaps spoilt, answered.

use super::{
    desk::Desk,
    faults::Fault,
    reply::{Call, Reply, cut_connection},
};
use actix_web::{HttpRequest, HttpResponse, web};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::sleep};

/// One simulated system, seen from its HTTP side.
pub(crate) trait Surface: Send + Sync + 'static {
    fn desk(&self) -> &Desk;
    /// What the call is counted and matched under: its path, perhaps with more.
    fn key(&self, call: &Call) -> String;
    fn latency(&self, key: &str) -> Duration;
    /// Calls with a gate wait for a place: the system does only so many of them at a time.
    fn gate(&self, key: &str) -> Option<Arc<Semaphore>>;
    /// Does what the call asks and answers it.
    fn answer(&self, call: &Call) -> Reply;
    fn unauthorized(&self) -> Reply;
    /// Throws the session of the call away.
    fn drop_session(&self, call: &Call);
    /// The system's way to refuse inside a 200.
    fn refuse_inside(&self, text: &str) -> Reply;
}

pub(crate) fn route<S: Surface>(surface: &Arc<S>, config: &mut web::ServiceConfig) {
    let surface = Arc::clone(surface);
    config.default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
        let surface = Arc::clone(&surface);
        async move { serve(&*surface, Call::new(&request, body)).await }
    }));
}

async fn serve<S: Surface>(surface: &S, call: Call) -> HttpResponse {
    let key = surface.key(&call);
    let desk = surface.desk();
    desk.count(&key);
    let drawn = desk.draw_call(&key);
    let gate = surface.gate(&key);
    let _place = match &gate {
        Some(gate) => gate.acquire().await.ok(),
        None => None,
    };
    pause(surface.latency(&key) + drawn.wait).await;
    let reply = match drawn.fault {
        None => Some(surface.answer(&call)),
        Some(fault) => spoil(surface, &call, fault),
    };
    desk.something_happened();
    pause(drawn.late).await;
    reply.map_or_else(cut_connection, Reply::into_response)
}

/// The answer under a fault; none when the connection is to be cut.
fn spoil<S: Surface>(surface: &S, call: &Call, fault: Fault) -> Option<Reply> {
    Some(match fault {
        Fault::ResetBefore => return None,
        Fault::ResetAfterCommit => {
            surface.answer(call);
            return None;
        }
        Fault::Status { code, committed } => {
            if committed {
                surface.answer(call);
            }
            Reply::html(code, "Runtime Error")
        }
        Fault::HtmlPage { committed } => {
            if committed {
                surface.answer(call);
            }
            Reply::html(200, "Sign in")
        }
        Fault::EmptyCreated => {
            surface.answer(call);
            Reply::raw_json(201, "\"\"")
        }
        Fault::TruncatedJson => surface.answer(call).cut_in_half(),
        Fault::Unauthorized => surface.unauthorized(),
        Fault::DropSession => {
            surface.drop_session(call);
            surface.unauthorized()
        }
        Fault::ErrorsInside { text } => surface.refuse_inside(&text),
        // The board draws these apart from the others.
        Fault::Delay { .. }
        | Fault::SlowAnswer { .. }
        | Fault::LoseDelivery
        | Fault::DuplicateDelivery
        | Fault::ReorderDelivery
        | Fault::BurstOfUpdates { .. }
        | Fault::BeforeReadable { .. } => surface.answer(call),
    })
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
