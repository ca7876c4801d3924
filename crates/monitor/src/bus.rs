//! The Redis bus: what clients of zos and of RMB ask, answered from queues `msgbus.*`, and the keys `perf.*` that they read.
//!
//! Two connections to one Redis. One waits in `BRPOP` on the queues of all commands and pushes what it answers from memory together
//! with the next `BRPOP`, so that an answer costs one write and no hop between tasks. The other keeps the view, and pushes the
//! answers that had to wait for the history. Either comes back by itself when Redis does.
//!
//! Nothing here decides anything about tasks: every answer is the [`Desk`]'s. The monitor does not need Redis either: where it is
//! gone, only this is silent.

mod bench;
mod connection;
mod counters;
mod message;
mod resp;
mod service;
mod view;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peermark_core::Clock;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

pub use bench::{BusSamples, MeasurePlan, measure};
pub use counters::{BusCounters, BusFigures};

use crate::desk::Desk;
use connection::{Address, Connection};
use counters::add;
use service::Service;
use view::View;

/// Answers under way that wait for the history. While there are so many, further questions about it stay in Redis.
const SLOW_ANSWERS: usize = 16;

/// Pauses between attempts to reach Redis: each half as long again, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why there is no bus, or no connection.
#[derive(Debug, Error)]
pub enum BusError {
    /// The URL cannot be used. It is not repeated here: it may hold a password.
    #[error(
        "the Redis URL cannot be used: {0}; write redis://[:PASSWORD@]HOST[:PORT][/DATABASE] or redis+unix:///PATH"
    )]
    Url(String),
    /// The connection could not be opened, or broke.
    #[error("the connection to Redis failed")]
    Io(#[from] std::io::Error),
    /// No answer in time.
    #[error("Redis did not answer within {0:?}")]
    Timeout(Duration),
    /// Redis said no.
    #[error("Redis refused: {0}")]
    Refused(String),
    /// What came is not the protocol of Redis.
    #[error("what Redis sent cannot be read: {0}")]
    Protocol(&'static str),
    /// An answer over the bus is not what was asked for.
    #[error("an answer over the bus was not expected: {0}")]
    Answer(String),
}

/// A bus at work. It ends with this value.
#[derive(Debug)]
pub struct Bus {
    counters: Arc<BusCounters>,
    stop: DropGuard,
    service: JoinHandle<()>,
    view: JoinHandle<()>,
}

impl Bus {
    /// Whether a URL can be used, without any I/O.
    ///
    /// # Errors
    /// [`BusError::Url`].
    pub fn check(url: &str) -> Result<(), BusError> {
        Address::parse(url).map(drop)
    }

    /// Serves `desk` over the Redis at `url` until `stop` is cancelled. Redis need not be there yet. Call it in a runtime.
    ///
    /// `url`: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]` or `redis+unix:///PATH[?db=N&user=U&pass=P]`. One monitor per
    /// database: keys and queues have no name of a node in them.
    ///
    /// # Errors
    /// [`BusError::Url`] for a URL that cannot be used, TLS (`rediss://`) included.
    pub fn start(
        url: &str,
        desk: Arc<dyn Desk>,
        clock: Arc<dyn Clock>,
        stop: &CancellationToken,
    ) -> Result<Self, BusError> {
        let address = Arc::new(Address::parse(url)?);
        let counters = Arc::new(BusCounters::default());
        let stop = stop.child_token();
        let (later, answers) = mpsc::channel(SLOW_ANSWERS);
        let permits = Arc::new(Semaphore::new(SLOW_ANSWERS));
        let mut service = Service::new(desk.clone(), clock.clone(), counters.clone(), permits, later, stop.clone());
        let mut view = View::new(desk, clock, counters.clone(), answers, stop.clone());
        let link = Link { address, counters: counters.clone(), stop: stop.clone() };
        let other = link.clone();
        let service = tokio::spawn(async move { link.keep(Side::Service, &mut service).await });
        let view = tokio::spawn(async move { other.keep(Side::View, &mut view).await });
        Ok(Self { counters, stop: stop.drop_guard(), service, view })
    }

    /// What it did so far.
    pub fn counters(&self) -> &Arc<BusCounters> {
        &self.counters
    }

    /// Ends it, after the answer that is being written.
    pub async fn stop(self) {
        drop(self.stop);
        // A panic in either has been reported by its hook.
        _ = self.service.await;
        _ = self.view.await;
    }
}

/// One of the two connections.
#[derive(Clone, Copy, Debug)]
enum Side {
    Service,
    View,
}

/// What a connection is used for.
trait Use: Send {
    /// Uses a fresh connection until it breaks or the bus stops (`Ok`), and says each time that it was of use.
    fn attend(
        &mut self,
        connection: &mut Connection,
        patience: &mut Patience,
    ) -> impl Future<Output = Result<(), BusError>> + Send;
}

/// How long to wait before the next attempt, and what was said about it: once per outage, for Redis may be gone for days.
struct Patience {
    side: Side,
    address: Arc<Address>,
    pause: Duration,
    said: Said,
}

#[derive(PartialEq)]
enum Said {
    Nothing,
    Serves,
    Gone,
}

impl Patience {
    /// The connection does what it is for.
    fn useful(&mut self) {
        self.pause = FIRST_PAUSE;
        if self.said != Said::Serves {
            self.said = Said::Serves;
            info!(redis = %self.address, side = ?self.side, "Redis serves");
        }
    }

    fn failed(&mut self, error: &BusError) {
        if self.said != Said::Gone {
            self.said = Said::Gone;
            let source = std::error::Error::source(error).map(ToString::to_string);
            warn!(redis = %self.address, side = ?self.side, %error, source, "no Redis: trying again, up to every 5 s");
        }
    }

    fn next_pause(&mut self) -> Duration {
        let longer = LONGEST_PAUSE.min(self.pause * 3 / 2);
        std::mem::replace(&mut self.pause, longer)
    }
}

#[derive(Clone)]
struct Link {
    address: Arc<Address>,
    counters: Arc<BusCounters>,
    stop: CancellationToken,
}

impl Link {
    /// Connects, again and again, and lets `user` use the connection.
    async fn keep(&self, side: Side, user: &mut impl Use) {
        let address = self.address.clone();
        let mut patience = Patience { side, address, pause: FIRST_PAUSE, said: Said::Nothing };
        loop {
            let connection = tokio::select! {
                () = self.stop.cancelled() => return,
                connection = Connection::open(&self.address) => connection,
            };
            let ended = match connection {
                Ok(mut connection) => {
                    add(&self.counters.connections, 1);
                    self.connected(side, true);
                    let ended = user.attend(&mut connection, &mut patience).await;
                    self.connected(side, false);
                    ended
                }
                Err(error) => Err(error),
            };
            let Err(error) = ended else { return };
            patience.failed(&error);
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(patience.next_pause()) => {}
            }
        }
    }

    fn connected(&self, side: Side, now: bool) {
        let flag = match side {
            Side::Service => &self.counters.service_connected,
            Side::View => &self.counters.view_connected,
        };
        flag.store(now, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_by_half_up_to_five_seconds_and_start_anew_after_use() {
        let address = Arc::new(Address::parse("redis://127.0.0.1").unwrap());
        let mut patience = Patience { side: Side::View, address, pause: FIRST_PAUSE, said: Said::Nothing };
        let pauses: Vec<u128> = (0..12).map(|_| patience.next_pause().as_millis()).collect();
        assert_eq!(pauses[..4], [100, 150, 225, 337]);
        assert_eq!(pauses[10..], [5_000, 5_000]);
        patience.failed(&BusError::Timeout(FIRST_PAUSE));
        patience.useful();
        assert_eq!(patience.next_pause(), FIRST_PAUSE);
    }
}
