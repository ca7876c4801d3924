//! The asking of one operation: every RPC is written down when it is decided and completed when it ends.

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use libp2p::PeerId;
use peermark_core::{Culprit, FailureClass, MonotonicNs, Outcome};
use tokio::time::Instant;

use super::Engine;
use super::frontier::{Frontier, Next};
use crate::host::{Asked, RpcFailure};
use crate::key::{Point, RecordKey};
use crate::operation::{Hop, Rpc};
use crate::wire::{Answer, PeerAddresses, Question};

/// An RPC that ended.
pub(super) struct Ended {
    /// Its number among the hops.
    pub(super) hop: u32,
    /// The answer, or why there is none.
    pub(super) result: Result<Answer, RpcFailure>,
}

/// A point to walk to, and all that happened on the way.
pub(super) struct Walk<'a> {
    engine: &'a Engine,
    /// Bytes that the RPCs carry.
    key: Vec<u8>,
    deadline: Instant,
    pub(super) frontier: Frontier,
    pub(super) hops: Vec<Hop>,
    /// For each hop, the hop whose end let it start.
    triggers: Vec<Option<u32>>,
    asking: FuturesUnordered<BoxFuture<'a, (u32, PeerAddresses, Asked)>>,
    /// Questions and records under way.
    questions: usize,
    sends: usize,
}

impl<'a> Walk<'a> {
    /// A walk to where `key` belongs, from the peers of `seeds`.
    pub(super) fn new(
        engine: &'a Engine,
        key: Vec<u8>,
        target: Point,
        seeds: Vec<PeerAddresses>,
        deadline: Instant,
    ) -> Self {
        let mut frontier = Frontier::new(engine.host.peer_id(), target);
        frontier.hear(seeds, None);
        let (hops, triggers, asking) = (Vec::new(), Vec::new(), FuturesUnordered::new());
        Self { engine, key, deadline, frontier, hops, triggers, asking, questions: 0, sends: 0 }
    }

    /// A walk to a record.
    pub(super) fn to_record(engine: &'a Engine, key: &RecordKey, seeds: Vec<PeerAddresses>, deadline: Instant) -> Self {
        Self::new(engine, key.as_bytes().to_vec(), key.point(), seeds, deadline)
    }

    /// Whether the time of the operation is up. What ends then ended for that, and says nothing about anybody.
    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Questions that are under way.
    pub(super) fn questions(&self) -> usize {
        self.questions
    }

    /// Asks the nearest peers that were not asked, as long as fewer than `alpha` questions are under way. `after` is the hop whose end
    /// made room.
    pub(super) fn advance(&mut self, rpc: Rpc, alpha: usize, after: Option<u32>) {
        while self.questions < alpha
            && let Some(next) = self.frontier.next()
        {
            self.ask(rpc, next, after);
        }
    }

    /// Asks one peer.
    pub(super) fn ask(&mut self, rpc: Rpc, next: Next, after: Option<u32>) {
        let question = match rpc {
            Rpc::FindNode => Question::find_node(&self.key),
            _ => Question::get_providers(&self.key),
        };
        let hop = self.decided(rpc, next.peer.peer, next.parent, after);
        let deadline = self.deadline.min(Instant::now() + self.engine.config.rpc_timeout);
        self.questions += 1;
        self.send(hop, next.peer, question, deadline);
    }

    /// Sends a provider record to a peer, with the question behind it that confirms it where that is wanted.
    pub(super) fn store(&mut self, next: Next, after: Option<u32>) {
        let confirm = self.engine.config.confirm;
        let question = Question::add_provider(&self.key, &self.engine.own_addresses(), confirm);
        let hop = self.decided(Rpc::AddProvider, next.peer.peer, next.parent, after);
        if confirm {
            self.decided(Rpc::Confirm, next.peer.peer, Some(hop), Some(hop));
        }
        let deadline = self.deadline.min(Instant::now() + self.engine.config.store_timeout);
        self.sends += 1;
        self.send(hop, next.peer, question, deadline);
    }

