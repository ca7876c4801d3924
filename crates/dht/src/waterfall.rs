//! One operation as a picture for the terminal: a line per RPC over the time of the whole operation.

use std::fmt::Write;

use crate::operation::{Hit, Hop, Operation, OperationKind};

/// Columns in front of the bars.
const LABEL: usize = 44;

/// Columns behind the bars.
const TAIL: usize = 24;

/// Narrowest bars that say anything.
const MIN_BAR: usize = 16;

/// What a column of a bar shows: waiting for its turn or for a stream, the connection, the handshake, the question.
const WAIT: char = '·';
const DIAL: char = '░';
const HANDSHAKE: char = '▒';
const QUESTION: char = '█';

/// The picture of an operation, `width` columns wide, with a line that explains the signs.
pub fn waterfall(operation: &Operation, width: usize) -> String {
    let mut out = headline(operation);
    let bar = width.saturating_sub(LABEL + TAIL).max(MIN_BAR);
    let end_ns = operation.hops.iter().map(|hop| hop.ended_ns).max().unwrap_or(0).max(operation.returned_ns);
    let scale = Scale { started_ns: operation.started_ns, end_ns, columns: bar };
    if !operation.hops.is_empty() {
        let label = format!("{:>4}   {:<14}{:<9} {:>4} {:>4}", "hop", "question", "peer", "bits", "from");
        out.push_str(&format!(
            "{label:<LABEL$}{:<bar$}  ms\n",
            format!("0 to {} ms", ms(end_ns - operation.started_ns))
        ));
    }
    for (number, hop) in operation.hops.iter().enumerate() {
        out.push_str(&line(number, hop, &scale));
    }
    out.push_str(&foot(operation));
    out
}

struct Scale {
    started_ns: u64,
    end_ns: u64,
    columns: usize,
}

impl Scale {
    fn column(&self, at_ns: u64) -> usize {
        let whole = self.end_ns.saturating_sub(self.started_ns).max(1) as f64;
        let share = at_ns.saturating_sub(self.started_ns) as f64 / whole;
        ((share * self.columns as f64) as usize).min(self.columns.saturating_sub(1))
    }

    /// Fills from a moment up to another one; at least one column.
    fn fill(&self, bar: &mut [char], from_ns: u64, to_ns: u64, sign: char) {
        let (from, to) = (self.column(from_ns), self.column(to_ns.max(from_ns)));
        bar[from..=to].fill(sign);
    }
}

fn headline(operation: &Operation) -> String {
    let what = match operation.kind {
        OperationKind::Provide => "provide",
        OperationKind::Retrieve => "retrieve",
    };
    let how = match operation.hit {
        Hit::Local => "answered from this node's own store",
        Hit::Remote => "ok",
        Hit::Miss | Hit::Failed => operation.error.as_str(),
    };
    let key: String = operation.key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{what} {key} ({}): {how} after {} ms\n", operation.variant.as_str(), ms(operation.duration_ns()))
}

fn line(number: usize, hop: &Hop, scale: &Scale) -> String {
    let mut bar = vec![' '; scale.columns];
    scale.fill(&mut bar, hop.queued_ns, hop.sent_ns, WAIT);
    let connected = hop.queued_ns + hop.dial_ns;
    if hop.dial_ns > 0 {
        scale.fill(&mut bar, hop.queued_ns, connected, DIAL);
    }
    if hop.handshake_ns > 0 {
        scale.fill(&mut bar, connected, connected + hop.handshake_ns, HANDSHAKE);
    }
    scale.fill(&mut bar, hop.sent_ns, hop.ended_ns, QUESTION);
    let bar: String = bar.into_iter().collect();
    let mark = match (hop.critical, hop.wasted) {
        (true, _) => '*',
        (false, true) => '-',
        (false, false) => ' ',
    };
    let peer = hop.peer.to_base58();
    let peer = &peer[peer.len().saturating_sub(8)..];
    let parent = hop.parent.map_or("table".to_owned(), |parent| parent.to_string());
    let label = format!("{number:>4} {mark} {:<14}{peer:<9} {:>4} {parent:>5}", hop.rpc.as_str(), hop.common_bits);
    let took = ms(hop.ended_ns.saturating_sub(hop.queued_ns));
    let result = match hop.outcome.class() {
        Some(class) => class.as_str().to_owned(),
        None if hop.providers > 0 => format!("{} providers", hop.providers),
        None if hop.learnt > 0 => format!("+{} peers", hop.learnt),
        None => String::new(),
    };
    format!("{label:<LABEL$}{bar}  {took:>7} {result}\n").trim_end().to_owned() + "\n"
}

