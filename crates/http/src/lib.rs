//! What every HTTP server of peermark shares.
//!
//! - [`Problem`]: errors as `application/problem+json`; what the caller may know is kept apart from what is logged;
//! - [`Guard`]: Host and Origin checks and tokens, so that neither a web page nor a stranger drives a node;
//! - [`Server`]: binding under the rule that nothing is open beyond loopback by accident, and stopping within a bound.

mod bind;
mod guard;
mod problem;
mod server;

pub use bind::{BindError, check_bind};
pub use guard::{Guard, guard};
pub use problem::Problem;
pub use server::{Bound, Server};
