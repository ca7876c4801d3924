//! Whether the public addresses that the configuration lists lead to the outside as themselves.
//!
//! One node of a site does it, the one with the lowest id that answers. Each address in turn is put on an interface in a network
//! namespace of its own, with its gateway, and several STUN servers are asked where they see it. Unlike in zos, trouble with STUN
//! makes an address `unknown` and not `invalid`, IPv6 is checked as IPv4 is, and whatever happens the interface is left clean.

mod failures;
mod judge;
mod leader;
mod namespace;
mod observe;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use parking_lot::Mutex;
use peermark_core::Unit;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Needs, Report, Retry, Running, Stop, Task};
use failures::{
    ADDRESS_INVALID, FAILURES, NO_NAMESPACE, NOT_PERMITTED, PROGRAM_MISSING, SETUP_FAILED, STOPPED_EARLY, STUN_UNCLEAR,
};
pub use judge::{AddressResult, AddressState, Observed, PublicIpResult};
use judge::{Assigned, settle};
use leader::Leader;
use namespace::{Interface, NamespaceError};

/// Most addresses and most STUN servers.
const MAX_ADDRESSES: usize = 128;
const MAX_SERVERS: usize = 16;

/// Longest result with what every server said; it stays well below what is kept, 48 KiB.
const MAX_RESULT_BYTES: usize = 40 << 10;

/// Longest cause in a result that is longer.
const MAX_CAUSE_CHARS: usize = 60;

/// Longest look-up of a STUN server's name.
const LOOK_UP: Duration = Duration::from_secs(5);

/// What one address takes besides the questions.
const AROUND_AN_ADDRESS: Duration = Duration::from_secs(1);

/// The section `monitor.public_ip_validation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicIpConfig {
    /// This node's number at its site.
    pub node: u64,
    /// The other nodes of the site. The one with the lowest number that answers does the test for all.
    pub peers: Vec<SitePeer>,
    /// Authorities (PEM) that monitors with `https` have to be vouched for by; the system's where there is none.
    pub ca: Option<PathBuf>,
    /// The site's public addresses.
    pub addresses: Vec<PublicAddress>,
    /// STUN servers, `host:port`, at least two: one alone can be wrong.
    pub stun: Vec<String>,
    /// How long STUN servers are asked, milliseconds; the question is sent again after 500 ms, 1.5 s, 3.5 s.
    pub stun_timeout_ms: u32,
    /// Network namespace in which addresses are tried: a name as `ip netns` knows it, or a path. It exists, with the interface.
    pub namespace: PathBuf,
    /// The interface in it, on the public network. Its addresses and routes are removed.
    pub interface: String,
}

/// Another node of the site: reached by its monitor or by ping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SitePeer {
    /// Its number.
    pub node: u64,
    /// Its monitor's base URL; whatever it answers shows that it lives.
    pub monitor: Option<String>,
    /// Its address, where it is pinged instead.
    pub ping: Option<std::net::IpAddr>,
}

/// A public address of the site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicAddress {
    /// Address and length of its network: `185.206.122.29/24`.
    pub cidr: String,
    /// The gateway of that network.
    pub gateway: String,
    /// Whether a workload has it: it is left alone then.
    pub in_use: bool,
}

impl Default for PublicIpConfig {
    fn default() -> Self {
        Self {
            node: 0,
            peers: Vec::new(),
            ca: None,
            addresses: Vec::new(),
            stun: Vec::new(),
            stun_timeout_ms: 5_000,
            namespace: "pubtestns".into(),
            interface: "pub".into(),
        }
    }
}

/// The task `public-ip-validation`.
#[derive(Clone, Debug)]
pub struct PublicIp {
    about: About,
    config: PublicIpConfig,
    /// Held by the thread that uses the interface: one that was given up cleans it before the next one begins.
    interface: Arc<Mutex<()>>,
}

