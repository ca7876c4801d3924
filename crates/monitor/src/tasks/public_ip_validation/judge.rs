//! What observations of an address allow to be said. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PublicAddress;

/// zos's reasons, word for word.
const IN_USE: &str = "ip is already assigned to a contract";
const UNUSABLE: &str = "public ip or gateway data are not valid";
const ANOTHER: &str = "public ip does not match farm ip";
const NOT_SEEN: &str = "failed to get real public IP to the node";

/// The result: each address of the configuration, as it is written there.
pub type PublicIpResult = BTreeMap<String, AddressResult>;

/// What is said of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressState {
    /// It leads to the outside as itself.
    Valid,
    /// It does not.
    Invalid,
    /// The observations allow neither.
    Unknown,
    /// It was not tried.
    Skipped,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressResult {
    /// What is said of it.
    pub state: AddressState,
    /// Why, in zos's words; empty where it is valid.
    pub reason: String,
    /// The particulars; empty where there are none.
    pub cause: String,
    /// What each STUN server said; empty also where the result would be longer than what is kept.
    pub observed: Vec<Observed>,
    /// Number of the node that did the test.
    pub leader: u64,
}

/// What one STUN server said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Observed {
    /// The server as it is configured.
    pub server: String,
    /// From where it sees the address; `null` where it did not say.
    pub address: Option<IpAddr>,
    /// Why it did not say.
    pub error: Option<String>,
}

/// An address to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) ip: IpAddr,
    pub(super) prefix: u8,
    pub(super) gateway: IpAddr,
}

impl Assigned {
    /// Reads an entry of the configuration.
    pub(super) fn read(address: &PublicAddress) -> Result<Self, String> {
        let cidr = &address.cidr;
        let (ip, prefix) = cidr.split_once('/').ok_or_else(|| format!("{cidr:?} has no /length"))?;
        let ip: IpAddr = ip.parse().map_err(|_| format!("{ip:?} is no IP address"))?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = prefix
            .parse()
            .ok()
            .filter(|prefix| (1..=most).contains(prefix))
            .ok_or_else(|| format!("/{prefix} is no length of a network, expected 1 to {most}"))?;
        let gateway = &address.gateway;
        let gateway: IpAddr = gateway.parse().map_err(|_| format!("gateway {gateway:?} is no IP address"))?;
        if ip.is_ipv4() != gateway.is_ipv4() {
            return Err(format!("{ip} and its gateway {gateway} are of different families"));
        }
        if gateway == ip {
            return Err(format!("{ip} is its own gateway"));
        }
        if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
            return Err(format!("{ip} is no address of a host"));
        }
        Ok(Self { ip, prefix, gateway })
    }
}

impl AddressResult {
    fn new(state: AddressState, reason: &str, cause: String) -> Self {
        Self { state, reason: reason.into(), cause, observed: Vec::new(), leader: 0 }
    }

    /// A workload has it.
    pub(super) fn in_use() -> Self {
        Self::new(AddressState::Skipped, IN_USE, String::new())
    }

    /// It cannot be put on an interface.
    pub(super) fn unusable(cause: String) -> Self {
        Self::new(AddressState::Invalid, UNUSABLE, cause)
    }

    /// It was not tried, for a reason that is not its own.
    pub(super) fn untried(cause: String) -> Self {
        Self::new(AddressState::Unknown, NOT_SEEN, cause)
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        if self.cause.is_empty() { self.reason.clone() } else { format!("{} ({})", self.reason, self.cause) }
    }
}

/// Valid: whoever answered sees it as itself. Invalid: at least two answered and all see the same other address. Else unknown.
pub(super) fn settle(assigned: &Assigned, observed: Vec<Observed>) -> AddressResult {
    let answers: Vec<IpAddr> = observed.iter().filter_map(|seen| seen.address.map(|ip| ip.to_canonical())).collect();
    let different: BTreeSet<IpAddr> = answers.iter().copied().collect();
    let seen = || different.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let result = match (answers.len(), different.len()) {
        (0, _) => AddressResult::new(AddressState::Unknown, NOT_SEEN, "no STUN server answered".into()),
        (_, 1) if different.contains(&assigned.ip) => AddressResult::new(AddressState::Valid, "", String::new()),
        (1, _) => AddressResult::new(
            AddressState::Unknown,
            NOT_SEEN,
            format!("only one STUN server answered, and it sees {}: another one has to confirm it", seen()),
        ),
        (_, 1) => AddressResult::new(AddressState::Invalid, ANOTHER, format!("seen as {}", seen())),
        _ => AddressResult::new(AddressState::Unknown, NOT_SEEN, format!("STUN servers disagree: {}", seen())),
    };
    AddressResult { observed, ..result }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(cidr: &str, gateway: &str) -> PublicAddress {
        PublicAddress { cidr: cidr.into(), gateway: gateway.into(), in_use: false }
    }

    #[test]
    fn addresses_that_cannot_be_are_found_without_trying() {
        assert!(Assigned::read(&address("203.0.113.10/24", "203.0.113.1")).is_ok());
        assert!(Assigned::read(&address("2001:db8::10/64", "2001:db8::1")).is_ok());
        for (cidr, gateway) in [
            ("203.0.113.10", "203.0.113.1"),
            ("203.0.113.10/33", "203.0.113.1"),
            ("203.0.113.10/0", "203.0.113.1"),
            ("203.0.113.300/24", "203.0.113.1"),
            ("203.0.113.10/24", ""),
            ("203.0.113.10/24", "2001:db8::1"),
            ("203.0.113.10/24", "203.0.113.10"),
            ("0.0.0.0/24", "203.0.113.1"),
        ] {
            assert!(Assigned::read(&address(cidr, gateway)).is_err(), "{cidr} {gateway}");
        }
    }

    #[test]
    fn trouble_with_stun_is_not_held_against_the_address() {
        let assigned = Assigned::read(&address("203.0.113.10/24", "203.0.113.1")).unwrap();
        let said = |answers: &[Option<&str>]| {
            let observed = answers.iter().map(|answer| Observed {
                server: "s".into(),
                address: answer.map(|ip| ip.parse().unwrap()),
                error: answer.is_none().then(|| "silent".into()),
            });
            let result = settle(&assigned, observed.collect());
            (result.state, result.reason)
        };
        let (own, other, third) = (Some("203.0.113.10"), Some("203.0.113.99"), Some("203.0.113.98"));
        assert_eq!(said(&[own, own]), (AddressState::Valid, String::new()));
        assert_eq!(said(&[own, None]), (AddressState::Valid, String::new()));
        assert_eq!(said(&[other, other, None]), (AddressState::Invalid, ANOTHER.into()));
        for unclear in [&[None, None][..], &[other, None], &[own, other], &[other, third], &[]] {
            assert_eq!(said(unclear), (AddressState::Unknown, NOT_SEEN.into()), "{unclear:?}");
        }
    }
}
