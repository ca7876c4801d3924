//! Where a node listens: host, port and perhaps the base path of its API.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::header::HeaderValue;

use super::ClientError;

/// A parsed `http://host:port[/base]` or `https://host:port[/base]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    is_encrypted: bool,
    host: String,
    port: u16,
    base: Option<String>,
    host_header: HeaderValue,
}

impl Endpoint {
    /// Host name or address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the URL says `https`.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Whether the host is this machine by its number or as `localhost`. Other names are not resolved: they may mean anything.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Port; 443 for `https` and 80 for `http` where the URL named none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Base path given in the URL, without a slash at its end.
    pub fn base_path(&self) -> Option<&str> {
        self.base.as_deref()
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }
}

impl FromStr for Endpoint {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let invalid = |reason| ClientError::InvalidUrl { url: shown_url(text), reason };
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = full.parse().map_err(|_| invalid("not a URL"))?;
        let is_encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(invalid("only http and https are spoken")),
        };
        if uri.query().is_some() {
            return Err(invalid("a base URL has no query"));
        }
        let authority = uri.authority().ok_or_else(|| invalid("no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("credentials in a URL are not accepted"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(invalid("no host"));
        }
        let explicit_port = authority.as_str().rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = match authority.port_u16() {
            Some(0) => return Err(invalid("port 0 cannot be connected to")),
            Some(port) => port,
            None if explicit_port => return Err(invalid("no valid port")),
            None if is_encrypted => 443,
            None => 80,
        };
        let host_header = HeaderValue::from_str(authority.as_str()).map_err(|_| invalid("no valid host"))?;
        let path = uri.path().trim_end_matches('/');
        let base = (!path.is_empty()).then(|| path.to_owned());
        Ok(Self { is_encrypted, host, port, base, host_header })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// A URL as errors may show it: without credentials, path and query, any of which may be a secret.
pub fn shown_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{host}").chars().take(200).collect()
}

/// Text as one segment or query value of a URL: everything but unreserved characters is percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_names_and_paths() {
        let check = |text: &str, host: &str, port, base: Option<&str>| {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host(), endpoint.port(), endpoint.base_path()), (host, port, base), "{text}");
        };
        check("http://127.0.0.1:8080", "127.0.0.1", 8080, None);
        check("localhost:8080/", "localhost", 8080, None);
        check("http://[::1]:9", "::1", 9, None);
        check("http://[::1]", "::1", 80, None);
        check("http://node.example/api/codex/v1/", "node.example", 80, Some("/api/codex/v1"));
        check("https://node.example", "node.example", 443, None);
        check("https://[::1]:9/x", "::1", 9, Some("/x"));
    }

    #[test]
    fn the_scheme_stays_with_the_address() {
        for text in ["http://a:80", "https://a:443", "https://[::1]:9"] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.is_encrypted()), (text, text.starts_with("https")));
        }
        let is_here = |text: &str| text.parse::<Endpoint>().unwrap().is_loopback();
        assert!(is_here("localhost:1") && is_here("127.9.9.9:1") && is_here("https://[::1]"));
        assert!(!is_here("node.example") && !is_here("10.0.0.1") && !is_here("localhost.evil.example"));
    }

    #[test]
    fn refuses_what_it_could_not_connect_to() {
        for text in [
            "",
            "redis://a",
            "ftp://a:1",
            "http://",
            "http://a:0",
            "http://a:99999",
            "http://u:p@a:1",
            "http://a:1?x=1",
            "a b",
        ] {
            assert!(matches!(text.parse::<Endpoint>(), Err(ClientError::InvalidUrl { .. })), "{text}");
        }
    }

    #[test]
    fn errors_show_no_secrets() {
        for text in [
            "http://u:secret@a:1/x",
            "http://a:0/secret",
            "http://a:1?token=secret",
            "u:secret@a",
            "ftp://a/secret?secret",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
            assert!(error.to_string().contains('a'), "{error}");
        }
    }

    #[test]
    fn encodes_everything_that_has_a_meaning() {
        assert_eq!(encoded("zDvZ-1"), "zDvZ-1");
        assert_eq!(encoded("/ip4/1 ?&"), "%2Fip4%2F1%20%3F%26");
    }
}
