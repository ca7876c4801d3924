//! Every way in which a node fails the test of its own work.

use peermark_core::{Culprit, FailureClass};

use crate::task::Failure;

pub(super) const UNREACHABLE: Failure = Failure::new(
    "api_unreachable",
    FailureClass::ConnectFailed,
    Culprit::Peer,
    true,
    "the storage node's API does not answer: see whether the node runs, and whether monitor.node_api is its address",
);
pub(super) const NO_API: Failure = Failure::new(
    "no_api",
    FailureClass::Protocol,
    Culprit::Peer,
    false,
    "what answers there is no storage API of Archivist, Codex or peermark: correct monitor.node_api, with its path if it has one",
);
pub(super) const TOO_SLOW: Failure = Failure::new(
    "api_timeout",
    FailureClass::Timeout,
    Culprit::Peer,
    true,
    "the storage node took too long: see its load and its disk (peermark doctor --node-api URL)",
);
pub(super) const QUOTA_FULL: Failure = Failure::new(
    "quota_full",
    FailureClass::QuotaFull,
    Culprit::Peer,
    false,
    "the storage node's quota is used up: raise it, or delete content",
);
pub(super) const REFUSED: Failure = Failure::new(
    "refused",
    FailureClass::Rejected,
    Culprit::Peer,
    false,
    "the storage node refused the request and says why in the particulars",
);
pub(super) const SERVER_ERROR: Failure = Failure::new(
    "server_error",
    FailureClass::ServerError,
    Culprit::Peer,
    true,
    "the storage node failed: see its log around this time",
);
pub(super) const BROKE_OFF: Failure = Failure::new(
    "broke_off",
    FailureClass::ConnectionReset,
    Culprit::Peer,
    true,
    "the storage node broke off in the middle: see whether it was restarted, and its log",
);
pub(super) const LOST: Failure = Failure::new(
    "lost",
    FailureClass::NotFound,
    Culprit::Peer,
    false,
    "the storage node acknowledged content and does not have it: check its data directory and disk (dmesg, smartctl -H DEVICE)",
);
pub(super) const WRONG_BYTES: Failure = Failure::new(
    "wrong_bytes",
    FailureClass::WrongBytes,
    Culprit::Peer,
    false,
    "the storage node returned other bytes than it was given: check its disk and memory (smartctl -H DEVICE, memtest)",
);
pub(super) const NOT_FOUND_BY_OTHERS: Failure = Failure::new(
    "not_found_by_others",
    FailureClass::NotFound,
    Culprit::Path,
    true,
    "another node does not find what this one has: see whether this node has peers and can be reached (task reachability)",
);
pub(super) const NOT_DELETED: Failure = Failure::new(
    "not_deleted",
    FailureClass::Unfit,
    Culprit::Peer,
    false,
    "the storage node still serves what it was told to delete: each test leaves its bytes behind until its quota is full",
);

/// All of them.
pub(super) static FAILURES: &[Failure] = &[
    UNREACHABLE,
    NO_API,
    TOO_SLOW,
    QUOTA_FULL,
    REFUSED,
    SERVER_ERROR,
    BROKE_OFF,
    LOST,
    WRONG_BYTES,
    NOT_FOUND_BY_OTHERS,
    NOT_DELETED,
];
