//! The task `public-ip-validation` in network namespaces that the test makes: one with the interface, one that is the internet.
//!
//! They take root and `ip` (iproute2). Where they cannot be made the tests fail.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use peermark_core::{Culprit, FailureClass};
use peermark_http::Server;
use peermark_monitor::task::{NodeFacts, Report, Stop, Task};
use peermark_monitor::tasks::public_ip_validation::{
    AddressState, PublicAddress, PublicIp, PublicIpConfig, PublicIpResult, SitePeer,
};
use peermark_testkit::program;
use rustix::thread::{CapabilitySet, LinkNameSpaceType, move_into_link_name_space};

use super::{PATIENCE, assert_fits, context, failure, free_port, run, until};

const STUN_A: &str = "198.51.100.1";
const STUN_B: &str = "198.51.100.2";
const STUN_A6: &str = "2001:db8:5::1";
const STUN_B6: &str = "2001:db8:5::2";
const PORT: u16 = 3478;

static SITES: AtomicU32 = AtomicU32::new(0);

/// `inside` has the interface `pub`, `outside` its gateways and the STUN servers. Both go when this is dropped.
struct Site {
    inside: String,
    outside: String,
    servers: Vec<StunServer>,
}

struct StunServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[track_caller]
fn ip(args: &str) -> String {
    let done = Command::new(program("ip")).args(args.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "ip {args}: {said} (network namespaces take root)");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

impl Site {
    fn new() -> Self {
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("pmtest-{}-{number}-{side}", std::process::id());
        let site = Self { inside: name("in"), outside: name("out"), servers: Vec::new() };
        let Self { inside, outside, .. } = &site;
        ip(&format!("netns add {inside}"));
        ip(&format!("netns add {outside}"));
        ip(&format!("-n {inside} link add pub type veth peer name wan netns {outside}"));
        for up in ["lo", "wan"] {
            ip(&format!("-n {outside} link set {up} up"));
        }
        ip(&format!("-n {outside} addr add 203.0.113.1/24 dev wan"));
        ip(&format!("-n {outside} addr add 2001:db8:1::1/64 dev wan nodad"));
        for server in [STUN_A, STUN_B] {
            ip(&format!("-n {outside} addr add {server}/32 dev lo"));
        }
        for server in [STUN_A6, STUN_B6] {
            ip(&format!("-n {outside} addr add {server}/128 dev lo nodad"));
        }
        site
    }

    /// A STUN server that says where it sees who asks, or `lie`.
    fn serve(&mut self, at: &str, lie: Option<&str>) {
        let at = SocketAddr::new(at.parse().unwrap(), PORT);
        let lie: Option<IpAddr> = lie.map(|ip| ip.parse().unwrap());
        let namespace = format!("/run/netns/{}", self.outside);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let (told, bound) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let file = std::fs::File::open(namespace).unwrap();
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let socket = UdpSocket::bind(at).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            told.send(()).unwrap();
            let mut buffer = [0; 1500];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let seen = SocketAddr::new(lie.unwrap_or(from.ip()), from.port());
                    socket.send_to(&answer(&buffer[..length], seen), from).unwrap();
                }
            }
        });
        bound.recv().unwrap();
        self.servers.push(StunServer { stop, thread: Some(thread) });
    }

    fn config(&self, addresses: &[(&str, &str)], stun: &[&str]) -> PublicIpConfig {
        let address = |(cidr, gateway): &(&str, &str)| PublicAddress {
            cidr: (*cidr).into(),
            gateway: (*gateway).into(),
            in_use: false,
        };
        PublicIpConfig {
            node: 5,
            addresses: addresses.iter().map(address).collect(),
            stun: stun.iter().map(|server| SocketAddr::new(server.parse().unwrap(), PORT).to_string()).collect(),
            stun_timeout_ms: 1_500,
            namespace: self.inside.clone().into(),
            ..PublicIpConfig::default()
        }
    }

    /// Nothing is left on the interface, and it is down.
    #[track_caller]
    fn assert_clean(&self) {
        let addresses = ip(&format!("-n {} addr show dev pub", self.inside));
        assert!(!addresses.contains("inet") && !addresses.contains("state UP"), "{addresses}");
        assert_eq!(ip(&format!("-n {} route show", self.inside)), "");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for server in &mut self.servers {
            server.stop.store(true, Ordering::Relaxed);
            let _ = server.thread.take().unwrap().join();
        }
        for name in [&self.inside, &self.outside] {
            let _ = Command::new(program("ip")).args(["netns", "del", name]).status();
        }
    }
}

/// A Binding success response with XOR-MAPPED-ADDRESS (RFC 8489 §14.2), written here anew: the task's reader is not its own judge.
fn answer(request: &[u8], seen: SocketAddr) -> Vec<u8> {
    let mut value = vec![0, if seen.is_ipv4() { 1 } else { 2 }];
    let key = &request[4..20];
    value.extend((seen.port() ^ u16::from_be_bytes([key[0], key[1]])).to_be_bytes());
    let ip = match seen.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    value.extend(ip.iter().zip(key).map(|(byte, key)| byte ^ key));
    let mut message = vec![1, 1, 0, u8::try_from(value.len() + 4).unwrap()];
    message.extend(key);
    message.extend([0, 0x20, 0, u8::try_from(value.len()).unwrap()]);
    message.extend(value);
    message
}

