//! What a DHT is measured with: arguments, and the composition of the lookup engine.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use peermark_core::Clock;
use peermark_dht::engine::{self as lookup, EngineConfig};
use peermark_dht::host::{Host, HostConfig, Scope};
use peermark_dht::operation::Variant;
use peermark_dht::preset::Preset;
use peermark_dht::private::PRIVATE_PROTOCOL;
use peermark_dht::server::EngineFacts;
use peermark_lab::scenario::HumanDuration;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::error::ExpectedError;

/// Keys whose providers a server keeps.
const MAX_KEYS: usize = 1 << 18;

/// Ports that a database can hold and that the system gives nobody for port 0: those of servers' HTTP interfaces are above.
const FIRST_SMALL_PORT: u16 = 8_192;
const SMALL_PORTS: u32 = 8_192;

/// How many of them are tried.
const SMALL_PORT_TRIES: u32 = 512;

/// Questions a second that strangers are asked at most on average: what a busy node of a public network asks.
const PUBLIC_QUESTIONS_PER_S: u32 = 200;

/// The network, the variant, and parsec's flags for both.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "DHT")]
pub(crate) struct EngineArgs {
    /// Public network by a preset: `ipfs`, `polkadot/kusama`, or parsec's names with --project. None is joined unless named
    #[arg(long, value_name = "NAME", env = "PARSEC_SERVER_DHT_NETWORK")]
    network: Option<String>,
    /// Project that --network belongs to
    #[arg(long, value_name = "NAME", env = "PARSEC_SERVER_DHT_PROJECT")]
    project: Option<String>,
    /// Peer to join by, with its /p2p/ peer id; instead of those of a preset (repeatable)
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<Multiaddr>,
    /// Name of the Kademlia protocol; instead of that of a preset
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<String>,
    /// Answer other peers, too; otherwise only ask
    #[arg(long, env = "PARSEC_SERVER_DHT_SERVER_MODE", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    server_mode: bool,
    /// Optimistic provide: store while looking, return early
    #[arg(long, env = "PARSEC_SERVER_DHT_OPTPROV", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    optprov: bool,
    /// Full routing table: crawl the network, answer in one hop. Goes before --optprov
    #[arg(long, env = "PARSEC_SERVER_DHT_FULLRT", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    fullrt: bool,
    /// RPCs of one lookup at once
    #[arg(long, value_name = "COUNT", env = "PARSEC_SERVER_DHT_ALPHA", default_value_t = 10)]
    alpha: usize,
    /// Peers that a record is stored with
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    k: usize,
    /// Closest peers that must have answered before a lookup ends
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    beta: usize,
    /// Address that the libp2p host binds
    #[arg(long, value_name = "HOST", env = "PARSEC_SERVER_PEER_HOST", default_value = "127.0.0.1")]
    peer_host: IpAddr,
    /// Port of the libp2p host, TCP and QUIC
    #[arg(long, value_name = "PORT", env = "PARSEC_SERVER_PEER_PORT", default_value_t = 4001)]
    peer_port: u16,
    /// How long a libp2p connection stays open without use: decides whether lookups find warm or cold connections
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    idle_timeout: HumanDuration,
    /// Directory of the provider store of a node in server mode
    #[arg(long, value_name = "DIR", env = "PARSEC_SERVER_LEVELDB")]
    level_db: Option<PathBuf>,
}

/// The resolved settings of the lookup engine.
#[derive(Clone, Debug)]
pub(crate) struct EngineSettings {
    /// Peers to join by.
    pub(crate) bootstrap: Vec<Multiaddr>,
    /// Name of the Kademlia protocol.
    pub(crate) protocol: String,
    /// Whether a preset was named, whose peers are strangers.
    pub(crate) public: bool,
    pub(crate) variant: Variant,
    pub(crate) server_mode: bool,
    pub(crate) alpha: usize,
    pub(crate) k: usize,
    pub(crate) beta: usize,
    pub(crate) peer_host: IpAddr,
    pub(crate) peer_port: u16,
    pub(crate) provider_store: Option<PathBuf>,
    pub(crate) idle_timeout: Duration,
}

/// A lookup engine that runs until this is dropped.
pub(crate) struct Engine {
    pub(crate) engine: Arc<lookup::Engine>,
    pub(crate) peer_id: libp2p::PeerId,
    /// Where it listens, after port 0 was given one.
    pub(crate) peer_port: u16,
    pub(crate) facts: EngineFacts,
    _swarm: AbortOnDropHandle<()>,
}

