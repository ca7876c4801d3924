//! A server of ours beside a node's own API (a monitor, a ledger): by what right it is asked, and what its answers mean.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use peermark_core::{FailureClass, in_words};
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{Answer, Call, ClientError, ClientOptions, Endpoint, NodeClient, Trust, TrustError};

/// Longest token that is read from a file.
const MAX_TOKEN_BYTES: usize = 4096;

/// Longest text of a refusal that is handed on.
const MAX_REFUSAL_CHARS: usize = 300;

/// A server to talk to, and by what right.
#[derive(Clone)]
pub struct Access {
    /// `http://host:port` or `https://host:port`; without a scheme it is `http`.
    pub url: String,
    /// Bearer token, where the server wants one.
    pub token: Option<Arc<str>>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Whether a token may be sent to another machine where everybody on the way can read it.
    pub insecure: bool,
    /// Longest time for a whole question.
    pub timeout: Duration,
}

impl Access {
    /// To a server that asks for nothing: on this machine, in a lab.
    pub fn anonymous(url: impl Into<String>, timeout: Duration) -> Self {
        Self { url: url.into(), token: None, trust: Trust::default(), insecure: false, timeout }
    }

    /// With the token in one file and the authorities (PEM) in another, each where one is named: how tasks reach the servers of
    /// other nodes. A token is not sent in the clear.
    ///
    /// # Errors
    /// [`ServiceError::TokenFile`], [`ServiceError::Trust`].
    pub async fn from_files(
        url: &str,
        token_file: Option<&Path>,
        ca: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, ServiceError> {
        let (token, ca) = (token_file.map(Path::to_owned), ca.map(Path::to_owned));
        // Files of a file system that hangs must not hold up the runtime.
        let read = tokio::task::spawn_blocking(move || {
            let token = token.as_deref().map(token_in).transpose()?;
            let trust = ca.as_deref().map_or(Ok(Trust::system()), Trust::pem_file)?;
            Ok::<_, ServiceError>((token, trust))
        });
        let broken = |error: tokio::task::JoinError| ServiceError::TokenFile {
            path: url.to_owned(),
            reason: format!("its files were not read: {error}"),
        };
        let (token, trust) = read.await.map_err(broken)??;
        Ok(Self { url: url.to_owned(), token, trust, insecure: false, timeout })
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token stays out of logs.
        let token = self.token.as_ref().map(|_| "...");
        f.debug_struct("Access").field("url", &self.url).field("token", &token).finish_non_exhaustive()
    }
}

fn token_in(path: &Path) -> Result<Arc<str>, ServiceError> {
    let failed = |reason: String| ServiceError::TokenFile { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let token = text.trim();
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return Err(failed("holds no token".into()));
    }
    Ok(token.into())
}

/// Why a server of ours cannot be asked, or did not answer.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The token would be readable on the way.
    #[error("the token for {host} would travel unencrypted: use https://, or allow it with --insecure")]
    TokenInTheClear {
        /// To which host.
        host: String,
    },
    /// The token holds characters that no header may.
    #[error("the token is no single line of printable text")]
    Token,
    /// The file of the token cannot be used.
    #[error("token file {path}: {reason}")]
    TokenFile {
        /// Where it was looked for.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of authorities cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The call failed.
    #[error("cannot ask the {what} at {url}")]
    Call {
        /// What is asked: `monitor`, `ledger`.
        what: &'static str,
        /// Which one.
        url: String,
        /// Why.
        source: ClientError,
    },
    /// It refused, in its own words.
    #[error("the {what} says: {detail} (HTTP {status})")]
    Refused {
        /// What is asked.
        what: &'static str,
        /// HTTP status.
        status: u16,
        /// Its machine-readable reason: `unknown_task`, `result_not_found`; empty where it gave none.
        code: String,
        /// What it said, shortened.
        detail: String,
    },
    /// Its answer is not the document that the interface defines.
    #[error("the answer of {url}{path} is not the document of a {what}")]
    Document {
        /// What is asked.
        what: &'static str,
        /// Which one.
        url: String,
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ServiceError {
    /// In the words that all jobs share. Busy is 409 and 429.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Call { source, .. } => source.failure().0,
            Self::Refused { status: 409 | 429, .. } => FailureClass::Busy,
            Self::Refused { status: 500.., .. } => FailureClass::ServerError,
            Self::Refused { .. } => FailureClass::Rejected,
            Self::Document { .. } => FailureClass::Protocol,
            Self::TokenInTheClear { .. } | Self::Token | Self::TokenFile { .. } | Self::Trust(_) => {
                FailureClass::NotSent
            }
        }
    }

    /// The error with its sources, in one line for people.
    pub fn told(&self) -> String {
        in_words(self)
    }
}

/// What kind of server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// What errors call it: `monitor`, `ledger`.
    pub what: &'static str,
    /// Where its interface begins.
    pub base: &'static str,
    /// What it reads.
    pub content_type: &'static str,
}

/// A client of one server of ours: few connections, kept alive. Clones share them.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    service: Service,
    client: NodeClient,
    headers: HeaderMap,
    timeout: Duration,
}

impl ServiceClient {
    /// A client, without any I/O.
    ///
    /// # Errors
    /// [`ServiceError::TokenInTheClear`] for a token over plain HTTP to anywhere but this machine, unless that is allowed;
    /// [`ServiceError::Token`]; [`ServiceError::Call`] for a URL that cannot be used.
    pub fn new(service: Service, access: &Access) -> Result<Self, ServiceError> {
        let options = ClientOptions { connect_timeout: access.timeout, timeout: access.timeout, max_connections: 2 };
        let client = NodeClient::trusting(&access.url, options, access.trust.clone())
            .map_err(|source| ServiceError::Call { what: service.what, url: access.url.clone(), source })?;
        let headers = authorisation(&client, access.token.as_deref(), access.insecure)?;
        Ok(Self { service, client, headers, timeout: access.timeout })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        self.client.endpoint()
    }

