//! Takes requests from the queues and answers them.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::Clock;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::counters::{BusCounters, add};
use super::message::{Arguments, Caller, Command, Dropped, Request};
use super::resp::{self, Reply};
use super::{BusError, Patience, Use};
use crate::desk::{Desk, HistoryDocument, MAX_HISTORY};

/// Longest message in a queue. The payloads of all commands are below 200 bytes.
const REQUEST_MAX: usize = 64 << 10;

/// Longest answer, in bytes of JSON. Relays of RMB carry 20 MB, and a reader has it in memory as often as it likes.
const ANSWER_MAX: usize = 1 << 20;

/// Answers that may wait under one key, as rmb-peer has it.
const KEPT: &[u8] = b"9999";

/// Attempts in an answer about history, unless the caller says.
const HISTORY_LIMIT: u32 = 100;

/// For a question about history.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(30);

/// `BRPOP` ends by itself, so that a connection that died without a word is noticed. Seconds.
const WAIT_S: u64 = 5;

/// The same while the queue of `history` is left alone, so that it is looked at again soon. Seconds.
const FULL_WAIT_S: u64 = 1;

/// How much later than that the answer may come.
const GRACE: Duration = Duration::from_secs(10);

/// What is kept of the buffer for commands.
const BUFFER_KEPT: usize = 256 << 10;

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Push {
    pub(super) key: String,
    pub(super) body: Vec<u8>,
    /// When nobody waits any more, Unix seconds.
    pub(super) until_s: u64,
}

impl Push {
    /// Appends the commands; [`Push::confirmed`] reads their answers.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        resp::command(out, &[b"LPUSH", self.key.as_bytes(), &self.body]);
        resp::command(out, &[b"LTRIM", self.key.as_bytes(), b"0", KEPT]);
    }

    /// Whether Redis took it: it does not where the key holds something else than a list.
    pub(super) async fn confirmed(connection: &mut Connection) -> Result<bool, BusError> {
        let pushed = connection.read().await?;
        connection.read().await?;
        Ok(!matches!(pushed, Reply::Error(_)))
    }
}

/// Answers requests.
pub(super) struct Service {
    desk: Arc<dyn Desk>,
    clock: Arc<dyn Clock>,
    counters: Arc<BusCounters>,
    permits: Arc<Semaphore>,
    later: mpsc::Sender<Push>,
    stop: CancellationToken,
    under_way: JoinSet<()>,
    /// The queue that is looked at first: Redis looks in order, so that one that is never empty would starve the others.
    first: usize,
}

impl Use for Service {
    async fn attend(&mut self, connection: &mut Connection, patience: &mut Patience) -> Result<(), BusError> {
        let mut out = Vec::new();
        let mut answered = false;
        loop {
            let stopping = self.stop.is_cancelled();
            let wait_s = if stopping { 0 } else { self.wait(&mut out) };
            connection.send(&out).await?;
            out.clear();
            out.shrink_to(BUFFER_KEPT);
            if std::mem::take(&mut answered) {
                let taken = Push::confirmed(connection).await?;
                add(if taken { &self.counters.answered } else { &self.counters.undelivered }, 1);
            }
            if stopping {
                return Ok(());
            }
            let reply = tokio::select! {
                biased;
                reply = connection.read_within(Duration::from_secs(wait_s) + GRACE, REQUEST_MAX) => reply?,
                () = self.stop.cancelled() => return Ok(()),
            };
            if let Some(push) = self.take(reply)? {
                push.write(&mut out);
                answered = true;
            }
            patience.useful();
        }
    }
}

impl Service {
    pub(super) fn new(
        desk: Arc<dyn Desk>,
        clock: Arc<dyn Clock>,
        counters: Arc<BusCounters>,
        permits: Arc<Semaphore>,
        later: mpsc::Sender<Push>,
        stop: CancellationToken,
    ) -> Self {
        Self { desk, clock, counters, permits, later, stop, under_way: JoinSet::new(), first: 0 }
    }

    /// Appends the command that waits for a request, and says for how many seconds it does.
    fn wait(&mut self, out: &mut Vec<u8>) -> u64 {
        while self.under_way.try_join_next().is_some() {}
        let full = self.permits.available_permits() == 0;
        let wait_s = if full { FULL_WAIT_S } else { WAIT_S };
        let last = wait_s.to_string();
        let queues = (0..Command::ALL.len()).map(|index| Command::ALL[(self.first + index) % Command::ALL.len()]);
        let queues = queues.filter(|command| !(full && *command == Command::History));
        let mut words: Vec<&[u8]> = vec![b"BRPOP"];
        words.extend(queues.map(|command| command.queue().as_bytes()));
        words.push(last.as_bytes());
        resp::command(out, &words);
        wait_s
    }

