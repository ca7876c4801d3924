//! What a question over the bus costs, beside what Redis itself costs in the same seconds.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use peermark_core::Clock;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::BusError;
use super::connection::{Address, Connection};
use super::message::Command;
use super::resp::{self, Reply};

/// For one round trip.
const WAIT_S: u64 = 5;
const WAIT: Duration = Duration::from_secs(WAIT_S + 5);

/// Longest answer that is taken.
const ANSWER_MAX: usize = 4 << 20;

/// What is measured.
#[derive(Clone, Debug)]
pub struct MeasurePlan {
    /// The task whose result is asked for. It has one.
    pub task: String,
    /// Rounds; each measures every kind, in an order that changes.
    pub rounds: u32,
    /// Round trips of a kind in one round.
    pub round_trips: u32,
    /// Round trips of each kind before the first round, which are not kept.
    pub warm_up: u32,
}

impl Default for MeasurePlan {
    /// 30 rounds of 100 round trips, after 200 that are not kept.
    fn default() -> Self {
        Self { task: "cpu-benchmark".into(), rounds: 30, round_trips: 100, warm_up: 200 }
    }
}

/// Round trips, ns each, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusSamples {
    /// `zos.perf.get`: `LPUSH` of the request, then `BLPOP` of the answer, one after the other as clients do.
    pub get_ns: Vec<u64>,
    /// `LPUSH` of the same bytes, then `RPOP`, by the same connection: what Redis itself costs.
    pub pair_ns: Vec<u64>,
    /// As `get_ns`, but the other side sends the same bytes back unread: what any service costs.
    pub echo_ns: Vec<u64>,
}

/// Measures against the Redis at `url`, on which a [`Bus`](super::Bus) serves. Times are by `clock`.
///
/// # Errors
/// [`BusError`] when Redis or the bus does not answer, or the bus answers with an error.
pub async fn measure(url: &str, plan: &MeasurePlan, clock: &dyn Clock) -> Result<BusSamples, BusError> {
    let address = Address::parse(url)?;
    // Not a name that another measurement has.
    let keys = format!("peermark-bench-{:x}-{:x}", clock.wall_ms(), std::process::id());
    let trips = u64::from(plan.warm_up) + u64::from(plan.rounds) * u64::from(plan.round_trips);
    let mut bench = Bench { connection: Connection::open(&address).await?, keys, task: plan.task.clone(), count: 0 };
    let other = Connection::open(&address).await?;
    // It ends with this set.
    let mut echo = JoinSet::new();
    echo.spawn(send_back(other, bench.keys.clone(), trips));
    let mut samples = BusSamples::default();
    for kind in [Kind::Get, Kind::Pair, Kind::Echo] {
        for _ in 0..plan.warm_up {
            bench.trip(kind, clock).await?;
        }
    }
    for round in 0..plan.rounds {
        let mut order = [Kind::Get, Kind::Pair, Kind::Echo];
        order.rotate_left((round % 3) as usize);
        for kind in order {
            let kept = match kind {
                Kind::Get => &mut samples.get_ns,
                Kind::Pair => &mut samples.pair_ns,
                Kind::Echo => &mut samples.echo_ns,
            };
            for _ in 0..plan.round_trips {
                kept.push(bench.trip(kind, clock).await?);
            }
        }
    }
    Ok(samples)
}

#[derive(Clone, Copy)]
enum Kind {
    Get,
    Pair,
    Echo,
}

struct Bench {
    connection: Connection,
    keys: String,
    task: String,
    count: u64,
}

impl Bench {
    async fn trip(&mut self, kind: Kind, clock: &dyn Clock) -> Result<u64, BusError> {
        self.count += 1;
        let key = format!("{}-{}", self.keys, self.count);
        let request = self.request(&key, clock.wall_ms() / 1_000);
        let (there, back) = match kind {
            Kind::Get => (Command::Get.queue().to_owned(), key),
            Kind::Pair => (key.clone(), key),
            Kind::Echo => (ask_key(&self.keys), answer_key(&self.keys)),
        };
        let wait = WAIT_S.to_string();
        let pop: &[&[u8]] = match kind {
            Kind::Pair => &[b"RPOP", back.as_bytes()],
            Kind::Get | Kind::Echo => &[b"BLPOP", back.as_bytes(), wait.as_bytes()],
        };
        let (mut push_out, mut pop_out) = (Vec::new(), Vec::new());
        resp::command(&mut push_out, &[b"LPUSH", there.as_bytes(), &request]);
        resp::command(&mut pop_out, pop);
        let begin = clock.now_ns();
        self.connection.send(&push_out).await?;
        self.connection.read_within(WAIT, ANSWER_MAX).await?.accepted()?;
        self.connection.send(&pop_out).await?;
        let reply = self.connection.read_within(WAIT, ANSWER_MAX).await?.accepted()?;
        let took_ns = clock.now_ns().saturating_sub(begin);
        let body = match reply {
            Reply::Bytes(body) => Some(body),
            Reply::Array(elements) => elements.into_iter().nth(1).and_then(|element| match element {
                Reply::Bytes(body) => Some(body),
                _ => None,
            }),
            _ => None,
        };
        let body = body.ok_or_else(|| BusError::Answer(format!("nothing within {WAIT_S} s")))?;
        match kind {
            Kind::Get => answered(&body)?,
            Kind::Pair | Kind::Echo if body == request => {}
            Kind::Pair | Kind::Echo => return Err(BusError::Answer("other bytes than were sent".into())),
        }
        Ok(took_ns)
    }

    fn request(&self, key: &str, now_s: u64) -> Vec<u8> {
        let payload = STANDARD.encode(json!({ "name": self.task }).to_string());
        let message = json!({
            "ver": 1, "ref": key, "src": "1", "cmd": "zos.perf.get", "exp": 60, "dat": payload, "tag": null, "ret": key,
            "shm": "application/json", "now": now_s,
        });
        message.to_string().into_bytes()
    }
}

fn answered(body: &[u8]) -> Result<(), BusError> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| BusError::Answer(error.to_string()))?;
    match answer.get("err") {
        Some(Value::Null) => Ok(()),
        other => Err(BusError::Answer(other.map(ToString::to_string).unwrap_or_default())),
    }
}

/// The other side of an echo, which waits as a service does: the answer and the next wait in one write.
async fn send_back(mut connection: Connection, keys: String, trips: u64) -> Result<(), BusError> {
    let (asked, answers) = (ask_key(&keys), answer_key(&keys));
    let wait = WAIT_S.to_string();
    let mut out = Vec::new();
    let mut sent = 0;
    let mut owed = 0;
    while sent < trips {
        resp::command(&mut out, &[b"BRPOP", asked.as_bytes(), wait.as_bytes()]);
        connection.send(&out).await?;
        out.clear();
        for _ in 0..std::mem::take(&mut owed) {
            connection.read().await?.accepted()?;
        }
        // Between rounds nothing comes.
        if let Reply::Array(elements) = connection.read_within(WAIT, ANSWER_MAX).await?.accepted()?
            && let [_, Reply::Bytes(body)] = elements.as_slice()
        {
            resp::command(&mut out, &[b"LPUSH", answers.as_bytes(), body]);
            (sent, owed) = (sent + 1, 1);
        }
    }
    connection.send(&out).await
}

fn ask_key(keys: &str) -> String {
    format!("{keys}-ask")
}

fn answer_key(keys: &str) -> String {
    format!("{keys}-answer")
}
