//! Whether the storage node does its work: puts fresh content, gets it back, has another node find it, deletes it again.
//!
//! It uses the REST API that Archivist, Codex and our own nodes share. What an API does not offer is `null` with the reason:
//! none of them tells when an announcement has reached the network, so that providing and finding are measured together, through
//! another node that the configuration names.

mod failures;

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use peermark_core::{FailureClass, Unit, in_words};
use peermark_node::client::{ClientError, ClientOptions, NodeClient, RequestBody, Upload};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Finding, Needs, Report, Retry, Running, Stop, Task};
use failures::{
    BROKE_OFF, FAILURES, LOST, NO_API, NOT_DELETED, NOT_FOUND_BY_OTHERS, QUOTA_FULL, REFUSED, SERVER_ERROR, TOO_SLOW,
    UNREACHABLE, WRONG_BYTES,
};

/// Longest call unless the run has more time than by default, and longest clean-up after a failure.
const CALL: Duration = Duration::from_secs(20);
const CLEAN_UP: Duration = Duration::from_secs(5);

/// Pause between two tries of another node to find the content: announcements take a while.
const FIND_PAUSE: Duration = Duration::from_millis(250);

/// Largest content.
const MAX_BYTES: u64 = 16 << 20;

/// The section `monitor.node_self_test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSelfTestConfig {
    /// Bytes that are put.
    pub bytes: u64,
    /// Base URL of another node of the same network that has to find the content; it is not looked for where absent.
    pub through: Option<String>,
    /// How long that node may take to find it, seconds.
    pub find_timeout_s: u32,
}

impl Default for NodeSelfTestConfig {
    fn default() -> Self {
        Self { bytes: 64 << 10, through: None, find_timeout_s: 20 }
    }
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeSelfTestResult {
    /// The API that was used, with its path.
    pub api: String,
    /// Bytes that were put.
    pub bytes: u64,
    /// The CID that the node gave them.
    pub cid: String,
    /// Upload, to the CID.
    pub put: Step,
    /// Download from the node's own store, to the last byte; every byte was compared.
    pub get: Step,
    /// The node's word that it has the content.
    pub exists: Step,
    /// Download by the node's network route, which may use its own store.
    pub get_network: Step,
    /// Announcement to the network.
    pub provide: Step,
    /// From the end of the upload until another node had found and sent all of it, announcement included.
    pub find: Step,
    /// Deletion, and the proof that it is gone.
    pub delete: Step,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// How long it took, ns; `null` where it was not done.
    pub ns: Option<u64>,
    /// Why it was not done.
    pub reason: Option<String>,
}

/// The task `node-self-test`.
#[derive(Clone, Debug)]
pub struct NodeSelfTest {
    about: About,
    config: NodeSelfTestConfig,
}

impl NodeSelfTest {
    /// The task with its settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot be used.
    pub fn new(config: NodeSelfTestConfig) -> Result<Self, ConfigError> {
        let wrong = |key: &str, reason: String| ConfigError { key: format!("node_self_test.{key}"), reason };
        if !(1..=MAX_BYTES).contains(&config.bytes) {
            return Err(wrong("bytes", format!("expected 1 to {MAX_BYTES}")));
        }
        if let Some(url) = &config.through {
            NodeClient::new(url, ClientOptions::default()).map_err(|error| wrong("through", error.to_string()))?;
        }
        if config.find_timeout_s > 600 {
            return Err(wrong("find_timeout_s", "expected at most 600".into()));
        }
        Ok(Self { about: about(&config), config })
    }
}

fn about(config: &NodeSelfTestConfig) -> About {
    let finding = if config.through.is_some() { config.find_timeout_s } else { 0 };
    About {
        name: "node-self-test".into(),
        description: "Puts content into the storage node, gets it back, has it found and deletes it.".into(),
        cron: "0 */30 * * * *".into(),
        jitter_s: 300,
        timeout: CALL * 3 + Duration::from_secs(finding.into()) + CLEAN_UP * 2,
        needs: Needs::default(),
        light: true,
        at_start: true,
        unit: Unit::Nanoseconds,
        value: "put and get".into(),
        better: Better::Lower,
        bytes: config.bytes * 4,
        cpu: Duration::from_millis(20),
        retry: Retry { attempts: 3, first: Duration::from_secs(10), longest: Duration::from_secs(60) },
        failures: FAILURES,
        schema: || schemars::schema_for!(NodeSelfTestResult).to_value(),
    }
}

impl Task for NodeSelfTest {
    fn about(&self) -> &About {
        &self.about
    }

