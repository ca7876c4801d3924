//! The rule of who may listen where.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Why a listener does not open.
#[derive(Debug, Error)]
pub enum BindError {
    /// Beyond loopback without a token.
    #[error("{address} is reachable from other machines: set a token, or allow anonymous callers explicitly")]
    Open {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The system refused.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Refuses a listener beyond loopback that has neither a token nor the explicit permission to do without.
///
/// # Errors
/// [`BindError::Open`].
pub fn check_bind(address: SocketAddr, has_token: bool, allow_anonymous: bool) -> Result<(), BindError> {
    if address.ip().is_loopback() || has_token || allow_anonymous {
        return Ok(());
    }
    Err(BindError::Open { address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_opens_beyond_loopback_by_accident() {
        let local = "127.0.0.1:0".parse().unwrap();
        let open = "0.0.0.0:80".parse().unwrap();
        assert!(check_bind(local, false, false).is_ok());
        assert!(matches!(check_bind(open, false, false), Err(BindError::Open { .. })));
        assert!(check_bind(open, true, false).is_ok());
        assert!(check_bind(open, false, true).is_ok());
    }
}