async fn validated(config: PublicIpConfig) -> (PublicIpResult, Report) {
    let task = PublicIp::new(config).unwrap();
    let report = run(&task).await.unwrap();
    assert_fits(&task, &report.result);
    (serde_json::from_value(report.result.clone()).unwrap(), report)
}

#[tokio::test]
async fn addresses_that_lead_out_as_themselves_are_valid_over_both_families() {
    let mut site = Site::new();
    for server in [STUN_A, STUN_B, STUN_A6, STUN_B6] {
        site.serve(server, None);
    }
    let mut config = site.config(
        &[
            ("203.0.113.10/24", "203.0.113.1"),
            ("2001:db8:1::10/64", "2001:db8:1::1"),
            ("203.0.113.11/24", "203.0.113.1"),
        ],
        &[STUN_A, STUN_B, STUN_A6, STUN_B6],
    );
    config.addresses[2].in_use = true;
    let (result, report) = validated(config).await;
    for cidr in ["203.0.113.10/24", "2001:db8:1::10/64"] {
        let said = &result[cidr];
        assert_eq!((said.state, said.reason.as_str(), said.leader), (AddressState::Valid, "", 5), "{said:?}");
        assert_eq!(said.observed.iter().filter(|seen| seen.address.is_some()).count(), 2, "{said:?}");
    }
    let skipped = &result["203.0.113.11/24"];
    assert_eq!(
        (skipped.state, skipped.reason.as_str()),
        (AddressState::Skipped, "ip is already assigned to a contract")
    );
    assert_eq!((report.value, report.findings), (0, vec![]));
    site.assert_clean();
}

#[tokio::test]
async fn wrong_addresses_and_gateways_are_invalid() {
    let mut site = Site::new();
    for server in [STUN_A, STUN_B] {
        site.serve(server, Some("203.0.113.99"));
    }
    let not_valid = "public ip or gateway data are not valid";
    let config = site.config(
        &[
            ("203.0.113.10/24", "203.0.113.1"),
            ("203.0.113.12/24", "192.0.2.1"),
            ("203.0.113.13", "203.0.113.1"),
            ("203.0.113.14/24", "no gateway"),
        ],
        &[STUN_A, STUN_B],
    );
    let (result, report) = validated(config).await;
    let said = |cidr: &str| (result[cidr].state, result[cidr].reason.as_str());
    assert_eq!(said("203.0.113.10/24"), (AddressState::Invalid, "public ip does not match farm ip"));
    assert!(result["203.0.113.10/24"].cause.contains("203.0.113.99"));
    for cidr in ["203.0.113.12/24", "203.0.113.13", "203.0.113.14/24"] {
        assert_eq!(said(cidr), (AddressState::Invalid, not_valid), "{cidr}");
    }
    assert_eq!(report.value, 4);
    assert!(report.findings.iter().all(|found| found.failure.code == "address_invalid"), "{:?}", report.findings);
    site.assert_clean();
}

#[tokio::test]
async fn silent_and_disagreeing_servers_leave_it_unknown() {
    let mut site = Site::new();
    site.serve(STUN_A, None);
    site.serve(STUN_B, Some("203.0.113.99"));
    let address = [("203.0.113.10/24", "203.0.113.1")];
    let (result, report) = validated(site.config(&address, &[STUN_A, STUN_B])).await;
    let said = &result["203.0.113.10/24"];
    assert_eq!((said.state, said.reason.as_str()), (AddressState::Unknown, "failed to get real public IP to the node"));
    assert!(said.cause.contains("disagree"), "{said:?}");
    assert_eq!((report.value, report.findings[0].failure.culprit), (0, Culprit::ThirdParty));

    let (result, _) = validated(site.config(&address, &["198.51.100.7", "198.51.100.8"])).await;
    let said = &result["203.0.113.10/24"];
    assert_eq!(said.state, AddressState::Unknown);
    assert!(said.observed.iter().all(|seen| seen.error.is_some()), "{said:?}");
    site.assert_clean();
}

#[tokio::test]
async fn a_run_that_is_given_up_leaves_the_interface_clean() {
    let site = Site::new();
    let mut config = site.config(&[("203.0.113.10/24", "203.0.113.1")], &[STUN_A, STUN_B]);
    config.stun_timeout_ms = 60_000;
    let task = PublicIp::new(config).unwrap();
    let (context, _scratch) = context(PATIENCE, NodeFacts::default());
    let cancel = context.cancel.clone();
    let has = |text: &str| ip(&format!("-n {} addr show dev pub", site.inside)).contains(text);
    let running = tokio::spawn(task.run(context));
    until("the address is being tried", async || has("203.0.113.10")).await;
    running.abort();
    cancel.cancel();
    until("it is off the interface, which is down", async || !has("203.0.113.10") && !has("state UP")).await;
}

