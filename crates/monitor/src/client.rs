//! Asks a monitor, from here or from elsewhere, over its REST interface.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use peermark_core::FailureClass;
use peermark_node::client::{Answer, Call, ClientError, ClientOptions, NodeClient, Trust, TrustError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::desk::{HistoryDocument, Pause, RunTicket, ScheduleDocument, StatusDocument, TaskResult};
use crate::tasks::chain_of;

/// Where the interface begins.
pub const BASE: &str = "/api/v1/monitor";

/// Longest document that is read. Monitors cut their pages of history long before and say so: `truncated`.
const MAX_DOCUMENT: usize = 32 << 20;

/// Longest answer to [`MonitorClient::get`] and [`MonitorClient::post`], which tasks use: monitors of others are not trusted with more.
const MAX_ANSWER: usize = 256 << 10;

/// Longest token that is read from a file.
const MAX_TOKEN_BYTES: usize = 4096;

/// Longest text of a refusal that is handed on.
const MAX_REFUSAL_CHARS: usize = 300;

/// A monitor to talk to, and by what right.
#[derive(Clone)]
pub struct Access {
    /// `http://host:port` or `https://host:port`; without a scheme it is `http`.
    pub url: String,
    /// Bearer token, where the monitor wants one.
    pub token: Option<Arc<str>>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Whether a token may be sent to another machine where everybody on the way can read it.
    pub insecure: bool,
    /// Longest time for a whole question.
    pub timeout: Duration,
}

impl Access {
    /// To a monitor that asks for nothing: on this machine, in a lab.
    pub fn anonymous(url: impl Into<String>, timeout: Duration) -> Self {
        Self { url: url.into(), token: None, trust: Trust::default(), insecure: false, timeout }
    }

    /// With the token in one file and the authorities (PEM) in another, each where one is named: how tasks reach the monitors of
    /// other nodes. A token is not sent in the clear.
    ///
    /// # Errors
    /// [`MonitorClientError::TokenFile`], [`MonitorClientError::Trust`].
    pub async fn from_files(
        url: &str,
        token_file: Option<&Path>,
        ca: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, MonitorClientError> {
        let (token, ca) = (token_file.map(Path::to_owned), ca.map(Path::to_owned));
        // Files of a file system that hangs must not hold up the runtime.
        let read = tokio::task::spawn_blocking(move || {
            let token = token.as_deref().map(token_in).transpose()?;
            let trust = ca.as_deref().map_or(Ok(Trust::system()), Trust::pem_file)?;
            Ok::<_, MonitorClientError>((token, trust))
        });
        let broken = |error: tokio::task::JoinError| MonitorClientError::TokenFile {
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

fn token_in(path: &Path) -> Result<Arc<str>, MonitorClientError> {
    let failed = |reason: String| MonitorClientError::TokenFile { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let token = text.trim();
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return Err(failed("holds no token".into()));
    }
    Ok(token.into())
}

/// Why a monitor cannot be asked, or did not answer.
#[derive(Debug, Error)]
pub enum MonitorClientError {
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
    #[error("cannot ask the monitor at {url}")]
    Call {
        /// Which monitor.
        url: String,
        /// Why.
        source: ClientError,
    },
    /// It refused, in its own words.
    #[error("the monitor says: {detail} (HTTP {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its machine-readable reason: `unknown_task`, `result_not_found`; empty where it gave none.
        code: String,
        /// What it said, shortened.
        detail: String,
    },
    /// Its answer is not the document that the interface defines.
    #[error("the answer of {url}{path} is not the document of a monitor")]
    Document {
        /// Which monitor.
        url: String,
        /// What was asked.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl MonitorClientError {
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
        chain_of(self)
    }
}

/// A client of one monitor: one connection, kept alive. Clones share it.
#[derive(Clone, Debug)]
pub struct MonitorClient {
    client: NodeClient,
    headers: HeaderMap,
    timeout: Duration,
}

impl MonitorClient {
    /// A client, without any I/O.
    ///
    /// # Errors
    /// [`MonitorClientError::TokenInTheClear`] for a token over plain HTTP to anywhere but this machine, unless that is allowed;
    /// [`MonitorClientError::Token`]; [`MonitorClientError::Call`] for a URL that cannot be used.
    pub fn new(access: &Access) -> Result<Self, MonitorClientError> {
        let options = ClientOptions { connect_timeout: access.timeout, timeout: access.timeout, max_connections: 1 };
        let client = NodeClient::trusting(&access.url, options, access.trust.clone())
            .map_err(|source| MonitorClientError::Call { url: access.url.clone(), source })?;
        let headers = authorisation(&client, access.token.as_deref(), access.insecure)?;
        Ok(Self { client, headers, timeout: access.timeout })
    }

    /// Which monitor, as a URL.
    pub fn url(&self) -> String {
        self.client.endpoint().to_string()
    }

    /// Host name or address of the monitor, IPv6 without brackets.
    pub fn host(&self) -> &str {
        self.client.endpoint().host()
    }

    /// How every task is doing.
    ///
    /// # Errors
    /// Any [`MonitorClientError`], as all that follow.
    pub async fn status(&self) -> Result<StatusDocument, MonitorClientError> {
        self.fetch("/status").await
    }

    /// When tasks run.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn schedule(&self) -> Result<ScheduleDocument, MonitorClientError> {
        self.fetch("/schedule").await
    }

    /// The latest success of a task.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn result(&self, name: &str) -> Result<TaskResult, MonitorClientError> {
        self.fetch(&format!("/results/{}", segment(name))).await
    }

    /// The latest success of every task that has one.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn results(&self) -> Result<Vec<TaskResult>, MonitorClientError> {
        self.fetch("/results").await
    }

    /// Attempts of a task that ended at or after `since_ms` (Unix), at most `limit`.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn history(&self, name: &str, since_ms: u64, limit: u32) -> Result<HistoryDocument, MonitorClientError> {
        self.fetch(&format!("/history/{}?since_ms={since_ms}&limit={limit}", segment(name))).await
    }

    /// Runs a task soon.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn run_now(&self, name: &str) -> Result<RunTicket, MonitorClientError> {
        self.ask(Method::POST, &format!("/run/{}", segment(name)), Bytes::new(), MAX_DOCUMENT).await
    }

    /// Holds scheduled runs back.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn pause(&self, for_s: u64, reason: &str) -> Result<Pause, MonitorClientError> {
        #[derive(Serialize)]
        struct Body<'a> {
            for_s: u64,
            reason: &'a str,
        }
        let body = serde_json::to_vec(&Body { for_s, reason }).unwrap_or_default();
        self.ask(Method::POST, "/pause", body.into(), MAX_DOCUMENT).await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn resume(&self) -> Result<(), MonitorClientError> {
        self.delete("/pause").await
    }

    /// The document at `below` the monitor's API, at most 256 KiB.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn get<T: DeserializeOwned>(&self, below: &str) -> Result<T, MonitorClientError> {
        self.ask(Method::GET, below, Bytes::new(), MAX_ANSWER).await
    }

    /// Sends a document to `below` the monitor's API and reads the answer, at most 256 KiB.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn post<T: DeserializeOwned>(&self, below: &str, body: &impl Serialize) -> Result<T, MonitorClientError> {
        let unfit = |source| MonitorClientError::Document { url: self.url(), path: format!("{BASE}{below}"), source };
        let body = serde_json::to_vec(body).map_err(unfit)?;
        self.ask(Method::POST, below, body.into(), MAX_ANSWER).await
    }

    /// Deletes what is at `below` the monitor's API.
    ///
    /// # Errors
    /// Any [`MonitorClientError`].
    pub async fn delete(&self, below: &str) -> Result<(), MonitorClientError> {
        self.send(Method::DELETE, below, Bytes::new(), MAX_ANSWER).await.map(drop)
    }

    async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, MonitorClientError> {
        self.ask(Method::GET, path, Bytes::new(), MAX_DOCUMENT).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        max_answer_bytes: usize,
    ) -> Result<T, MonitorClientError> {
        let answer = self.send(method, path, body, max_answer_bytes).await?;
        serde_json::from_slice(&answer.body).map_err(|source| MonitorClientError::Document {
            url: self.url(),
            path: format!("{BASE}{path}"),
            source,
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        max_answer_bytes: usize,
    ) -> Result<Answer, MonitorClientError> {
        let mut headers = self.headers.clone();
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let path = format!("{BASE}{path}");
        let call = Call { method, path: &path, headers, body, max_answer_bytes, timeout: self.timeout };
        let answer = self.client.call(call).await;
        let answer = answer.map_err(|source| MonitorClientError::Call { url: self.url(), source })?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(refusal(&answer)) }
    }
}

