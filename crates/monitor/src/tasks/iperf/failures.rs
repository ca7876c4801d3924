//! Every way in which a throughput test fails. None but the first four is this node's to mend.

use peermark_core::{Culprit, FailureClass};

use crate::task::Failure;

pub(super) const PROGRAM_MISSING: Failure = Failure::new(
    "program_missing",
    FailureClass::ProgramMissing,
    Culprit::Observer,
    false,
    "install iperf3 (apt-get install iperf3), or name it in monitor.iperf.program",
);
pub(super) const PROGRAM_FAILED: Failure = Failure::new(
    "program_failed",
    FailureClass::NotSent,
    Culprit::Observer,
    true,
    "the system could not start iperf3 and says why in the particulars: often a lack of memory or processes (ulimit -u)",
);
pub(super) const NOT_PERMITTED: Failure = Failure::new(
    "not_permitted",
    FailureClass::NotPermitted,
    Culprit::Observer,
    false,
    "let the monitor's user run iperf3: see ls -l $(command -v iperf3)",
);
pub(super) const TOKEN: Failure = Failure::new(
    "token_unusable",
    FailureClass::NotSent,
    Culprit::Observer,
    false,
    "see monitor.iperf.token_file: it has to hold the target's token, which is only sent over https or on this machine; and \
     monitor.iperf.ca, which has to hold certificates (PEM)",
);
pub(super) const BAD_OUTPUT: Failure = Failure::new(
    "bad_output",
    FailureClass::BadOutput,
    Culprit::ThirdParty,
    false,
    "this version of iperf3 prints what cannot be read: try iperf3 3.12 or later (iperf3 --version)",
);
pub(super) const SERVER_BUSY: Failure = Failure::new(
    "server_busy",
    FailureClass::Busy,
    Culprit::ThirdParty,
    true,
    "the server serves one test at a time and had another: nothing to do, or name more targets in monitor.iperf.targets",
);
pub(super) const SERVER_ABSENT: Failure = Failure::new(
    "server_absent",
    FailureClass::ConnectFailed,
    Culprit::ThirdParty,
    true,
    "no iperf3 server answers there: start one with iperf3 -s -p PORT, or take the target out of monitor.iperf.targets",
);
pub(super) const SERVER_STALLED: Failure = Failure::new(
    "server_stalled",
    FailureClass::Timeout,
    Culprit::ThirdParty,
    true,
    "the server took the connection and did not go on: restart it, or take the target out of monitor.iperf.targets",
);
pub(super) const SERVER_BROKE: Failure = Failure::new(
    "server_broke",
    FailureClass::ConnectionReset,
    Culprit::ThirdParty,
    true,
    "the server ended in the middle of the test: see its log; nothing to do on this node",
);
pub(super) const NO_ADDRESS: Failure = Failure::new(
    "no_address",
    FailureClass::ConnectFailed,
    Culprit::ThirdParty,
    true,
    "the target's name has no address: check it with getent hosts NAME, and this machine's resolver if no name works",
);
pub(super) const IPERF_ERROR: Failure = Failure::new(
    "iperf_error",
    FailureClass::Protocol,
    Culprit::ThirdParty,
    true,
    "iperf3 says why in the particulars: run iperf3 -c HOST -p PORT by hand to see more",
);
pub(super) const SLOT_BUSY: Failure = Failure::new(
    "slot_busy",
    FailureClass::Busy,
    Culprit::Peer,
    true,
    "the target's monitor tests its network or serves another test: nothing to do, or name more targets in monitor.iperf.targets",
);
pub(super) const SLOT_REFUSED: Failure = Failure::new(
    "slot_refused",
    FailureClass::Rejected,
    Culprit::Peer,
    false,
    "the target's monitor grants no slot: set monitor.slots.enabled = true there, and monitor.iperf.token_file here where it wants a token",
);
pub(super) const MONITOR_ABSENT: Failure = Failure::new(
    "monitor_absent",
    FailureClass::ConnectFailed,
    Culprit::Peer,
    true,
    "the target's monitor does not answer: see there whether it runs (peermark monitor tasks --api URL)",
);

/// All of them.
pub(super) static FAILURES: &[Failure] = &[
    PROGRAM_MISSING,
    PROGRAM_FAILED,
    NOT_PERMITTED,
    TOKEN,
    BAD_OUTPUT,
    SERVER_BUSY,
    SERVER_ABSENT,
    SERVER_STALLED,
    SERVER_BROKE,
    NO_ADDRESS,
    IPERF_ERROR,
    SLOT_BUSY,
    SLOT_REFUSED,
    MONITOR_ABSENT,
];
