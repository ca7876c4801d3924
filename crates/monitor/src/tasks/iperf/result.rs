//! The rows of a result: what zos's old and new readers look for, and what they lack.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::leg::Measured;
use super::output::{CpuReport, Flow};
use super::target::Target;
use crate::task::Finding;

/// One protocol against one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IperfRow {
    /// What arrived at the server, bit/s; 0 where that run failed, which `error` and `upload` tell.
    pub upload_speed: f64,
    /// What arrived here, bit/s; 0 where that run failed.
    pub download_speed: f64,
    /// The server as it was named.
    pub server_host: String,
    /// Its address, resolved; the name where it was never connected to.
    pub server_ip: String,
    /// Its port.
    pub server_port: u16,
    /// Always 0: there is no farm. Old readers want it.
    pub node_id: u32,
    /// As `server_ip`. Old readers want it.
    pub node_ip: String,
    /// `tcp` or `udp`.
    pub test_type: String,
    /// Why a run failed, in iperf3's own words; empty where both succeeded.
    pub error: String,
    /// CPU use during the upload, or during the download where only that succeeded.
    pub cpu_report: CpuReport,
    /// Whether the row can be used.
    pub status: RowStatus,
    /// The entry of the configuration: a server or a monitor.
    pub target: String,
    /// From here to the server; `null` where that run failed.
    pub upload: Option<Flow>,
    /// From the server to here; `null` where that run failed.
    pub download: Option<Flow>,
    /// Failure codes of the runs that failed.
    pub failures: Vec<String>,
}

/// Whether a row can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowStatus {
    /// Both directions were measured.
    Ok,
    /// One was.
    Partial,
    /// None was: its speeds mean nothing.
    Failed,
}

/// The other end of the runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// Its address, where a run of the same test was connected to it.
    pub(super) ip: Option<IpAddr>,
}

pub(super) fn row(
    target: &Target,
    end: &End<'_>,
    udp: bool,
    up: Result<Measured, Finding>,
    down: Result<Measured, Finding>,
) -> IperfRow {
    let failed = [up.as_ref().err(), down.as_ref().err()].map(Option::<&Finding>::cloned);
    let failed: Vec<Finding> = failed.into_iter().flatten().collect();
    let (up, down) = (up.ok(), down.ok());
    let measured = up.as_ref().or(down.as_ref());
    // Old readers want an address in every row, also where UDP is blocked on the way.
    let remote = measured.and_then(|measured| measured.remote).or(end.ip);
    let ip = remote.map_or_else(|| end.host.to_owned(), |ip| ip.to_string());
    let speed = |measured: &Option<Measured>| measured.as_ref().map_or(0.0, |measured| measured.flow.bits_per_second);
    let details: Vec<&str> = failed.iter().map(|finding| finding.detail.as_str()).collect();
    IperfRow {
        upload_speed: speed(&up),
        download_speed: speed(&down),
        server_host: end.host.to_owned(),
        server_ip: ip.clone(),
        server_port: end.port,
        node_id: 0,
        node_ip: ip,
        test_type: if udp { "udp".into() } else { "tcp".into() },
        error: details.join("; "),
        cpu_report: measured.map(|measured| measured.flow.cpu).unwrap_or_default(),
        status: match failed.len() {
            0 => RowStatus::Ok,
            1 => RowStatus::Partial,
            _ => RowStatus::Failed,
        },
        target: target.to_string(),
        upload: up.map(|measured| measured.flow),
        download: down.map(|measured| measured.flow),
        failures: failed.iter().map(|finding| finding.failure.code.to_owned()).collect(),
    }
}

impl IperfRow {
    /// Bytes that it moved, those of the slow start included as if it had been as fast.
    pub(super) fn bytes(&self, omit_seconds: u32) -> u64 {
        let flows = [&self.upload, &self.download].into_iter().flatten();
        let moved = flows.map(|flow| flow.bytes as f64 * (1.0 + f64::from(omit_seconds) / flow.seconds.max(1.0)));
        moved.sum::<f64>() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::iperf::failures::SERVER_STALLED;

    #[test]
    fn a_row_of_nothing_but_failures_has_an_address_all_the_same() {
        let target = Target::Server { host: "node-b.example".into(), port: 5201 };
        let end = End { host: "node-b.example", port: 5201, ip: Some([192, 0, 2, 7].into()) };
        let row = row(&target, &end, true, Err(SERVER_STALLED.with("up")), Err(SERVER_STALLED.with("down")));
        assert_eq!((row.node_ip.as_str(), row.server_ip.as_str()), ("192.0.2.7", "192.0.2.7"));
        assert_eq!((row.server_host.as_str(), row.status), ("node-b.example", RowStatus::Failed));
    }
}
