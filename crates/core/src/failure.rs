//! How an operation ended. A failure of the thing measured is data: it is stored and counted with a class and a culprit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a measured operation failed. Closed: a new reason is a new variant, built from typed errors where they arise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureClass {
    /// No complete answer before the absolute deadline.
    Timeout,
    /// Not sent: the generator's bound on operations in flight was reached.
    NotSent,
    /// The connection could not be opened.
    ConnectFailed,
    /// The connection broke before the answer was complete.
    ConnectionReset,
    /// The answer says that the content is unknown.
    NotFound,
    /// The bytes that came are not the bytes that were asked for.
    WrongBytes,
    /// The answer ended before its announced or known length.
    Truncated,
    /// The request was refused by the peer for a reason of the request (HTTP 4xx other than 404 and 507).
    Rejected,
    /// The peer failed (HTTP 5xx other than 507).
    ServerError,
    /// The store's quota is used up.
    QuotaFull,
    /// The peer wants a payment that was not promised.
    Unpaid,
    /// The answer violates its protocol.
    Protocol,
    /// The process of the node had ended.
    NodeDown,
    /// Given up by the observer before it ended, because nothing depended on it any more.
    Abandoned,
    /// The peer serves somebody else and takes one at a time.
    Busy,
    /// A program that the test needs is not installed.
    ProgramMissing,
    /// The system does not let the test do what it needs to do.
    NotPermitted,
    /// A program of the test said something that cannot be read, or too much.
    BadOutput,
    /// The test's own code broke.
    Panicked,
    /// It works, but not as it must: a clock that is off, an address that is another's, a disk that is full.
    Unfit,
}

/// Who has to mend a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Culprit {
    /// The measuring side.
    #[serde(rename = "self")]
    Observer,
    /// The measured side.
    Peer,
    /// What lies between them.
    Path,
    /// Somebody else: an indexer, a beacon, a name server.
    ThirdParty,
}

/// How one operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum Outcome {
    /// Complete and, where bytes came, every byte verified.
    Ok,
    /// Failed, with the reason and who has to mend it.
    Failed {
        /// The reason.
        class: FailureClass,
        /// Who has to mend it.
        culprit: Culprit,
    },
}

impl FailureClass {
    /// Every class, in declaration order.
    pub const ALL: [Self; 20] = [
        Self::Timeout,
        Self::NotSent,
        Self::ConnectFailed,
        Self::ConnectionReset,
        Self::NotFound,
        Self::WrongBytes,
        Self::Truncated,
        Self::Rejected,
        Self::ServerError,
        Self::QuotaFull,
        Self::Unpaid,
        Self::Protocol,
        Self::NodeDown,
        Self::Abandoned,
        Self::Busy,
        Self::ProgramMissing,
        Self::NotPermitted,
        Self::BadOutput,
        Self::Panicked,
        Self::Unfit,
    ];

    /// The name under which the class is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NotSent => "not_sent",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectionReset => "connection_reset",
            Self::NotFound => "not_found",
            Self::WrongBytes => "wrong_bytes",
            Self::Truncated => "truncated",
            Self::Rejected => "rejected",
            Self::ServerError => "server_error",
            Self::QuotaFull => "quota_full",
            Self::Unpaid => "unpaid",
            Self::Protocol => "protocol",
            Self::NodeDown => "node_down",
            Self::Abandoned => "abandoned",
            Self::Busy => "busy",
            Self::ProgramMissing => "program_missing",
            Self::NotPermitted => "not_permitted",
            Self::BadOutput => "bad_output",
            Self::Panicked => "panicked",
            Self::Unfit => "unfit",
        }
    }

    /// Whether the failure means that content was lost or corrupted, not only late.
    pub fn is_lost_or_corrupt(self) -> bool {
        matches!(self, Self::WrongBytes | Self::Truncated | Self::NotFound)
    }
}

impl Culprit {
    /// The name under which the culprit is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observer => "self",
            Self::Peer => "peer",
            Self::Path => "path",
            Self::ThirdParty => "third_party",
        }
    }
}

impl Outcome {
    /// A failure with its class and culprit.
    pub fn failed(class: FailureClass, culprit: Culprit) -> Self {
        Self::Failed { class, culprit }
    }

    /// Whether the operation was complete.
    pub fn is_ok(self) -> bool {
        self == Self::Ok
    }

    /// The failure's class, if it failed.
    pub fn class(self) -> Option<FailureClass> {
        match self {
            Self::Ok => None,
            Self::Failed { class, .. } => Some(class),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialised_names() {
        for class in FailureClass::ALL {
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.as_str()));
        }
        for culprit in [Culprit::Observer, Culprit::Peer, Culprit::Path, Culprit::ThirdParty] {
            assert_eq!(serde_json::to_string(&culprit).unwrap(), format!("\"{}\"", culprit.as_str()));
        }
    }
}