impl PublicIp {
    /// The task with its settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot be used.
    pub fn new(config: PublicIpConfig) -> Result<Self, ConfigError> {
        let wrong = |key: &str, reason: String| ConfigError { key: format!("public_ip_validation.{key}"), reason };
        if config.addresses.len() > MAX_ADDRESSES {
            return Err(wrong("addresses", format!("at most {MAX_ADDRESSES}")));
        }
        if config.stun.len() > MAX_SERVERS {
            return Err(wrong("stun", format!("at most {MAX_SERVERS}")));
        }
        if let Some(server) = config.stun.iter().find(|server| !names_a_port(server)) {
            return Err(wrong("stun", format!("{server:?}: expected host:port")));
        }
        let reachable = |peer: &&SitePeer| peer.monitor.is_some() || peer.ping.is_some();
        if let Some(peer) = config.peers.iter().find(|peer| !reachable(peer)) {
            return Err(wrong("peers", format!("node {} has neither monitor nor ping", peer.node)));
        }
        if config.peers.iter().any(|peer| peer.node == config.node) {
            return Err(wrong("peers", format!("node {} is this one", config.node)));
        }
        let is_name = |name: &str| !name.is_empty() && !name.starts_with('-') && !name.contains(char::is_whitespace);
        if !is_name(&config.interface) {
            return Err(wrong("interface", "expected the name of an interface".into()));
        }
        if !(100..=60_000).contains(&config.stun_timeout_ms) {
            return Err(wrong("stun_timeout_ms", "expected 100 to 60000".into()));
        }
        Ok(Self { about: about(&config), config, interface: Arc::default() })
    }
}

fn names_a_port(server: &str) -> bool {
    server
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn about(config: &PublicIpConfig) -> About {
    let each = Duration::from_millis(config.stun_timeout_ms.into()) + AROUND_AN_ADDRESS;
    let addresses = u32::try_from(config.addresses.len()).unwrap_or(u32::MAX);
    About {
        name: "public-ip-validation".into(),
        description: "Runs on the least NodeID node in a farm to validate all its IPs.".into(),
        cron: "0 0 */6 * * *".into(),
        jitter_s: 600,
        timeout: Duration::from_secs(60) + each * addresses,
        needs: Needs::default(),
        light: false,
        at_start: true,
        unit: Unit::Count,
        value: "invalid addresses".into(),
        better: Better::Lower,
        bytes: u64::from(addresses) * MAX_SERVERS as u64 * 4 * 200,
        cpu: Duration::from_secs(1),
        retry: Retry { attempts: 3, first: Duration::from_secs(30), longest: Duration::from_secs(90) },
        failures: FAILURES,
        schema: || schemars::schema_for!(PublicIpResult).to_value(),
    }
}

impl Task for PublicIp {
    fn about(&self) -> &About {
        &self.about
    }

    fn configured(&self) -> Result<(), String> {
        if self.config.addresses.is_empty() {
            return Err("no address is configured: set monitor.public_ip_validation.addresses".into());
        }
        if self.config.stun.len() < 2 {
            return Err("fewer than two STUN servers are configured: set monitor.public_ip_validation.stun".into());
        }
        Ok(())
    }

    fn run(&self, context: Context) -> Running {
        validate(self.config.clone(), context, self.interface.clone()).boxed()
    }
}

async fn validate(config: PublicIpConfig, context: Context, lock: Arc<Mutex<()>>) -> Result<Report, Stop> {
    match leader::find(&config, &context).await? {
        Leader::Other(node) => {
            // zos's words, and who it is.
            return Err(Stop::Skipped(format!("there is a node with less ID available: node {node} leads")));
        }
        Leader::This => {}
    }
    // Names are looked up out here: in the namespace there may be no way to a name server.
    let servers = join_all(config.stun.iter().map(|server| look_up(server))).await;
    let mut results = PublicIpResult::new();
    for address in &config.addresses {
        let judged = match Assigned::read(address) {
            _ if address.in_use => AddressResult::in_use(),
            Err(why) => AddressResult::unusable(why),
            Ok(assigned) => try_address(&config, &context, assigned, servers.clone(), lock.clone()).await?,
        };
        results.insert(address.cidr.clone(), AddressResult { leader: config.node, ..judged });
    }
    Ok(report(results))
}

/// On a thread of its own: a thread that has entered a namespace must run nothing else.
async fn try_address(
    config: &PublicIpConfig,
    context: &Context,
    assigned: Assigned,
    servers: Vec<observe::Server>,
    lock: Arc<Mutex<()>>,
) -> Result<AddressResult, Stop> {
    let namespace = namespace_path(&config.namespace);
    let interface = Interface::new(&config.interface, context.cancel.clone(), context.clock.clone());
    let seed = context.seed;
    let timeout = Duration::from_millis(config.stun_timeout_ms.into());
    let (told, result) = oneshot::channel();
    let work = move || {
        let _alone = lock.lock();
        let seen = namespace::enter(&namespace).and_then(|()| {
            interface.with_address(&assigned, || observe::ask(&interface, &assigned, &servers, timeout, seed))
        });
        // Nobody waits any more when the run was given up.
        let _ = told.send(seen.map(|seen| settle(&assigned, seen)));
    };
    let thread = std::thread::Builder::new().name("public-ip".into()).spawn(work);
    thread.map_err(|error| SETUP_FAILED.stop(format!("start a thread: {error}")))?;
    match result.await {
        Ok(Ok(judged)) => Ok(judged),
        Ok(Err(NamespaceError::Address(why))) => Ok(AddressResult::unusable(why)),
        Ok(Err(NamespaceError::Untried(why))) => Ok(AddressResult::untried(why)),
        Ok(Err(error)) => Err(explain(&error)),
        Err(_) => Err(SETUP_FAILED.stop("the thread in the namespace ended without a word")),
    }
}

fn explain(error: &NamespaceError) -> Stop {
    let failure: &'static Failure = match error {
        NamespaceError::Missing { .. } => &NO_NAMESPACE,
        NamespaceError::NoInterface(_) => &NO_NAMESPACE,
        NamespaceError::NotPermitted(_) => &NOT_PERMITTED,
        NamespaceError::Program => &PROGRAM_MISSING,
        NamespaceError::Setup(_) | NamespaceError::Address(_) | NamespaceError::Untried(_) => &SETUP_FAILED,
        NamespaceError::Cancelled => &STOPPED_EARLY,
    };
    failure.stop(error.to_string())
}

