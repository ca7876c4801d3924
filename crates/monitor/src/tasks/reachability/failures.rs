//! Every way in which a node is not reachable, or nobody could say.

use peermark_core::{Culprit, FailureClass};

use crate::task::Failure;

pub(super) const NO_HELP: Failure = Failure::new(
    "no_helper",
    FailureClass::ConnectFailed,
    Culprit::ThirdParty,
    true,
    "none of the helpers dialled back: see monitor.reachability.helpers, and whether monitor.dialback.enabled is on there",
);
pub(super) const NO_IDENTITY: Failure = Failure::new(
    "no_identity",
    FailureClass::NotSent,
    Culprit::Observer,
    false,
    "this monitor does not know the storage node's peer id or addresses: name its API in monitor.node_api, or its id and addresses in \
     monitor.reachability.peer and monitor.reachability.addresses",
);
pub(super) const NODE_UNASKED: Failure = Failure::new(
    "node_unasked",
    FailureClass::ConnectFailed,
    Culprit::Observer,
    true,
    "the storage node's API did not say who it is: see that the node runs, and that monitor.node_api and --node-token-file are right \
     (curl URL/debug/info below the API's path)",
);
pub(super) const UNREACHABLE: Failure = Failure::new(
    "unreachable",
    FailureClass::ConnectFailed,
    Culprit::Observer,
    false,
    "others cannot connect to this address: open its port in the firewall (ss -lntu shows what is open here), or forward it on the \
     router",
);
pub(super) const WRONG_PEER: Failure = Failure::new(
    "wrong_peer",
    FailureClass::Unfit,
    Culprit::Observer,
    false,
    "another node answers at this address: correct the port forwarding, or the address that this node announces",
);
pub(super) const NOT_ITS_OWN: Failure = Failure::new(
    "not_its_own",
    FailureClass::Unfit,
    Culprit::Observer,
    false,
    "others see this node under another address than those it lists: put the outer one into monitor.reachability.addresses and \
     forward its port, or name this one in monitor.dialback.allow of the helper",
);

/// All of them.
pub(super) static FAILURES: &[Failure] = &[NO_HELP, NO_IDENTITY, NODE_UNASKED, UNREACHABLE, WRONG_PEER, NOT_ITS_OWN];
