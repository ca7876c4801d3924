//! A call outside of the storage API: any path, any headers, and an answer that is handed over whatever its status.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Method, Request};

use super::exchange::Exchange;
use super::{ClientError, NodeClient, RequestBody};

/// What is sent, and how much is waited for.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Method.
    pub method: Method,
    /// Path from the root of the server, with its query if it has one.
    pub path: &'a str,
    /// Headers besides `Host` and the length of the body.
    pub headers: HeaderMap,
    /// Body; none where empty.
    pub body: Bytes,
    /// Longest answer that is read.
    pub max_answer_bytes: usize,
    /// Longest time for the whole call, from waiting for a connection to the last byte.
    pub timeout: Duration,
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl NodeClient {
    /// Sends `call` and reads the whole answer. Any status is an answer: what it means is the caller's to say.
    ///
    /// # Errors
    /// Any [`ClientError`] but [`ClientError::Status`]; [`ClientError::BodyTooLarge`] above [`Call::max_answer_bytes`].
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, ClientError> {
        let Call { method, path, headers, body, max_answer_bytes, timeout } = call;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(RequestBody::bytes(body))
            .map_err(|source| ClientError::Request { path: path.to_owned(), source })?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(HOST, self.inner.endpoint.host_header());
        let exchanged = async {
            let exchange = Exchange::begin(&self.inner.pool, request).await?;
            let status = exchange.head().status;
            Ok(Answer { status, body: exchange.document(max_answer_bytes).await? })
        };
        tokio::time::timeout(timeout, exchanged).await.unwrap_or(Err(ClientError::Timeout { after: timeout }))
    }
}
