//! STUN as far as asking "from which address do you see me?" needs it: one Binding request and its answer (RFC 8489).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Fixed first word of the transaction (RFC 8489 §5).
const MAGIC_COOKIE: u32 = 0x2112_A442;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

const HEADER_BYTES: usize = 20;

/// Longest datagram that is read as an answer.
pub const MAX_ANSWER_BYTES: usize = 1500;

/// Names one question and its answers: 96 random bits, so that nobody who does not see the question can answer it.
pub type Transaction = [u8; 12];

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StunAnswer {
    /// Where it sees the asker.
    Address(SocketAddr),
    /// It refuses: the code and the reason of its ERROR-CODE attribute (RFC 8489 §14.8), code 0 without one.
    Refused {
        /// Code, 300 to 699.
        code: u16,
        /// Its words, shortened.
        reason: String,
    },
}

/// A Binding request without attributes.
pub fn request(transaction: &Transaction) -> [u8; HEADER_BYTES] {
    let mut message = [0; HEADER_BYTES];
    message[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
    message[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    message[8..].copy_from_slice(transaction);
    message
}

/// Reads an answer to `transaction`; `None` for whatever is not one, which has to be ignored: anybody can send a datagram.
pub fn answer(datagram: &[u8], transaction: &Transaction) -> Option<StunAnswer> {
    let (header, body) = datagram.split_at_checked(HEADER_BYTES)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[4..8] != MAGIC_COOKIE.to_be_bytes() || header[8..] != transaction[..] || length != body.len() {
        return None;
    }
    match u16::from_be_bytes([header[0], header[1]]) {
        BINDING_SUCCESS => {
            let xored = attribute(body, XOR_MAPPED_ADDRESS).and_then(|value| address(value, transaction, true));
            // Servers from before RFC 5389 know only this one.
            let found = xored.or_else(|| address(attribute(body, MAPPED_ADDRESS)?, transaction, false));
            found.map(StunAnswer::Address)
        }
        BINDING_ERROR => {
            let (code, reason) = attribute(body, ERROR_CODE).and_then(error_code).unwrap_or_default();
            Some(StunAnswer::Refused { code, reason })
        }
        _ => None,
    }
}

/// The value of the first attribute of `kind` (type, length, value padded to 4 bytes: RFC 8489 §14).
fn attribute(mut body: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let (head, rest) = body.split_at_checked(4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if u16::from_be_bytes([head[0], head[1]]) == kind {
            return rest.get(..length);
        }
        body = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// (XOR-)MAPPED-ADDRESS: a zero, the family, the port, the address; xored with the cookie and the transaction (RFC 8489 §14.2).
fn address(value: &[u8], transaction: &Transaction, xored: bool) -> Option<SocketAddr> {
    let (head, ip) = value.split_at_checked(4)?;
    let mut mask = [0; 16];
    if xored {
        mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        mask[4..].copy_from_slice(transaction);
    }
    let port = u16::from_be_bytes([head[2] ^ mask[0], head[3] ^ mask[1]]);
    let ip: IpAddr = match (head[1], ip.len()) {
        (1, 4) => Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|at| ip[at] ^ mask[at])).into(),
        (2, 16) => Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|at| ip[at] ^ mask[at])).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn error_code(value: &[u8]) -> Option<(u16, String)> {
    let (head, reason) = value.split_at_checked(4)?;
    let code = u16::from(head[2] & 7) * 100 + u16::from(head[3]).min(99);
    let reason = String::from_utf8_lossy(reason);
    Some((code, reason.chars().filter(|c| !c.is_control()).take(100).collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 5769 §2.2: an answer over IPv4 with SOFTWARE, XOR-MAPPED-ADDRESS 192.0.2.1:32853, MESSAGE-INTEGRITY and FINGERPRINT.
    const SAMPLE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
                             000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";

    /// RFC 5769 §2.3: the same over IPv6, 2001:db8:1234:5678:11:2233:4455:6677 port 32853.
    const SAMPLE_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa\
                             a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";

    const TRANSACTION: Transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_samples_of_rfc_5769_are_read() {
        let address = |text: &str| Some(StunAnswer::Address(text.parse().unwrap()));
        assert_eq!(answer(&bytes(SAMPLE_V4), &TRANSACTION), address("192.0.2.1:32853"));
        assert_eq!(answer(&bytes(SAMPLE_V6), &TRANSACTION), address("[2001:db8:1234:5678:11:2233:4455:6677]:32853"));
        assert_eq!(answer(&bytes(SAMPLE_V4), &[0; 12]), None, "an answer to somebody else");
    }

    #[test]
    fn refusals_have_a_code() {
        let mut message = request(&TRANSACTION).to_vec();
        message[..4].copy_from_slice(&[0x01, 0x11, 0, 12]);
        message.extend([0, 9, 0, 8, 0, 0, 4, 20, b'b', b'u', b's', b'y']);
        let refused = StunAnswer::Refused { code: 420, reason: "busy".into() };
        assert_eq!(answer(&message, &TRANSACTION), Some(refused));
    }

    proptest! {
        #[test]
        fn no_datagram_breaks_it(body in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_u8..2) {
            let _ = answer(&body, &TRANSACTION);
            let mut message = request(&TRANSACTION).to_vec();
            message[..2].copy_from_slice(&[1, kind * 0x10 + 1]);
            message[2..4].copy_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
            message.extend(&body);
            let _ = answer(&message, &TRANSACTION);
        }
    }
}
