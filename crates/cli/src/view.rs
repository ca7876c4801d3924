//! The live view of a run on the terminal; lines of text where stderr is none.

use std::io::IsTerminal;
use std::sync::Mutex;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use peermark_core::event::Tick;
use peermark_core::{Event, EventKind};
use peermark_lab::dht::PHASE as DHT_PHASE;

use crate::output;

/// Follows the events of a run.
pub(crate) struct View {
    terminal: Option<Bars>,
    state: Mutex<State>,
}

struct Bars {
    all: MultiProgress,
    nodes: ProgressBar,
    phase: ProgressBar,
}

#[derive(Default)]
struct State {
    nodes: u32,
    started: u32,
    ready: u32,
    ticks: u64,
}

impl View {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let style = |template: &str| {
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
            };
            let nodes = all.add(ProgressBar::new(1)).with_style(style("nodes {bar:30.cyan/dim} {pos}/{len} {msg}"));
            let phase = all.add(ProgressBar::new(1000)).with_style(style("{prefix:<12} {bar:30.green/dim} {msg}"));
            Bars { all, nodes, phase }
        });
        Self { terminal, state: Mutex::default() }
    }

    /// Shows one event.
    pub(crate) fn show(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &event.kind {
            EventKind::RunStarted { run, nodes } => {
                state.nodes = *nodes;
                self.line(&format!("run {run}: {nodes} nodes; calibrating the machine"));
                if let Some(bars) = &self.terminal {
                    bars.nodes.set_length(u64::from(*nodes));
                }
            }
            EventKind::NodeState { node, state: what, detail } => self.node(&mut state, *node, what, detail.as_deref()),
            EventKind::PhaseStarted { phase, duration_ms } => {
                let length = duration_ms.map_or_else(String::new, |ms| format!(" for {:.0} s", ms as f64 / 1e3));
                self.line(&format!("phase {phase}{length}"));
            }
            EventKind::Tick(tick) => self.tick(&mut state, tick),
            EventKind::PhaseEnded { phase, ok, failed } => {
                self.line(&format!("phase {phase} ended: {ok} ok, {failed} failed"))
            }
            EventKind::Warning { text } => self.line(&format!("warning: {text}")),
            EventKind::RunEnded { .. } => self.finish(),
            _ => {}
        }
    }

    /// Removes the bars.
    pub(crate) fn finish(&self) {
        if let Some(bars) = &self.terminal {
            bars.nodes.finish_and_clear();
            bars.phase.finish_and_clear();
        }
    }

    fn node(&self, state: &mut State, node: u32, what: &str, detail: Option<&str>) {
        match what {
            "started" => state.started += 1,
            "ready" => state.ready += 1,
            other => {
                let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
                self.line(&format!("node {node} {other}{detail}"));
            }
        }
        match &self.terminal {
            Some(bars) => {
                bars.nodes.set_position(u64::from(state.ready));
                bars.nodes.set_message(format!("ready, {} started", state.started));
            }
            None if what == "started" && state.started == state.nodes => {
                self.line(&format!("{} nodes started", state.nodes))
            }
            None if what == "ready" && state.ready == state.nodes => self.line(&format!("{} nodes ready", state.nodes)),
            None => {}
        }
    }

    fn tick(&self, state: &mut State, tick: &Tick) {
        let text = describe(tick);
        state.ticks += 1;
        match &self.terminal {
            Some(bars) => {
                bars.phase.set_prefix(tick.phase.clone());
                bars.phase.set_position((tick.progress * 1000.0) as u64);
                bars.phase.set_message(text);
            }
            // A log gets a line every five seconds, a terminal twice a second.
            None if state.ticks.is_multiple_of(10) => {
                self.line(&format!("{} {:>3.0} %  {text}", tick.phase, tick.progress * 100.0))
            }
            None => {}
        }
    }

    fn line(&self, text: &str) {
        match &self.terminal {
            Some(bars) => {
                // A terminal that is gone shows nothing.
                let _ = bars.all.println(text);
            }
            None => output::talk(text),
        }
    }
}

fn describe(tick: &Tick) -> String {
    let ms = |ns: Option<u64>| ns.map_or_else(|| "-".into(), |ns| format!("{:.1}", ns as f64 / 1e6));
    let mut text = format!("{:.0} op/s", tick.ops_per_second);
    // Lookups in a DHT move no payload, and their percentiles are in the traces.
    if tick.phase != DHT_PHASE {
        text += &format!(
            "  {}/s  p50 {} p90 {} p99 {} ms  in flight {}",
            HumanBytes(tick.bytes_per_second as u64),
            ms(tick.p50_ns),
            ms(tick.p90_ns),
            ms(tick.p99_ns),
            tick.in_flight,
        );
    }
    text + &format!("  failed {}  nodes {}  cpu {:.0} %", tick.failed, tick.nodes_up, tick.host_busy * 100.0)
}
