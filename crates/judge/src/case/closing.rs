//! The statement at the end of the evidence.

use std::collections::{BTreeMap, BTreeSet};

use super::court::{Case, Last};
use super::docket::Row;
use super::finding::Findings;
use super::fit;
use super::order::{MAX_COMPARED, Ranks};
use super::pool::Kind;
use super::{
    ClaimLine, ContractStatement, EpochLine, HosterStatement, InversionLine, Job, Metric, MetricEstimate, Offer,
    Placement, RankLine, Statement, Term, TermFinding,
};
use crate::fixed::Fixed;
use crate::histogram::{Scale, SparseHistogram};
use crate::pay;
use crate::places;
use crate::policy::Policy;
use crate::qualification::explain;
use crate::verdict::hardened;
use crate::windows::{self, Promise, Window, Windows};

/// What all parts of a statement are made from.
struct Closing<'c> {
    last: Last,
    findings: Findings,
    prices: BTreeMap<&'c str, u64>,
    /// What counts of claims, by set and hoster.
    capacities: BTreeMap<(u32, u32), u64>,
    /// Contract, region and subject, by hoster.
    seats: BTreeMap<u32, Vec<(u32, u32, u32)>>,
    flagged: BTreeSet<u32>,
    /// By hoster.
    claims: BTreeMap<u32, Vec<ClaimLine>>,
    policy: &'c Policy,
    job: &'c Job,
}

/// The lowest price that each hoster asks.
pub(super) fn prices<'a>(job: &'a Job, offers: &'a [Offer]) -> BTreeMap<&'a str, u64> {
    let mut prices: BTreeMap<&str, u64> = job.prices.iter().map(|(hoster, price)| (hoster.as_str(), *price)).collect();
    for offer in offers {
        let price = prices.entry(&offer.hoster).or_insert(offer.price);
        *price = offer.price.min(*price);
    }
    prices
}

impl Case {
    /// Everything that may be said after the last epoch; `None` before the first. `epochs` is what [`Case::epoch`] gave, as far as
    /// whoever asks kept it, and `offers` are prices beside those of the job.
    pub fn statement(
        &self,
        policy: &Policy,
        job: &Job,
        offers: &[Offer],
        mut epochs: Vec<EpochLine>,
    ) -> Option<Statement> {
        let last = self.last?;
        let mut seats: BTreeMap<u32, Vec<(u32, u32, u32)>> = BTreeMap::new();
        for ((contract, region), subjects) in self.docket.fields() {
            for subject in subjects {
                let hoster = self.docket.subjects.get(subject).map_or(0, |subject| subject.hoster);
                seats.entry(hoster).or_default().push((contract, region, subject));
            }
        }
        for list in seats.values_mut() {
            list.sort_by_key(|(contract, region, _)| {
                (self.docket.contracts.name(*contract), self.docket.regions.name(*region))
            });
        }
        let findings = self.findings(policy, job);
        let (prices, capacities) = (prices(job, offers), self.claims.capacities(&self.docket));
        let (flagged, claims) = (self.flagged(), self.claims.lines(&self.docket, policy));
        let closing = Closing { last, findings, prices, capacities, seats, flagged, claims, policy, job };
        let mut hosters: Vec<HosterStatement> =
            (0..self.docket.hosters.len() as u32).filter_map(|hoster| self.hoster(hoster, &closing)).collect();
        hosters.sort_by(|a, b| a.hoster.cmp(&b.hoster));
        epochs.sort_by(|a, b| (a.epoch, &a.hoster).cmp(&(b.epoch, &b.hoster)));
        let ranks = self.ranks(&closing.findings, policy, job);
        let contracts = self.contracts(ranks, &closing.prices, &self.pay(last.end_s, policy), policy);
        Some(Statement {
            policy: policy.label(),
            job: job.name.clone(),
            from_s: last.from_s,
            to_s: last.to_s,
            epoch: last.epoch,
            measurements: last.measurements,
            elsewhere: last.elsewhere,
            attesters: self.docket.groups.attesters() as u32,
            groups: self.docket.groups.len() as u32,
            disputes: self.disputes(job),
            hosters,
            contracts,
            flags: self.flags(),
            epochs,
        })
    }