fn foot(operation: &Operation) -> String {
    let mut out = String::new();
    let hops = &operation.hops;
    if hops.is_empty() {
        return out;
    }
    let wasted = hops.iter().filter(|hop| hop.wasted).count();
    let critical: Vec<&Hop> = hops.iter().filter(|hop| hop.critical).collect();
    let sum = |part: fn(&Hop) -> u64| -> u64 { critical.iter().map(|hop| part(hop)).sum() };
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "* the end waited for it ({} hops: dial {} ms, handshake {} ms, questions {} ms)   - made no difference ({wasted} of {})",
        critical.len(),
        ms(sum(|hop| hop.dial_ns)),
        ms(sum(|hop| hop.handshake_ns)),
        ms(sum(|hop| hop.ended_ns.saturating_sub(hop.sent_ns))),
        hops.len()
    );
    let _ = writeln!(out, "{WAIT} waits   {DIAL} dials   {HANDSHAKE} agrees on encryption   {QUESTION} asks");
    if let Some(multiple) = operation.rtt_multiple() {
        let _ = writeln!(out, "{multiple:.1} times the round trips of the critical hops");
    }
    if operation.kind == OperationKind::Provide {
        let stored = operation.stored_ns.map_or("none was confirmed".to_owned(), |at_ns| {
            let after = ms(at_ns.saturating_sub(operation.started_ns));
            format!("{} confirmed after {after} ms", operation.stored)
        });
        let _ = writeln!(out, "call returned after {} ms; records: {stored}", ms(operation.duration_ns()));
    }
    out
}

fn ms(ns: u64) -> String {
    format!("{:.2}", ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;
    use peermark_core::{Culprit, FailureClass, Outcome};

    use super::*;
    use crate::key::RecordKey;
    use crate::operation::{Rpc, Variant};

    fn hop(rpc: Rpc, queued_ms: u64, sent_ms: u64, ended_ms: u64) -> Hop {
        const MS: u64 = 1_000_000;
        Hop {
            peer: PeerId::random(),
            rpc,
            common_bits: 4,
            parent: None,
            queued_ns: queued_ms * MS,
            dial_ns: 0,
            handshake_ns: 0,
            sent_ns: sent_ms * MS,
            ended_ns: ended_ms * MS,
            learnt: 3,
            providers: 0,
            outcome: Outcome::Ok,
            wasted: false,
            critical: true,
            rtt_ns: Some(MS),
        }
    }

    fn operation(hops: Vec<Hop>) -> Operation {
        Operation {
            kind: OperationKind::Retrieve,
            variant: Variant::Default,
            key: RecordKey::of_content(b"x").0,
            started_ns: 0,
            returned_ns: 100_000_000,
            stored_ns: None,
            stored: 0,
            providers: vec![],
            hit: Hit::Remote,
            outcome: Outcome::Ok,
            error: String::new(),
            table_len: 9,
            hops,
        }
    }

    #[test]
    fn bars_lie_where_the_time_went() {
        let mut failed = hop(Rpc::GetProviders, 50, 100, 100);
        failed.outcome = Outcome::failed(FailureClass::Timeout, Culprit::Peer);
        let mut dialled = hop(Rpc::GetProviders, 0, 40, 50);
        (dialled.dial_ns, dialled.handshake_ns) = (20_000_000, 10_000_000);
        let picture = waterfall(&operation(vec![dialled, failed]), LABEL + TAIL + 100);
        let lines: Vec<&str> = picture.lines().collect();
        let bar: Vec<char> = lines[2].chars().skip(LABEL).collect();
        for (column, sign) in [(5, DIAL), (25, HANDSHAKE), (35, WAIT), (45, QUESTION)] {
            assert_eq!(bar[column], sign, "column {column} of {}", lines[2]);
        }
        assert!(lines[3].ends_with("timeout"), "{}", lines[3]);
        assert!(picture.contains("50.0 times the round trips"), "{picture}");
    }

    #[test]
    fn nothing_and_narrow_terminals_are_drawn_too() {
        let mut local = operation(vec![]);
        local.hit = Hit::Local;
        assert!(waterfall(&local, 80).contains("own store"));
        assert!(waterfall(&operation(vec![hop(Rpc::FindNode, 0, 0, 0)]), 0).lines().count() > 2);
    }
}
