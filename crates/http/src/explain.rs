//! The router's own refusals, made problems like all others.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::problem::{MEDIA_TYPE, Problem};

/// Longest text of a refusal that is handed on.
const MAX_REFUSAL_BYTES: usize = 1024;

/// A middleware that makes a problem of what the router and its extractors refuse in plain text: methods, parameters, paths.
pub async fn explain(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let explained = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == MEDIA_TYPE);
    if !response.status().is_client_error() || explained {
        return response;
    }
    let (head, body) = response.into_parts();
    let text = axum::body::to_bytes(body, MAX_REFUSAL_BYTES).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&text);
    let (code, detail) = match head.status {
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "the route does not have this method"),
        _ => ("bad_request", said.trim()),
    };
    let mut problem = Problem::request(head.status, code, detail).into_response();
    if let Some(allow) = head.headers.get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    problem
}
