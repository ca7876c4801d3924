//! Provides and retrieves for the engine.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use cid::Cid;
use parking_lot::Mutex;
use peermark_core::{MonotonicNs, Outcome, Seed};
use peermark_probe::driver::{Done, Driver, Prepared};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::curve::{PROVIDE, RETRIEVE};
use crate::key::RecordKey;
use crate::scheduler::Fleets;
use crate::scheduler::evidence::outcome_of_call;
use crate::scheduler::target::{Asker, Called, Target};
use crate::scheduler::wire::CONTENT_BYTES;

/// Published records that are looked up; the oldest give way.
const MAX_PUBLISHED: usize = 4096;

/// Servers, and what they have published.
pub(super) struct Servers {
    targets: Vec<Target>,
    /// Places of those that publish.
    publishers: Vec<usize>,
    /// Places of those that look up.
    lookers: Vec<usize>,
    /// Records, each with the place of the server that published it.
    published: Mutex<VecDeque<(Cid, usize)>>,
}

impl Servers {
    /// The servers by what their fleets do; `None` where no server can look up what another has published.
    pub(super) fn new(fleets: &Fleets, targets: Vec<Target>) -> Option<Self> {
        let places = |fleets: &[String]| -> Vec<usize> {
            let of_fleet = targets.iter().enumerate().filter(|(_, target)| fleets.contains(&target.node().fleet));
            of_fleet.map(|(place, _)| place).collect()
        };
        let (mut publishers, lookers) = (places(&fleets.publish), places(&fleets.lookup));
        // Who would be the only one to look up cannot publish.
        if let [only] = lookers.as_slice() {
            publishers.retain(|place| place != only);
        }
        let is_enough = !publishers.is_empty() && !lookers.is_empty();
        is_enough.then(|| Self { targets, publishers, lookers, published: Mutex::default() })
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(super) fn has_nothing_published(&self) -> bool {
        self.published.lock().is_empty()
    }

    fn keep(&self, cid: Cid, publisher: usize) {
        let mut published = self.published.lock();
        published.push_back((cid, publisher));
        if published.len() > MAX_PUBLISHED {
            published.pop_front();
        }
    }

    /// A published record and a server that did not publish it.
    fn draw(&self, stream: &mut ChaCha8Rng) -> Option<(Cid, usize)> {
        let published = self.published.lock();
        let (cid, publisher) = published.get(below(stream, published.len())?).copied()?;
        let others: Vec<usize> = self.lookers.iter().copied().filter(|place| *place != publisher).collect();
        Some((cid, others[below(stream, others.len())?]))
    }
}

/// A number below `count`; `None` where there is none.
fn below(stream: &mut ChaCha8Rng, count: usize) -> Option<usize> {
    (stream.next_u64()).checked_rem(count as u64).map(|drawn| drawn as usize)
}

/// Draws operations.
pub(super) struct LookupDriver {
    servers: Arc<Servers>,
    asker: Asker,
    provide_share: f64,
    contents: ChaCha8Rng,
    choices: ChaCha8Rng,
}

/// An operation, down to its bytes.
pub(super) enum Task {
    Provide { server: usize, content: Vec<u8> },
    Retrieve { server: usize, cid: Cid },
}

impl LookupDriver {
    pub(super) fn new(servers: Arc<Servers>, asker: Asker, provide_share: f64, seed: Seed, execution: u64) -> Self {
        let (contents, choices) = (seed.stream_at("capacity", execution), seed.stream_at("choices", execution));
        Self { servers, asker, provide_share, contents, choices }
    }

    /// Names of the lanes, in their order.
    pub(super) fn lanes(&self) -> Vec<String> {
        vec![RETRIEVE.to_owned(), PROVIDE.to_owned()]
    }

    fn provide(&mut self) -> Option<Prepared<Task>> {
        let server = self.servers.publishers[below(&mut self.choices, self.servers.publishers.len())?];
        let mut content = vec![0; CONTENT_BYTES];
        self.contents.fill_bytes(&mut content);
        Some(Prepared { lane: 1, trace: server as u64, timeout: None, task: Task::Provide { server, content } })
    }
}

impl Driver for LookupDriver {
    type Task = Task;

    fn lanes(&self) -> Vec<String> {
        Self::lanes(self)
    }

    fn prepare(&mut self, _number: u64) -> Option<Prepared<Task>> {
        // 53 bits, which a float holds exactly.
        let drawn = (self.choices.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        if drawn < self.provide_share {
            return self.provide();
        }
        match self.servers.draw(&mut self.choices) {
            Some((cid, server)) => {
                Some(Prepared { lane: 0, trace: server as u64, timeout: None, task: Task::Retrieve { server, cid } })
            }
            None => self.provide(),
        }
    }

    fn run(&self, task: Task, _deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        let (servers, asker) = (Arc::clone(&self.servers), self.asker.clone());
        async move {
            match task {
                Task::Retrieve { server, cid } => {
                    done(&servers.targets[server].retrieve(&asker, &cid, asker.timeout).await)
                }
                Task::Provide { server, content } => {
                    let done = done(&servers.targets[server].provide(&asker, &content).await);
                    if done.outcome.is_ok() {
                        servers.keep(RecordKey::of_content(&content).1, server);
                    }
                    done
                }
            }
        }
    }
}

fn done(called: &Called) -> Done {
    match outcome_of_call(called) {
        Outcome::Ok => Done::ok(0),
        Outcome::Failed { class, culprit } => Done::failed(class, culprit),
    }
}