    /// What came out of a queue, and the answer to it, if there is one by now.
    fn take(&mut self, reply: Reply) -> Result<Option<Push>, BusError> {
        let elements = match reply {
            Reply::Nil => return Ok(None),
            Reply::Array(elements) => elements,
            Reply::Error(text) => {
                // A key of the wrong type in front of the others must not hide them for ever.
                self.first = (self.first + 1) % Command::ALL.len();
                return Err(BusError::Refused(text));
            }
            _ => return Err(BusError::Protocol("no answer to BRPOP")),
        };
        let [Reply::Bytes(queue), body] = elements.as_slice() else {
            return Err(BusError::Protocol("no answer to BRPOP"));
        };
        let popped = Command::ALL.iter().position(|command| command.queue().as_bytes() == queue);
        self.first = (popped.unwrap_or_default() + 1) % Command::ALL.len();
        add(&self.counters.requests, 1);
        match body {
            Reply::Bytes(body) => Ok(self.answer(body)),
            Reply::TooLong => {
                add(&self.counters.oversized, 1);
                Ok(None)
            }
            _ => Err(BusError::Protocol("no answer to BRPOP")),
        }
    }

    fn answer(&mut self, body: &[u8]) -> Option<Push> {
        let request = match Request::parse(body, self.clock.wall_ms() / 1_000) {
            Ok(request) => request,
            Err(dropped) => {
                add(self.counter_of(dropped), 1);
                return None;
            }
        };
        let result = match Command::named(&request.command) {
            None => Err("function not found".to_owned()),
            Some(Command::History) => match request.arguments().and_then(|arguments| Ok((arguments, self.permit()?))) {
                Ok((arguments, permit)) => {
                    self.answer_later(arguments, request.caller, permit);
                    return None;
                }
                Err(error) => Err(error),
            },
            Some(Command::Get) => self.about_one(&request, |name| self.desk.get(name)),
            Some(Command::GetAll) => json(&self.desk.get_all()),
            Some(Command::Run) => self.about_one(&request, |name| self.desk.run_now(name)),
            Some(Command::Schedule) => json(&self.desk.schedule()),
            Some(Command::Status) => json(&self.desk.status()),
        };
        Some(push(&request.caller, result, &*self.clock, &self.counters))
    }

    fn about_one<T: Serialize>(
        &self,
        request: &Request,
        ask: impl Fn(&str) -> Result<T, crate::desk::DeskError>,
    ) -> Result<Vec<u8>, String> {
        let answer = ask(&request.arguments()?.name).map_err(|error| error.to_string())?;
        json(&answer)
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, String> {
        self.permits.clone().try_acquire_owned().map_err(|_| "too many questions at once: ask again later".to_owned())
    }

    /// Asks the history beside the queues; the answer takes the other connection.
    fn answer_later(&mut self, arguments: Arguments, caller: Caller, permit: OwnedSemaphorePermit) {
        let (desk, clock, counters) = (self.desk.clone(), self.clock.clone(), self.counters.clone());
        let (later, stop) = (self.later.clone(), self.stop.clone());
        let work = async move {
            let limit = arguments.limit.unwrap_or(HISTORY_LIMIT).clamp(1, MAX_HISTORY);
            let asked = desk.history(&arguments.name, arguments.since_ms.unwrap_or_default(), limit);
            let result = match tokio::time::timeout(HISTORY_TIMEOUT, asked).await {
                Ok(Ok(document)) => bounded(document),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("the history did not answer within {} s", HISTORY_TIMEOUT.as_secs())),
            };
            // Room for every permit: this does not wait.
            _ = later.send(push(&caller, result, &*clock, &counters)).await;
            drop(permit);
        };
        self.under_way.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        });
    }

    fn counter_of(&self, dropped: Dropped) -> &std::sync::atomic::AtomicU64 {
        match dropped {
            Dropped::Malformed => &self.counters.malformed,
            Dropped::Expired => &self.counters.expired,
            Dropped::ForeignSchema => &self.counters.foreign_schema,
            Dropped::RefusedReturn => &self.counters.refused_return,
        }
    }
}

fn push(caller: &Caller, result: Result<Vec<u8>, String>, clock: &dyn Clock, counters: &BusCounters) -> Push {
    if result.is_err() {
        add(&counters.errors, 1);
    }
    let body = caller.answer(result.as_deref().map_err(String::as_str), clock.wall_ms() / 1_000);
    Push { key: caller.key.clone(), body, until_s: caller.until_s }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let json = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    if json.len() > ANSWER_MAX { Err(format!("the answer is longer than {ANSWER_MAX} bytes")) } else { Ok(json) }
}

/// A document whose oldest attempts are left out as far as it would be too long.
fn bounded(mut document: HistoryDocument) -> Result<Vec<u8>, String> {
    let attempts = std::mem::take(&mut document.attempts);
    let mut left = ANSWER_MAX.saturating_sub(json(&document)?.len());
    let mut first = attempts.len();
    for (index, attempt) in attempts.iter().enumerate().rev() {
        let Some(rest) = left.checked_sub(json(attempt)?.len() + 1) else { break };
        (left, first) = (rest, index);
    }
    document.truncated |= first > 0;
    document.attempts = attempts;
    document.attempts.drain(..first);
    json(&document)
}