    fn hoster(&self, hoster: u32, closing: &Closing<'_>) -> Option<HosterStatement> {
        let name = self.docket.hosters.name(hoster);
        let policy = closing.policy;
        let (evidence, record) = (self.evidence.get(hoster as usize)?, self.records.get(hoster as usize)?);
        let seats = closing.seats.get(&hoster).map_or(&[][..], Vec::as_slice);
        let placements: Vec<Placement> = seats.iter().map(|seat| self.placement(*seat, closing)).collect();
        let mut known: Vec<&str> = self.docket.regions.iter().map(String::as_str).collect();
        known.sort_unstable();
        let wanted: Vec<&str> = match closing.job.regions.as_slice() {
            [] => known,
            regions => regions.iter().map(String::as_str).collect(),
        };
        let histories = self.worst_places(seats, closing.last.end_s, policy);
        Some(HosterStatement {
            hoster: name.to_owned(),
            price: closing.prices.get(name).copied(),
            fit: fit::decide(record.standing, &placements, &wanted),
            explanation: explain(record, evidence, &policy.qualification),
            record: record.clone(),
            placements,
            places: places::across(histories, closing.last.end_s, &policy.ranking),
            claims: closing.claims.get(&hoster).cloned().unwrap_or_default(),
        })
    }

    fn placement(&self, (contract, region, subject): (u32, u32, u32), closing: &Closing<'_>) -> Placement {
        let job = closing.job;
        let promise = Promise {
            availability_ppm: job.availability.map(|availability| availability.guarantee_ppm),
            latency_us: job.level(Term::Latency),
            throughput_bps: job.level(Term::Egress),
        };
        let nothing = Windows::default();
        let heard = self.heard.get(&subject).unwrap_or(&nothing);
        let of = self.docket.subjects.get(subject);
        let said = of.and_then(|of| closing.capacities.get(&(of.set, of.hoster)).copied());
        let window = |window| heard.statement(window, closing.last.to_s, &promise, &closing.policy.service);
        Placement {
            contract: self.docket.contracts.name(contract).to_owned(),
            region: self.docket.regions.name(region).to_owned(),
            estimates: Metric::ALL
                .into_iter()
                .filter_map(|metric| self.estimate_of(subject, metric, said, closing))
                .collect(),
            terms: self.terms(subject, closing),
            windows: Window::ALL.map(window).to_vec(),
        }
    }

    fn estimate_of(
        &self,
        subject: u32,
        metric: Metric,
        said: Option<u64>,
        closing: &Closing<'_>,
    ) -> Option<MetricEstimate> {
        let fit = self.evaluations.get(&metric)?.hosters.get(subject as usize)?;
        let estimate = fit.pooled.or(fit.now)?;
        let (behind, counts) = (Kind::behind(metric), |group: u32| !closing.flagged.contains(&group));
        // Nobody can send more than it says, whatever was measured.
        let most = said.filter(|_| metric == Metric::Egress).unwrap_or(u64::MAX);
        let counted = |value: Fixed| value.exp2_count().min(most);
        Some(MetricEstimate {
            metric,
            value: counted(estimate.value),
            low: estimate.interval.map(|interval| counted(interval.low)),
            high: estimate.interval.map(|interval| counted(interval.high)),
            groups: estimate.groups,
            samples: self.pool.heard(behind, subject, counts),
            rounds: self.pool.rounds(behind, subject, counts),
        })
    }

    fn terms(&self, subject: u32, closing: &Closing<'_>) -> Vec<TermFinding> {
        let terms = closing.job.terms().into_iter().filter_map(|(term, guarantee_ppm)| {
            let found = closing.findings.get(&(Kind::Term(term), subject))?;
            Some(TermFinding {
                term,
                level: closing.job.level(term),
                guarantee_ppm,
                meets_level: meets_level(closing.job.level(term), term, closing.policy),
                finding: found.finding,
                standing: self.standing.get(&(term, subject)).copied().unwrap_or(found.finding.verdict),
                probes: found.probes,
                unclear: found.unclear,
                rounds: self.pool.rounds(Kind::Term(term), subject, |group| !closing.flagged.contains(&group)),
            })
        });
        terms.collect()
    }

