//! peermark and Kubo in one private network on this machine: what either publishes the other finds, and blocks go both ways.
//!
//! Not part of `make test`: it needs the `ipfs` program, which `make interop` builds and names with `--ipfs`. Without it everything is
//! skipped, and said to be.

mod blocks;
mod deaths;
mod kubo;
mod lookups;
mod network;
mod node;
mod process;
mod records;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use network::Mixed;

/// Longest time for one case.
const CASE_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest time until all nodes know each other.
const START_TIMEOUT: Duration = Duration::from_secs(180);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a case has to say when it holds.
type Checked = Result<String, Failure>;

type Case = (&'static str, for<'a> fn(&'a mut Mixed) -> BoxFuture<'a, Checked>);

/// In this order: later ones add nodes, and the last one but one kills some.
const CASES: &[Case] = &[
    ("records of ours, found by Kubo", |mixed| records::kubo_finds_ours(mixed).boxed()),
    ("confirmed by Kubo means stored", |mixed| records::confirmed_means_stored(mixed).boxed()),
    ("all variants in the mixed network", |mixed| records::every_variant(mixed).boxed()),
    ("records of Kubo, found by us", |mixed| lookups::we_find_kubos(mixed).boxed()),
    ("fifty questions on one stream", |mixed| lookups::one_stream(mixed).boxed()),
    ("Kubo gets our blocks, connected", |mixed| blocks::kubo_gets_connected(mixed).boxed()),
    ("Kubo gets our blocks, by the DHT", |mixed| blocks::kubo_gets_by_dht(mixed).boxed()),
    ("we get Kubo's block, connected", |mixed| blocks::we_get_connected(mixed).boxed()),
    ("we get Kubo's dataset, by the DHT", |mixed| blocks::we_get_by_dht(mixed).boxed()),
    ("a Kubo killed midway", |mixed| deaths::lookups_go_on(mixed).boxed()),
    ("nobody left this machine", |mixed| deaths::nobody_left(mixed).boxed()),
];

/// Fails a case unless the condition holds.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(what().into()) }
}

/// Looks until there is something to see; fails in words when the time is up.
async fn wait_for<T, F>(what: &str, longest: Duration, mut look: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<Option<T>, Failure>>,
{
    let until = Instant::now() + longest;
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        ensure(Instant::now() < until, || format!("waited {} s for {what}", longest.as_secs()))?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether the loopback interface is the only one: nothing can leave then, whatever anybody tries.
fn is_sealed() -> bool {
    let devices = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    devices.lines().skip(2).all(|line| line.trim_start().starts_with("lo:"))
}

fn say(line: &str) {
    // Who closed the output does not want the words.
    drop(writeln!(std::io::stdout(), "{line}"));
}

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the arguments of the test program itself")]
    let mut arguments = std::env::args().skip(1);
    let ipfs = arguments.by_ref().find(|argument| argument == "--ipfs").and_then(|_| arguments.next());
    let Some(ipfs) = ipfs.map(PathBuf::from) else {
        say("skipped: interop with Kubo needs its `ipfs` program: `make interop` builds it (with Go) and runs this");
        return ExitCode::SUCCESS;
    };
    if !ipfs.is_file() {
        say(&format!("error: {} is not there", ipfs.display()));
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(ipfs)),
        Err(error) => {
            say(&format!("error: cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(ipfs: PathBuf) -> ExitCode {
    let sealed = if is_sealed() { "a network namespace with nothing but loopback" } else { "loopback addresses" };
    let began = Instant::now();
    let starting = tokio::time::timeout(START_TIMEOUT, Mixed::start(&ipfs)).await;
    let mut mixed = match starting.unwrap_or_else(|_| Err("not everybody knew everybody in time".into())) {
        Ok(mixed) => mixed,
        Err(error) => {
            say(&format!("error: the mixed network does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let version = mixed.kubos[0].version().await.unwrap_or_else(|error| format!("of unknown version ({error})"));
    say(&format!(
        "\nKubo {version}: {} servers and 1 client of it, {} servers of ours, on {sealed}; ready after {:.1} s\n",
        mixed.kubos.len(),
        mixed.servers.len(),
        began.elapsed_s(),
    ));
    say(&format!("{:<36} {:<6} {:>7}  {}", "case", "result", "seconds", "seen"));
    let mut failed = 0;
    for (name, case) in CASES {
        let began = Instant::now();
        let checked = tokio::time::timeout(CASE_TIMEOUT, case(&mut mixed)).await;
        let checked = checked.unwrap_or_else(|_| Err(format!("not done in {} s", CASE_TIMEOUT.as_secs()).into()));
        let (result, seen) = match checked {
            Ok(seen) => ("ok", seen),
            Err(error) => ("FAILED", error.to_string()),
        };
        failed += usize::from(result != "ok");
        say(&format!("{name:<36} {result:<6} {:>7.1}  {seen}", began.elapsed_s()));
    }
    say(&format!("\n{} of {} cases hold; {:.1} s in all", CASES.len() - failed, CASES.len(), began.elapsed_s()));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Seconds since a moment.
trait Elapsed {
    fn elapsed_s(&self) -> f64;
}

impl Elapsed for Instant {
    fn elapsed_s(&self) -> f64 {
        (Instant::now() - *self).as_secs_f64()
    }
}
