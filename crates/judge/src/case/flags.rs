//! Groups without a voice, with the evidence.

use super::court::Case;
use super::{FlagLine, Flagged, Metric};
use crate::robust::Flag;

impl Case {
    pub(super) fn flags(&self) -> Vec<FlagLine> {
        let of_metric = |metric: Metric, flag: &Flag| FlagLine {
            group: self.docket.groups.name(self.docket.groups.now(flag.group)).to_owned(),
            attesters: self.docket.groups.members(self.docket.groups.now(flag.group)).cloned().collect(),
            metric,
            reason: flag.reason,
            evidence: flag
                .evidence
                .iter()
                .filter_map(|row| {
                    let subject = self.docket.subjects.get(row.hoster)?;
                    Some(Flagged {
                        contract: self.docket.sets.name(subject.set).to_owned(),
                        hoster: self.docket.hosters.name(subject.hoster).to_owned(),
                        region: self.docket.regions.name(subject.region).to_owned(),
                        deviation_milli: row.residual.times(1_000).floor(),
                    })
                })
                .collect(),
        };
        let evaluations = self.evaluations.iter();
        evaluations.flat_map(|(metric, found)| found.flags.iter().map(|flag| of_metric(*metric, flag))).collect()
    }
}
