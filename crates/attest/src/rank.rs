//! `peermark rank`: who is better than whom, as far as the evidence can tell. Schema `peermark.rank/1`.

use peermark_judge::case::{ContractStatement, RankLine};
use peermark_judge::places::PlaceShares;
use serde::{Deserialize, Serialize};

use crate::backtest::Observed;
use crate::source::{Basis, Judged};
use crate::table::columns;
use crate::words;

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.rank/1";

/// The hosters of every contract and region in order, ties told as ties, prices beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankDocument {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What it rests on.
    pub basis: Basis,
    /// Every contract seen from every region.
    pub contracts: Vec<ContractStatement>,
    /// Places of every hoster over all its contracts.
    pub across: Vec<AcrossLine>,
    /// What another policy would say, without effect.
    pub observed: Option<Observed>,
}

/// Places of one hoster over all its contracts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcrossLine {
    /// Who.
    pub hoster: String,
    /// How often which place; absent before the first round.
    pub places: Option<PlaceShares>,
    /// What it asks for.
    pub price: Option<u64>,
}

impl RankDocument {
    /// The ranks of a judged job.
    pub fn new(judged: &Judged, observed: Option<Observed>) -> Self {
        let across = judged.statement.hosters.iter().map(|hoster| AcrossLine {
            hoster: hoster.hoster.clone(),
            places: hoster.places.clone(),
            price: hoster.price,
        });
        Self {
            schema: SCHEMA.to_owned(),
            basis: judged.basis.clone(),
            contracts: judged.statement.contracts.clone(),
            across: across.collect(),
            observed,
        }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut lines = self.basis.lines();
        for contract in &self.contracts {
            lines.extend([String::new(), format!("contract {}, seen from {}", contract.contract, contract.region)]);
            let head = ["rank", "hoster", "#1", "#2", "#3", "rounds", "pays", "price"].map(str::to_owned);
            lines.extend(columns(std::iter::once(head).chain(contract.ranks.iter().map(cells))));
            let ties =
                contract.ranks.windows(2).any(|pair| (pair[0].best, pair[0].worst) == (pair[1].best, pair[1].worst));
            if !contract.compared {
                let most = peermark_judge::case::MAX_COMPARED;
                lines.push(format!("more than {most} hosters are not compared with one another; name their contracts"));
            } else if ties {
                lines.push("equal ranks are ties: the paired test cannot separate them yet".to_owned());
            }
            for pair in &contract.inversions {
                let (more, above) = (&pair.paid_more, &pair.ranks_above);
                lines.push(format!("price inversion: {more} asks for more than {above}, which ranks above it"));
            }
            if !contract.mismatches.is_empty() {
                let of = contract.reports.join(", ");
                lines.push(format!("self-reports of {of} disagree: {} findings", contract.mismatches.len()));
            }
        }
        lines.extend(self.observed.iter().flat_map(Observed::lines));
        lines.join("\n")
    }
}

fn cells(rank: &RankLine) -> [String; 8] {
    let place = |index: usize| {
        let share = rank.places.as_ref().and_then(|places| places.places_ppm.get(index));
        share.map_or_else(|| "-".to_owned(), |ppm| words::short(*ppm))
    };
    [
        words::ranks(rank.best, rank.worst),
        rank.hoster.clone(),
        place(0),
        place(1),
        place(2),
        rank.places.as_ref().map_or(0, |places| places.rounds).to_string(),
        words::ppm(rank.pay_factor_ppm),
        rank.price.map_or_else(|| "-".to_owned(), |price| price.to_string()),
    ]
}
