//! Asks a monitor, from here or from elsewhere, over its REST interface.

use bytes::Bytes;
use http::Method;
use peermark_node::client::{Service, ServiceClient};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::desk::{HistoryDocument, Pause, RunTicket, ScheduleDocument, StatusDocument, TaskResult};

pub use peermark_node::client::{Access, ServiceError};

/// Where the interface begins.
pub const BASE: &str = "/api/v1/monitor";

/// How errors name it, where it is, and what it reads.
const SERVICE: Service = Service { what: "monitor", base: BASE, content_type: "application/json" };

/// Longest document that is read. Monitors cut their pages of history long before and say so: `truncated`.
const MAX_DOCUMENT: usize = 32 << 20;

/// Longest answer to [`MonitorClient::get`] and [`MonitorClient::post`], which tasks use: monitors of others are not trusted with more.
const MAX_ANSWER: usize = 256 << 10;

/// A client of one monitor: one connection, kept alive. Clones share it.
#[derive(Clone, Debug)]
pub struct MonitorClient {
    service: ServiceClient,
}

impl MonitorClient {
    /// A client, without any I/O.
    ///
    /// # Errors
    /// [`ServiceError::TokenInTheClear`] for a token over plain HTTP to anywhere but this machine, unless that is allowed;
    /// [`ServiceError::Token`]; [`ServiceError::Call`] for a URL that cannot be used.
    pub fn new(access: &Access) -> Result<Self, ServiceError> {
        Ok(Self { service: ServiceClient::new(SERVICE, access)? })
    }

    /// Which monitor, as a URL.
    pub fn url(&self) -> String {
        self.service.endpoint().to_string()
    }

    /// Host name or address of the monitor, IPv6 without brackets.
    pub fn host(&self) -> &str {
        self.service.endpoint().host()
    }

    /// How every task is doing.
    ///
    /// # Errors
    /// Any [`ServiceError`], as all that follow.
    pub async fn status(&self) -> Result<StatusDocument, ServiceError> {
        self.fetch("/status").await
    }

    /// When tasks run.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn schedule(&self) -> Result<ScheduleDocument, ServiceError> {
        self.fetch("/schedule").await
    }

    /// The latest success of a task.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn result(&self, name: &str) -> Result<TaskResult, ServiceError> {
        self.fetch(&format!("/results/{}", segment(name))).await
    }

    /// The latest success of every task that has one.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn results(&self) -> Result<Vec<TaskResult>, ServiceError> {
        self.fetch("/results").await
    }

    /// Attempts of a task that ended at or after `since_ms` (Unix), at most `limit`.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn history(&self, name: &str, since_ms: u64, limit: u32) -> Result<HistoryDocument, ServiceError> {
        self.fetch(&format!("/history/{}?since_ms={since_ms}&limit={limit}", segment(name))).await
    }

    /// Runs a task soon.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn run_now(&self, name: &str) -> Result<RunTicket, ServiceError> {
        self.ask(Method::POST, &format!("/run/{}", segment(name)), Bytes::new(), MAX_DOCUMENT).await
    }

    /// Holds scheduled runs back.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn pause(&self, for_s: u64, reason: &str) -> Result<Pause, ServiceError> {
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
    /// Any [`ServiceError`].
    pub async fn resume(&self) -> Result<(), ServiceError> {
        self.delete("/pause").await
    }

    /// The document at `below` the monitor's API, at most 256 KiB.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn get<T: DeserializeOwned>(&self, below: &str) -> Result<T, ServiceError> {
        self.ask(Method::GET, below, Bytes::new(), MAX_ANSWER).await
    }

    /// Sends a document to `below` the monitor's API and reads the answer, at most 256 KiB.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn post<T: DeserializeOwned>(&self, below: &str, body: &impl Serialize) -> Result<T, ServiceError> {
        let body = serde_json::to_vec(body).map_err(|source| self.service.misread(below, source))?;
        self.ask(Method::POST, below, body.into(), MAX_ANSWER).await
    }

    /// Deletes what is at `below` the monitor's API.
    ///
    /// # Errors
    /// Any [`ServiceError`].
    pub async fn delete(&self, below: &str) -> Result<(), ServiceError> {
        self.service.send(Method::DELETE, below, Bytes::new(), MAX_ANSWER).await.map(drop)
    }

    async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, ServiceError> {
        self.ask(Method::GET, path, Bytes::new(), MAX_DOCUMENT).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        max_answer_bytes: usize,
    ) -> Result<T, ServiceError> {
        self.service.ask(method, path, body, max_answer_bytes).await
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

    #[test]
    fn names_cannot_leave_their_segment() {
        assert_eq!(segment("cpu-benchmark"), "cpu-benchmark");
        assert_eq!(segment("../run/x?y#z é"), "..%2Frun%2Fx%3Fy%23z%20%C3%A9");
    }
}
