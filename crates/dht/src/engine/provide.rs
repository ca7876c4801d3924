//! Publishing a record: the classic way, and with the whole table at hand.

use std::time::Duration;

use libp2p::PeerId;
use peermark_core::{MonotonicNs, Outcome};
use tokio::time::Instant;

use super::walk::Walk;
use super::{Engine, fail, words};
use crate::operation::{Hit, Hop, Operation, Rpc, Variant};

/// How long `fullrt` goes on waiting without a further success once it has enough.
const PATIENCE: Duration = Duration::from_millis(500);

/// Share of the sends, as a divisor, that have to succeed before `fullrt` becomes impatient (0.3, rounded down).
const ENOUGH: (usize, usize) = (3, 10);

impl Engine {
    pub(super) async fn run_provide(&self, operation: &mut Operation, deadline: Instant) {
        // As every implementation does: the publisher answers for its own record.
        self.host.store().provide(operation.key.as_bytes());
        let seeds = self.seeds(&operation.key.point());
        if seeds.is_empty() {
            operation.returned_ns = self.host.clock().now_ns();
            return fail(operation, words::EMPTY_TABLE);
        }
        let mut walk = Walk::to_record(self, &operation.key, seeds, deadline);
        let ended = tokio::time::timeout_at(deadline, async {
            match (self.config.variant, self.thresholds()) {
                (Variant::OptProv, Some(thresholds)) => self.provide_on_the_way(&mut walk, &thresholds).await,
                // Before it can estimate the size of the network, optimistic provide is the classic one.
                (Variant::Default | Variant::OptProv, _) => self.provide_classic(&mut walk).await,
                (Variant::FullRt, _) => self.provide_at_once(&mut walk).await,
            }
        });
        let sent = ended.await.ok().filter(|_| !walk.is_late());
        let now_ns = self.host.clock().now_ns();
        walk.finish(now_ns);
        operation.hops = walk.hops;
        conclude(operation, sent, now_ns);
    }

    /// Finds the closest peers, then sends to all and waits for all.
    async fn provide_classic(&self, walk: &mut Walk<'_>) -> Returned {
        let last = self.find_closest(walk, &mut |_, _| false).await;
        let closest = walk.frontier.closest(self.config.k);
        for next in &closest {
            walk.mark_useful(next.parent);
        }
        for next in closest {
            walk.store(next, last);
        }
        walk.all_sent().await;
        finish_sends(walk, Returned::AfterAll, last)
    }

    /// Sends to the closest of the whole table.
    async fn provide_at_once(&self, walk: &mut Walk<'_>) -> Returned {
        let closest = walk.frontier.closest(self.config.k);
        for next in closest {
            walk.store(next, None);
        }
        walk.all_sent().await;
        finish_sends(walk, Returned::AfterMost, None)
    }

