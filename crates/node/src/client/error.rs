//! Why a call failed, as types; and what that means for a measurement.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use peermark_core::{Culprit, FailureClass};
use rustls::{AlertDescription, CertificateError};
use thiserror::Error;

/// What is wrong with an encrypted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlsProblem {
    /// Nobody whom this client trusts vouches for the certificate.
    #[error("the certificate is of an unknown authority")]
    UnknownAuthority,
    /// The certificate is another's.
    #[error("the certificate is for another name")]
    WrongName,
    /// The certificate's time is over.
    #[error("the certificate has expired")]
    Expired,
    /// The certificate's time is to come; or a clock is off.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// Another fault of the certificate.
    #[error("the certificate cannot be used")]
    BadCertificate,
    /// The server does not speak TLS on this port.
    #[error("the server does not speak TLS: use http://")]
    NotTls,
    /// The server refused.
    #[error("the server refused the handshake")]
    Refused,
    /// The connection broke, or the host cannot be a name of a certificate.
    #[error("the handshake did not end")]
    Broken,
}

impl TlsProblem {
    /// By the library's types, never by its texts.
    pub(super) fn of(error: &io::Error) -> Self {
        let said = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match said {
            Some(rustls::Error::InvalidCertificate(error)) => Self::of_certificate(error),
            Some(rustls::Error::InvalidMessage(_)) => Self::NotTls,
            Some(rustls::Error::AlertReceived(AlertDescription::UnknownCA)) => Self::UnknownAuthority,
            Some(rustls::Error::AlertReceived(_)) => Self::Refused,
            _ => Self::Broken,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            // A bad signature is an authority that was made anew under its old name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            _ => Self::BadCertificate,
        }
    }
}

/// Why a call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The token holds characters that no header may.
    #[error("the token is no single line of printable text")]
    Token,
    /// The URL cannot be used.
    #[error("invalid node URL {url:?}: {reason}")]
    InvalidUrl {
        /// The URL as given, shortened.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host name has no address.
    #[error("resolve {host}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The connection could not be opened.
    #[error("connect to {addr}")]
    Connect {
        /// The address that was tried last.
        addr: String,
        /// What the system said; [`io::ErrorKind::TimedOut`] also when [`super::ClientOptions::connect_timeout`] ran out.
        source: io::Error,
    },
    /// The connection could not be encrypted, or it is not the server that the URL names.
    #[error("TLS with {host}: {problem}")]
    Tls {
        /// Whom the URL names.
        host: String,
        /// What is wrong.
        problem: TlsProblem,
        /// What the TLS library said.
        source: io::Error,
    },
    /// The call did not end in time.
    #[error("no complete answer within {after:?}")]
    Timeout {
        /// The time it had.
        after: Duration,
    },
    /// The answer has a status that is no success.
    #[error("HTTP status {code}: {problem}")]
    Status {
        /// The status.
        code: u16,
        /// What the node said, shortened; empty when it said nothing.
        problem: String,
    },
    /// The connection broke before the answer was complete.
    #[error("connection closed before the answer was complete")]
    Reset {
        /// What the transport said, where it did.
        source: Option<hyper::Error>,
    },
    /// A document is larger than a document may be.
    #[error("answer too large: more than {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The answer ended before its announced length.
    #[error("answer truncated: expected={expected:?} got={got} bytes")]
    Truncated {
        /// Announced length; `None` for an answer in chunks without its end.
        expected: Option<u64>,
        /// Bytes that came.
        got: u64,
    },
    /// The receiver of a stream wanted no more of it.
    #[error("receiver stopped the stream after {got} bytes")]
    Stopped {
        /// Bytes that came.
        got: u64,
    },
    /// The answer is not HTTP/1.1.
    #[error("answer violates HTTP")]
    Http {
        /// What the parser said.
        source: hyper::Error,
    },
    /// The answer is not the JSON that the API defines.
    #[error("answer of {path} is not the document that the API defines")]
    Json {
        /// The path that was asked.
        path: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The answer is not the text that the API defines.
    #[error("answer of {path} is not the text that the API defines")]
    Text {
        /// The path that was asked.
        path: String,
    },
    /// The request could not be formed.
    #[error("request for {path}")]
    Request {
        /// The path that was to be asked.
        path: String,
        /// What is wrong with it.
        source: http::Error,
    },
    /// The server answers, but has neither the Archivist nor the Codex API.
    #[error("no Archivist or Codex API at {url}: give the base path of the API in the URL")]
    NoApi {
        /// Where it was looked for.
        url: String,
    },
}

impl ClientError {
    /// What the error is for a measurement: the class of failure and who has to mend it. Decided by types, never by texts.
    pub fn failure(&self) -> (FailureClass, Culprit) {
        match self {
            Self::InvalidUrl { .. } | Self::Token | Self::Request { .. } => (FailureClass::NotSent, Culprit::Observer),
            Self::Resolve { .. } => (FailureClass::ConnectFailed, Culprit::ThirdParty),
            Self::Connect { source, .. } => (FailureClass::ConnectFailed, connect_culprit(source)),
            Self::Tls { problem, source, .. } => tls_failure(*problem, source),
            Self::Timeout { .. } => (FailureClass::Timeout, Culprit::Peer),
            Self::Status { code, .. } => status_failure(*code),
            Self::Reset { .. } => (FailureClass::ConnectionReset, Culprit::Peer),
            Self::Truncated { .. } => (FailureClass::Truncated, Culprit::Peer),
            Self::Stopped { .. } => (FailureClass::WrongBytes, Culprit::Peer),
            Self::BodyTooLarge { .. }
            | Self::Http { .. }
            | Self::Json { .. }
            | Self::Text { .. }
            | Self::NoApi { .. } => (FailureClass::Protocol, Culprit::Peer),
        }
    }

    /// An error of the transport while the head of an answer was awaited.
    pub(super) fn from_head(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Http { source: error } } else { Self::Reset { source: Some(error) } }
    }

    /// An error of the transport after `got` bytes of a body.
    pub(super) fn from_body(error: hyper::Error, expected: Option<u64>, got: u64) -> Self {
        match io_kind(&error) {
            Some(io::ErrorKind::UnexpectedEof) => Self::Truncated { expected, got },
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Self::Http { source: error },
            _ if error.is_incomplete_message() => Self::Truncated { expected, got },
            _ if error.is_parse() => Self::Http { source: error },
            _ => Self::Reset { source: Some(error) },
        }
    }
}

fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        source = inner.source();
    }
    None
}

/// A refusal comes from the peer's machine; an unreachable or silent network from what lies between; a lack of ports or file
/// descriptors is our own.
fn connect_culprit(error: &io::Error) -> Culprit {
    /// `ENFILE` and `EMFILE`, for which the standard library has no kind.
    const OUT_OF_FILES: [i32; 2] = [23, 24];
    if error.raw_os_error().is_some_and(|code| OUT_OF_FILES.contains(&code)) {
        return Culprit::Observer;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Culprit::Peer,
        io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::AddrInUse
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::InvalidInput => Culprit::Observer,
        _ => Culprit::Path,
    }
}

/// A server whose certificate is not in order is not the server that was asked for; whom this side trusts is its own to mend.
fn tls_failure(problem: TlsProblem, error: &io::Error) -> (FailureClass, Culprit) {
    match problem {
        TlsProblem::UnknownAuthority => (FailureClass::ConnectFailed, Culprit::Observer),
        TlsProblem::NotTls => (FailureClass::Protocol, Culprit::Observer),
        TlsProblem::Broken if error.kind() == io::ErrorKind::InvalidInput => (FailureClass::NotSent, Culprit::Observer),
        TlsProblem::Broken => (FailureClass::ConnectFailed, connect_culprit(error)),
        _ => (FailureClass::ConnectFailed, Culprit::Peer),
    }
}

fn status_failure(code: u16) -> (FailureClass, Culprit) {
    match code {
        402 => (FailureClass::Unpaid, Culprit::Observer),
        404 => (FailureClass::NotFound, Culprit::Peer),
        // Too many requests, or too slow a sender: what the peer can take is what is measured.
        408 | 429 => (FailureClass::Rejected, Culprit::Peer),
        400..=499 => (FailureClass::Rejected, Culprit::Observer),
        507 => (FailureClass::QuotaFull, Culprit::Peer),
        500..=599 => (FailureClass::ServerError, Culprit::Peer),
        _ => (FailureClass::Protocol, Culprit::Peer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_one_meaning_each() {
        let class = |code| ClientError::Status { code, problem: String::new() }.failure().0;
        assert_eq!(class(404), FailureClass::NotFound);
        assert_eq!(class(507), FailureClass::QuotaFull);
        assert_eq!(class(500), FailureClass::ServerError);
        assert_eq!(class(503), FailureClass::ServerError);
        assert_eq!(class(422), FailureClass::Rejected);
        assert_eq!(class(402), FailureClass::Unpaid);
        assert_eq!(class(302), FailureClass::Protocol);
    }

    #[test]
    fn who_has_to_mend_a_connection_follows_its_error() {
        let culprit = |error: io::Error| ClientError::Connect { addr: String::new(), source: error }.failure().1;
        assert_eq!(culprit(io::ErrorKind::ConnectionRefused.into()), Culprit::Peer);
        assert_eq!(culprit(io::ErrorKind::TimedOut.into()), Culprit::Path);
        assert_eq!(culprit(io::ErrorKind::AddrNotAvailable.into()), Culprit::Observer);
        assert_eq!(culprit(io::Error::from_raw_os_error(24)), Culprit::Observer);
    }
}