    fn decided(&mut self, rpc: Rpc, peer: PeerId, parent: Option<u32>, after: Option<u32>) -> u32 {
        let queued_ns = self.engine.host.clock().now_ns();
        self.hops.push(Hop {
            peer,
            rpc,
            common_bits: Point::of_peer(&peer).distance(self.frontier.target()).common_bits(),
            parent,
            queued_ns,
            dial_ns: 0,
            handshake_ns: 0,
            sent_ns: queued_ns,
            ended_ns: queued_ns,
            learnt: 0,
            providers: 0,
            outcome: abandoned(),
            wasted: true,
            critical: false,
            rtt_ns: None,
        });
        self.triggers.push(after);
        // A lookup knows at most a few thousand peers.
        (self.hops.len() - 1) as u32
    }

    fn send(&mut self, hop: u32, to: PeerAddresses, question: Question, deadline: Instant) {
        let host = self.engine.host.clone();
        let asking = async move {
            let asked = host.ask(to.peer, to.addresses.clone(), question, deadline).await;
            (hop, to, asked)
        };
        self.asking.push(asking.boxed());
    }

    /// The next RPC that ends; `None` when none is under way. What it says about peers is taken in.
    pub(super) async fn ended(&mut self) -> Option<Ended> {
        let (number, to, asked) = self.asking.next().await?;
        let result = self.complete(number as usize, &asked);
        let hop = &mut self.hops[number as usize];
        // A record is sent to peers that have answered before; it says nothing about the frontier.
        if hop.rpc == Rpc::AddProvider {
            self.sends -= 1;
            return Some(Ended { hop: number, result });
        }
        self.questions -= 1;
        let mut table = self.engine.host.table().write();
        match &result {
            Ok(answer) => {
                table.insert(to.peer, &to.addresses);
                self.frontier.answered(&to.peer);
                hop.providers = answer.providers.len() as u16;
                hop.learnt = self.frontier.hear(self.engine.in_scope(&answer.closer), Some(number));
            }
            Err(failure) => {
                // What this node did not send, or cut off for its own time, is not the peer's fault.
                if *failure != RpcFailure::Busy && Instant::now() < self.deadline {
                    table.failed(&to.peer);
                }
                self.frontier.failed(&to.peer);
            }
        }
        drop(table);
        Some(Ended { hop: number, result })
    }

    /// Waits until every record is sent, and confirmed where that is wanted. Questions that are still under way are not waited for.
    pub(super) async fn all_sent(&mut self) {
        while self.sends > 0 && self.ended().await.is_some() {}
    }

    /// Writes down how an RPC went.
    fn complete(&mut self, number: usize, asked: &Asked) -> Result<Answer, RpcFailure> {
        let rtt_ns = self.engine.host.rtt_ns(&self.hops[number].peer);
        let hop = &mut self.hops[number];
        hop.rtt_ns = rtt_ns;
        if let Some(dialled) = asked.dialled {
            (hop.dial_ns, hop.handshake_ns) = (dialled.dial_ns, dialled.handshake_ns);
        }
        let answered = match &asked.result {
            Ok(answered) => answered,
            Err(failure) => {
                (hop.sent_ns, hop.ended_ns, hop.outcome) = (asked.ended_ns, asked.ended_ns, outcome_of(failure));
                self.confirmation(number, asked.ended_ns, asked.ended_ns, Some(failure), rtt_ns);
                return Err(failure.clone());
            }
        };
        hop.sent_ns = answered.sent_ns;
        if hop.rpc == Rpc::AddProvider {
            let failure = answered.answer.as_ref().err();
            // Refused as a whole, which the first use of a stream tells only with its answer.
            let refused = failure.filter(|failure| **failure == RpcFailure::Unsupported);
            hop.ended_ns = answered.written_ns;
            hop.outcome = refused.map_or(Outcome::Ok, outcome_of);
            hop.wasted = refused.is_some();
            self.confirmation(number, answered.written_ns, answered.ended_ns, failure, rtt_ns);
            if let (Ok(answer), Some(confirm)) = (&answered.answer, self.hops.get_mut(number + 1))
                && confirm.rpc == Rpc::Confirm
            {
                confirm.providers = answer.providers.len() as u16;
            }
            return Ok(Answer::default());
        }
        hop.ended_ns = answered.ended_ns;
        hop.outcome = answered.answer.as_ref().map_or_else(outcome_of, |_| Outcome::Ok);
        answered.answer.clone()
    }

