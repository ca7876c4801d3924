//! The fleet over HTTP: `/` for browsers, `/api/v1/fleet` for programs, `/metrics` and `/rules.yaml` for Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use peermark_http::{BindError, Problem, Server, Tls};

use super::poll::Fleet;
use super::{metrics, page, rules};

/// Media type of Prometheus rules.
const YAML: &str = "application/yaml";

/// Where the fleet is shown, and to whom.
#[derive(Debug)]
pub struct FleetListen {
    /// Address; port 0 takes a free one.
    pub address: SocketAddr,
    /// Token that callers must present.
    pub token: Option<Arc<str>>,
    /// Whether callers beyond loopback may do without a token.
    pub allow_anonymous: bool,
    /// Certificate and key; plain HTTP without.
    pub tls: Option<Tls>,
}

/// Serves a fleet.
///
/// # Errors
/// [`BindError`].
pub async fn start(fleet: Fleet, listen: FleetListen) -> Result<Server, BindError> {
    let FleetListen { address, token, allow_anonymous, tls } = listen;
    let bound = Server::bind(address, token, allow_anonymous).await?;
    let bound = match tls {
        Some(tls) => bound.with_tls(tls),
        None => bound,
    };
    Ok(bound.serve(router(fleet)))
}

fn router(fleet: Fleet) -> Router {
    let shown = |State(fleet): State<Fleet>| async move { Html(page::html(&fleet.document())) };
    let document = |State(fleet): State<Fleet>| async move { Json(fleet.document()) };
    let measured = |State(fleet): State<Fleet>| async move {
        ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::page(&fleet.document(), fleet.counts()))
    };
    let rules = || async { ([(CONTENT_TYPE, YAML)], rules::prometheus_rules()).into_response() };
    Router::new()
        .route("/", get(shown))
        .route("/api/v1/fleet", get(document))
        .route("/metrics", get(measured))
        .route("/rules.yaml", get(rules))
        .fallback(|| async {
            Problem::not_found("no such route; there are /, /api/v1/fleet, /metrics and /rules.yaml")
        })
        .with_state(fleet)
}
