//! Whether others reach this node at the addresses it listens on: monitors of other nodes are asked to dial it back.
//!
//! An address counts as unreachable when every helper that tried it failed, and as reachable when one succeeded: a helper's own
//! trouble is not held against the node. What no helper could try is `null`, not a failure.

mod failures;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use libp2p::{Multiaddr, PeerId};
use peermark_core::{Unit, in_words};
use peermark_node::client::{ClientOptions, NodeClient};
use peermark_node::dial::destination;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::{Access, MonitorClient};
use crate::config::ConfigError;
use crate::dialback::{DialOutcome, DialState, DialbackAnswer, DialbackRequest, MAX_ADDRESSES};
use crate::task::{About, Better, Context, Finding, Needs, Report, Retry, Running, Stop, Task};
use failures::{FAILURES, NO_HELP, NO_IDENTITY, NODE_UNASKED, NOT_ITS_OWN, UNREACHABLE, WRONG_PEER};

/// Longest wait for one helper.
const HELPER: Duration = Duration::from_secs(20);

/// Longest wait for the node's own word on who it is.
const IDENTITY: Duration = Duration::from_secs(5);

/// Time between the deadline of the helpers and that of the run.
const MARGIN: Duration = Duration::from_secs(5);

/// Most helpers.
const MAX_HELPERS: usize = 16;

/// The section `monitor.reachability`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReachabilityConfig {
    /// Base URLs of the monitors that are asked to dial.
    pub helpers: Vec<String>,
    /// Peer id that has to answer at the addresses; the node's own, as it says itself, where absent.
    pub peer: Option<String>,
    /// libp2p addresses to be dialled, at most eight; those that the node announces or listens on where empty.
    pub addresses: Vec<String>,
    /// Holds the token that the helpers want.
    pub token_file: Option<PathBuf>,
    /// Authorities (PEM) that helpers with `https` have to be vouched for by; the system's where there is none.
    pub ca: Option<PathBuf>,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReachabilityResult {
    /// Each address.
    pub addresses: Vec<AddressReach>,
    /// Whether an address of each family and transport is reachable: `ip4/tcp`, `ip6/quic`. `null` where none could be tried.
    pub kinds: BTreeMap<String, Option<bool>>,
    /// What each helper said.
    pub helpers: Vec<HelperWord>,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressReach {
    /// The address.
    pub address: String,
    /// `ip4` or `ip6`.
    pub family: String,
    /// `tcp` or `quic`.
    pub transport: String,
    /// Whether a helper reached the node there; `null` where none could try.
    pub reachable: Option<bool>,
    /// Shortest handshake, ns.
    pub handshake_ns: Option<u64>,
    /// Why helpers did not reach it or did not try, each reason once.
    pub reasons: Vec<String>,
}

/// One helper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelperWord {
    /// Its URL.
    pub url: String,
    /// Its peer id, where it answered.
    pub node: Option<String>,
    /// From where it sees this node.
    pub seen_from: Option<String>,
    /// Why it did not help.
    pub error: Option<String>,
}

/// The task `reachability`.
#[derive(Clone, Debug)]
pub struct Reachability {
    about: About,
    config: ReachabilityConfig,
}

impl Reachability {
    /// The task with its settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot be used.
    pub fn new(config: ReachabilityConfig) -> Result<Self, ConfigError> {
        let wrong = |key: &str, reason: String| ConfigError { key: format!("reachability.{key}"), reason };
        if config.helpers.len() > MAX_HELPERS {
            return Err(wrong("helpers", format!("at most {MAX_HELPERS}")));
        }
        for url in &config.helpers {
            let access = Access::anonymous(url, HELPER);
            MonitorClient::new(&access).map_err(|error| wrong("helpers", error.told()))?;
        }
        if let Some(peer) = &config.peer
            && peer.parse::<PeerId>().is_err()
        {
            return Err(wrong("peer", format!("{peer:?} is no peer id")));
        }
        if config.addresses.len() > MAX_ADDRESSES {
            return Err(wrong("addresses", format!("at most {MAX_ADDRESSES}")));
        }
        if let Some(unfit) = config.addresses.iter().find(|text| kind(text).is_none()) {
            let expected = "expected /ip4|ip6/IP/tcp/PORT or /ip4|ip6/IP/udp/PORT/quic-v1";
            return Err(wrong("addresses", format!("{unfit:?}: {expected}")));
        }
        Ok(Self { about: about(), config })
    }
}