    /// Completes the confirmation that belongs to a stored record, if one was asked for.
    fn confirmation(
        &mut self,
        number: usize,
        sent_ns: MonotonicNs,
        ended_ns: MonotonicNs,
        failure: Option<&RpcFailure>,
        rtt_ns: Option<u64>,
    ) {
        let Some(hop) = self.hops.get_mut(number + 1).filter(|hop| hop.rpc == Rpc::Confirm) else { return };
        if hop.parent != Some(number as u32) {
            return;
        }
        (hop.sent_ns, hop.ended_ns, hop.rtt_ns) = (sent_ns, ended_ns, rtt_ns);
        hop.outcome = failure.map_or(Outcome::Ok, outcome_of);
        hop.wasted = failure.is_some();
    }

    /// Ends the walk: what is still under way is given up at `now_ns`.
    pub(super) fn finish(&mut self, now_ns: MonotonicNs) {
        self.asking.clear();
        (self.questions, self.sends) = (0, 0);
        for hop in self.hops.iter_mut().filter(|hop| hop.outcome == abandoned()) {
            hop.ended_ns = now_ns.max(hop.queued_ns);
            hop.rtt_ns = self.engine.host.rtt_ns(&hop.peer);
        }
    }

    /// Marks the hops that the end had to wait for: the last one and, again and again, the one whose end let it start.
    pub(super) fn mark_critical(&mut self, last: Option<u32>) {
        let mut at = last;
        while let Some(number) = at {
            let number = number as usize;
            self.hops[number].critical = true;
            at = self.triggers[number];
        }
    }

    /// Marks the hops without which one of `peers` would not have been heard of, beginning with the hop that told of it.
    pub(super) fn mark_useful(&mut self, first: Option<u32>) {
        let mut at = first;
        while let Some(number) = at {
            let hop = &mut self.hops[number as usize];
            hop.wasted = false;
            at = hop.parent;
        }
    }

    /// Marks the answers of the peers that prove the end of a lookup.
    pub(super) fn mark_answers_of(&mut self, peers: &[PeerId]) {
        for hop in self.hops.iter_mut().filter(|hop| hop.outcome.is_ok() && peers.contains(&hop.peer)) {
            hop.wasted = false;
        }
    }
}

/// What an RPC is until it ended.
fn abandoned() -> Outcome {
    Outcome::failed(FailureClass::Abandoned, Culprit::Observer)
}

/// A failed RPC as data.
pub(super) fn outcome_of(failure: &RpcFailure) -> Outcome {
    match failure {
        RpcFailure::Timeout => Outcome::failed(FailureClass::Timeout, Culprit::Peer),
        RpcFailure::Dial(_) => Outcome::failed(FailureClass::ConnectFailed, Culprit::Peer),
        RpcFailure::Unsupported => Outcome::failed(FailureClass::Rejected, Culprit::Peer),
        RpcFailure::Broken(_) => Outcome::failed(FailureClass::ConnectionReset, Culprit::Path),
        RpcFailure::Protocol(_) => Outcome::failed(FailureClass::Protocol, Culprit::Peer),
        RpcFailure::Busy => Outcome::failed(FailureClass::NotSent, Culprit::Observer),
    }
}