fn namespace_path(namespace: &Path) -> PathBuf {
    /// Where `ip netns` keeps them.
    const NAMED: &str = "/run/netns";
    if namespace.components().count() > 1 { namespace.to_owned() } else { Path::new(NAMED).join(namespace) }
}

async fn look_up(server: &str) -> observe::Server {
    let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host(server)).await;
    let addresses = match found {
        Ok(Ok(found)) => Ok(found.collect::<Vec<SocketAddr>>()),
        Ok(Err(error)) => Err(format!("look up: {error}")),
        Err(_) => Err(format!("look up: no answer within {LOOK_UP:?}")),
    };
    observe::Server { name: server.to_owned(), addresses }
}

/// Leaves out of a long result what it can be read without: what servers said of valid addresses, then of all.
fn fit(mut results: PublicIpResult) -> PublicIpResult {
    let too_long =
        |results: &PublicIpResult| serde_json::to_vec(results).map_or(0, |text| text.len()) > MAX_RESULT_BYTES;
    if too_long(&results) {
        results.values_mut().filter(|one| one.state == AddressState::Valid).for_each(|one| one.observed.clear());
    }
    if too_long(&results) {
        for one in results.values_mut() {
            one.observed.clear();
            one.cause = one.cause.chars().take(MAX_CAUSE_CHARS).collect();
        }
    }
    results
}

fn report(results: PublicIpResult) -> Report {
    let told = |state, failure: &'static Failure| {
        let those = results.iter().filter(move |(_, result)| result.state == state);
        those.map(move |(cidr, result)| failure.with(format!("{cidr}: {}", result.told())))
    };
    let findings: Vec<_> =
        told(AddressState::Invalid, &ADDRESS_INVALID).chain(told(AddressState::Unknown, &STUN_UNCLEAR)).collect();
    let invalid = results.values().filter(|result| result.state == AddressState::Invalid).count();
    let asked: usize = results.values().map(|result| result.observed.len()).sum();
    Report {
        value: i64::try_from(invalid).unwrap_or(i64::MAX),
        result: serde_json::to_value(fit(results)).unwrap_or_default(),
        findings,
        // A request and an answer with their headers.
        bytes: asked as u64 * 128,
        cpu: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_result_is_kept() {
        let observed = |number: usize| Observed {
            server: format!("stun-{number}.a-rather-long-name.example.org:3478"),
            address: Some("2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap()),
            error: None,
        };
        for state in [AddressState::Valid, AddressState::Unknown] {
            let one = AddressResult {
                state,
                observed: (0..MAX_SERVERS).map(observed).collect(),
                ..AddressResult::untried("x".repeat(400))
            };
            let all: PublicIpResult = (0..MAX_ADDRESSES)
                .map(|n| (format!("2001:db8:1111:2222:3333:4444:5555:{n}/64"), one.clone()))
                .collect();
            let report = report(all);
            assert_eq!(report.bytes, (MAX_ADDRESSES * MAX_SERVERS) as u64 * 128);
            assert!(report.result.to_string().len() <= 48 << 10, "{}", report.result.to_string().len());
        }
    }
}
