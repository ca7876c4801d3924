//! The calls.

use std::future::Future;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::endpoint::encoded;
use super::exchange::Exchange;
use super::{
    ByteSink, ClientError, DataItem, DataList, DebugInfo, MAX_DOCUMENT_BYTES, NodeClient, Received, RequestBody, Space,
    Upload,
};

/// Longest text that is taken for a CID, a peer id or a peer record.
const MAX_WORD_BYTES: usize = 1024;

impl NodeClient {
    /// Uploads content and returns the CID that the node gives it.
    ///
    /// # Errors
    /// Any [`ClientError`]; 422 for a type or name that the node refuses, 507 where its quota is used up.
    pub async fn upload(&self, upload: Upload) -> Result<String, ClientError> {
        let path = self.path("/data");
        let mut request = self.request(Method::POST, &path, upload.body)?;
        let invalid = |source: http::header::InvalidHeaderValue| ClientError::Request {
            path: "/data".to_owned(),
            source: source.into(),
        };
        let kind = match &upload.content_type {
            Some(text) => HeaderValue::from_str(text).map_err(invalid)?,
            None => HeaderValue::from_static("application/octet-stream"),
        };
        request.headers_mut().insert(CONTENT_TYPE, kind);
        if let Some(name) = &upload.filename {
            let quoted = name.replace(['"', '\\'], "_");
            let value = HeaderValue::from_str(&format!("attachment; filename=\"{quoted}\"")).map_err(invalid)?;
            request.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
        let document = self.document(request).await?;
        word(&document, &path)
    }

    /// Fetches content, from the network if the node does not hold it, and hands it to `sink` as it comes.
    ///
    /// # Errors
    /// Any [`ClientError`]; 404 where neither the node nor the network has it, [`ClientError::Stopped`] where `sink` breaks off.
    pub async fn fetch_network(&self, cid: &str, sink: &mut impl ByteSink) -> Result<Received, ClientError> {
        self.fetch(self.path(&format!("/data/{}/network/stream", encoded(cid))), sink).await
    }

    /// Fetches content that the node holds itself and hands it to `sink` as it comes.
    ///
    /// # Errors
    /// Any [`ClientError`]; 404 where the node does not hold it, [`ClientError::Stopped`] where `sink` breaks off.
    pub async fn fetch_local(&self, cid: &str, sink: &mut impl ByteSink) -> Result<Received, ClientError> {
        self.fetch(self.path(&format!("/data/{}", encoded(cid))), sink).await
    }

    /// Asks the node to fetch content from the network for itself. Returns before it has it.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn fetch_background(&self, cid: &str) -> Result<DataItem, ClientError> {
        let path = self.path(&format!("/data/{}/network", encoded(cid)));
        self.json(self.request(Method::POST, &path, RequestBody::empty())?, &path).await
    }

