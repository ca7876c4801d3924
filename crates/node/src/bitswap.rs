//! Block exchange: Bitswap 1.2 on the wire, our own behaviour behind it.
//!
//! - `message` is the wire format;
//! - a `link` is one peer: what it wants from us, what we have to tell it, how much went either way;
//! - `wants` are the blocks that this node waits for;
//! - a [`Session`] knows which peers are good for one dataset and decides whom to ask ([`Exchange::fetch`]);
//! - [`Exchange`] holds it together and is what the rest of the node sees.
//!
//! Every block is hashed when it arrives: a block that nobody asked for is dropped and counted against its sender, never stored.

mod exchange;
mod fetch;
mod link;
pub(crate) mod message;
mod session;
mod wants;

pub(crate) use exchange::{Admission, Discovery, Payments};
pub use exchange::{Exchange, ExchangeEvent, PeerTraffic};
pub use fetch::FetchError;
pub use session::Session;
