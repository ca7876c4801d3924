//! What an attester reveals, and what of it is kept.

use peermark_core::sealed::PublicKey;
use peermark_judge::histogram::{Scale, SparseHistogram};
use peermark_judge::outcome::{OutcomeCounts, ProbeOutcome};

use super::super::State;
use super::{Observation, ObservationKey};
use crate::item::Region;
use crate::item::hosting::{ChallengeStatus, PerformanceChallenge};
use crate::item::record::{Body, RawShort, Record, Spread, Working};
use crate::item::user::User;
use crate::outcome::Refusal;
use crate::statement;
use crate::transaction::Reveal;
use crate::transaction::report::{HosterPerformance, HostingHealth, Measured, SwarmBusyness, WorkingReport};
use crate::{Digest, Id};

/// Most chunks that a harvest names.
const MOST_CHUNKS: usize = 256;

/// Most requests of a histogram or an outcome count in one report.
const MOST_REQUESTS: u64 = 1 << 20;

impl State {
    /// An attester reveals what it committed to. What does not hold is refused, and counts as not revealed.
    pub(super) fn reveal_performance(
        &mut self,
        user: Id,
        signer: PublicKey,
        entry: Digest,
        reveal: &Reveal,
    ) -> Result<Vec<Id>, Refusal> {
        let id = reveal.challenge;
        let challenge = self.item::<PerformanceChallenge>(id)?.clone();
        if !challenge.attester_ids.contains(&user) {
            return Err(Refusal::not_allowed("only the challenge's committee reveals"));
        }
        if challenge.status != ChallengeStatus::Committed || challenge.reveals.contains_key(&user) {
            return Err(Refusal::not_now("not the time to reveal, or it revealed"));
        }
        let hash = statement::commitment(&self.network(), id, signer, &reveal.salt, &reveal.report);
        if challenge.commits.get(&user) != Some(&hash) {
            return Err(Refusal::invalid("report", "not what was committed to"));
        }
        let body = match (&reveal.report, challenge.raw) {
            (Measured::Working(report), None) => {
                self.check_working(id, user, &challenge, report)?;
                working(id, report)
            }
            (Measured::Raw(report), Some(_)) => {
                self.check_region(user, &report.region)?;
                self.check_performances(id, &challenge, std::slice::from_ref(&report.performance))?;
                let performance = &report.performance;
                let possible = !self.is_too_fast(&report.region, performance.hoster, &performance.latency);
                if !possible {
                    self.emit("fasterThanLight", &[id, user, performance.hoster]);
                }
                Body::Raw(RawShort {
                    challenge: id,
                    region: report.region.clone(),
                    latency_us: spread(&performance.latency).filter(|_| possible),
                    egress_bps: spread(&performance.egress).filter(|_| possible),
                    host_load_ppm: report.host_load_ppm,
                    raw_root: report.raw_root,
                })
            }
            _ => return Err(Refusal::invalid("report", "of another class than what was asked for")),
        };
        let subject = challenge.feed.or(challenge.hosters.first().copied()).unwrap_or(id);
        let record = self.create(Record { subject, observer: Some(user), at: self.height, entry: Some(entry), body });
        if let Measured::Working(report) = &reveal.report {
            self.observe(id, user, record, report);
        }
        self.change::<PerformanceChallenge>(id, |challenge| {
            challenge.reveals.insert(user, record);
        })?;
        Ok(vec![record])
    }

    /// Keeps what was measured for the evaluation. What light could not have brought is not admitted: either side may be somewhere else than
    /// it says, so nobody is blamed for it, and the attester is paid.
    fn observe(&mut self, challenge: Id, attester: Id, record: Id, report: &WorkingReport) {
        let epoch = self.epoch_of(self.height);
        let busyness = &report.swarm_busyness;
        let busyness_per_min = u64::from(busyness.requests) * 60 / u64::from(busyness.window_s.max(1));
        for performance in &report.hoster_performances {
            let (hoster, region) = (performance.hoster, report.region.clone());
            if self.is_too_fast(&region, hoster, &performance.latency) {
                self.emit("fasterThanLight", &[challenge, attester, hoster]);
                continue;
            }
            let observation = Observation {
                outcomes: performance.outcomes,
                latency: performance.latency.clone(),
                egress: performance.egress.clone(),
                ingress: performance.ingress.clone(),
                bytes: performance.bytes,
                busyness_per_min: u32::try_from(busyness_per_min).unwrap_or(u32::MAX),
                record,
            };
            self.observations.put(ObservationKey { epoch, hoster, region, challenge, attester }, observation);
        }
    }

    fn check_working(
        &self,
        id: Id,
        user: Id,
        challenge: &PerformanceChallenge,
        report: &WorkingReport,
    ) -> Result<(), Refusal> {
        self.check_region(user, &report.region)?;
        check_health(&report.hosting_health)?;
        check_busyness(&report.swarm_busyness)?;
        self.check_performances(id, challenge, &report.hoster_performances)
    }

    /// An attester reports from where it offers to work: R81 counts reports by that.
    fn check_region(&self, user: Id, region: &peermark_core::region::Geohash) -> Result<(), Refusal> {
        let form = self.item::<User>(user)?.form.as_ref();
        let own = form.map(|form| self.item::<Region>(form.region)).transpose()?;
        if own.is_some_and(|own| own.geohashes.first() == Some(region)) {
            return Ok(());
        }
        Err(Refusal::invalid("region", "not the attester's own"))
    }

