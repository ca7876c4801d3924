//! What a policy may not say.

use super::{PPM, Policy, PolicyError, Threshold};

/// Largest number of anything that is counted or waited for: keeps every product within its type.
const MANY: u64 = 1_000_000_000;

pub(super) fn policy(policy: &Policy) -> Result<(), PolicyError> {
    name(&policy.name)?;
    basics(policy)?;
    shares(policy)?;
    counts(policy)?;
    robust(policy)?;
    qualification(policy)?;
    pay(policy)?;
    alerts(policy)
}

fn name(name: &str) -> Result<(), PolicyError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = !name.is_empty() && name.len() <= 64 && name.chars().all(is_allowed);
    check(is_name, "name", || format!("{name:?} is no name (letters, digits, '-', '_' and '.', at most 64)"))
}

fn basics(policy: &Policy) -> Result<(), PolicyError> {
    let committee = &policy.committee;
    check(committee.size >= 1, "committee.size", || "nobody would measure".to_owned())?;
    check(committee.size <= 1_000, "committee.size", || format!("{} is more than 1000", committee.size))?;
    check(policy.robust.minimum_groups >= 6, "robust.minimum_groups", || {
        format!("{}: below 6 no 95 % interval of a median exists", policy.robust.minimum_groups)
    })?;
    let sla = &policy.sla;
    check(sla.min_guarantee_ppm <= sla.max_guarantee_ppm, "sla.min_guarantee_ppm", || {
        format!("{} is above max_guarantee_ppm {}", sla.min_guarantee_ppm, sla.max_guarantee_ppm)
    })?;
    check(sla.max_guarantee_ppm < PPM, "sla.max_guarantee_ppm", || {
        "no sample proves a guarantee of everything".to_owned()
    })?;
    check(policy.self_report.deviating_epochs <= policy.self_report.of_epochs, "self_report.deviating_epochs", || {
        format!("{} of {} epochs", policy.self_report.deviating_epochs, policy.self_report.of_epochs)
    })?;
    check(policy.self_report.slack_ppm < PPM, "self_report.slack_ppm", || {
        "nothing would be left to divide by".to_owned()
    })
}

fn shares(policy: &Policy) -> Result<(), PolicyError> {
    let capacity = &policy.capacity;
    let shares = [
        ("committee.audit_ppm", policy.committee.audit_ppm),
        ("robust.forgetting_ppm", policy.robust.forgetting_ppm),
        ("robust.trust_floor_ppm", policy.robust.trust_floor_ppm),
        ("robust.breaker_weight_ppm", policy.robust.breaker_weight_ppm),
        ("robust.breaker_split_ppm", policy.robust.breaker_split_ppm),
        ("sla.icc_ppm", policy.sla.icc_ppm),
        ("service.availability_ppm", policy.service.availability_ppm),
        ("self_report.cos2_ppm", policy.self_report.cos2_ppm),
        ("raw.band_ppm", policy.raw.band_ppm),
        ("capacity.max_utilisation_ppm", capacity.max_utilisation_ppm),
        ("capacity.target_ppm", capacity.target_ppm),
        ("capacity.max_step_ppm", capacity.max_step_ppm),
        ("coordinates.min_gain_ppm", policy.coordinates.min_gain_ppm),
    ];
    for (field, value) in shares {
        check(value <= PPM, field, || format!("{value} is more than all, which is {PPM}"))?;
    }
    check(capacity.target_ppm > 0, "capacity.target_ppm", || "the price could only rise".to_owned())?;
    check(policy.sla.slack_ppm <= 10 * PPM, "sla.slack_ppm", || {
        format!("{} is more than tenfold", policy.sla.slack_ppm)
    })?;
    check(policy.self_report.deviation_ppm >= PPM, "self_report.deviation_ppm", || {
        format!("{}: a factor of at least {PPM}", policy.self_report.deviation_ppm)
    })
}

fn counts(policy: &Policy) -> Result<(), PolicyError> {
    let counts = [
        ("time.block_s", u64::from(policy.time.block_s)),
        ("time.epoch_blocks", u64::from(policy.time.epoch_blocks)),
        ("robust.level_half_life_epochs", u64::from(policy.robust.level_half_life_epochs)),
        ("robust.residual_half_life_epochs", u64::from(policy.robust.residual_half_life_epochs)),
        ("sla.probes_per_round", u64::from(policy.sla.probes_per_round)),
        ("sla.round_s", policy.sla.round_s),
        ("sla.probe_bytes", policy.sla.probe_bytes),
        ("sla.max_days", u64::from(policy.sla.max_days)),
        ("ranking.half_life_s", policy.ranking.half_life_s),
        ("ranking.rounds_kept", u64::from(policy.ranking.rounds_kept)),
        ("qualification.probation_one_of", u64::from(policy.qualification.probation_one_of)),
        ("self_report.total_factor", u64::from(policy.self_report.total_factor)),
        ("self_report.every_blocks", u64::from(policy.self_report.every_blocks)),
        ("self_report.answer_blocks", u64::from(policy.self_report.answer_blocks)),
        ("harvest.requests", u64::from(policy.harvest.requests)),
        ("harvest.seconds", u64::from(policy.harvest.seconds)),
        ("raw.attesters", u64::from(policy.raw.attesters)),
        ("raw.rounds", u64::from(policy.raw.rounds)),
        ("coordinates.max_move_us", u64::from(policy.coordinates.max_move_us)),
    ];
    for (field, value) in counts {
        check((1..=MANY).contains(&value), field, || format!("{value} is not between 1 and {MANY}"))?;
    }
    check(policy.ranking.rounds_kept <= 4_096, "ranking.rounds_kept", || "more than 4096".to_owned())?;
    check(policy.self_report.of_epochs <= 64, "self_report.of_epochs", || "more than 64".to_owned())
}