    /// Keeps what groups that count measured.
    pub(super) fn hear(&mut self, rows: &[Row<'_>]) {
        let flagged = self.flagged();
        for row in rows.iter().filter(|row| !flagged.contains(&row.group)) {
            // What is older than the longest window is in none.
            let _too_old = self.heard.entry(row.subject).or_default().record(row.measurement.at_s, &window_row(row));
        }
    }

    pub(super) fn contracts(
        &self,
        ranks: Ranks,
        prices: &BTreeMap<&str, u64>,
        pay: &BTreeMap<(u32, u32), pay::Tier>,
        policy: &Policy,
    ) -> Vec<ContractStatement> {
        let now_s = self.last.map_or(0, |last| last.end_s);
        let lowest = pay::tier(None, &policy.pay);
        let line = |contract: u32, subject: u32, best: u32, worst: u32| {
            let hoster = self.docket.subjects.get(subject).map_or(0, |subject| subject.hoster);
            let name = self.docket.hosters.name(hoster);
            let history = self.places.of(contract, subject);
            let places = history.and_then(|history| history.shares(now_s, &policy.ranking));
            RankLine {
                hoster: name.to_owned(),
                best,
                worst,
                pay_factor_ppm: pay.get(&(contract, hoster)).unwrap_or(&lowest).factor_ppm,
                places,
                price: prices.get(name).copied(),
            }
        };
        let mut contracts: Vec<ContractStatement> = ranks
            .into_iter()
            .map(|((contract, region), intervals)| {
                let mut ranks: Vec<RankLine> = intervals
                    .into_iter()
                    .map(|interval| line(contract, interval.hoster, interval.best, interval.worst))
                    .collect();
                ranks.sort_by(|a, b| (a.best, a.worst, &a.hoster).cmp(&(b.best, b.worst, &b.hoster)));
                let (reports, comparison) = self.claims.compare(contract, &self.docket, policy);
                ContractStatement {
                    contract: self.docket.contracts.name(contract).to_owned(),
                    region: self.docket.regions.name(region).to_owned(),
                    inversions: inversions(&ranks),
                    compared: ranks.len() <= MAX_COMPARED,
                    ranks,
                    mismatches: comparison.mismatches,
                    reports,
                }
            })
            .collect();
        contracts.sort_by(|a, b| (&a.contract, &a.region).cmp(&(&b.contract, &b.region)));
        contracts
    }
}

/// The level that MEETS asks for, where it is not the promised one.
fn meets_level(level: Option<u64>, term: Term, policy: &Policy) -> Option<u64> {
    let (level, scale) = (level?, term.scale()?);
    Some(hardened(level, scale, policy.sla.slack_ppm)).filter(|hard| *hard != level)
}

/// Most pairs that are named.
const MOST_INVERSIONS: usize = 64;

/// Who asks for more than somebody who ranks above beyond chance.
fn inversions(ranks: &[RankLine]) -> Vec<InversionLine> {
    if ranks.len() > MAX_COMPARED {
        return Vec::new();
    }
    let pairs = ranks.iter().flat_map(|above| ranks.iter().map(move |below| (above, below)));
    let inverted = pairs.filter(|(above, below)| {
        above.worst < below.best && matches!((above.price, below.price), (Some(above), Some(below)) if below > above)
    });
    let line = |(above, below): (&RankLine, &RankLine)| InversionLine {
        paid_more: below.hoster.clone(),
        ranks_above: above.hoster.clone(),
    };
    inverted.take(MOST_INVERSIONS).map(line).collect()
}

fn window_row(row: &Row<'_>) -> windows::Row {
    let measured = row.measurement;
    let histogram =
        |values: &super::Values, scale: Scale| values.histogram(scale).unwrap_or_else(|| SparseHistogram::new(scale));
    windows::Row {
        outcomes: measured.outcomes,
        latency: histogram(&measured.latency_us, Scale::LatencyUs),
        throughput: histogram(&measured.egress_bps, Scale::ThroughputBps),
        bytes: measured.bytes,
        reports: 1,
    }
}
