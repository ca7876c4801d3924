//! The evidence in order: names become dense numbers that keep their meaning from epoch to epoch, measurements stand by subject and
//! attester.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::groups::Groups;
use super::register::Register;
use super::{CaseError, Job, MAX_MEASUREMENTS, Measurement, Roster};
use crate::policy::{GroupRule, Policy};

/// A hoster in one set, seen from one region: what an estimate is about. In the order of hosters, so that those of one stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) hoster: u32,
    pub(super) set: u32,
    pub(super) region: u32,
}

/// One measurement in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) subject: u32,
    pub(super) attester: u32,
    pub(super) group: u32,
    pub(super) measurement: &'a Measurement,
}

/// The hosters of one contract, and the set as which they are measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Members {
    pub(super) set: u32,
    pub(super) hosters: BTreeSet<u32>,
}

/// Everything that has a number. Numbers are given in the order of the names within an epoch, and never again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Docket {
    pub(super) hosters: Register<String>,
    /// What is measured together: a contract, or the feed of which a contract is a part.
    pub(super) sets: Register<String>,
    pub(super) regions: Register<String>,
    pub(super) groups: Groups,
    pub(super) subjects: Register<Subject>,
    pub(super) contracts: Register<String>,
    /// By contract.
    pub(super) members: BTreeMap<u32, Members>,
}

/// The measurements of an epoch in order.
pub(super) struct Seated<'a> {
    pub(super) rows: Vec<Row<'a>>,
    /// Groups from before that turned out to be one: from which to which.
    pub(super) united: BTreeMap<u32, u32>,
}

impl Docket {
    /// The measurements of an epoch from the job's regions in order; what is new gets its number.
    pub(super) fn seat<'a>(
        &mut self,
        measurements: &[&'a Measurement],
        policy: &Policy,
        job: &Job,
    ) -> Result<Seated<'a>, CaseError> {
        if measurements.len() > MAX_MEASUREMENTS {
            let count = measurements.len();
            return Err(CaseError::TooMany { what: "measurements", count, most: MAX_MEASUREMENTS });
        }
        let here: Vec<(&Measurement, &str)> = measurements
            .iter()
            .filter_map(|measurement| Some((*measurement, region_of(job, &measurement.region)?)))
            .collect();
        self.hosters.admit(here.iter().map(|(measurement, _)| measurement.hoster.clone()));
        self.sets.admit(here.iter().map(|(measurement, _)| measurement.contract.clone()));
        self.regions.admit(here.iter().map(|(_, region)| (*region).to_owned()));
        let labels: BTreeSet<(&str, String)> = here
            .iter()
            .map(|(measurement, _)| (measurement.attester.as_str(), group_label(measurement, policy.committee.group)))
            .collect();
        let united = self.groups.admit(&labels);
        let seats: Vec<(Subject, &Measurement)> = here
            .iter()
            .map(|(measurement, region)| {
                let subject = Subject {
                    set: self.sets.known(&measurement.contract),
                    region: self.regions.known(&(*region).to_owned()),
                    hoster: self.hosters.known(&measurement.hoster),
                };
                (subject, *measurement)
            })
            .collect();
        self.subjects.admit(seats.iter().map(|(subject, _)| *subject));
        let row = |(subject, measurement): (Subject, &'a Measurement)| {
            let (attester, group) = self.groups.of_attester(&measurement.attester);
            Row { subject: self.subjects.known(&subject), attester, group, measurement }
        };
        let mut rows: Vec<Row<'a>> =
            here.iter().zip(&seats).map(|((measurement, _), (subject, _))| row((*subject, *measurement))).collect();
        rows.sort_by_key(|row| (row.subject, row.attester, row.measurement.at_s, row.measurement.round));
        Ok(Seated { rows, united })
    }

    /// Says who hosts which contract. Without rosters every set is a contract of those who were measured in it.
    pub(super) fn enrol(&mut self, rows: &[Row<'_>], rosters: Option<&BTreeMap<String, Roster>>) {
        let Some(rosters) = rosters else {
            let new: BTreeSet<Subject> =
                rows.iter().filter_map(|row| self.subjects.get(row.subject).copied()).collect();
            for subject in new {
                let Some(name) = self.sets.get(subject.set).cloned() else { continue };
                let contract = self.contracts.number(name);
                let members = self.members.entry(contract).or_default();
                members.set = subject.set;
                members.hosters.insert(subject.hoster);
            }
            return;
        };
        self.members.clear();
        for (contract, roster) in rosters {
            // Who was never measured has no place.
            let Some(set) = self.sets.find(&roster.set) else { continue };
            let hosters = roster.hosters.iter().filter_map(|hoster| self.hosters.find(hoster)).collect();
            let contract = self.contracts.number(contract.clone());
            self.members.insert(contract, Members { set, hosters });
        }
    }

    /// The subjects of each contract and region, by contract and region.
    pub(super) fn fields(&self) -> BTreeMap<(u32, u32), Vec<u32>> {
        let mut by_set: BTreeMap<u32, Vec<(u32, &Subject)>> = BTreeMap::new();
        for (index, subject) in (0..).zip(self.subjects.iter()) {
            by_set.entry(subject.set).or_default().push((index, subject));
        }
        let mut fields: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        for (contract, members) in &self.members {
            let of_set = by_set.get(&members.set).into_iter().flatten();
            for (index, subject) in of_set.filter(|(_, subject)| members.hosters.contains(&subject.hoster)) {
                fields.entry((*contract, subject.region)).or_default().push(*index);
            }
        }
        fields
    }

    /// The subjects of one hoster.
    pub(super) fn of_hoster(&self, hoster: u32) -> impl Iterator<Item = (u32, &Subject)> {
        let last = Subject { hoster, set: u32::MAX, region: u32::MAX };
        self.subjects.within(Subject { hoster, set: 0, region: 0 }..=last)
    }
}

/// The region of the job that a measurement is from; `None` for elsewhere. Of several the finest.
pub(super) fn region_of<'a>(job: &'a Job, region: &'a str) -> Option<&'a str> {
    if job.regions.is_empty() {
        return Some(region);
    }
    let wanted = job.regions.iter().filter(|wanted| is_within(region, wanted));
    wanted.max_by_key(|wanted| wanted.len()).map(String::as_str)
}

/// Whether a region is another one or, of two geohashes, lies within it.
pub(super) fn is_within(region: &str, wanted: &str) -> bool {
    let is_geohash = |text: &str| text.bytes().all(|byte| is_geohash_digit(byte.to_ascii_lowercase()));
    let begins = region.get(..wanted.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(wanted));
    begins && (region.len() == wanted.len() || (is_geohash(region) && is_geohash(wanted)))
}

fn is_geohash_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'b'..=b'h' | b'j' | b'k' | b'm' | b'n' | b'p'..=b'z')
}

/// What makes attesters one voice. Those that do not say where they belong belong together: silence multiplies nobody.
fn group_label(measurement: &Measurement, rule: GroupRule) -> String {
    match rule {
        GroupRule::Operator => measurement.operator.clone().unwrap_or_else(|| "(no operator)".to_owned()),
        GroupRule::IpPrefix => measurement.address.map_or_else(|| "(no address)".to_owned(), prefix),
    }
}

/// The /24 of an IPv4 address, the /48 of an IPv6 one.
fn prefix(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}