/// The ranges in which the estimate's arithmetic is shown to fit its types and its time to be bounded.
fn robust(policy: &Policy) -> Result<(), PolicyError> {
    let robust = &policy.robust;
    let factor = 1..=100 * PPM;
    let ranges = [
        ("robust.minimum_groups", robust.minimum_groups, 6..=1_000_000),
        ("robust.sweeps", robust.sweeps, 1..=64),
        ("robust.outlier_ppm", robust.outlier_ppm, factor.clone()),
        ("robust.spread_floor_ppm", robust.spread_floor_ppm, factor.clone()),
        ("robust.spread_cap_ppm", robust.spread_cap_ppm, PPM..=100 * PPM),
        ("robust.prior_reports", robust.prior_reports, 1..=1_000_000),
        // Entries of the collusion filter's matrix stay below 2^19, which its sums rely on: less than eight standard deviations.
        ("robust.residual_clip_ppm", robust.residual_clip_ppm, 1..=8 * PPM - 1),
        ("robust.bloc_hosters", robust.bloc_hosters, 1..=1_000_000),
        ("robust.iterations", robust.iterations, 1..=1_000),
        ("robust.edge_ppm", robust.edge_ppm, PPM..=100 * PPM),
        ("robust.camps_ppm", robust.camps_ppm, factor.clone()),
        ("robust.member_ppm", robust.member_ppm, factor),
        ("robust.patterns", robust.patterns, 0..=64),
        ("robust.evidence_rows", robust.evidence_rows, 0..=1_000),
    ];
    for (field, value, range) in ranges {
        check(range.contains(&value), field, || {
            format!("{value} is not between {} and {}", range.start(), range.end())
        })?;
    }
    Ok(())
}

fn qualification(policy: &Policy) -> Result<(), PolicyError> {
    let rules = &policy.qualification;
    let thresholds: [(&str, Threshold); 5] = [
        ("qualification.availability", rules.availability),
        ("qualification.integrity", rules.integrity),
        ("qualification.latency", rules.latency),
        ("qualification.bandwidth", rules.bandwidth),
        ("qualification.promises", rules.promises),
    ];
    for (field, Threshold { enter, leave }) in thresholds {
        check(enter <= PPM, field, || format!("enter {enter} is more than all, which is {PPM}"))?;
        check(leave < enter, field, || {
            format!("leave {leave} is not below enter {enter}: a value on the edge would flap")
        })?;
    }
    Ok(())
}

fn pay(policy: &Policy) -> Result<(), PolicyError> {
    let tiers = &policy.pay.tiers;
    check((1..=16).contains(&tiers.len()), "pay.tiers", || format!("{} tiers, not 1 to 16", tiers.len()))?;
    check(tiers.first().is_some_and(|tier| tier.from_score_ppm == 0), "pay.tiers", || {
        "the first tier must be from_score_ppm = 0, for everybody".to_owned()
    })?;
    let grows = tiers
        .windows(2)
        .all(|pair| pair[0].from_score_ppm < pair[1].from_score_ppm && pair[0].factor_ppm < pair[1].factor_ppm);
    check(grows, "pay.tiers", || "both columns must grow, or a better rank would be paid worse".to_owned())?;
    let most = tiers.last().map_or(0, |tier| tier.factor_ppm);
    check(most <= 10 * PPM, "pay.tiers", || format!("factor {most} is more than tenfold"))
}

fn alerts(policy: &Policy) -> Result<(), PolicyError> {
    let alerts = &policy.alerts;
    check(alerts.len() <= Policy::MAX_ALERTS, "alerts", || {
        format!("{} rules, more than {}", alerts.len(), Policy::MAX_ALERTS)
    })?;
    for (at, rule) in alerts.iter().enumerate() {
        let field = format!("alerts[{at}]");
        rule.validate().map_err(|error| invalid(&field, error.to_string()))?;
        let is_new = alerts[..at].iter().all(|other| other.name != rule.name);
        check(is_new, &field, || format!("a second rule is called {}", rule.name))?;
    }
    Ok(())
}

fn check(holds: bool, field: &str, reason: impl FnOnce() -> String) -> Result<(), PolicyError> {
    if holds { Ok(()) } else { Err(invalid(field, reason())) }
}

fn invalid(field: &str, reason: String) -> PolicyError {
    PolicyError::Invalid { field: field.to_owned(), reason }
}
