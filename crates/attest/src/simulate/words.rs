//! Figures of the document in words, the same in the table and on the page.

use peermark_page::format::{self, ABSENT};

use super::document::{Bound, Estimator, GateLine, Part, World};

/// A relative deviation with its sign: `+1.3 %`.
pub(super) fn signed(value: Option<f64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| format!("{:+.1} %", value * 100.0))
}

/// A share: `28 %`, `0.1 %`.
pub(super) fn share(value: Option<f64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), format::percent)
}

/// A coefficient: `0.973`.
pub(super) fn coefficient(value: Option<f64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| format!("{value:.3}"))
}

/// A number of epochs.
pub(super) fn epochs(value: Option<f64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| format!("{value:.0}"))
}

/// What the gate allows and what was measured, in the same unit.
pub(super) fn limit(gate: &GateLine) -> (String, String) {
    let show = |value: f64| if gate.gate == "tau" { format!("{value:.3}") } else { fine_percent(value) };
    let limit = match gate.limit {
        Bound::AtMost(limit) => format!("at most {}", show(limit)),
        Bound::AtLeast(limit) => format!("at least {}", show(limit)),
    };
    (limit, gate.measured.map_or_else(|| ABSENT.to_owned(), show))
}

/// Decisions and trials behind the figure: `3,000 of 500 trials`.
pub(super) fn behind(gate: &GateLine) -> String {
    let trials = format::counted(u64::from(gate.trials), "trial");
    gate.decisions.map_or_else(|| trials.clone(), |decisions| format!("{} of {trials}", format::count(decisions)))
}

/// How it went: a figure beyond the limit is missed; one within it that too few trials stand behind shows nothing.
pub(super) fn outcome(gate: &GateLine) -> &'static str {
    let within = gate.measured.is_some_and(|measured| match gate.limit {
        Bound::AtMost(limit) => measured <= limit,
        Bound::AtLeast(limit) => measured >= limit,
    });
    match (gate.held, within && !gate.enough) {
        (true, _) => "held",
        (false, true) => TOO_FEW,
        (false, false) => "MISSED",
    }
}

/// The word for a gate that nothing speaks against and that too few trials show.
pub(super) const TOO_FEW: &str = "TOO FEW TRIALS";

/// Two digits behind the point: gates are about tenths of a percent.
fn fine_percent(value: f64) -> String {
    format!("{:.2} %", value * 100.0)
}

pub(super) fn world(world: World) -> &'static str {
    match world {
        World::W1 => "W1",
        World::W2 => "W2",
    }
}

pub(super) fn estimator(estimator: Estimator) -> &'static str {
    match estimator {
        Estimator::Robust => "robust",
        Estimator::RobustNow => "robust, last epoch",
        Estimator::RobustShares => "robust, shares",
        Estimator::Mean => "mean",
        Estimator::Trimmed => "trimmed mean",
        Estimator::Median => "median",
        Estimator::Majority => "majority",
    }
}

pub(super) fn part(part: Part) -> &'static str {
    match part {
        Part::Gates => "What the gates are about",
        Part::Zoo => "The rest of the zoo",
        Part::Sizes => "Committee sizes",
        Part::Histories => "Epochs of history",
        Part::Shares => "Shares of liars",
    }
}