    fn needs_node(&self) -> bool {
        true
    }

    fn run(&self, context: Context) -> Running {
        let run = Run { config: self.config.clone(), context };
        async move { run.all().await }.boxed()
    }
}

struct Run {
    config: NodeSelfTestConfig,
    context: Context,
}

impl Run {
    async fn all(&self) -> Result<Report, Stop> {
        let Some(url) = &self.context.node.api else {
            return Err(Stop::Skipped("no storage node is known: set monitor.node_api".into()));
        };
        let token = self.context.node.token.as_ref().map(|token| &*token.0);
        // A third of the time, which is more where `monitor.task.node-self-test.timeout_s` gives more.
        let call = CALL.max(self.left().saturating_sub(CLEAN_UP * 2) / 3);
        let options = ClientOptions { connect_timeout: CLEAN_UP, timeout: call, max_connections: 2 };
        let client = NodeClient::connect_with(url, options, token)
            .await
            .map_err(|error| Stop::Failed(explain("connect", &error)))?;
        let mut content = vec![0; usize::try_from(self.config.bytes).unwrap_or(0)];
        self.context.seed.stream("node-self-test/content").fill_bytes(&mut content);
        let content = Bytes::from(content);
        let upload = Upload::new(RequestBody::bytes(content.clone()));
        let (put_ns, cid) = self.timed(client.upload(upload)).await;
        let cid = cid.map_err(|error| Stop::Failed(explain("put", &error)))?;
        let left = self.left().saturating_sub(CLEAN_UP);
        // Found out before the task's own deadline, after which nothing could be deleted any more.
        let tested = tokio::time::timeout(left, self.with_content(&client, &cid, &content, put_ns)).await;
        let tested = tested.unwrap_or_else(|_| Err(TOO_SLOW.with(format!("not all steps ended within {left:?}"))));
        if tested.is_err() {
            // Best effort: what failed is told, not that its rest could not be deleted either.
            let _ = tokio::time::timeout(CLEAN_UP, client.delete(&cid)).await;
        }
        tested.map_err(Stop::Failed)
    }

    fn left(&self) -> Duration {
        Duration::from_nanos(self.context.deadline_ns.saturating_sub(self.context.clock.now_ns()))
    }

    async fn with_content(
        &self,
        client: &NodeClient,
        cid: &str,
        content: &Bytes,
        put_ns: u64,
    ) -> Result<Report, Finding> {
        let stored_ns = self.context.clock.now_ns();
        let (get_ns, got) = self.timed(fetch(client, cid, content, Route::Local)).await;
        got.map_err(|error| error.explain("get"))?;
        let exists = match self.timed(client.exists(cid)).await {
            (ns, Ok(true)) => done(ns),
            (_, Ok(false)) => return Err(LOST.with("exists: the node says that it has not what it just returned")),
            (
                _,
                Err(ClientError::Status { code: 404 | 405, .. } | ClientError::Text { .. } | ClientError::Json { .. }),
            ) => not_done("the node's API has no such call"),
            (_, Err(error)) => return Err(explain("exists", &error)),
        };
        let (network_ns, got) = self.timed(fetch(client, cid, content, Route::Network)).await;
        got.map_err(|error| error.explain("get over the network route"))?;
        let mut findings = Vec::new();
        let find = self.found_by_another(cid, content, stored_ns, &mut findings).await;
        let delete = self.deleted(client, cid, content, &mut findings).await?;
        let api = format!("{}{}", client.endpoint(), client.base_path());
        let provide = not_done("no call of the API says when an announcement is out: the time is part of find");
        let result = NodeSelfTestResult {
            api,
            bytes: content.len() as u64,
            cid: cid.to_owned(),
            put: done(put_ns),
            get: done(get_ns),
            exists,
            get_network: done(network_ns),
            provide,
            find,
            delete,
        };
        let moved = if result.find.ns.is_some() { 4 } else { 3 };
        Ok(Report {
            value: i64::try_from(put_ns.saturating_add(get_ns)).unwrap_or(i64::MAX),
            result: serde_json::to_value(&result).unwrap_or_default(),
            findings,
            bytes: content.len() as u64 * moved,
            cpu: Duration::ZERO,
        })
    }