fn about() -> About {
    About {
        name: "reachability".into(),
        description: "Asks monitors of other nodes to dial this node's addresses over TCP and QUIC, IPv4 and IPv6."
            .into(),
        cron: "0 45 * * * *".into(),
        jitter_s: 600,
        timeout: IDENTITY + HELPER + MARGIN,
        needs: Needs::default(),
        light: false,
        at_start: true,
        unit: Unit::Count,
        value: "unreachable addresses".into(),
        better: Better::Lower,
        // A handshake of libp2p is below 8 KiB.
        bytes: (MAX_HELPERS * MAX_ADDRESSES * 8192) as u64,
        cpu: Duration::from_millis(100),
        retry: Retry { attempts: 3, first: Duration::from_secs(45), longest: Duration::from_secs(90) },
        failures: FAILURES,
        schema: || schemars::schema_for!(ReachabilityResult).to_value(),
    }
}

impl Task for Reachability {
    fn about(&self) -> &About {
        &self.about
    }

    fn configured(&self) -> Result<(), String> {
        if self.config.helpers.is_empty() {
            return Err("no helper is configured: set monitor.reachability.helpers".into());
        }
        Ok(())
    }

    fn run(&self, context: Context) -> Running {
        ask_all(self.config.clone(), context).boxed()
    }
}

async fn ask_all(config: ReachabilityConfig, context: Context) -> Result<Report, Stop> {
    let Identity { peer, addresses } = who(&config, &context).await?;
    let request = DialbackRequest { peer, addresses: addresses.clone() };
    let left = Duration::from_nanos(context.deadline_ns.saturating_sub(context.clock.now_ns()));
    let within = left.saturating_sub(MARGIN).max(left / 2);
    let asked = join_all(config.helpers.iter().map(|url| ask(url, &config, &request, within))).await;
    let mut words = Vec::new();
    let mut answers = Vec::new();
    for (url, answer) in config.helpers.iter().zip(asked) {
        let (node, seen_from, error) = match &answer {
            Ok(answer) => (Some(answer.node.clone()), Some(answer.seen_from.clone()), None),
            Err(error) => (None, None, Some(error.clone())),
        };
        words.push(HelperWord { url: url.clone(), node, seen_from, error });
        answers.extend(answer.ok());
    }
    if answers.is_empty() {
        let why: Vec<String> =
            words.iter().map(|word| format!("{}: {}", word.url, word.error.as_deref().unwrap_or_default())).collect();
        return Err(NO_HELP.stop(why.join("; ")));
    }
    let mut findings = Vec::new();
    let reached: Vec<AddressReach> = addresses.iter().map(|address| judge(address, &answers, &mut findings)).collect();
    let mut kinds: BTreeMap<String, Option<bool>> = BTreeMap::new();
    for reach in &reached {
        let kind = kinds.entry(format!("{}/{}", reach.family, reach.transport)).or_default();
        *kind = (*kind).max(reach.reachable);
    }
    // A machine has addresses that are of no use to others. Only where none of a kind could be tried is something amiss, and only
    // where a helper was asked over that family: the others cannot say, nor have they to.
    let asked_over = |kind: &str| {
        let seen = answers.iter().filter_map(|answer| answer.seen_from.parse::<IpAddr>().ok());
        seen.map(|ip| ip.to_canonical()).any(|ip| kind.starts_with(if ip.is_ipv4() { "ip4" } else { "ip6" }))
    };
    for (kind, _) in kinds.iter().filter(|(kind, reachable)| reachable.is_none() && asked_over(kind)) {
        let those = reached.iter().filter(|reach| format!("{}/{}", reach.family, reach.transport) == *kind);
        let why: Vec<&str> = those.flat_map(|reach| &reach.reasons).map(String::as_str).collect();
        findings.push(NOT_ITS_OWN.with(format!("{kind}: {}", why.join("; "))));
    }
    let value = reached.iter().filter(|reach| reach.reachable == Some(false)).count();
    let tried =
        answers.iter().flat_map(|answer| &answer.dials).filter(|dial| dial.outcome != DialState::NotTried).count();
    let result = ReachabilityResult { addresses: reached, kinds, helpers: words };
    Ok(Report {
        value: i64::try_from(value).unwrap_or(i64::MAX),
        result: serde_json::to_value(&result).unwrap_or_default(),
        findings,
        bytes: tried as u64 * 4096,
        cpu: Duration::ZERO,
    })
}

/// Who is to be reached, and where.
struct Identity {
    peer: String,
    addresses: Vec<String>,
}