impl EngineArgs {
    /// What the arguments mean together.
    ///
    /// # Errors
    /// [`ExpectedError::Configuration`] for an unknown preset, for counts that no lookup can have, and for a client that knows
    /// nobody to ask.
    pub(crate) fn resolve(&self) -> Result<EngineSettings, ExpectedError> {
        let wrong = |text: String| Err(ExpectedError::Configuration(text));
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (project, network) = (given(&self.project), given(&self.network));
        let preset = match (&project, &network) {
            (None, None) => None,
            (project, network) => Some(
                Preset::find(project.as_deref(), network.as_deref())
                    .map_err(|error| ExpectedError::Configuration(error.to_string()))?,
            ),
        };
        for (flag, count) in [("--alpha", self.alpha), ("--k", self.k), ("--beta", self.beta)] {
            if count == 0 || count > 1000 {
                return wrong(format!("{flag} {count}: not between 1 and 1000"));
            }
        }
        let own = preset.map(|preset| preset.addresses()).unwrap_or_default();
        let bootstrap = if self.bootstrap.is_empty() { own } else { self.bootstrap.clone() };
        if bootstrap.is_empty() && !self.server_mode {
            return wrong("no bootstrap peer: name one with --bootstrap, or a public network with --network".into());
        }
        let protocol = given(&self.protocol).or(preset.map(|preset| preset.protocol.to_owned()));
        Ok(EngineSettings {
            bootstrap,
            protocol: protocol.unwrap_or_else(|| PRIVATE_PROTOCOL.to_owned()),
            public: preset.is_some(),
            variant: match (self.fullrt, self.optprov) {
                (true, _) => Variant::FullRt,
                (false, true) => Variant::OptProv,
                (false, false) => Variant::Default,
            },
            server_mode: self.server_mode,
            alpha: self.alpha,
            k: self.k,
            beta: self.beta,
            peer_host: self.peer_host,
            peer_port: self.peer_port,
            provider_store: self.level_db.clone(),
            idle_timeout: self.idle_timeout.0,
        })
    }
}

impl EngineSettings {
    /// The host below the engine. A network whose every known address is on this machine stays there.
    fn host(&self) -> HostConfig {
        let local = self.peer_host.is_loopback() && self.bootstrap.iter().all(is_loopback);
        let ip = match self.peer_host {
            IpAddr::V4(ip) => Protocol::Ip4(ip),
            IpAddr::V6(ip) => Protocol::Ip6(ip),
        };
        let at = Multiaddr::empty().with(ip);
        let listen = vec![
            at.clone().with(Protocol::Tcp(self.peer_port)),
            at.with(Protocol::Udp(self.peer_port)).with(Protocol::QuicV1),
        ];
        HostConfig {
            key: Keypair::generate_ed25519(),
            listen,
            protocol: self.protocol.clone(),
            server: self.server_mode,
            scope: if local { Scope::Loopback } else { Scope::Anywhere },
            idle_timeout: self.idle_timeout,
            k: self.k,
            max_keys: MAX_KEYS,
            provider_store: self.provider_store.clone().filter(|_| self.server_mode),
            max_questions_per_s: if self.public { NonZeroU32::new(PUBLIC_QUESTIONS_PER_S) } else { None },
        }
    }

    /// The settings in one line for people.
    pub(crate) fn words(&self) -> String {
        let role = if self.server_mode { "answers others" } else { "asks only" };
        format!(
            "{} over {}: alpha {}, k {}, beta {}, {role}, {} peers to join by, host {}:{}",
            self.variant.as_str(),
            self.protocol,
            self.alpha,
            self.k,
            self.beta,
            self.bootstrap.len(),
            self.peer_host,
            self.peer_port,
        )
    }
}

/// Starts the lookup engine, which knows nobody before it has joined.
///
/// # Errors
/// [`ExpectedError`] when the host does not start, or, with `wait`, when nobody can be asked.
pub(crate) async fn build_measure(settings: &EngineSettings, clock: &Arc<dyn Clock>) -> Result<Engine, ExpectedError> {
    let config = EngineConfig {
        alpha: settings.alpha,
        k: settings.k,
        beta: settings.beta,
        ..EngineConfig::of(settings.variant)
    };
    let host_config = settings.host();
    let (host, swarm) = Host::start(&host_config, Arc::clone(clock)).await?;
    let peer_id = host.peer_id();
    let peer_port = host.addresses().iter().find_map(port_of).unwrap_or(settings.peer_port);
    let engine = Arc::new(lookup::Engine::new(host, config)?);
    let facts = EngineFacts {
        variant: settings.variant,
        protocol: settings.protocol.clone(),
        server_mode: settings.server_mode,
        settings: json!({
            "alpha": config.alpha,
            "k": config.k,
            "beta": config.beta,
            "rpc_timeout_ms": config.rpc_timeout.as_millis() as u64,
            "store_timeout_ms": config.store_timeout.as_millis() as u64,
            "confirm": config.confirm,
            "idle_timeout_ms": host_config.idle_timeout.as_millis() as u64,
            "max_questions_per_s": host_config.max_questions_per_s,
        }),
    };
    Ok(Engine { engine, peer_id, peer_port, facts, _swarm: swarm })
}

fn port_of(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

/// A port that is free for TCP and UDP at this moment, and small enough for the schema of the database.
///
/// # Errors
/// [`ExpectedError::System`] when none of those that are tried is free.
pub(crate) fn free_small_port(ip: IpAddr) -> Result<u16, ExpectedError> {
    // Servers that start together begin at different ports.
    let first = std::process::id().wrapping_mul(7919);
    let ports = (0..SMALL_PORT_TRIES).map(|n| FIRST_SMALL_PORT + (first.wrapping_add(n * 31) % SMALL_PORTS) as u16);
    let is_free = |port: &u16| TcpListener::bind((ip, *port)).is_ok() && UdpSocket::bind((ip, *port)).is_ok();
    let none = || ExpectedError::System(std::io::ErrorKind::AddrInUse.into());
    ports.into_iter().find(is_free).ok_or_else(none)
}

/// Whether an address is certain to be on this machine.
fn is_loopback(address: &Multiaddr) -> bool {
    Scope::Loopback.allows(address)
}
