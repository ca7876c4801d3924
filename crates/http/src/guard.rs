//! Host and Origin checks: a page in the operator's browser must not drive a node through it (DNS rebinding, cross-site posts).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;

/// What a server checks before a request reaches a handler.
#[derive(Clone, Debug)]
pub struct Guard {
    loopback_only: bool,
    token: Option<Arc<str>>,
}

impl Guard {
    /// The checks for a server bound to `address`. With a token, every request must carry `Authorization: Bearer`.
    pub fn new(address: SocketAddr, token: Option<Arc<str>>) -> Self {
        Self { loopback_only: address.ip().is_loopback(), token }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let refuse = |detail: &str| Problem::request(StatusCode::FORBIDDEN, "forbidden_origin", detail);
        if self.loopback_only {
            // HTTP/1.0 clients may send no Host; a browser always does.
            let host = headers.get(header::HOST).map(|value| value.to_str().unwrap_or_default());
            if host.is_some_and(|host| !is_loopback_host(host)) {
                return Err(refuse("the Host header names another machine than this one"));
            }
            let origin = headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or_default());
            if origin.is_some_and(|origin| !is_loopback_origin(origin)) {
                return Err(refuse("requests from pages of other origins are refused"));
            }
        }
        match &self.token {
            Some(token) if !has_token(headers, token) => {
                Err(Problem::request(StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is needed"))
            }
            _ => Ok(()),
        }
    }
}

/// The middleware that applies a [`Guard`].
///
/// # Errors
/// The [`Problem`] of a request that fails a check.
pub async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Result<Response, Problem> {
    guard.check(request.headers())?;
    Ok(next.run(request).await)
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    // Compares every byte, so that the time taken does not tell how many are right.
    given.len() == token.len() && given.bytes().zip(token.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn is_loopback_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(is_loopback_host)
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn other_hosts_and_origins_are_refused_on_loopback() {
        let guard = Guard::new("127.0.0.1:1".parse().unwrap(), None);
        for good in ["127.0.0.1:80", "localhost", "[::1]:8080", "localhost:1"] {
            assert!(guard.check(&headers(&[("host", good)])).is_ok(), "{good}");
        }
        for bad in ["evil.example", "evil.example:8080", "10.0.0.1", "localhost.evil.example"] {
            assert!(guard.check(&headers(&[("host", bad)])).is_err(), "{bad}");
        }
        assert!(guard.check(&headers(&[("origin", "http://evil.example")])).is_err());
        assert!(guard.check(&headers(&[("origin", "null")])).is_err());
        assert!(guard.check(&headers(&[("origin", "http://localhost:3000")])).is_ok());
    }

    #[test]
    fn a_token_is_needed_where_one_is_set() {
        let guard = Guard::new("0.0.0.0:1".parse().unwrap(), Some("secret".into()));
        assert!(guard.check(&headers(&[("authorization", "Bearer secret")])).is_ok());
        for bad in ["Bearer secrex", "Bearer", "secret", "Bearer secret2"] {
            assert!(guard.check(&headers(&[("authorization", bad)])).is_err(), "{bad}");
        }
    }
}
