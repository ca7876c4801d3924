//! Tells receivers about alerts: one POST of a JSON document each. When to try again is decided elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use peermark_node::client::{Call, ClientOptions, NodeClient, ServiceError, authorisation, shown_url};

use super::alert::AlertNotice;
use super::config::{AlertRule, FleetConfigError, read_token, trust};

/// Longest time for one attempt.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest answer that is read; nothing in it matters.
const MAX_ANSWER: usize = 64 << 10;

/// Repeats the notice's id, for receivers that look there.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The receivers, by rule.
#[derive(Debug, Default)]
pub struct Webhooks {
    by_rule: BTreeMap<String, Webhook>,
}

#[derive(Debug)]
struct Webhook {
    client: NodeClient,
    path: String,
    headers: HeaderMap,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The rule names no receiver.
    Nobody,
    /// The receiver took it.
    Delivered,
    /// The receiver does not want it, and would say the same again.
    Refused,
    /// The receiver could not be asked, or says that it cannot take anything now.
    Again,
}

impl Webhooks {
    /// The receivers of these rules. Reads the files that are named; no other I/O.
    ///
    /// # Errors
    /// [`FleetConfigError`] naming the rule.
    pub fn new(rules: &[AlertRule], insecure: bool) -> Result<Self, FleetConfigError> {
        let mut by_rule = BTreeMap::new();
        for rule in rules {
            let Some(url) = &rule.webhook else { continue };
            let key = || format!("alert {:?}", rule.name);
            let refused = |source| FleetConfigError::Access { key: key(), source };
            let options = ClientOptions { connect_timeout: TIMEOUT, timeout: TIMEOUT, max_connections: 2 };
            let (server, path) = split(url);
            let Ok(path) = path.parse::<PathAndQuery>() else {
                let reason = "webhook: its path or query can stand in no URL".to_owned();
                return Err(FleetConfigError::Value { key: key(), reason });
            };
            let client = NodeClient::trusting(server, options, trust(rule.ca.as_deref(), key)?)
                .map_err(|source| refused(ServiceError::Call { what: "receiver", url: shown_url(url), source }))?;
            let token = rule.token_file.as_deref().map(read_token).transpose()?;
            let mut headers = authorisation(&client, token.as_deref(), insecure).map_err(refused)?;
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let path = path.as_str().to_owned();
            by_rule.insert(rule.name.clone(), Webhook { client, path, headers });
        }
        Ok(Self { by_rule })
    }

    /// Sends a notice once. Ends within 5 s, whatever the receiver does.
    pub async fn deliver(&self, notice: &AlertNotice) -> Delivery {
        match self.by_rule.get(&notice.raised.alert) {
            Some(webhook) => webhook.post(notice).await,
            None => Delivery::Nobody,
        }
    }
}

/// Server, and path with query, which is often what a receiver knows its senders by.
fn split(url: &str) -> (&str, String) {
    let url = url.split('#').next().unwrap_or_default();
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find(['/', '?']).map_or(url.len(), |at| host + at);
    let path = &url[end..];
    (&url[..end], if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

impl Webhook {
    async fn post(&self, notice: &AlertNotice) -> Delivery {
        let body = serde_json::to_vec(notice).unwrap_or_default();
        let mut headers = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(&notice.id) {
            headers.insert(IDEMPOTENCY_KEY, id);
        }
        let call = Call {
            method: Method::POST,
            path: &self.path,
            headers,
            body: Bytes::from(body),
            max_answer_bytes: MAX_ANSWER,
            timeout: TIMEOUT,
        };
        match self.client.call(call).await {
            Ok(answer) if (200..300).contains(&answer.status) => Delivery::Delivered,
            Ok(answer) if matches!(answer.status, 408 | 429 | 500..=599) => Delivery::Again,
            Ok(answer) => {
                tracing::warn!(status = answer.status, "the receiver refuses alerts");
                Delivery::Refused
            }
            Err(error) => {
                tracing::debug!(%error, "an attempt to deliver an alert failed");
                Delivery::Again
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(url: &str) -> AlertRule {
        AlertRule { webhook: Some(url.to_owned()), ..toml::from_str("name = \"r\"\nsilent = true").unwrap() }
    }

    #[test]
    fn the_path_of_a_receiver_stays_as_it_was_written() {
        for (url, server, path) in [
            ("https://a.example", "https://a.example", "/"),
            ("https://a.example:1/hooks/x/?key=a/b#top", "https://a.example:1", "/hooks/x/?key=a/b"),
            ("a.example?key=b", "a.example", "/?key=b"),
            ("http://[::1]:1/", "http://[::1]:1", "/"),
        ] {
            assert_eq!(split(url), (server, path.to_owned()), "{url}");
            let webhooks = Webhooks::new(&[rule(url)], false).unwrap();
            assert_eq!(webhooks.by_rule["r"].path, path);
        }
    }

    #[test]
    fn what_a_receiver_knows_its_senders_by_is_in_no_error() {
        for url in ["http://a:0/secret?secret", "ftp://a/secret", "http://u:secret@a:1/x", "http://a/ secret"] {
            let error = Webhooks::new(&[rule(url)], false).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
        }
    }
}