    async fn found_by_another(&self, cid: &str, content: &Bytes, since_ns: u64, findings: &mut Vec<Finding>) -> Step {
        let Some(url) = &self.config.through else {
            return not_done("no other node is configured: set monitor.node_self_test.through");
        };
        let patience = Duration::from_secs(self.config.find_timeout_s.into());
        let options = ClientOptions { connect_timeout: CLEAN_UP, timeout: patience, max_connections: 2 };
        let other = match NodeClient::connect(url, options).await {
            Ok(other) => other,
            // Its own trouble says nothing of this node.
            Err(error) => return not_done(format!("{url}: {}", in_words(&error))),
        };
        let mut last = String::new();
        let looked = tokio::time::timeout(patience, async {
            loop {
                match fetch(&other, cid, content, Route::Network).await {
                    Ok(()) => return,
                    Err(Fetch::Client(error)) => last = in_words(&error),
                    Err(Fetch::Wrong) => last = "other bytes came".into(),
                }
                tokio::time::sleep(FIND_PAUSE).await;
            }
        });
        let found = looked.await;
        let ns = self.context.clock.now_ns().saturating_sub(since_ns);
        // Whatever it fetched is a copy that nobody wants.
        let _ = tokio::time::timeout(CLEAN_UP, other.delete(cid)).await;
        if found.is_ok() {
            return done(ns);
        }
        let why = format!("{url} did not find it within {patience:?}: {last}");
        findings.push(NOT_FOUND_BY_OTHERS.with(why.clone()));
        not_done(why)
    }

    async fn deleted(
        &self,
        client: &NodeClient,
        cid: &str,
        content: &Bytes,
        findings: &mut Vec<Finding>,
    ) -> Result<Step, Finding> {
        let (ns, deleted) = self.timed(client.delete(cid)).await;
        match deleted {
            Ok(()) => {}
            Err(ClientError::Status { code: 405 | 501, .. }) => return Ok(not_done("the node's API has no such call")),
            Err(error) => return Err(explain("delete", &error)),
        }
        if fetch(client, cid, content, Route::Local).await.is_ok() {
            findings.push(NOT_DELETED.with(format!("{cid} was deleted and is still served")));
        }
        Ok(done(ns))
    }

    async fn timed<T>(&self, work: impl Future<Output = T>) -> (u64, T) {
        let started_ns = self.context.clock.now_ns();
        let done = work.await;
        (self.context.clock.now_ns().saturating_sub(started_ns), done)
    }
}

#[derive(Clone, Copy)]
enum Route {
    Local,
    Network,
}

enum Fetch {
    Client(ClientError),
    Wrong,
}

impl Fetch {
    fn explain(&self, step: &str) -> Finding {
        match self {
            Self::Client(error) => explain(step, error),
            Self::Wrong => WRONG_BYTES.with(format!("{step}: the bytes differ from those that were put")),
        }
    }
}

/// Fetches and compares while the bytes come.
async fn fetch(client: &NodeClient, cid: &str, content: &Bytes, route: Route) -> Result<(), Fetch> {
    let mut left: &[u8] = content;
    let mut sink = |chunk: &[u8]| match left.strip_prefix(chunk) {
        Some(rest) => {
            left = rest;
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    };
    let fetched = match route {
        Route::Local => client.fetch_local(cid, &mut sink).await,
        Route::Network => client.fetch_network(cid, &mut sink).await,
    };
    match fetched {
        Ok(_) if left.is_empty() => Ok(()),
        Ok(_) | Err(ClientError::Stopped { .. }) => Err(Fetch::Wrong),
        Err(error) => Err(Fetch::Client(error)),
    }
}

fn done(ns: u64) -> Step {
    Step { ns: Some(ns), reason: None }
}

fn not_done(reason: impl Into<String>) -> Step {
    Step { ns: None, reason: Some(reason.into()) }
}

fn explain(step: &str, error: &ClientError) -> Finding {
    let failure: &'static Failure = match error.failure().0 {
        FailureClass::ConnectFailed => &UNREACHABLE,
        FailureClass::Timeout => &TOO_SLOW,
        FailureClass::QuotaFull => &QUOTA_FULL,
        FailureClass::NotFound => &LOST,
        FailureClass::ServerError => &SERVER_ERROR,
        FailureClass::ConnectionReset | FailureClass::Truncated => &BROKE_OFF,
        FailureClass::Protocol | FailureClass::NotSent => &NO_API,
        _ => &REFUSED,
    };
    failure.with(format!("{step}: {}", in_words(error)))
}
