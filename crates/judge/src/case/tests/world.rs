//! A small network whose truth is known.

use std::net::{IpAddr, Ipv4Addr};

use peermark_core::Seed;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::case::{Availability, Bandwidth, Evidence, Job, Latency, Measurement, Values};
use crate::outcome::{OutcomeCounts, ProbeOutcome};
use crate::policy::{Policy, QualificationPolicy, TimePolicy};

/// What a hoster really does.
#[derive(Clone, Copy)]
pub(super) struct Truth {
    pub(super) name: &'static str,
    pub(super) latency_us: u64,
    pub(super) egress_bps: u64,
    /// Share of probes that are served, parts per million.
    pub(super) served_ppm: u32,
}

/// Three hosters: good, middling, slow and often away.
pub(super) const HOSTERS: [Truth; 3] = [
    Truth { name: "anna", latency_us: 40_000, egress_bps: 80_000_000, served_ppm: 1_000_000 },
    Truth { name: "bert", latency_us: 90_000, egress_bps: 30_000_000, served_ppm: 1_000_000 },
    Truth { name: "carl", latency_us: 400_000, egress_bps: 4_000_000, served_ppm: 700_000 },
];

/// Ten more whom everybody measures, so that a bloc of liars has a background.
pub(super) fn many(count: u64) -> Vec<Truth> {
    const NAMES: [&str; 12] = ["h00", "h01", "h02", "h03", "h04", "h05", "h06", "h07", "h08", "h09", "h10", "h11"];
    (0..count.min(12))
        .map(|index| Truth {
            name: NAMES[index as usize],
            latency_us: 30_000 + 10_000 * index,
            egress_bps: 10_000_000 + 9_000_000 * index,
            served_ppm: 1_000_000,
        })
        .collect()
}

/// A world to be measured.
pub(super) struct World {
    pub(super) hosters: Vec<Truth>,
    pub(super) attesters: u32,
    pub(super) epochs: u64,
    pub(super) probes: u64,
}

impl World {
    pub(super) fn new(hosters: &[Truth]) -> Self {
        Self { hosters: hosters.to_vec(), attesters: 9, epochs: 6, probes: 10 }
    }

    /// What honest attesters say, a round per epoch of one day.
    pub(super) fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::default();
        for epoch in 0..self.epochs {
            for attester in 0..self.attesters {
                for (index, hoster) in self.hosters.iter().enumerate() {
                    let mut noise = Seed(7).stream_at("sample", epoch << 40 | u64::from(attester) << 20 | index as u64);
                    let own = self.normal("attester", u64::from(attester)) * 0.25;
                    let pair = self.normal("pair", u64::from(attester) << 20 | index as u64) * 0.15;
                    evidence.measurements.push(self.measure(epoch, attester, hoster, own + pair, &mut noise));
                }
            }
        }
        evidence
    }

    fn normal(&self, purpose: &str, index: u64) -> f64 {
        StandardNormal.sample(&mut Seed(7).stream_at(purpose, index))
    }

    fn measure(&self, epoch: u64, attester: u32, hoster: &Truth, bias: f64, noise: &mut impl Rng) -> Measurement {
        let mut draw = |value: u64, sign: f64| {
            let sample: f64 = StandardNormal.sample(noise);
            (value as f64 * (sign * (bias + 0.15 * sample)).exp()) as u64
        };
        let latencies: Vec<u64> = (0..self.probes).map(|_| draw(hoster.latency_us, -0.5)).collect();
        let rates: Vec<u64> = (0..self.probes).map(|_| draw(hoster.egress_bps, 1.0)).collect();
        let served = (0..self.probes).filter(|_| noise.random_range(0..1_000_000) < hoster.served_ppm).count();
        let mut outcomes = OutcomeCounts::default();
        outcomes.add(ProbeOutcome::Ok, served as u64);
        outcomes.add(ProbeOutcome::ConnectTimeout, self.probes - served as u64);
        Measurement {
            at_s: epoch * 86_400 + 3_600,
            round: epoch,
            contract: "c1".to_owned(),
            hoster: hoster.name.to_owned(),
            attester: format!("att{attester:02}"),
            address: Some(address(attester)),
            operator: Some(format!("op{attester:02}")),
            region: "EUROPE".to_owned(),
            outcomes,
            latency_us: Values::Exact(latencies[..served].to_vec()),
            egress_bps: Values::Exact(rates[..served].to_vec()),
            ingress_bps: Values::none(),
            bytes: served as u64 * 65_536,
            proofs: 0,
            proofs_valid: 0,
        }
    }
}

/// An address of its own /24.
pub(super) fn address(attester: u32) -> IpAddr {
    let [a, b] = (attester as u16).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, a, b, 1))
}

/// Epochs of a day, standings that move within a week, no storage proofs.
pub(super) fn policy() -> Policy {
    let lab = Policy::lab();
    Policy {
        name: "test".to_owned(),
        time: TimePolicy { block_s: 6, epoch_blocks: 14_400 },
        qualification: QualificationPolicy {
            vetting_epochs: 3,
            vetting_audits: 20,
            require_integrity: false,
            availability: crate::policy::Threshold { enter: 900_000, leave: 800_000 },
            latency: crate::policy::Threshold { enter: 850_000, leave: 700_000 },
            bandwidth: crate::policy::Threshold { enter: 850_000, leave: 700_000 },
            ..lab.qualification.clone()
        },
        ..lab
    }
}

/// What `anna` and `bert` keep and `carl` does not.
pub(super) fn job() -> Job {
    Job {
        name: "films".to_owned(),
        regions: vec!["EUROPE".to_owned()],
        replicas: 3,
        duration_s: None,
        availability: Some(Availability { guarantee_ppm: 950_000 }),
        latency: Some(Latency { lag_ms: 200, guarantee_ppm: 900_000 }),
        egress: Some(Bandwidth { speed_bps: 10_000_000, guarantee_ppm: 900_000 }),
        ingress: None,
        prices: std::collections::BTreeMap::new(),
    }
}

/// Makes the attesters before `liars` multiply what they say of a hoster.
pub(super) fn lie(evidence: &mut Evidence, liars: u32, of: impl Fn(&str) -> Option<(u64, u64)>) {
    for measurement in &mut evidence.measurements {
        let number: u32 = measurement.attester.trim_start_matches("att").parse().unwrap();
        let Some((times, over)) = of(&measurement.hoster).filter(|_| number < liars) else { continue };
        let scaled = |values: &mut Values, times: u64, over: u64| {
            let Values::Exact(values) = values else { return };
            values.iter_mut().for_each(|value| *value = *value * times / over);
        };
        scaled(&mut measurement.egress_bps, times, over);
        scaled(&mut measurement.latency_us, over, times);
    }
}
