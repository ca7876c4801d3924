//! The messages of the protocol and the signature on a promise.

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey};
use prost::Message;
use thiserror::Error;

/// Keeps a signature on a promise from being taken for one on anything else.
const DOMAIN: &[u8] = b"peermark/pay/1\0";

/// Largest message that is read.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4096;

/// One message; exactly one field is set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PayMessage {
    /// From the payee: what a byte costs.
    #[prost(message, optional, tag = "1")]
    pub(crate) price: Option<Price>,
    /// From the payer.
    #[prost(message, optional, tag = "2")]
    pub(crate) promise: Option<Promise>,
    /// From the payee: the cumulative amount without which it serves no more.
    #[prost(uint64, optional, tag = "3")]
    pub(crate) need: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Price {
    #[prost(uint64, tag = "1")]
    pub(crate) per_byte: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) session: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Promise {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) terms: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) public_key: Vec<u8>,
}

/// What is promised.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PromiseTerms {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) payer: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payee: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub(crate) session: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) sequence: u64,
    /// Everything promised in this session so far, this promise included.
    #[prost(uint64, tag = "5")]
    pub(crate) cumulative: u64,
}

/// Why a promise is worth nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum InvalidPromise {
    #[error("malformed promise")]
    Malformed,
    #[error("promise signed by {signer}, sent by {sender}")]
    WrongSigner { signer: Box<PeerId>, sender: Box<PeerId> },
    #[error("signature does not verify")]
    Signature,
    #[error("promise of another payer, payee or session")]
    Elsewhere,
}

/// Signs a promise.
pub(crate) fn sign(key: &Keypair, terms: &PromiseTerms) -> Option<Promise> {
    let terms = terms.encode_to_vec();
    let signature = key.sign(&[DOMAIN, &terms].concat()).ok()?;
    Some(Promise { terms, signature, public_key: key.public().encode_protobuf() })
}

/// Verifies a promise that `sender` gave to `payee` in `session`.
pub(crate) fn verify(
    promise: &Promise,
    sender: PeerId,
    payee: PeerId,
    session: u64,
) -> Result<PromiseTerms, InvalidPromise> {
    let key = PublicKey::try_decode_protobuf(&promise.public_key).map_err(|_| InvalidPromise::Malformed)?;
    let signer = key.to_peer_id();
    if signer != sender {
        return Err(InvalidPromise::WrongSigner { signer: signer.into(), sender: sender.into() });
    }
    if !key.verify(&[DOMAIN, &promise.terms].concat(), &promise.signature) {
        return Err(InvalidPromise::Signature);
    }
    let terms = PromiseTerms::decode(promise.terms.as_slice()).map_err(|_| InvalidPromise::Malformed)?;
    if terms.encode_to_vec() != promise.terms {
        return Err(InvalidPromise::Malformed);
    }
    if terms.payer != sender.to_bytes() || terms.payee != payee.to_bytes() || terms.session != session {
        return Err(InvalidPromise::Elsewhere);
    }
    Ok(terms)
}