    /// Asks, and reads the document that comes.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        max_answer_bytes: usize,
    ) -> Result<T, ServiceError> {
        let answer = self.send(method, path, body, max_answer_bytes).await?;
        serde_json::from_slice(&answer.body).map_err(|source| self.misread(path, source))
    }

    /// Asks.
    ///
    /// # Errors
    /// [`ServiceError::Call`], [`ServiceError::Refused`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        max_answer_bytes: usize,
    ) -> Result<Answer, ServiceError> {
        let mut headers = self.headers.clone();
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.service.content_type));
        }
        let path = format!("{}{path}", self.service.base);
        let call = Call { method, path: &path, headers, body, max_answer_bytes, timeout: self.timeout };
        let what = self.service.what;
        let failed = |source| ServiceError::Call { what, url: self.endpoint().to_string(), source };
        let answer = self.client.call(call).await.map_err(failed)?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(refusal(what, &answer)) }
    }

    /// What was said under a path is no document of this interface.
    pub fn misread(&self, path: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ServiceError {
        let (url, path) = (self.endpoint().to_string(), format!("{}{path}", self.service.base));
        ServiceError::Document { what: self.service.what, url, path, source: source.into() }
    }
}

/// The header that carries a token to the server of `client`.
///
/// # Errors
/// [`ServiceError::TokenInTheClear`] unless `insecure`, [`ServiceError::Token`].
pub fn authorisation(client: &NodeClient, token: Option<&str>, insecure: bool) -> Result<HeaderMap, ServiceError> {
    let mut headers = HeaderMap::new();
    let Some(token) = token else { return Ok(headers) };
    let endpoint = client.endpoint();
    if !endpoint.is_encrypted() && !endpoint.is_loopback() && !insecure {
        return Err(ServiceError::TokenInTheClear { host: endpoint.host().to_owned() });
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_invalid| ServiceError::Token)?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// What a refusal says, whether it is a problem document or not.
fn refusal(what: &'static str, answer: &Answer) -> ServiceError {
    let document: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let member = |name| document.as_ref().and_then(|document| Some(document.get(name)?.as_str()?.to_owned()));
    let status_text = || {
        let status = StatusCode::from_u16(answer.status).ok();
        status.and_then(|status| status.canonical_reason()).unwrap_or("no reason given").to_owned()
    };
    let detail = member("detail").or_else(|| member("title")).unwrap_or_else(status_text);
    ServiceError::Refused {
        what,
        status: answer.status,
        code: member("code").unwrap_or_default(),
        detail: detail.chars().filter(|c| !c.is_control()).take(MAX_REFUSAL_CHARS).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Service = Service { what: "monitor", base: "/api", content_type: "application/json" };

    fn access(url: &str, token: Option<&str>, insecure: bool) -> Result<ServiceClient, ServiceError> {
        let (token, timeout) = (token.map(Arc::from), Duration::from_secs(1));
        let access = Access { url: url.to_owned(), token, trust: Trust::system(), insecure, timeout };
        ServiceClient::new(SERVICE, &access)
    }

    #[test]
    fn a_token_does_not_leave_the_machine_in_the_clear() {
        for url in ["http://10.0.0.1:8090", "node.example:8090", "http://localhost.example", "http://[2001:db8::1]:1"] {
            let refused = access(url, Some("secret"), false).unwrap_err();
            assert!(matches!(refused, ServiceError::TokenInTheClear { .. }), "{url}: {refused:?}");
            assert!(!format!("{refused:?} {refused}").contains("secret"));
            access(url, Some("secret"), true).unwrap();
            access(url, None, false).unwrap();
        }
        for url in ["http://127.0.0.1:8090", "localhost:8090", "[::1]:8090", "https://10.0.0.1"] {
            access(url, Some("secret"), false).unwrap();
        }
    }

    #[test]
    fn a_token_is_one_line_and_never_shown() {
        assert!(matches!(access("localhost:1", Some("a\nb"), false), Err(ServiceError::Token)));
        assert!(!format!("{:?}", access("localhost:1", Some("secret"), false).unwrap()).contains("secret"));
    }

    #[tokio::test]
    async fn files_of_token_and_authorities_have_to_hold_some() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let wait = Duration::from_secs(1);
        let read = async |url| Access::from_files(url, Some(&path), None, wait).await;
        let client = |access: &Access| ServiceClient::new(SERVICE, access);
        let missing = read("http://127.0.0.1:1").await.unwrap_err();
        assert_eq!(
            (missing.class(), missing.to_string().contains("token")),
            (FailureClass::NotSent, true),
            "{missing}"
        );
        std::fs::write(&path, " \n").unwrap();
        assert!(matches!(read("http://127.0.0.1:1").await, Err(ServiceError::TokenFile { .. })));
        std::fs::write(&path, "secret\n").unwrap();
        let here = client(&read("http://127.0.0.1:1").await.unwrap()).unwrap();
        assert_eq!(here.headers[AUTHORIZATION], "Bearer secret");
        let clear = client(&read("http://192.0.2.1:1").await.unwrap()).unwrap_err();
        assert_eq!(clear.class(), FailureClass::NotSent, "{clear}");
        let ca = Access::from_files("https://192.0.2.1", None, Some(&path), wait).await.unwrap_err();
        assert!(matches!(ca, ServiceError::Trust(_)) && ca.class() == FailureClass::NotSent, "{ca}");
    }
}