    /// The manifest of content, from the network if need be.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn manifest(&self, cid: &str) -> Result<DataItem, ClientError> {
        self.get_json(&self.path(&format!("/data/{}/network/manifest", encoded(cid)))).await
    }

    /// The datasets that the node holds.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn list(&self) -> Result<DataList, ClientError> {
        self.get_json(&self.path("/data")).await
    }

    /// Whether the node holds the block or dataset. Not every node has this call: those answer 404.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn exists(&self, cid: &str) -> Result<bool, ClientError> {
        let path = self.path(&format!("/data/{}/exists", encoded(cid)));
        let answer: serde_json::Map<String, serde_json::Value> = self.get_json(&path).await?;
        // The API's description says "has", nodes say the CID itself.
        let said = ["has", "exists", cid].iter().find_map(|member| answer.get(*member)?.as_bool());
        said.ok_or(ClientError::Text { path })
    }

    /// Deletes a block or dataset from the node.
    ///
    /// # Errors
    /// Any [`ClientError`]; some nodes answer 404 where they do not hold it, others succeed.
    pub async fn delete(&self, cid: &str) -> Result<(), ClientError> {
        let path = self.path(&format!("/data/{}", encoded(cid)));
        self.document(self.request(Method::DELETE, &path, RequestBody::empty())?).await.map(drop)
    }

    /// How much the node stores and may store.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn space(&self) -> Result<Space, ClientError> {
        self.get_json(&self.path("/space")).await
    }

    /// The node's peer id, whether it answers with text or with JSON.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn peer_id(&self) -> Result<String, ClientError> {
        self.named_word("/peerid").await
    }

    /// The node's signed peer record, whether it answers with text or with JSON.
    ///
    /// # Errors
    /// Any [`ClientError`]; 503 while the node has none yet.
    pub async fn spr(&self) -> Result<String, ClientError> {
        self.named_word("/spr").await
    }

    /// What the node says about itself.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn debug_info(&self) -> Result<DebugInfo, ClientError> {
        self.get_json(&self.path("/debug/info")).await
    }

    /// Asks the node to connect to a peer at one of `addrs` (multiaddresses; none means: find it).
    ///
    /// # Errors
    /// Any [`ClientError`]; 400 where the peer cannot be found or dialled.
    pub async fn connect_peer(&self, peer_id: &str, addrs: &[String]) -> Result<(), ClientError> {
        let query: Vec<String> = addrs.iter().map(|addr| format!("addrs={}", encoded(addr))).collect();
        let separator = if query.is_empty() { "" } else { "?" };
        let path = self.path(&format!("/connect/{}{separator}{}", encoded(peer_id), query.join("&")));
        self.document(self.request(Method::GET, &path, RequestBody::empty())?).await.map(drop)
    }

    /// Text of `/health` at the root of the node. Not part of the official API.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn health(&self) -> Result<String, ClientError> {
        self.get_text("/health").await
    }

    /// Text of `/metrics` at the root of the node, in the Prometheus format. Not part of the official API.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        self.get_text("/metrics").await
    }

    /// The JSON document at `path`, counted from the root of the node (not from the base path).
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::BodyTooLarge`] above [`MAX_DOCUMENT_BYTES`].
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(self.request(Method::GET, path, RequestBody::empty())?, path).await
    }

    /// The text at `path`, counted from the root of the node.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::BodyTooLarge`] above [`MAX_DOCUMENT_BYTES`].
    pub async fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let document = self.document(self.request(Method::GET, path, RequestBody::empty())?).await?;
        String::from_utf8(document).map_err(|_| ClientError::Text { path: path.to_owned() })
    }

    fn path(&self, below: &str) -> String {
        format!("{}{below}", self.inner.base)
    }

    fn request(&self, method: Method, path: &str, body: RequestBody) -> Result<Request<RequestBody>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.inner.endpoint.host_header())
            .body(body)
            .map_err(|source| ClientError::Request { path: path.to_owned(), source })?;
        if let Some(authorization) = &self.inner.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }

    async fn fetch(&self, path: String, sink: &mut impl ByteSink) -> Result<Received, ClientError> {
        let request = self.request(Method::GET, &path, RequestBody::empty())?;
        self.in_time(async {
            let exchange = Exchange::begin(&self.inner.pool, request).await?.accepted().await?;
            sink.head(exchange.head());
            let content_type = exchange.head().content_type.clone();
            let bytes = exchange.drain(|bytes| sink.chunk(bytes)).await?;
            Ok(Received { bytes, content_type })
        })
        .await
    }

    async fn json<T: DeserializeOwned>(&self, request: Request<RequestBody>, path: &str) -> Result<T, ClientError> {
        let document = self.document(request).await?;
        serde_json::from_slice(&document).map_err(|source| ClientError::Json { path: path.to_owned(), source })
    }

    async fn document(&self, request: Request<RequestBody>) -> Result<Vec<u8>, ClientError> {
        self.in_time(async {
            Exchange::begin(&self.inner.pool, request).await?.accepted().await?.document(MAX_DOCUMENT_BYTES).await
        })
        .await
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let after: Duration = self.inner.options.timeout;
        tokio::time::timeout(after, call).await.unwrap_or(Err(ClientError::Timeout { after }))
    }

    async fn named_word(&self, below: &str) -> Result<String, ClientError> {
        let path = self.path(below);
        let mut request = self.request(Method::GET, &path, RequestBody::empty())?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/plain"));
        let document = self.document(request).await?;
        word(&document, &path)
    }
}

/// The names under which nodes wrap a single word in JSON.
#[derive(Deserialize)]
struct Wrapped {
    #[serde(alias = "spr", alias = "cid")]
    id: String,
}

/// The one word that an answer consists of, be it text, a JSON string or a JSON object.
fn word(document: &[u8], path: &str) -> Result<String, ClientError> {
    let not_text = || ClientError::Text { path: path.to_owned() };
    let text = std::str::from_utf8(document).map_err(|_| not_text())?.trim();
    let bare = match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str::<Wrapped>(text).map(|wrapped| wrapped.id),
        Some(b'"') => serde_json::from_str::<String>(text),
        _ => Ok(text.to_owned()),
    }
    .map_err(|source| ClientError::Json { path: path.to_owned(), source })?;
    let is_word = !bare.is_empty()
        && bare.len() <= MAX_WORD_BYTES
        && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.+/=".contains(&byte));
    if is_word { Ok(bare) } else { Err(not_text()) }
}
