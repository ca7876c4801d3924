//! Looking up the first provider of a record.

use peermark_core::Outcome;
use tokio::time::Instant;

use super::walk::{Ended, Walk};
use super::{Engine, fail, words};
use crate::operation::{Hit, Operation, Rpc, Variant};

/// How an attempt ended.
enum Found {
    /// A peer told of providers.
    At(Ended),
    /// Everybody that matters was asked.
    Nowhere {
        /// The last hop that ended.
        last: Option<u32>,
        /// Whether anybody answered at all.
        answered: bool,
    },
    /// The time was up.
    TimeUp,
}

impl Engine {
    pub(super) async fn run_retrieve(&self, operation: &mut Operation, deadline: Instant) {
        let local = self.host.store().known_providers(operation.key.as_bytes());
        if !local.is_empty() {
            operation.providers = local;
            (operation.hit, operation.outcome) = (Hit::Local, Outcome::Ok);
            operation.returned_ns = self.host.clock().now_ns();
            return;
        }
        let seeds = self.seeds(&operation.key.point());
        if seeds.is_empty() {
            operation.returned_ns = self.host.clock().now_ns();
            return fail(operation, words::EMPTY_TABLE);
        }
        let mut walk = Walk::to_record(self, &operation.key, seeds, deadline);
        let found = match tokio::time::timeout_at(deadline, self.find_first(&mut walk)).await {
            Ok(found) => found,
            Err(_elapsed) => Found::TimeUp,
        };
        let now_ns = self.host.clock().now_ns();
        operation.returned_ns = now_ns;
        match found {
            Found::At(ended) => {
                operation.returned_ns = walk.hops[ended.hop as usize].ended_ns;
                let told = ended.result.unwrap_or_default();
                operation.providers = told.providers.into_iter().map(|provider| provider.peer).collect();
                (operation.hit, operation.outcome) = (Hit::Remote, Outcome::Ok);
                walk.mark_critical(Some(ended.hop));
                walk.mark_useful(Some(ended.hop));
            }
            Found::Nowhere { last, answered } => {
                walk.mark_critical(last);
                let closest: Vec<_> = walk.frontier.closest(self.config.k).iter().map(|next| next.peer.peer).collect();
                walk.mark_answers_of(&closest);
                fail(operation, if answered { words::NOT_FOUND } else { words::NO_ANSWER });
            }
            Found::TimeUp => fail(operation, words::DEADLINE),
        }
        walk.finish(now_ns);
        operation.hops = walk.hops;
    }

    async fn find_first(&self, walk: &mut Walk<'_>) -> Found {
        let (mut last, mut answered) = (None, false);
        let alpha = match self.config.variant {
            // Everybody closest is known: there is nothing to wait for.
            Variant::FullRt => self.config.k,
            Variant::Default | Variant::OptProv => self.config.alpha,
        };
        loop {
            if walk.is_late() {
                return Found::TimeUp;
            }
            let settled = walk.frontier.is_settled(self.config.beta);
            if settled || self.config.variant == Variant::FullRt {
                // The closest may not have been asked yet, and one of them may hold the record.
                while walk.questions() < alpha
                    && let Some(next) = walk.frontier.next_among(self.config.k)
                {
                    walk.ask(Rpc::GetProviders, next, last);
                }
                // Whoever is still asked beyond the closest would not hold it.
                if walk.frontier.is_settled(self.config.k) {
                    return Found::Nowhere { last, answered };
                }
            } else {
                walk.advance(Rpc::GetProviders, alpha, last);
            }
            let Some(ended) = walk.ended().await else { return Found::Nowhere { last, answered } };
            last = Some(ended.hop);
            answered |= ended.result.is_ok();
            if ended.result.as_ref().is_ok_and(|answer| !answer.providers.is_empty()) {
                return Found::At(ended);
            }
        }
    }
}
