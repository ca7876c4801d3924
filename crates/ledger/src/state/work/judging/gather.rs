//! The evidence of an epoch as the judge takes it. Names are ids in digits.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use peermark_judge::case::{self, Claim, Measurement, Roster, Values};
use peermark_judge::outcome::OutcomeCounts;
use peermark_judge::policy::Policy as Judge;
use peermark_judge::self_report::{IndexCount, SelfReport, Traffic};

use super::super::super::State;
use crate::Id;
use crate::item::hosting::{ContractStatus, PerformanceChallenge};
use crate::item::judged::JobKey;
use crate::item::record::{Body, SelfReportShort};
use crate::item::user::Form;
use crate::item::{Contract, Performance, Plan, Record, Region, Resources, User};
use crate::outcome::Refusal;
use crate::state::work::MOST_AVOIDED;

/// Everything of one epoch.
#[derive(Default)]
pub(super) struct Docket {
    pub(super) end_s: u64,
    pub(super) jobs: BTreeMap<JobKey, Staff>,
    pub(super) baselines: BTreeMap<String, u64>,
    /// By feed and hoster.
    measured: BTreeMap<(Id, Id), Vec<Measurement>>,
    claims: Vec<Claim>,
}

/// Who works for a job.
#[derive(Default)]
pub(super) struct Staff {
    rosters: BTreeMap<String, Roster>,
    /// Feed and hoster: who holds a place, and who lost one.
    pairs: BTreeSet<(Id, Id)>,
}

/// The evidence about one job.
pub(super) struct Part<'d> {
    pub(super) measurements: Vec<Measurement>,
    pub(super) claims: Vec<&'d Claim>,
    pub(super) rosters: BTreeMap<String, Roster>,
}

impl Docket {
    pub(super) fn is_empty(&self) -> bool {
        self.measured.is_empty()
    }

    /// What was measured for a job. Storage proofs say the same wherever they were asked for.
    pub(super) fn part(&self, key: &JobKey) -> Option<Part<'_>> {
        let staff = self.jobs.get(key)?;
        let mut measurements = Vec::new();
        for pair in &staff.pairs {
            for measurement in self.measured.get(pair).into_iter().flatten() {
                let mut measurement = measurement.clone();
                if let Some(area) = key.area.as_ref().filter(|_| measurement.proofs > 0) {
                    measurement.region = area.to_string();
                }
                measurements.push(measurement);
            }
        }
        let claims = self.claims.iter().filter(|claim| staff.rosters.contains_key(&claim.contract)).collect();
        Some(Part { measurements, claims, rosters: staff.rosters.clone() })
    }
}

impl State {
    pub(super) fn gather(&self, ended: u64) -> Result<Docket, Refusal> {
        let block_s = u64::from(self.policy().block_seconds);
        let mut docket = Docket { end_s: self.height.saturating_mul(block_s).saturating_sub(1), ..Docket::default() };
        self.gather_observations(ended, block_s, &mut docket)?;
        self.gather_proofs(ended, &mut docket)?;
        if docket.is_empty() {
            return Ok(docket);
        }
        docket.jobs = self.staff_of_jobs()?;
        if let Some(before) = ended.checked_sub(1) {
            self.gather_claims(before, block_s, &mut docket)?;
        }
        let hosters: BTreeSet<Id> = docket.measured.keys().map(|(_, hoster)| *hoster).collect();
        for hoster in hosters {
            let Some(record) = self.baselines.get(&hoster) else { continue };
            if let Body::RawBenchmark(raw) = &self.item::<Record>(*record)?.body
                && let Some(egress) = raw.egress_bps
            {
                docket.baselines.insert(hoster.to_string(), egress.p50);
            }
        }
        Ok(docket)
    }

