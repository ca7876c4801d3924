//! The swarm and what it is made of.

use std::sync::Arc;
use std::time::Duration;

use libp2p::core::upgrade::Version;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{Swarm, connection_limits, identify, kad, ping, swarm};

use super::{HostConfig, HostError, Shared, rpc, transport};
use crate::provider_store::{ProviderStore, RECORD_TTL};
use crate::wire::MAX_MESSAGE_BYTES;

/// Connections of a host. A crawl of a large network closes what it does not use.
const MAX_CONNECTIONS: u32 = 4096;

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) kad: Toggle<kad::Behaviour<ProviderStore>>,
    pub(super) rpc: rpc::Behaviour,
}

pub(super) fn build(config: &HostConfig, shared: &Arc<Shared>) -> Result<Swarm<Behaviour>, HostError> {
    let transport = transport::build(&config.key, config.scope, &shared.times, &shared.clock)?;
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established(Some(MAX_CONNECTIONS))
        .with_max_established_per_peer(Some(4))
        .with_max_pending_incoming(Some(256));
    let agent = concat!("peermark/", env!("CARGO_PKG_VERSION"));
    let identify = identify::Config::new("ipfs/0.1.0".into(), config.key.public())
        .with_agent_version(agent.into())
        .with_interval(Duration::from_secs(3600));
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new()),
        kad: Toggle::from(config.server.then(|| server_behaviour(config, shared))),
        rpc: rpc::Behaviour {
            protocol: shared.protocol.clone(),
            links: Arc::clone(&shared.links),
            clock: Arc::clone(&shared.clock),
        },
    };
    // The first question on a new stream travels with its negotiation, as Go does: one round trip less.
    let settings = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(config.idle_timeout)
        .with_substream_upgrade_protocol_override(Version::V1Lazy);
    Ok(Swarm::new(transport, behaviour, shared.local, settings))
}

/// libp2p's own Kademlia, which serves. Our engine asks beside it.
fn server_behaviour(config: &HostConfig, shared: &Shared) -> kad::Behaviour<ProviderStore> {
    let mut settings = kad::Config::new(shared.protocol.clone());
    settings.set_max_packet_size(MAX_MESSAGE_BYTES);
    settings.set_provider_record_ttl(Some(RECORD_TTL));
    // A measurement publishes once: nothing is announced again behind its back.
    settings.set_provider_publication_interval(None);
    settings.set_publication_interval(None);
    settings.set_replication_interval(None);
    // The engine refreshes; a second one would be traffic beside every measurement.
    settings.set_periodic_bootstrap_interval(None);
    if let Some(k) = std::num::NonZeroUsize::new(config.k) {
        settings.set_replication_factor(k);
        settings.set_kbucket_size(k);
    }
    let mut kad = kad::Behaviour::with_config(shared.local, shared.store.clone(), settings);
    kad.set_mode(Some(kad::Mode::Server));
    kad
}
