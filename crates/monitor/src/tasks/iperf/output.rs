//! What `iperf3 --json` says, as far as it is read. Checked against iperf3 3.12; members that other versions lack are optional.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The document of one run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    start: Start,
    end: End,
    error: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Start {
    connected: Vec<Connected>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Connected {
    remote_host: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct End {
    sum: Option<Sum>,
    sum_sent: Option<Sum>,
    sum_received: Option<Sum>,
    cpu_utilization_percent: CpuReport,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Sum {
    seconds: f64,
    bytes: u64,
    bits_per_second: f64,
    retransmits: Option<u64>,
    jitter_ms: Option<f64>,
    lost_packets: Option<i64>,
    packets: Option<u64>,
}

/// CPU use during a run, percent of one CPU (zos's names).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CpuReport {
    /// This side, user and system.
    pub host_total: f64,
    /// This side, user.
    pub host_user: f64,
    /// This side, system.
    pub host_system: f64,
    /// The other side, user and system.
    pub remote_total: f64,
    /// The other side, user.
    pub remote_user: f64,
    /// The other side, system.
    pub remote_system: f64,
}

/// One stream or bundle of streams in one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// What arrived, bit/s, by whoever received it. The slow start is left out.
    pub bits_per_second: f64,
    /// What was sent, bit/s, by whoever sent it.
    pub sent_bits_per_second: f64,
    /// How long it was measured, seconds.
    pub seconds: f64,
    /// Bytes that arrived in that time.
    pub bytes: u64,
    /// TCP segments that were sent again; `null` where the sender's system does not tell, and for UDP.
    pub retransmits: Option<u64>,
    /// Variation of the delay, ms (RFC 1889 as iperf3 computes it); UDP only.
    pub jitter_ms: Option<f64>,
    /// Packets that did not arrive; UDP only.
    pub lost_packets: Option<u64>,
    /// Packets that were sent; UDP only.
    pub packets: Option<u64>,
    /// Share of packets that did not arrive, percent; UDP only.
    pub loss_percent: Option<f64>,
    /// Where the limit seems to lie; `null` where nothing points anywhere.
    pub bottleneck: Option<Bottleneck>,
    /// CPU use of both ends.
    pub cpu: CpuReport,
}

/// Where the limit of a flow seems to lie. A hint from CPU use, losses and the rate that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// `iperf3` of this node used up a CPU.
    ThisCpu,
    /// `iperf3` of the other node used up a CPU.
    TargetCpu,
    /// Packets were lost on the way.
    Path,
    /// All of the rate that was asked for arrived: the link can do more.
    RequestedRate,
}

/// Above this a single-threaded sender or receiver has nothing left, percent of a CPU.
const CPU_FULL: f64 = 90.0;

impl Output {
    /// Reads a document.
    ///
    /// # Errors
    /// What the parser says.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// iperf3's own words about why it failed.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref().filter(|text| !text.is_empty())
    }

    /// The other end's address, resolved.
    pub(super) fn remote(&self) -> Option<IpAddr> {
        self.start.connected.first()?.remote_host.parse().ok()
    }

    /// The flow; `requested` is the rate that was asked for, bit/s, where one was. `None` where the document has no sums.
    pub(super) fn flow(&self, udp: bool, requested: Option<u64>) -> Option<Flow> {
        let end = &self.end;
        let received = end.sum_received.or(end.sum)?;
        let sent = end.sum_sent.or(end.sum)?;
        let packets = udp.then_some(received.packets).flatten();
        // Duplicates make it negative.
        let lost = udp.then(|| u64::try_from(received.lost_packets.unwrap_or(0)).unwrap_or(0));
        let loss = lost.zip(packets).filter(|(_, packets)| *packets > 0);
        let loss_percent = loss.map(|(lost, packets)| lost as f64 * 100.0 / packets as f64);
        // A document with one sum tells what was sent, and of that what was lost.
        let arrived = match loss {
            Some((lost, packets)) if end.sum_received.is_none() => 1.0 - (lost as f64 / packets as f64).min(1.0),
            _ => 1.0,
        };
        let mut flow = Flow {
            bits_per_second: received.bits_per_second * arrived,
            sent_bits_per_second: sent.bits_per_second,
            seconds: received.seconds,
            bytes: (received.bytes as f64 * arrived) as u64,
            retransmits: if udp { None } else { sent.retransmits },
            jitter_ms: udp.then_some(received.jitter_ms).flatten(),
            lost_packets: lost,
            packets,
            loss_percent,
            bottleneck: None,
            cpu: end.cpu_utilization_percent,
        };
        flow.bottleneck = bottleneck(&flow, requested);
        Some(flow)
    }
}

fn bottleneck(flow: &Flow, requested: Option<u64>) -> Option<Bottleneck> {
    /// Of the requested rate: pacing and the last packets under way make up for the rest.
    const ARRIVED: f64 = 0.98;
    if flow.cpu.host_total >= CPU_FULL {
        return Some(Bottleneck::ThisCpu);
    }
    if flow.cpu.remote_total >= CPU_FULL {
        return Some(Bottleneck::TargetCpu);
    }
    if requested.is_some_and(|rate| flow.bits_per_second >= rate as f64 * ARRIVED) {
        return Some(Bottleneck::RequestedRate);
    }
    let lost = flow.retransmits.unwrap_or(0) > 0 || flow.lost_packets.unwrap_or(0) > 0;
    lost.then_some(Bottleneck::Path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_garbage_are_told_apart() {
        let refused =
            br#"{"start":{"connected":[]},"end":{},"error":"unable to connect to server: Connection refused"}"#;
        let output = Output::read(refused).unwrap();
        assert_eq!(output.error(), Some("unable to connect to server: Connection refused"));
        assert_eq!(output.flow(false, None), None, "no zeros for a run that was none");
        for garbage in ["", "iperf3: error", "7", r#"{"end":{"sum":{"bytes":-1}}}"#] {
            assert!(Output::read(garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    #[test]
    fn loss_is_of_the_packets_that_were_sent() {
        let text = br#"{"end":{
            "sum_sent":{"seconds":1,"bytes":1000,"bits_per_second":8000,"packets":10,"lost_packets":0},
            "sum_received":{"seconds":1,"bytes":900,"bits_per_second":7200,"packets":10,"lost_packets":1,"jitter_ms":0.5}}}"#;
        let flow = Output::read(text).unwrap().flow(true, Some(8000)).unwrap();
        assert_eq!((flow.lost_packets, flow.packets, flow.loss_percent), (Some(1), Some(10), Some(10.0)));
        assert_eq!((flow.bits_per_second, flow.jitter_ms, flow.retransmits), (7200.0, Some(0.5), None));
        assert_eq!(flow.bottleneck, Some(Bottleneck::Path));
    }

    #[test]
    fn of_one_sum_only_what_was_not_lost_arrived() {
        let text =
            br#"{"end":{"sum":{"seconds":1,"bytes":1000,"bits_per_second":8000,"packets":10,"lost_packets":4}}}"#;
        let flow = Output::read(text).unwrap().flow(true, None).unwrap();
        assert_eq!((flow.bits_per_second, flow.bytes, flow.sent_bits_per_second), (4800.0, 600, 8000.0));
    }
}