    /// One for each hoster of the challenge, in their order, each consistent, and with the hoster's word wherever anything came.
    fn check_performances(
        &self,
        id: Id,
        challenge: &PerformanceChallenge,
        performances: &[HosterPerformance],
    ) -> Result<(), Refusal> {
        let named = performances.iter().map(|performance| performance.hoster);
        if !named.eq(challenge.hosters.iter().copied()) {
            return Err(Refusal::invalid("hoster_performances", "not the challenge's hosters in their order"));
        }
        let network = self.network();
        let largest = self.policy().contract_bytes;
        for performance in performances {
            check_counts(performance)?;
            // Nobody asks for more than a contract at once.
            if performance.bytes > performance.outcomes.all().saturating_mul(largest) {
                return Err(Refusal::invalid("bytes", "more than the requests can have brought"));
            }
            let Some(contact) = &performance.contact else {
                if served(&performance.outcomes) > 0 {
                    return Err(Refusal::invalid("contact", "something came, but the hoster did not sign"));
                }
                continue;
            };
            let said = statement::contact(&network, id, &contact.one_time_key, &contact.transcript);
            if !self.signed_by(performance.hoster, &said, &contact.signature)? {
                return Err(Refusal::invalid("contact", "the hoster did not sign this"));
            }
            // R37: a key that hosters know would tell them whom to please.
            if self.user_by_noise_key.contains(&contact.one_time_key) {
                return Err(Refusal::invalid("one_time_key", "a registered key"));
            }
        }
        Ok(())
    }
}

/// Requests that were answered.
pub(super) fn served(outcomes: &OutcomeCounts) -> u64 {
    ProbeOutcome::ALL
        .into_iter()
        .filter(|outcome| outcome.is_served())
        .map(|outcome| outcomes.get(outcome))
        .fold(0, u64::saturating_add)
}

fn working(challenge: Id, report: &WorkingReport) -> Body {
    Body::Working(Working {
        challenge,
        region: report.region.clone(),
        hosting_health: report.hosting_health,
        requests: report.swarm_busyness.requests,
        unique_peers: report.swarm_busyness.unique_peers,
        window_s: report.swarm_busyness.window_s,
        raw_root: report.raw_root,
    })
}

fn spread(histogram: &SparseHistogram) -> Option<Spread> {
    let at = |q_ppm| histogram.quantile(q_ppm).map(|bounds| bounds.low);
    Some(Spread { p50: at(500_000)?, p90: at(900_000)?, p95: at(950_000)?, p99: at(990_000)?, n: histogram.len() })
}

fn check_health(health: &HostingHealth) -> Result<(), Refusal> {
    let sets = health.reachable <= health.sets;
    let chunks = health.chunks_ok <= health.chunks_tried && health.unknown_suppliers <= health.chunks_ok;
    if sets && chunks { Ok(()) } else { Err(Refusal::invalid("hosting_health", "a part is more than its whole")) }
}

fn check_busyness(busyness: &SwarmBusyness) -> Result<(), Refusal> {
    let wants = &busyness.want_ranges;
    if busyness.per_index.len() > MOST_CHUNKS || wants.len() > MOST_CHUNKS {
        let found = busyness.per_index.len().max(wants.len()) as u64;
        return Err(Refusal::TooMany { what: "harvested chunks".into(), found, limit: MOST_CHUNKS as u64 });
    }
    let sorted = busyness.per_index.windows(2).all(|pair| pair[0].0 < pair[1].0)
        && wants.windows(2).all(|pair| (pair[0].0, pair[0].1) < (pair[1].0, pair[1].1));
    if !sorted {
        return Err(Refusal::invalid("swarm_busyness", "not in order, or twice"));
    }
    let counted: u64 = busyness.per_index.iter().map(|(_, count)| u64::from(*count)).sum();
    if counted > u64::from(busyness.requests) || busyness.unique_peers > busyness.requests || busyness.window_s == 0 {
        return Err(Refusal::invalid("swarm_busyness", "counts do not fit its requests"));
    }
    Ok(())
}

fn check_counts(performance: &HosterPerformance) -> Result<(), Refusal> {
    let all = performance.outcomes.all();
    if all == 0 || all > MOST_REQUESTS {
        return Err(Refusal::invalid("outcomes", "nothing was asked, or more than can be"));
    }
    let histograms = [
        (Some(&performance.latency), Scale::LatencyUs),
        (Some(&performance.egress), Scale::ThroughputBps),
        (performance.ingress.as_ref(), Scale::ThroughputBps),
    ];
    for (histogram, scale) in histograms {
        let Some(histogram) = histogram else { continue };
        if histogram.scale() != scale {
            return Err(Refusal::invalid("histogram", "of another unit"));
        }
        histogram.check_report().map_err(|error| Refusal::invalid("histogram", error.to_string()))?;
        if histogram.len() > all {
            return Err(Refusal::invalid("histogram", "more values than requests"));
        }
    }
    if performance.latency.len() > served(&performance.outcomes) {
        return Err(Refusal::invalid("latency", "more values than answers"));
    }
    Ok(())
}
