//! Tells receivers what is owed to them until they took it: apart from the questions to nodes, so that neither waits for the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use peermark_core::{MonotonicNs, in_words};
use tokio_util::sync::CancellationToken;

use super::alert::{AlertNotice, Alerts};
use super::poll::{Shared, count};
use super::webhook::Delivery;

/// Notices that are on their way at once.
const AT_ONCE: usize = 32;

/// Of these to the receiver of one rule, so that one that swallows what it gets leaves room for the others.
const AT_ONCE_TO_ONE: usize = 2;

/// Between two times that the file is written for what was taken. Who dies in between tells it twice, under the same id.
const SAVE_NS: u64 = 1_000_000_000;

/// Pause before the second attempt; each further one waits twice as long, up to [`MAX_PAUSE_NS`].
const PAUSE_NS: u64 = 500_000_000;

/// Longest pause between two attempts.
const MAX_PAUSE_NS: u64 = 3600 * 1_000_000_000;

/// After this nobody is helped by being told.
const MAX_AGE_MS: u64 = 24 * 3600 * 1000;

/// The same after it could not be written.
const SAVE_AGAIN_NS: u64 = 60 * 1_000_000_000;

/// When a notice is tried again.
#[derive(Clone, Copy, Debug)]
struct Wait {
    attempts: u32,
    next_ns: MonotonicNs,
}

/// The waits of the notices that were tried, by id.
type Waits = BTreeMap<String, Wait>;

impl Shared {
    /// Delivers until `stop`. What is owed then stays owed.
    pub(super) async fn tell(&self, stop: &CancellationToken) {
        let (mut waits, mut busy) = (Waits::new(), Vec::new());
        let mut deliveries = FuturesUnordered::new();
        let mut save_ns = self.clock.now_ns();
        loop {
            let now_ns = self.clock.now_ns();
            if now_ns >= save_ns && self.alerts.lock().is_unsaved() {
                save_ns = now_ns + if self.save() { SAVE_NS } else { SAVE_AGAIN_NS };
            }
            let (round, mut next_ns) = due(&self.alerts.lock(), &waits, &busy, now_ns);
            for notice in round {
                busy.push((notice.id.clone(), notice.raised.alert.clone()));
                deliveries.push(self.deliver(notice));
            }
            if self.alerts.lock().is_unsaved() {
                next_ns = next_ns.min(save_ns);
            }
            let pause = Duration::from_nanos(next_ns.saturating_sub(now_ns));
            tokio::select! {
                () = stop.cancelled() => break,
                Some((notice, delivery)) = deliveries.next() => {
                    busy.retain(|(id, _)| *id != notice.id);
                    self.settle(&notice, delivery, &mut waits);
                }
                () = self.owes.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.save();
    }

    async fn deliver(&self, notice: AlertNotice) -> (AlertNotice, Delivery) {
        let delivery = self.webhooks.deliver(&notice).await;
        (notice, delivery)
    }

    fn settle(&self, notice: &AlertNotice, delivery: Delivery, waits: &mut Waits) {
        let (now_ns, now_ms) = (self.clock.now_ns(), self.clock.wall_ms());
        match delivery {
            Delivery::Nobody => {}
            Delivery::Delivered => count(&self.counts.delivered, 1),
            Delivery::Again if now_ms.saturating_sub(notice.at_ms) < MAX_AGE_MS => {
                let attempts = waits.get(&notice.id).map_or(0, |wait| wait.attempts);
                let pause_ns = PAUSE_NS.saturating_mul(1 << attempts.min(20)).min(MAX_PAUSE_NS);
                let wait = Wait { attempts: attempts + 1, next_ns: now_ns.saturating_add(pause_ns) };
                waits.insert(notice.id.clone(), wait);
                return;
            }
            Delivery::Again | Delivery::Refused => {
                tracing::warn!(id = notice.id, "an alert could not be delivered");
                count(&self.counts.given_up, 1);
            }
        }
        waits.remove(&notice.id);
        let mut alerts = self.alerts.lock();
        alerts.settle(&notice.id);
        // What was dropped because too much is owed is not waited for.
        if waits.len() > alerts.owed().count() {
            let owed: BTreeSet<&str> = alerts.owed().map(|notice| notice.id.as_str()).collect();
            waits.retain(|id, _| owed.contains(id.as_str()));
        }
    }

    /// Writes down what is raised and owed, and says whether it could. Failing to do so keeps nobody from being told.
    pub(super) fn save(&self) -> bool {
        let saved = self.alerts.lock().save();
        if let Err(error) = &saved {
            tracing::error!(error = in_words(error), "alerts may be told again after a restart");
        }
        saved.is_ok()
    }
}

/// What can be sent now, and when to look again for what cannot. The end of an alert is not told before its beginning.
fn due(
    alerts: &Alerts,
    waits: &Waits,
    busy: &[(String, String)],
    now_ns: MonotonicNs,
) -> (Vec<AlertNotice>, MonotonicNs) {
    let mut before = BTreeSet::new();
    let mut to_one: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, rule) in busy {
        *to_one.entry(rule).or_default() += 1;
    }
    let (mut round, mut next_ns) = (Vec::new(), now_ns.saturating_add(MAX_PAUSE_NS));
    for notice in alerts.owed() {
        let raised = &notice.raised;
        if !before.insert((&raised.alert, &raised.node, &raised.task)) || busy.iter().any(|(id, _)| *id == notice.id) {
            continue;
        }
        let due_ns = waits.get(&notice.id).map_or(0, |wait| wait.next_ns);
        let on_their_way = to_one.entry(&raised.alert).or_default();
        if due_ns > now_ns {
            next_ns = next_ns.min(due_ns);
        } else if round.len() + busy.len() < AT_ONCE && *on_their_way < AT_ONCE_TO_ONE {
            *on_their_way += 1;
            round.push(notice.clone());
        }
    }
    (round, next_ns)
}