#[tokio::test]
async fn the_lowest_node_that_answers_leads() {
    let app = Router::new().route("/api/v1/monitor/status", get(|| async { "anything" }));
    let lower = Server::start("127.0.0.1:0".parse().unwrap(), app, None, false).await.unwrap();
    let monitor = |node, url: String| SitePeer { node, monitor: Some(url), ping: None };
    let alive = format!("http://{}", lower.address());
    let dead = format!("http://127.0.0.1:{}", free_port());
    let mut site = Site::new();
    site.serve(STUN_A, None);
    site.serve(STUN_B, None);
    let mut config = site.config(&[("203.0.113.10/24", "203.0.113.1")], &[STUN_A, STUN_B]);
    config.peers =
        vec![monitor(9, alive.clone()), monitor(1, dead.clone()), monitor(3, alive.clone()), monitor(4, alive)];
    let Err(Stop::Skipped(why)) = run(&PublicIp::new(config.clone()).unwrap()).await else { panic!("node 3 leads") };
    assert!(why.contains("node 3 leads"), "{why}");

    let pinged = SitePeer { node: 2, monitor: None, ping: Some("127.0.0.1".parse().unwrap()) };
    config.peers.push(pinged);
    let Err(Stop::Skipped(why)) = run(&PublicIp::new(config.clone()).unwrap()).await else { panic!("node 2 leads") };
    assert!(why.contains("node 2 leads"), "{why}");

    config.peers = vec![monitor(1, dead), monitor(9, format!("http://{}", lower.address()))];
    assert_eq!(validated(config).await.0["203.0.113.10/24"].state, AddressState::Valid);
}

#[tokio::test]
async fn a_missing_namespace_or_interface_is_told() {
    let site = Site::new();
    let config = site.config(&[("203.0.113.10/24", "203.0.113.1")], &[STUN_A, STUN_B]);
    let missing = PublicIpConfig { namespace: "pmtest-that-nobody-made".into(), ..config.clone() };
    let finding = failure(run(&PublicIp::new(missing).unwrap()).await);
    assert_eq!((finding.failure.code, finding.failure.culprit), ("no_namespace", Culprit::Observer));
    assert!(finding.detail.starts_with("failed to get namespace /run/netns/pmtest-that-nobody-made"), "{finding:?}");
    let no_interface = PublicIpConfig { interface: "nosuch0".into(), ..config };
    assert_eq!(failure(run(&PublicIp::new(no_interface).unwrap()).await).failure.code, "no_namespace");
}

#[test]
fn without_permission_it_fails_and_says_what_it_needs() {
    let site = Site::new();
    let config = site.config(&[("203.0.113.10/24", "203.0.113.1")], &[STUN_A, STUN_B]);
    let pinged = SitePeer { node: 1, monitor: None, ping: Some("127.0.0.1".parse().unwrap()) };
    let with_peer = PublicIpConfig { peers: vec![pinged], ..config.clone() };
    // Threads that a thread starts have no more rights than it: the task's thread is one of them.
    let powerless = std::thread::spawn(move || {
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW);
        rustix::thread::set_capabilities(None, sets).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let plain = runtime.block_on(run(&PublicIp::new(config).unwrap()));
        (plain, runtime.block_on(run(&PublicIp::new(with_peer).unwrap())))
    });
    let (plain, with_peer) = powerless.join().unwrap();
    let finding = failure(plain);
    assert_eq!((finding.failure.code, finding.failure.class), ("not_permitted", FailureClass::NotPermitted));
    assert!(finding.failure.advice.contains("CAP_SYS_ADMIN") && finding.detail.contains("netns"), "{finding:?}");
    let open_to_all = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap();
    if open_to_all.split_whitespace().collect::<Vec<_>>() == ["1", "0"] {
        assert_eq!(failure(with_peer).failure.code, "not_permitted", "nobody may ping without CAP_NET_RAW here");
    } else {
        assert!(matches!(with_peer, Err(Stop::Skipped(_))), "{with_peer:?}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let key = |config: PublicIpConfig| PublicIp::new(config).unwrap_err().key;
    let base = PublicIpConfig::default;
    assert_eq!(key(PublicIpConfig { stun: vec!["stun.example".into()], ..base() }), "public_ip_validation.stun");
    assert_eq!(key(PublicIpConfig { peers: vec![SitePeer::default()], ..base() }), "public_ip_validation.peers");
    assert_eq!(key(PublicIpConfig { interface: "-x".into(), ..base() }), "public_ip_validation.interface");
    let one = vec!["stun.example:3478".to_owned()];
    let address = PublicAddress { cidr: "203.0.113.10/24".into(), ..PublicAddress::default() };
    let few = PublicIp::new(PublicIpConfig { stun: one, addresses: vec![address], ..base() }).unwrap();
    assert!(few.configured().unwrap_err().contains("fewer than two STUN servers"));
}