/// The header that carries a token to the server of `client`.
///
/// # Errors
/// [`MonitorClientError::TokenInTheClear`] unless `insecure`, [`MonitorClientError::Token`].
pub(crate) fn authorisation(
    client: &NodeClient,
    token: Option<&str>,
    insecure: bool,
) -> Result<HeaderMap, MonitorClientError> {
    let mut headers = HeaderMap::new();
    let Some(token) = token else { return Ok(headers) };
    let endpoint = client.endpoint();
    if !endpoint.is_encrypted() && !endpoint.is_loopback() && !insecure {
        return Err(MonitorClientError::TokenInTheClear { host: endpoint.host().to_owned() });
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_invalid| MonitorClientError::Token)?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// What a refusal says, whether it is a problem document or not.
fn refusal(answer: &Answer) -> MonitorClientError {
    let document: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let member = |name| document.as_ref().and_then(|document| Some(document.get(name)?.as_str()?.to_owned()));
    let status_text = || {
        let status = StatusCode::from_u16(answer.status).ok();
        status.and_then(|status| status.canonical_reason()).unwrap_or("no reason given").to_owned()
    };
    let detail = member("detail").or_else(|| member("title")).unwrap_or_else(status_text);
    MonitorClientError::Refused {
        status: answer.status,
        code: member("code").unwrap_or_default(),
        detail: detail.chars().filter(|c| !c.is_control()).take(MAX_REFUSAL_CHARS).collect(),
    }
}

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(url: &str, token: Option<&str>, insecure: bool) -> Result<MonitorClient, MonitorClientError> {
        MonitorClient::new(&Access {
            url: url.to_owned(),
            token: token.map(Arc::from),
            trust: Trust::system(),
            insecure,
            timeout: Duration::from_secs(1),
        })
    }

    #[test]
    fn a_token_does_not_leave_the_machine_in_the_clear() {
        for url in ["http://10.0.0.1:8090", "node.example:8090", "http://localhost.example", "http://[2001:db8::1]:1"] {
            let refused = access(url, Some("secret"), false).unwrap_err();
            assert!(matches!(refused, MonitorClientError::TokenInTheClear { .. }), "{url}: {refused:?}");
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
        assert!(matches!(access("localhost:1", Some("a\nb"), false), Err(MonitorClientError::Token)));
        assert!(!format!("{:?}", access("localhost:1", Some("secret"), false).unwrap()).contains("secret"));
    }

    #[test]
    fn names_cannot_leave_their_segment() {
        assert_eq!(segment("cpu-benchmark"), "cpu-benchmark");
        assert_eq!(segment("../run/x?y#z é"), "..%2Frun%2Fx%3Fy%23z%20%C3%A9");
    }

    #[tokio::test]
    async fn files_of_token_and_authorities_have_to_hold_some() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let wait = Duration::from_secs(1);
        let read = async |url| Access::from_files(url, Some(&path), None, wait).await;
        let missing = read("http://127.0.0.1:1").await.unwrap_err();
        assert_eq!((missing.class(), missing.told().contains("token")), (FailureClass::NotSent, true), "{missing}");
        std::fs::write(&path, " \n").unwrap();
        assert!(matches!(read("http://127.0.0.1:1").await, Err(MonitorClientError::TokenFile { .. })));
        std::fs::write(&path, "secret\n").unwrap();
        let client = MonitorClient::new(&read("http://127.0.0.1:1").await.unwrap()).unwrap();
        assert_eq!(client.headers[AUTHORIZATION], "Bearer secret");
        let clear = MonitorClient::new(&read("http://192.0.2.1:1").await.unwrap()).unwrap_err();
        assert_eq!(clear.class(), FailureClass::NotSent, "{clear}");
        let ca = Access::from_files("https://192.0.2.1", None, Some(&path), wait).await.unwrap_err();
        assert!(matches!(ca, MonitorClientError::Trust(_)) && ca.class() == FailureClass::NotSent, "{ca}");
    }
}
