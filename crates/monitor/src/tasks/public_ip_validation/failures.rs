//! Every way in which public addresses are not, or cannot be, validated.

use peermark_core::{Culprit, FailureClass};

use crate::task::Failure;

pub(super) const NO_NAMESPACE: Failure = Failure::new(
    "no_namespace",
    FailureClass::Unfit,
    Culprit::Observer,
    false,
    "make the namespace with an interface on the public network in it (ip netns add pubtestns; ip link add pub link BRIDGE type \
     macvlan; ip link set pub netns pubtestns), or name another in monitor.public_ip_validation.namespace",
);
pub(super) const NOT_PERMITTED: Failure = Failure::new(
    "not_permitted",
    FailureClass::NotPermitted,
    Culprit::Observer,
    false,
    "give the monitor CAP_SYS_ADMIN and CAP_NET_ADMIN (and CAP_NET_RAW to ping peers), or run it as root; or turn the task off with \
     monitor.task.public-ip-validation.enabled = false",
);
pub(super) const PROGRAM_MISSING: Failure = Failure::new(
    "program_missing",
    FailureClass::ProgramMissing,
    Culprit::Observer,
    false,
    "install ip, which puts addresses on interfaces: apt-get install iproute2 on Debian and Ubuntu",
);
pub(super) const SETUP_FAILED: Failure = Failure::new(
    "setup_failed",
    FailureClass::Unfit,
    Culprit::Observer,
    true,
    "the interface cannot be used: see ip -n pubtestns link, and whether its parent is up",
);
pub(super) const STOPPED_EARLY: Failure = Failure::new(
    "stopped_early",
    FailureClass::Timeout,
    Culprit::Observer,
    true,
    "the addresses were not all tried in time: give the task more with monitor.task.public-ip-validation.timeout_s",
);
pub(super) const ADDRESS_INVALID: Failure = Failure::new(
    "address_invalid",
    FailureClass::Unfit,
    Culprit::Observer,
    false,
    "correct the address or gateway in monitor.public_ip_validation.addresses, or ask whoever routes it to you",
);
pub(super) const STUN_UNCLEAR: Failure = Failure::new(
    "stun_unclear",
    FailureClass::Timeout,
    Culprit::ThirdParty,
    true,
    "too few STUN servers answered alike to say anything of the address: see whether UDP leaves this network, or name others in \
     monitor.public_ip_validation.stun",
);

/// All of them.
pub(super) static FAILURES: &[Failure] =
    &[NO_NAMESPACE, NOT_PERMITTED, PROGRAM_MISSING, SETUP_FAILED, STOPPED_EARLY, ADDRESS_INVALID, STUN_UNCLEAR];
