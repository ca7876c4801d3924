//! What every HTTP server of peermark shares.
//!
//! - [`Problem`]: errors as `application/problem+json`; what the caller may know is kept apart from what is logged;
//! - [`explain`]: refusals of the router (methods, parameters) as problems too;
//! - [`Guard`]: Host and Origin checks and tokens, so that neither a web page nor a stranger drives a node;
//! - [`Server`]: binding under the rule that nothing is open beyond loopback by accident, and stopping within a bound;
//! - [`Tls`]: certificate and key, for servers that machines elsewhere may talk to.

mod bind;
mod explain;
mod guard;
mod problem;
mod server;
mod tls;

pub use bind::{BindError, check_bind};
pub use explain::explain;
pub use guard::{Guard, guard};
pub use problem::Problem;
pub use server::{Bound, Caller, Server};
pub use tls::{Tls, TlsError};
