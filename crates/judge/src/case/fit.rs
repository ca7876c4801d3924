//! Whether a hoster may be given a job, and what hinders it.

use serde::{Deserialize, Serialize};

use super::{Placement, Term};
use crate::qualification::Standing;
use crate::verdict::Verdict;

/// Whether a hoster may be given a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fit")]
pub enum Fit {
    /// Every promise MEETS in every region, and it is qualified.
    Qualifies,
    /// Nothing speaks against it but that not everything is proven: it may take a place of the probation quota.
    OnProbation {
        /// What is not proven yet.
        because: Vec<Hindrance>,
    },
    /// It may not.
    No {
        /// What speaks against it.
        because: Vec<Hindrance>,
    },
}

/// What keeps a hoster from a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "hindrance")]
pub enum Hindrance {
    /// Its standing.
    Standing {
        /// The standing.
        standing: Standing,
    },
    /// A promise that is not proven.
    Promise {
        /// The contract in which it was measured.
        contract: String,
        /// The region.
        region: String,
        /// The promise.
        term: Term,
        /// What is said of it.
        verdict: Verdict,
    },
    /// Nobody measured it in a region of the job.
    Unmeasured {
        /// The region.
        region: String,
    },
}

/// From the worst: broken, disputed, unproven, kept.
pub(super) fn badness(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Fails => 0,
        Verdict::Disputed => 1,
        Verdict::Unproven { .. } => 2,
        Verdict::Meets => 3,
    }
}

/// Decides from a standing, the placements of a hoster and the regions that the job needs.
///
/// Every promise must MEET in every region, whichever contract it was measured in; what is unproven may take a place of the probation quota.
pub(super) fn decide(standing: Standing, placements: &[Placement], regions: &[&str]) -> Fit {
    let (mut against, mut missing) = (Vec::new(), Vec::new());
    match standing {
        Standing::Qualified => {}
        Standing::Probation => missing.push(Hindrance::Standing { standing }),
        Standing::Grace | Standing::Suspended | Standing::Out => against.push(Hindrance::Standing { standing }),
    }
    for region in regions {
        let here: Vec<&Placement> = placements.iter().filter(|placement| placement.region == *region).collect();
        if here.is_empty() {
            missing.push(Hindrance::Unmeasured { region: (*region).to_owned() });
        }
        for placement in here {
            for term in &placement.terms {
                let hindrance = || Hindrance::Promise {
                    contract: placement.contract.clone(),
                    region: placement.region.clone(),
                    term: term.term,
                    verdict: term.finding.verdict,
                };
                match term.finding.verdict {
                    Verdict::Meets => {}
                    Verdict::Fails | Verdict::Disputed => against.push(hindrance()),
                    Verdict::Unproven { .. } => missing.push(hindrance()),
                }
            }
        }
    }
    if !against.is_empty() {
        against.append(&mut missing);
        return Fit::No { because: against };
    }
    if missing.is_empty() { Fit::Qualifies } else { Fit::OnProbation { because: missing } }
}
