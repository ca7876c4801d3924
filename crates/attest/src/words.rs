//! Statements in words. Shares keep all their digits: 99.95 % must not read as 100 %.

use peermark_core::Unit;
use peermark_judge::case::{Fit, Hindrance, Metric, Term, TermFinding};
use peermark_judge::qualification::{Criterion, Event, Standing};
use peermark_judge::robust::{Dispute, FlagReason};
use peermark_judge::verdict::{Doubt, Verdict};
use peermark_page::format;

/// Parts per million as per cent, without rounding: `99.95 %`.
pub(crate) fn ppm(ppm: u32) -> String {
    let (whole, rest) = (ppm / 10_000, ppm % 10_000);
    if rest == 0 {
        return format!("{whole} %");
    }
    format!("{whole}.{} %", format!("{rest:04}").trim_end_matches('0'))
}

/// A share with two digits behind the point, rounded down: for columns, where a share is not compared with a limit.
pub(crate) fn short(ppm: impl Into<u64>) -> String {
    let ppm: u64 = ppm.into();
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

pub(crate) fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Meets => "MEETS",
        Verdict::Fails => "FAILS",
        Verdict::Unproven { .. } => "UNPROVEN",
        Verdict::Disputed => "DISPUTED",
    }
}

/// The verdict, and what is missing where it is unproven.
pub(crate) fn verdict_because(of: &Verdict) -> String {
    match of {
        Verdict::Unproven { because } => format!("UNPROVEN ({})", doubt(because)),
        other => verdict(other).to_owned(),
    }
}

fn doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::NoEvidence => "nobody who counts measured it".to_owned(),
        Doubt::TooFewGroups { have, needed } => format!("{have} independent groups of {needed}"),
        Doubt::TooFewProbes { have, needed } => format!("worth {have} independent probes of {needed}"),
        Doubt::TooClose => "the evidence allows both".to_owned(),
        Doubt::OwnClaim { bps } => format!("it says itself that it can send {}", measured(Metric::Egress, *bps)),
    }
}

pub(crate) fn standing(standing: Standing) -> &'static str {
    standing.as_str()
}

pub(crate) fn fit(fit: &Fit) -> &'static str {
    match fit {
        Fit::Qualifies => "QUALIFIES",
        Fit::OnProbation { .. } => "ON PROBATION",
        Fit::No { .. } => "NO",
    }
}

pub(crate) fn hindrances(fit: &Fit) -> &[Hindrance] {
    match fit {
        Fit::Qualifies => &[],
        Fit::OnProbation { because } | Fit::No { because } => because,
    }
}

pub(crate) fn hindrance(hindrance: &Hindrance) -> String {
    match hindrance {
        Hindrance::Standing { standing } => format!("its standing is {}", standing.as_str()),
        Hindrance::Promise { contract, region, term, verdict } => {
            format!("{} {} in {contract}, seen from {region}", term.as_str(), verdict_because(verdict))
        }
        Hindrance::Unmeasured { region } => format!("nobody measured it from {region}"),
    }
}

/// A level with its unit: `200 ms`, `10.0 Mbit/s`.
pub(crate) fn level(term: Term, level: u64) -> String {
    let value = i64::try_from(level).unwrap_or(i64::MAX);
    match term {
        Term::Availability => String::new(),
        Term::Latency => format::in_unit(Unit::Nanoseconds, value.saturating_mul(1_000)),
        Term::Egress | Term::Ingress => format::in_unit(Unit::BitsPerSecond, value),
    }
}

/// A value of a metric with its unit.
pub(crate) fn measured(metric: Metric, value: u64) -> String {
    match metric {
        Metric::LatencyP50 | Metric::LatencyP95 => level(Term::Latency, value),
        Metric::Egress | Metric::Ingress => level(Term::Egress, value),
    }
}

/// What is promised: `95 % served`, `90 % within 200 ms`.
pub(crate) fn promise(term: Term, wanted: Option<u64>, guarantee_ppm: u32) -> String {
    let share = ppm(guarantee_ppm);
    match (term, wanted) {
        (Term::Latency, Some(wanted)) => format!("{share} within {}", level(term, wanted)),
        (Term::Egress | Term::Ingress, Some(wanted)) => format!("{share} at {}", level(term, wanted)),
        _ => format!("{share} served"),
    }
}

/// What was found of a promise: `98.7 % (97.1 to 99.4 %) of 540 probes, 9 groups, 6 rounds`.
pub(crate) fn found(term: &TermFinding) -> String {
    let finding = &term.finding;
    if finding.groups == 0 {
        return "nothing that counts".to_owned();
    }
    format!(
        "{} ({} to {}) of {}, {}, {}",
        short(finding.share_ppm),
        short(finding.low_ppm),
        short(finding.high_ppm),
        format::counted(term.probes, "probe"),
        format::counted(u64::from(finding.groups), "group"),
        format::counted(term.rounds, "round"),
    )
}

/// A value or threshold of a criterion: a share or a count.
pub(crate) fn criterion_value(criterion: Criterion, value: Option<u64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if criterion.is_share() => ppm(u32::try_from(value).unwrap_or(u32::MAX)),
        Some(value) => format::count(value),
    }
}

/// A distance with its sign.
pub(crate) fn distance(criterion: Criterion, distance: Option<i64>) -> String {
    let Some(distance) = distance else { return "-".to_owned() };
    let sign = if distance < 0 { "-" } else { "+" };
    format!("{sign}{}", criterion_value(criterion, Some(distance.unsigned_abs())))
}

pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Noticed { notice } => format!(
            "notice: {} in epoch {} because of {}",
            notice.to.as_str(),
            notice.due_epoch,
            notice.reason.as_str()
        ),
        Event::Withdrawn { notice } => format!("the notice of {} is withdrawn", notice.to.as_str()),
        Event::Moved { from, to, reason } => {
            let reason = reason.map_or_else(String::new, |reason| format!(" because of {}", reason.as_str()));
            format!("{} -> {}{reason}", from.as_str(), to.as_str())
        }
        Event::Frozen => "frozen: the evidence is disputed".to_owned(),
    }
}

pub(crate) fn flag(reason: &FlagReason) -> String {
    match reason {
        FlagReason::Trust { trust_ppm } => format!("only {} of its reports agreed with the others", short(*trust_ppm)),
        FlagReason::Collusion { pattern, distance } => {
            format!("deviates together with others (pattern {pattern}, {distance:.1} standard deviations)")
        }
        FlagReason::Copied { share_ppm } => {
            format!("{} of its reports repeat another group's to the last digit", short(*share_ppm))
        }
        FlagReason::Barred => "evidence from elsewhere excludes it".to_owned(),
    }
}

pub(crate) fn dispute(metric: Metric, dispute: &Dispute) -> String {
    let why = match dispute {
        Dispute::FlaggedWeight { share_ppm } => format!("{} of the voices had to be left out", short(*share_ppm)),
        Dispute::EvenSplit { share_ppm } => format!("two camps, the smaller has {}", short(*share_ppm)),
    };
    format!("DISPUTED: {}: {why}; earlier verdicts stand, nothing follows from this epoch", metric.as_str())
}

/// Ranks from and to: `1`, `1-2`.
pub(crate) fn ranks(best: u32, worst: u32) -> String {
    if best == worst { best.to_string() } else { format!("{best}-{worst}") }
}
