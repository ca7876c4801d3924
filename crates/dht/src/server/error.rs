//! Why a server does not start.

use std::io;
use std::net::SocketAddr;

use peermark_http::BindError;
use peermark_store::StoreError;
use peermark_store::dht::MAX_PORT;
use thiserror::Error;

use super::ecs::EcsError;

/// Why a server does not start. Nothing listens and no row is fresh then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A setting that cannot be used.
    #[error("{name}: {reason}")]
    Setting {
        /// Which one.
        name: &'static str,
        /// Why not.
        reason: String,
    },
    /// A port that the database cannot hold.
    #[error("{what} {port} cannot be stored: the schema's column is a SMALLINT, take a port up to {MAX_PORT}")]
    Port {
        /// Which port.
        what: &'static str,
        /// Its number.
        port: u16,
    },
    /// A listener's name has no address.
    #[error("cannot resolve {host:?}")]
    Resolve {
        /// The name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// A listener does not open.
    #[error("cannot listen")]
    Listen(#[from] BindError),
    /// Schedulers could not be told where to call.
    #[error(
        "schedulers cannot be told to call {bound}: name an IPv4 address with --advertise-ip, or give ECS metadata"
    )]
    NoAddress {
        /// Where the HTTP interface is bound.
        bound: SocketAddr,
    },
    /// The ECS metadata cannot be used.
    #[error("ECS metadata")]
    Ecs(#[from] EcsError),
    /// The database did not take the server's row.
    #[error("cannot register the server")]
    Register(#[source] StoreError),
    /// The store did not begin the run that operations are stored in.
    #[error("cannot begin a run in the store")]
    Evidence(#[source] StoreError),
    /// The database did not answer in time.
    #[error("cannot register the server: the database did not answer within {seconds} s")]
    RegisterTimeout {
        /// How long it was waited for.
        seconds: u64,
    },
}
