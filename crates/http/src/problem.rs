//! Errors on the wire: RFC 9457 `application/problem+json`.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use peermark_core::in_words;
use serde::Serialize;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// An error answer. `detail` goes to the caller; what only the operator should read goes to the log with [`Problem::logged`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
}

impl Problem {
    /// An error of the request: `detail` says what was wrong with it.
    ///
    /// # Panics
    /// When `status` is no 4xx status, which is a bug.
    pub fn request(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        assert!(status.is_client_error(), "a problem of the request has a 4xx status, not {status}");
        Self { status, code, detail: detail.into() }
    }

    /// 404 with a reason.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::request(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 400 with a reason.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::request(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// An error of the server. The error is logged; the caller learns that there was one and nothing of its inside.
    pub fn logged(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %in_words(error), "request failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal",
            detail: "internal error, see the log".into(),
        }
    }

    /// A 5xx whose reason the caller may know, such as 504 for content that nobody served in time.
    ///
    /// # Panics
    /// When `status` is no 5xx status, which is a bug.
    pub fn server(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        assert!(status.is_server_error(), "a problem of the server has a 5xx status, not {status}");
        Self { status, code, detail: detail.into() }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("error");
        let body =
            Body { kind: "about:blank", title, status: self.status.as_u16(), code: self.code, detail: &self.detail };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, json).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