    fn gather_observations(&self, ended: u64, block_s: u64, docket: &mut Docket) -> Result<(), Refusal> {
        let of_epoch = self.observations.iter().skip_while(|(key, _)| key.epoch < ended);
        for (key, row) in of_epoch.take_while(|(key, _)| key.epoch == ended) {
            let challenge = self.item::<PerformanceChallenge>(key.challenge)?;
            let (Some(feed), Some((address, operator))) = (challenge.feed, self.voice_of(key.attester)) else {
                continue;
            };
            let counted = |values| Values::Counted(values);
            let measurement = Measurement {
                at_s: self.item::<Record>(row.record)?.at.saturating_mul(block_s),
                round: key.challenge,
                contract: feed.to_string(),
                hoster: key.hoster.to_string(),
                attester: key.attester.to_string(),
                address,
                operator,
                region: key.region.to_string(),
                outcomes: row.outcomes,
                latency_us: counted(row.latency.clone()),
                egress_bps: counted(row.egress.clone()),
                ingress_bps: row.ingress.clone().map_or_else(Values::none, counted),
                bytes: row.bytes,
                proofs: 0,
                proofs_valid: 0,
            };
            docket.measured.entry((feed, key.hoster)).or_default().push(measurement);
        }
        Ok(())
    }

    fn gather_proofs(&self, ended: u64, docket: &mut Docket) -> Result<(), Refusal> {
        let rows = self.proofs.range((ended, 0, 0, 0)..(ended.saturating_add(1), 0, 0, 0));
        for ((_, hoster, feed, attester), (proofs, proofs_valid)) in rows {
            let Some((address, operator)) = self.voice_of(*attester) else { continue };
            let form = self.item::<User>(*attester)?.form.as_ref();
            let Some(place) = form.map(|form| self.place_of(form)).transpose()?.flatten() else { continue };
            let measurement = Measurement {
                at_s: docket.end_s,
                round: 0,
                contract: feed.to_string(),
                hoster: hoster.to_string(),
                attester: attester.to_string(),
                address,
                operator,
                region: place.to_string(),
                outcomes: OutcomeCounts::default(),
                latency_us: Values::none(),
                egress_bps: Values::none(),
                ingress_bps: Values::none(),
                bytes: 0,
                proofs: *proofs,
                proofs_valid: *proofs_valid,
            };
            docket.measured.entry((*feed, *hoster)).or_default().push(measurement);
        }
        Ok(())
    }

    /// By what an attester is grouped with others; `None` of one that offers no work any more.
    fn voice_of(&self, attester: Id) -> Option<(Option<IpAddr>, Option<String>)> {
        let form: &Form = self.item::<User>(attester).ok()?.form.as_ref()?;
        let address = match *form.prefix.as_slice() {
            [a, b, c] => Some(IpAddr::from(Ipv4Addr::new(a, b, c, 0))),
            [a, b, c, d, e, f] => {
                let mut bytes = [0; 16];
                bytes[..6].copy_from_slice(&[a, b, c, d, e, f]);
                Some(IpAddr::from(Ipv6Addr::from(bytes)))
            }
            _ => None,
        };
        Some((address, Some(form.operator.clone())))
    }

    /// What hosters reported about an epoch whose reports are all in, and what their machines are said to send with.
    fn gather_claims(&self, epoch: u64, block_s: u64, docket: &mut Docket) -> Result<(), Refusal> {
        let rows = self.self_reports.range((epoch, 0, 0)..(epoch.saturating_add(1), 0, 0));
        for ((_, contract, hoster), record) in rows {
            let record = self.item::<Record>(*record)?;
            let Body::SelfReport(short) = &record.body else { continue };
            let Ok(User { form: Some(form), .. }) = self.item::<User>(*hoster) else { continue };
            let upload = self.item::<Resources>(form.resources)?.upload_bits_per_s;
            docket.claims.push(Claim {
                at_s: record.at.saturating_mul(block_s),
                contract: contract.to_string(),
                hoster: hoster.to_string(),
                egress_bps: (upload > 0).then_some(upload),
                report: Some(self.report_of(short)?),
            });
        }
        Ok(())
    }

    fn report_of(&self, short: &SelfReportShort) -> Result<SelfReport, Refusal> {
        let feed = self.item::<Contract>(short.contract)?.feed;
        let traffic = |of: crate::transaction::report::Traffic| Traffic { chunks: of.chunks, bytes: of.bytes };
        let per_index = short.per_index.iter().map(|(index, count)| IndexCount {
            index: *index,
            count: u64::from(*count),
            size: self.range_bytes(feed, *index, *index).unwrap_or(0),
        });
        Ok(SelfReport {
            ingress: traffic(short.ingress),
            egress: traffic(short.egress),
            per_index: per_index.collect(),
            up: Vec::new(),
        })
    }

