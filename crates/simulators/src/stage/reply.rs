//! A call as a simulator sees it and the answer it gives, apart from any web framework.

use actix_web::{HttpRequest, HttpResponse, body::SizedStream, http::StatusCode, http::header, web::Bytes};
use futures_util::stream;
use serde::Serialize;
use std::{convert::Infallible, io};

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// Rows of a long answer are glued to pieces of about this size before they are written.
const PIECE_BYTES: usize = 128 * 1024;

pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(request: &HttpRequest, body: Bytes) -> Self {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            method: request.method().as_str().to_owned(),
            path: request.path().trim_end_matches('/').to_owned(),
            authorization: header(header::AUTHORIZATION),
            content_type: header(header::CONTENT_TYPE),
            body,
        }
    }
}

pub(crate) enum Payload {
    Whole(Bytes),
    /// Pieces written one after the other, with their total length announced.
    Parts(Vec<Bytes>),
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    content_type: Option<&'static str>,
    payload: Payload,
    allow: Option<&'static str>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        let text = serde_json::to_vec(body).expect("simulator answers have string keys only");
        Self::raw_json(status, text)
    }

    pub(crate) fn raw_json(status: u16, text: impl Into<Bytes>) -> Self {
        Self { status, content_type: Some(JSON), payload: Payload::Whole(text.into()), allow: None }
    }

    pub(crate) fn parts(parts: Vec<Bytes>) -> Self {
        Self { status: 200, content_type: Some(JSON), payload: Payload::Parts(parts), allow: None }
    }

    pub(crate) fn html(status: u16, title: &str) -> Self {
        let page = format!(
            "<!DOCTYPE html>\r\n<html><head><title>{title}</title></head><body><h1>Server Error in '/' Application.</h1>\
             <h2><i>{title}</i></h2></body></html>\r\n"
        );
        Self { status, content_type: Some(HTML), payload: Payload::Whole(page.into()), allow: None }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, content_type: None, payload: Payload::Whole(Bytes::new()), allow: None }
    }

    pub(crate) fn wrong_method(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::empty(405) }
    }

    /// The same answer, broken off in the middle.
    pub(crate) fn cut_in_half(self) -> Self {
        let whole = match self.payload {
            Payload::Whole(body) => body.to_vec(),
            Payload::Parts(parts) => parts.concat(),
        };
        let half = Bytes::copy_from_slice(&whole[..whole.len() / 2]);
        Self { payload: Payload::Whole(half), ..self }
    }

    pub(crate) fn into_response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        if let Some(kind) = self.content_type {
            response.insert_header((header::CONTENT_TYPE, kind));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        match self.payload {
            Payload::Whole(body) => response.body(body),
            Payload::Parts(parts) => {
                let total = parts.iter().map(|part| part.len() as u64).sum();
                response.body(SizedStream::new(total, stream::iter(pieces(parts))))
            }
        }
    }
}

/// Glues many small parts to few larger pieces, lazily, so that a long list is never one block of memory.
fn pieces(parts: Vec<Bytes>) -> impl Iterator<Item = Result<Bytes, Infallible>> {
    let mut parts = parts.into_iter();
    std::iter::from_fn(move || {
        let mut piece = Vec::new();
        for part in parts.by_ref() {
            piece.extend_from_slice(&part);
            if piece.len() >= PIECE_BYTES {
                break;
            }
        }
        (!piece.is_empty()).then(|| Ok(Bytes::from(piece)))
    })
}

/// Cuts the connection: the body fails before its first byte, and the server drops the socket with nothing written.
pub(crate) fn cut_connection() -> HttpResponse {
    let failing = stream::once(async { Err::<Bytes, io::Error>(io::ErrorKind::ConnectionReset.into()) });
    HttpResponse::Ok().streaming(failing)
}
