//! Asking STUN servers, all at once, with one blocking socket of the thread that is in the namespace.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use peermark_core::Seed;
use rand::Rng;

use super::judge::{Assigned, Observed};
use super::namespace::{Interface, NamespaceError};
use crate::stun::{self, MAX_ANSWER_BYTES, StunAnswer, Transaction};

/// First pause before a question is sent again; doubled each time (RFC 8489 §6.2.1).
const FIRST_PAUSE_NS: u64 = 500_000_000;

/// How long one receive blocks: how soon a run that was given up is noticed.
const SLICE: Duration = Duration::from_millis(50);

/// A STUN server and where it is.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) addresses: Result<Vec<SocketAddr>, String>,
}

struct Question<'a> {
    server: &'a str,
    to: Result<SocketAddr, String>,
    transaction: Transaction,
    answer: Option<Result<SocketAddr, String>>,
    /// What the system said of the last try.
    trouble: Option<String>,
}

/// Asks every server where it sees `assigned`, at most for `timeout`.
pub(super) fn ask(
    interface: &Interface,
    assigned: &Assigned,
    servers: &[Server],
    timeout: Duration,
    seed: Seed,
) -> Result<Vec<Observed>, NamespaceError> {
    let setup = |error: io::Error| NamespaceError::Setup(format!("socket at {}: {error}", assigned.ip));
    let socket = UdpSocket::bind(SocketAddr::new(assigned.ip, 0)).map_err(setup)?;
    socket.set_read_timeout(Some(SLICE)).map_err(setup)?;
    let mut random = seed.stream(&format!("public-ip-validation/stun/{}", assigned.ip));
    let mut questions: Vec<Question<'_>> =
        servers.iter().map(|server| question(server, assigned, &mut random)).collect();
    let clock = &interface.clock;
    let began_ns = clock.now_ns();
    let ends_ns = began_ns.saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
    let (mut next_ns, mut pause_ns) = (began_ns, FIRST_PAUSE_NS);
    let mut buffer = [0; MAX_ANSWER_BYTES];
    while clock.now_ns() < ends_ns && questions.iter().any(Question::is_open) {
        interface.go_on()?;
        if clock.now_ns() >= next_ns {
            questions.iter_mut().for_each(|question| question.send(&socket));
            next_ns = next_ns.saturating_add(pause_ns);
            pause_ns = pause_ns.saturating_mul(2);
        }
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                questions.iter_mut().for_each(|question| question.hear(from, &buffer[..length]));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            // An ICMP error of an earlier datagram, which does not say whose.
            Err(error) => tracing::trace!(%error, "receive"),
        }
    }
    Ok(questions.into_iter().map(|question| question.observed(timeout)).collect())
}

fn question<'a>(server: &'a Server, assigned: &Assigned, random: &mut impl Rng) -> Question<'a> {
    let family = |address: &&SocketAddr| address.is_ipv4() == assigned.ip.is_ipv4();
    let to = server.addresses.as_ref().map_err(Clone::clone).and_then(|found| {
        let name = if assigned.ip.is_ipv4() { "IPv4" } else { "IPv6" };
        found.iter().find(family).copied().ok_or_else(|| format!("has no {name} address"))
    });
    let mut transaction = Transaction::default();
    random.fill_bytes(&mut transaction);
    Question { server: &server.name, to, transaction, answer: None, trouble: None }
}

impl Question<'_> {
    fn is_open(&self) -> bool {
        self.to.is_ok() && self.answer.is_none()
    }

    fn send(&mut self, socket: &UdpSocket) {
        let Ok(to) = &self.to else { return };
        if self.answer.is_none() {
            self.trouble = socket.send_to(&stun::request(&self.transaction), to).err().map(|error| error.to_string());
        }
    }

    fn hear(&mut self, from: SocketAddr, datagram: &[u8]) {
        if !self.is_open() || self.to.as_ref() != Ok(&from) {
            return;
        }
        self.answer = stun::answer(datagram, &self.transaction).map(|answer| match answer {
            StunAnswer::Address(address) => Ok(address),
            StunAnswer::Refused { code, reason } => Err(format!("refused: {code} {reason}")),
        });
    }

    fn observed(self, timeout: Duration) -> Observed {
        let silent = self.trouble.unwrap_or_else(|| format!("no answer within {timeout:?}"));
        let said = self.to.and_then(|_| self.answer.unwrap_or(Err(silent)));
        let (address, error) = match said {
            Ok(address) => (Some(address.ip()), None),
            Err(error) => (None, Some(error)),
        };
        Observed { server: self.server.to_owned(), address, error }
    }
}
