//! How a server is set up.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use peermark_core::ByteSize;
use serde::{Deserialize, Serialize};

/// A listener of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listener {
    /// The interface that schedulers use. They send no token.
    Api,
    /// The page of metrics.
    Telemetry,
}

/// The `[dht_server]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Name or address that the HTTP interface binds; a name takes its first IPv4 address.
    pub server_host: String,
    /// Port of the HTTP interface. 0 takes a free one; with a database one that its schema can hold.
    pub server_port: u16,
    /// Name or address that the page of metrics binds.
    pub telemetry_host: String,
    /// Port of the page of metrics; 0 takes a free one.
    pub telemetry_port: u16,
    /// Listeners that answer beyond loopback without a token. Said aloud at start.
    pub allow_anonymous: Vec<Listener>,
    /// Fleet: any name; schedulers choose servers by it.
    pub fleet: String,
    /// Region as schedulers and reports name it. Without it the one in the ECS metadata, or none.
    pub region: Option<String>,
    /// Address under which schedulers reach the HTTP interface. Without it the one in the ECS metadata, or the bound one.
    pub advertise_ip: Option<Ipv4Addr>,
    /// ECS container metadata, version 4, as JSON text.
    pub ecs_metadata: Option<String>,
    /// Where to get that JSON instead; plain HTTP.
    pub ecs_metadata_uri_v4: Option<String>,
    /// From answering to the first heartbeat, in milliseconds. Schedulers see the server from then on.
    pub startup_delay_ms: u64,
    /// From one heartbeat to the next, in milliseconds. Schedulers forget a server after two minutes.
    pub heartbeat_ms: u64,
    /// Longest provide, in milliseconds.
    pub provide_timeout_ms: u64,
    /// Longest retrieve, in milliseconds.
    pub retrieve_timeout_ms: u64,
    /// Operations at once; one more is refused.
    pub max_operations: usize,
    /// Largest body of a request.
    pub max_body: ByteSize,
    /// Directory of the provider store, whose size the metrics tell.
    pub provider_store: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            server_host: "localhost".into(),
            server_port: 7070,
            telemetry_host: "localhost".into(),
            telemetry_port: 6666,
            allow_anonymous: Vec::new(),
            fleet: String::new(),
            region: None,
            advertise_ip: None,
            ecs_metadata: None,
            ecs_metadata_uri_v4: None,
            startup_delay_ms: 60_000,
            heartbeat_ms: 60_000,
            provide_timeout_ms: 180_000,
            retrieve_timeout_ms: 180_000,
            max_operations: 256,
            max_body: ByteSize(2 << 20),
            provider_store: None,
        }
    }
}

impl ServerConfig {
    pub(super) fn startup_delay(&self) -> Duration {
        Duration::from_millis(self.startup_delay_ms)
    }

    pub(super) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    pub(super) fn is_anonymous(&self, listener: Listener) -> bool {
        self.allow_anonymous.contains(&listener)
    }
}