    /// Walks to the `k` closest peers: until the `beta` closest have answered, then asks those of the `k` closest that were not
    /// asked. `stop` is asked after every answer, with the hop that ended, and may end the walk early. Returns the last hop.
    pub(super) async fn find_closest(
        &self,
        walk: &mut Walk<'_>,
        stop: &mut (dyn FnMut(&mut Walk<'_>, Option<u32>) -> bool + Send),
    ) -> Option<u32> {
        let mut last = None;
        loop {
            if walk.is_late() || stop(walk, last) {
                return last;
            }
            if walk.frontier.is_settled(self.config.beta) {
                while walk.questions() < self.config.alpha.max(self.config.k)
                    && let Some(next) = walk.frontier.next_among(self.config.k)
                {
                    walk.ask(Rpc::FindNode, next, last);
                }
                // What is still asked beyond the closest does not matter any more.
                if walk.frontier.is_settled(self.config.k) {
                    break;
                }
            } else {
                walk.advance(Rpc::FindNode, self.config.alpha, last);
            }
            let Some(ended) = walk.ended().await else { break };
            last = Some(ended.hop);
        }
        let nearest: Vec<PeerId> = walk.frontier.closest(self.config.beta).iter().map(|next| next.peer.peer).collect();
        walk.mark_answers_of(&nearest);
        self.track(walk);
        last
    }

    /// Takes the distances of the closest peers into the estimate of the network's size.
    fn track(&self, walk: &Walk<'_>) {
        let shares = walk.frontier.shares(self.config.k);
        let bits = walk.frontier.target().distance(&crate::key::Point::of_peer(&self.host.peer_id())).common_bits();
        let peers = self.host.table().read().len_at(bits);
        self.sizes.lock().track(&shares, peers);
    }
}

/// When the call of a variant returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returned {
    /// After every send.
    AfterAll,
    /// After so many sends, whatever became of them, and not before the walk is over.
    After {
        /// Sends.
        count: usize,
        /// The end of the walk.
        walked_ns: MonotonicNs,
    },
    /// After most sends, by the rules of the whole table.
    AfterMost,
}

impl Returned {
    /// The moment, from the ends of the sends in the order of time; `None` without any.
    fn moment(self, ends: &[(MonotonicNs, bool)]) -> Option<MonotonicNs> {
        let last = ends.last().map(|(end_ns, _)| *end_ns);
        match self {
            Self::AfterAll => last,
            Self::After { count, walked_ns } => {
                let end_ns = ends.get(count.saturating_sub(1)).map(|(end_ns, _)| *end_ns).or(last);
                end_ns.map(|end_ns| end_ns.max(walked_ns))
            }
            Self::AfterMost => after_most(ends),
        }
    }
}

/// Ends of the sends, and whether each succeeded, in the order of time.
fn ends_of(hops: &[Hop]) -> Vec<(MonotonicNs, bool)> {
    let sends = hops.iter().filter(|hop| hop.rpc == Rpc::AddProvider);
    let mut ends: Vec<_> = sends.map(|hop| (hop.ended_ns, hop.outcome.is_ok())).collect();
    ends.sort_unstable();
    ends
}

/// Marks which hops the return waited for. `walked` is the last hop of the walk.
pub(super) fn finish_sends(walk: &mut Walk<'_>, returned: Returned, walked: Option<u32>) -> Returned {
    let moment = returned.moment(&ends_of(&walk.hops)).unwrap_or_default();
    let sends = walk.hops.iter().enumerate().filter(|(_, hop)| hop.rpc == Rpc::AddProvider && hop.ended_ns <= moment);
    let last_send = sends.max_by_key(|(_, hop)| hop.ended_ns).map(|(number, hop)| (hop.ended_ns, number as u32));
    let last = match (returned, last_send) {
        // The sends were done before the walk: its last question is what the return waited for.
        (Returned::After { walked_ns, .. }, Some((sent_ns, _))) if sent_ns < walked_ns => walked,
        (_, last_send) => last_send.map(|(_, number)| number),
    };
    walk.mark_critical(last);
    returned
}

/// When the call returned, what was stored, and how it ended.
fn conclude(operation: &mut Operation, returned: Option<Returned>, now_ns: MonotonicNs) {
    let ends = ends_of(&operation.hops);
    let confirmed = operation.hops.iter().filter(|hop| hop.rpc == Rpc::Confirm && hop.outcome.is_ok());
    let confirmed: Vec<MonotonicNs> = confirmed.map(|hop| hop.ended_ns).collect();
    operation.stored = confirmed.len() as u16;
    operation.stored_ns = confirmed.into_iter().max();
    operation.returned_ns = returned.and_then(|returned| returned.moment(&ends)).unwrap_or(now_ns);
    if returned.is_none() {
        fail(operation, words::DEADLINE);
    } else if ends.is_empty() {
        // Somebody was known, or the operation would have ended before.
        fail(operation, words::NO_ANSWER);
    } else if ends.iter().all(|(_, ok)| !ok) {
        // Go's classic provide calls this a success. Nothing was stored, so it is none.
        fail(operation, words::NOTHING_STORED);
    } else {
        (operation.hit, operation.outcome) = (Hit::Remote, Outcome::Ok);
    }
}

/// When the full table's provide returns: once successes and completions make up the number of peers, or half a second passed
/// without a further success after three tenths succeeded, or all are done. `ends` in the order of time.
fn after_most(ends: &[(MonotonicNs, bool)]) -> Option<MonotonicNs> {
    let patience_ns = PATIENCE.as_nanos() as u64;
    let (mut done, mut succeeded, mut enough_since) = (0, 0, None);
    for (end_ns, ok) in ends {
        if let Some(since) = enough_since
            && *end_ns > since + patience_ns
        {
            return Some(since + patience_ns);
        }
        done += 1;
        if *ok {
            succeeded += 1;
            if succeeded >= ends.len() * ENOUGH.0 / ENOUGH.1 {
                enough_since = Some(*end_ns);
            }
            if succeeded + done >= ends.len() {
                return Some(*end_ns);
            }
        }
    }
    ends.last().map(|(end_ns, _)| *end_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn the_full_table_returns_when_most_are_done() {
        let all_well: Vec<_> = (1..=20).map(|i| (i * MS, true)).collect();
        assert_eq!(after_most(&all_well), Some(10 * MS), "ten done and succeeded");
        let mut one_late: Vec<_> = (1..=7).map(|i| (i * MS, true)).collect();
        one_late.extend((0..13).map(|_| (5_000 * MS, false)));
        assert_eq!(after_most(&one_late), Some(507 * MS), "half a second after the seventh success");
        let all_failed = vec![(MS, false), (2 * MS, false)];
        assert_eq!(after_most(&all_failed), Some(2 * MS));
        assert_eq!(after_most(&[]), None);
    }
}