/// As the configuration says, or the node that the monitor is part of, or what the storage node's API says of itself. The key of a
/// monitor that is alone is not the node's: nobody answers with it.
async fn who(config: &ReachabilityConfig, context: &Context) -> Result<Identity, Stop> {
    let node = &context.node;
    let inside = !node.addresses.is_empty() && !node.id.is_empty();
    let mut peer = config.peer.clone().or_else(|| inside.then(|| node.id.clone()));
    let mut addresses =
        if config.addresses.is_empty() { listened_on(&node.addresses) } else { config.addresses.clone() };
    if let (Some(url), true) = (&node.api, peer.is_none() || addresses.is_empty()) {
        let options = ClientOptions { connect_timeout: IDENTITY, timeout: IDENTITY, max_connections: 1 };
        let token = node.token.as_ref().map(|token| &*token.0);
        let told = tokio::time::timeout(IDENTITY, async {
            NodeClient::connect_with(url, options, token).await?.debug_info().await
        });
        let unasked = |why: String| NODE_UNASKED.stop(format!("{url}: {why}"));
        let told = told.await.map_err(|_| unasked(format!("no answer within {IDENTITY:?}")))?;
        let told = told.map_err(|error| unasked(in_words(&error)))?;
        peer = peer.or_else(|| Some(told.id).filter(|id| !id.is_empty()));
        if addresses.is_empty() {
            let all: Vec<String> = told.announce_addresses.into_iter().chain(told.addrs).collect();
            addresses = listened_on(&all);
        }
    }
    match peer {
        Some(peer) if !addresses.is_empty() => Ok(Identity { peer, addresses }),
        _ => Err(NO_IDENTITY.stop("no peer id, or no address that begins with an IP")),
    }
}

async fn ask(
    url: &str,
    config: &ReachabilityConfig,
    request: &DialbackRequest,
    within: Duration,
) -> Result<DialbackAnswer, String> {
    let access = Access::from_files(url, config.token_file.as_deref(), config.ca.as_deref(), within).await;
    let helper = access.and_then(|access| MonitorClient::new(&access)).map_err(|error| error.told())?;
    let answer: DialbackAnswer = helper.post("/dialback", request).await.map_err(|error| error.told())?;
    if answer.dials.len() != request.addresses.len() {
        return Err(format!("it answers for {} addresses of {}", answer.dials.len(), request.addresses.len()));
    }
    Ok(answer)
}

fn judge(address: &str, answers: &[DialbackAnswer], findings: &mut Vec<Finding>) -> AddressReach {
    let dials: Vec<&DialOutcome> =
        answers.iter().flat_map(|answer| &answer.dials).filter(|dial| same(&dial.address, address)).collect();
    let any = |state| dials.iter().any(|dial| dial.outcome == state);
    let mut reasons: Vec<String> = dials.iter().filter_map(|dial| dial.reason.clone()).collect();
    reasons.sort();
    reasons.dedup();
    let detail = || format!("{address}: {}", reasons.join("; "));
    let reachable = if any(DialState::Reached) {
        Some(true)
    } else if any(DialState::WrongPeer) {
        findings.push(WRONG_PEER.with(detail()));
        Some(false)
    } else if any(DialState::Unreached) {
        findings.push(UNREACHABLE.with(detail()));
        Some(false)
    } else {
        None
    };
    let (family, transport) = kind(address).unwrap_or(("", ""));
    AddressReach {
        address: address.to_owned(),
        family: family.into(),
        transport: transport.into(),
        reachable,
        handshake_ns: dials.iter().filter_map(|dial| dial.handshake_ns).min(),
        reasons,
    }
}

/// The addresses that others can be asked to dial: those of this machine alone are left out, unless it has no others.
fn listened_on(addresses: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let dialled = addresses.iter().filter_map(|text| {
        let (ip, port, transport) = destination(&text.parse().ok()?)?;
        (!ip.is_unspecified() && seen.insert((ip, port, transport))).then_some((ip, text))
    });
    let (inner, outer): (Vec<_>, Vec<_>) = dialled.partition(|(ip, _)| ip.is_loopback());
    let chosen = if outer.is_empty() { inner } else { outer };
    chosen.into_iter().take(MAX_ADDRESSES).map(|(_, text)| text.clone()).collect()
}

/// Whether two texts are one address: a helper writes it in its canonical form.
fn same(one: &str, other: &str) -> bool {
    one == other
        || matches!((one.parse::<Multiaddr>(), other.parse::<Multiaddr>()), (Ok(one), Ok(other)) if one == other)
}

/// Family and transport of an address that can be dialled.
fn kind(text: &str) -> Option<(&'static str, &'static str)> {
    let (ip, _, transport) = destination(&text.parse().ok()?)?;
    Some((if ip.is_ipv4() { "ip4" } else { "ip6" }, transport.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_only_asked_for_where_there_is_nothing_else() {
        let list = |addresses: &[&str]| listened_on(&addresses.iter().map(ToString::to_string).collect::<Vec<_>>());
        let (inner, outer) = ("/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.1/tcp/1");
        assert_eq!(list(&[inner, outer, "/dns4/x/tcp/1"]), [outer]);
        assert_eq!(list(&[inner, "/ip6/::1/udp/1/quic-v1"]), [inner, "/ip6/::1/udp/1/quic-v1"]);
        assert_eq!(list(&["/ip4/0.0.0.0/tcp/1", outer, outer]), [outer], "what can be dialled, once");
    }
}
