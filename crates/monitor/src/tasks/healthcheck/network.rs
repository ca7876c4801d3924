//! The services: one instance of each has to answer.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, Method};
use peermark_core::in_words;
use peermark_node::client::{Call, ClientError, ClientOptions, NodeClient, Trust};
use tokio::net::TcpStream;

use super::{HealthcheckConfig, SERVICE_ERROR, UNREACHABLE};
use crate::task::{Failure, Finding};

/// Longest page that is read; what is longer proves as well that somebody answers.
const MAX_PAGE_BYTES: usize = 64 << 10;

/// Longest text about one instance.
const MAX_TEXT_CHARS: usize = 300;

/// Longest line about one service: that of all of them is below what a result may be.
const MAX_LINE_CHARS: usize = 500;

/// A service of which no instance answered.
pub(super) struct Problem {
    pub(super) service: String,
    pub(super) finding: Finding,
}

/// Services that do not answer, in the order of their names. Services are asked at once, instances one after the other.
pub(super) async fn problems(config: &HealthcheckConfig, trust: &Trust) -> Vec<Problem> {
    let within = Duration::from_millis(u64::from(config.timeout_ms));
    let asked = config.services.iter().map(async |(service, instances)| {
        let finding = ask(service, instances, trust, within).await.err()?;
        Some(Problem { service: service.clone(), finding })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether a line of a result is about `service`.
pub(super) fn is_about(line: &str, service: &str) -> bool {
    line.strip_prefix("all ")
        .and_then(|line| line.strip_prefix(service))
        .is_some_and(|line| line.starts_with(" instances"))
        || line == none_of(service)
}

fn none_of(service: &str) -> String {
    format!("no instances provided for service {service}")
}

async fn ask(service: &str, instances: &[String], trust: &Trust, within: Duration) -> Result<(), Finding> {
    if instances.is_empty() {
        return Err(UNREACHABLE.with(none_of(service)));
    }
    let mut texts = Vec::new();
    let mut reached = false;
    for url in instances {
        match instance(url, trust, within).await {
            Ok(()) => return Ok(()),
            Err((failure, text)) => {
                reached |= failure.code == SERVICE_ERROR.code;
                texts.push(text.chars().take(MAX_TEXT_CHARS).collect::<String>());
            }
        }
    }
    let failure = if reached { &SERVICE_ERROR } else { &UNREACHABLE };
    let line = format!("all {service} instances are unreachable: {}", texts.join("; "));
    Err(failure.with(line.chars().take(MAX_LINE_CHARS).collect::<String>()))
}

/// What is wrong with the URL of an instance.
pub(super) fn check(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").ok_or("missing scheme in URL")?;
    if rest.is_empty() || rest.starts_with(['/', ':', '?']) {
        return Err("missing hostname in URL".into());
    }
    match scheme {
        "http" | "https" => {
            let (host, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
            NodeClient::new(&format!("{scheme}://{host}"), ClientOptions::default())
                .map_err(|error| in_words(&error))?;
            let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
            path.parse::<http::uri::PathAndQuery>().map(drop).map_err(|error| error.to_string())
        }
        "tcp" => {
            let port = rest.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            port.map(drop).ok_or_else(|| "missing port in URL".into())
        }
        _ => Err("only http, https and tcp are spoken".into()),
    }
}

async fn instance(url: &str, trust: &Trust, within: Duration) -> Result<(), (&'static Failure, String)> {
    let unusable = |reason: &str| (&UNREACHABLE, format!("invalid URL {url}: {reason}"));
    let Some((scheme, rest)) = url.split_once("://") else { return Err(unusable("missing scheme in URL")) };
    if rest.is_empty() || rest.starts_with(['/', ':']) {
        return Err(unusable("missing hostname in URL"));
    }
    match scheme {
        "http" | "https" => over_http(url, scheme, rest, trust, within).await,
        "tcp" => over_tcp(url, rest.trim_end_matches('/'), within).await,
        _ => Err(unusable("only http, https and tcp are spoken")),
    }
}

async fn over_tcp(url: &str, address: &str, within: Duration) -> Result<(), (&'static Failure, String)> {
    let failed = |text: String| (&UNREACHABLE, format!("{url} is not reachable: failed to connect: {text}"));
    match tokio::time::timeout(within, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.kind() == ErrorKind::InvalidInput => {
            Err((&UNREACHABLE, format!("invalid URL {url}: missing port in URL")))
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {within:?}"))),
    }
}

async fn over_http(
    url: &str,
    scheme: &str,
    rest: &str,
    trust: &Trust,
    within: Duration,
) -> Result<(), (&'static Failure, String)> {
    let (host, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let options = ClientOptions { connect_timeout: within, timeout: within, max_connections: 1 };
    let invalid = |error: &ClientError| (&UNREACHABLE, format!("invalid URL {url}: {}", in_words(error)));
    let client =
        NodeClient::trusting(&format!("{scheme}://{host}"), options, trust.clone()).map_err(|error| invalid(&error))?;
    let call = Call {
        method: Method::GET,
        path: &path,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        max_answer_bytes: MAX_PAGE_BYTES,
        timeout: within,
    };
    match client.call(call).await {
        Ok(answer) if answer.status < 500 => Ok(()),
        Ok(answer) => Err((&SERVICE_ERROR, format!("{url} is not reachable: HTTP status {}", answer.status))),
        // The head of an answer was good enough to be read on.
        Err(ClientError::BodyTooLarge { .. }) => Ok(()),
        Err(error @ (ClientError::InvalidUrl { .. } | ClientError::Request { .. })) => Err(invalid(&error)),
        Err(error @ (ClientError::Resolve { .. } | ClientError::Connect { .. } | ClientError::Timeout { .. })) => {
            Err((&UNREACHABLE, format!("{url} is not reachable: failed to connect: {}", in_words(&error))))
        }
        Err(error) => Err((&SERVICE_ERROR, format!("{url} is not reachable: {}", in_words(&error)))),
    }
}