    /// Every job of contracts that run, with its contracts.
    pub(super) fn staff_of_jobs(&self) -> Result<BTreeMap<JobKey, Staff>, Refusal> {
        let mut jobs: BTreeMap<JobKey, Staff> = BTreeMap::new();
        for (id, staffing) in self.staffing.iter() {
            let Ok(contract) = self.item::<Contract>(*id) else { continue };
            if !matches!(contract.status, ContractStatus::Active | ContractStatus::Dormant) {
                continue;
            }
            let lost = staffing.avoid.iter().take(MOST_AVOIDED);
            for key in self.jobs_of_contract(*id)? {
                let staff = jobs.entry(key).or_default();
                let hosters = contract.active_hosters.iter().map(u64::to_string).collect();
                staff.rosters.insert(id.to_string(), Roster { set: contract.feed.to_string(), hosters });
                let all = contract.active_hosters.iter().chain(lost.clone());
                staff.pairs.extend(all.map(|hoster| (contract.feed, *hoster)));
            }
        }
        Ok(jobs)
    }

    /// The jobs by which a contract is judged: one for each of its areas.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`] where `contract` is none.
    pub fn jobs_of_contract(&self, contract: Id) -> Result<Vec<JobKey>, Refusal> {
        let hosting = self.item::<Contract>(contract)?;
        let plan = self.item::<Plan>(hosting.plan)?;
        let item = plan.program.get(hosting.program as usize);
        let item = item.ok_or_else(|| Refusal::unknown("item of the program", hosting.program))?;
        let performance = item.performance;
        let mut areas = BTreeSet::new();
        for region in &item.regions {
            areas.extend(self.item::<Region>(*region)?.geohashes.iter().cloned());
        }
        if areas.is_empty() {
            return Ok(vec![JobKey { area: None, performance }]);
        }
        Ok(areas.into_iter().map(|area| JobKey { area: Some(area), performance }).collect())
    }

    /// A job as the judge takes it. Where nothing is promised, the policy's own minimum is.
    pub(super) fn job_under(&self, key: &JobKey, judge: &Judge) -> Result<case::Job, Refusal> {
        let asked = key.performance.map(|id| self.item::<Performance>(id).cloned()).transpose()?.unwrap_or_default();
        let speed = |speed: crate::item::component::Speed| case::Bandwidth {
            speed_bps: speed.bits_per_s,
            guarantee_ppm: speed.guarantee,
        };
        let name = match (key.performance, &key.area) {
            (Some(id), Some(area)) => format!("performance {id} in {area}"),
            (Some(id), None) => format!("performance {id}"),
            (None, Some(area)) => format!("hosting in {area}"),
            (None, None) => "hosting".to_owned(),
        };
        let mut job = case::Job {
            name,
            regions: key.area.iter().map(ToString::to_string).collect(),
            replicas: crate::state::work::PLACES,
            duration_s: None,
            availability: asked.availability.map(|guarantee_ppm| case::Availability { guarantee_ppm }),
            latency: asked.latency.map(|lag| case::Latency { lag_ms: lag.lag_ms, guarantee_ppm: lag.guarantee }),
            egress: asked.egress.map(speed),
            ingress: asked.ingress.map(speed),
            prices: self.prices_of(key)?,
        };
        if job.terms().is_empty() {
            job.availability = Some(case::Availability { guarantee_ppm: judge.service.availability_ppm });
        }
        Ok(job)
    }

    /// What the hosters of a job ask for.
    fn prices_of(&self, key: &JobKey) -> Result<BTreeMap<String, u64>, Refusal> {
        let mut prices = BTreeMap::new();
        for (id, _) in self.staffing.iter() {
            let Ok(contract) = self.item::<Contract>(*id) else { continue };
            if !self.jobs_of_contract(*id)?.contains(key) {
                continue;
            }
            for hoster in &contract.active_hosters {
                if let Some(form) = self.item::<User>(*hoster).ok().and_then(|user| user.form.as_ref()) {
                    prices.insert(hoster.to_string(), form.min_price);
                }
            }
        }
        Ok(prices)
    }
}
