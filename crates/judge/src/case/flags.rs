//! Groups without a voice, with the evidence.

use super::court::Case;
use super::{FlagLine, Flagged, Metric};
use crate::robust::{Evaluation, Flag, FlagReason};

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
        // Who is barred here is flagged for what it said elsewhere.
        let own = |flag: &&Flag| flag.reason != FlagReason::Barred;
        let of_evaluation = |(metric, found): (Metric, &Evaluation)| -> Vec<FlagLine> {
            found.flags.iter().filter(own).map(|flag| of_metric(metric, flag)).collect()
        };
        self.telling().flat_map(of_evaluation).collect()
    }
}
