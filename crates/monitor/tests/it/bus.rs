//! The bus over a Redis of the system, as its clients see it.

mod caller;
mod conversation;
mod crowd;
mod desk;
mod keys;
mod outage;
mod recorder;
mod refusals;
mod speed;
mod switch;

use std::sync::Arc;
use std::time::Duration;

use peermark_monitor::bus::{Bus, BusFigures};
use peermark_testkit::{FakeClock, Redis};
use tokio_util::sync::CancellationToken;

use caller::Caller;
use desk::FakeDesk;

/// Far above what anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A bus on a Redis of its own. The clock stands at 2026-01-01.
struct Stage {
    redis: Redis,
    desk: Arc<FakeDesk>,
    clock: Arc<FakeClock>,
    bus: Bus,
}

impl Stage {
    async fn set() -> Self {
        let redis = Redis::start();
        let url = redis.url();
        Self::set_on(redis, &url).await
    }

    /// With a bus that reaches Redis under another URL.
    async fn set_on(redis: Redis, url: &str) -> Self {
        let desk = Arc::new(FakeDesk::new());
        let clock = Arc::new(FakeClock::new());
        let bus = Bus::start(url, desk.clone(), clock.clone(), &CancellationToken::new()).unwrap();
        let stage = Self { redis, desk, clock, bus };
        stage.until("it is connected", |figures| figures.service_connected + figures.view_connected == 2).await;
        stage
    }

    async fn caller(&self) -> Caller {
        Caller::connect(&self.redis.url()).await
    }

    fn figures(&self) -> BusFigures {
        self.bus.counters().figures()
    }

    async fn until(&self, what: &str, holds: impl Fn(&BusFigures) -> bool) {
        until(&format!("{what}: {:?}", self.bus.counters()), || holds(&self.figures())).await;
    }
}

/// Polls until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let polled = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, polled).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
