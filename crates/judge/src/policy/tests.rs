use super::*;

#[test]
fn every_profile_is_valid_and_reads_back_as_itself() {
    for policy in [Policy::seed(), Policy::lab(), Policy::public()] {
        policy.validate().unwrap();
        let text = policy.to_toml().unwrap();
        assert_eq!(Policy::from_toml(&text).unwrap(), policy);
    }
    let sizes = [Policy::seed(), Policy::lab(), Policy::public()].map(|policy| policy.committee.size);
    assert_eq!(sizes, [5, 7, 31]);
    assert_eq!(Policy::lab().committee.group, GroupRule::Operator);
    assert_eq!(Policy::public().label(), "public/1");
    assert_eq!(Policy::public().epoch_s(), 86_400);
}

#[test]
fn an_absent_value_is_the_public_profile_s_and_an_unknown_one_is_refused() {
    let policy = Policy::from_toml("name = \"mine\"\nversion = 7\n[committee]\nsize = 9\n").unwrap();
    assert_eq!((policy.label(), policy.committee.size), ("mine/7".to_owned(), 9));
    assert_eq!(policy.qualification, Policy::public().qualification);
    let error = Policy::from_toml("[committee]\nsise = 9\n").unwrap_err();
    assert!(matches!(error, PolicyError::Syntax { .. }) && error.to_string().contains("sise"), "{error}");
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    let refused = |change: fn(&mut Policy)| {
        let mut policy = Policy::public();
        change(&mut policy);
        let PolicyError::Invalid { field, reason } = policy.validate().unwrap_err() else { panic!("no field") };
        assert!(!reason.is_empty());
        field
    };
    assert_eq!(refused(|policy| policy.name = "a b".to_owned()), "name");
    assert_eq!(refused(|policy| policy.committee.size = 0), "committee.size");
    assert_eq!(refused(|policy| policy.robust.minimum_groups = 5), "robust.minimum_groups");
    assert_eq!(refused(|policy| policy.sla.max_guarantee_ppm = 1_000_000), "sla.max_guarantee_ppm");
    assert_eq!(refused(|policy| policy.capacity.max_utilisation_ppm = 1_000_001), "capacity.max_utilisation_ppm");
    assert_eq!(refused(|policy| policy.time.block_s = 0), "time.block_s");
    let flapping = refused(|policy| policy.qualification.availability = Threshold { enter: 950_000, leave: 950_000 });
    assert_eq!(flapping, "qualification.availability");
    assert_eq!(refused(|policy| policy.pay.tiers.reverse()), "pay.tiers");
    assert_eq!(refused(|policy| policy.pay.tiers.clear()), "pay.tiers");
    assert_eq!(refused(|policy| policy.alerts.push(policy.alerts[0].clone())), "alerts[5]");
    assert_eq!(refused(|policy| policy.alerts[1].for_rounds = 0), "alerts[1]");
}

/// The largest clip is the one that the overflow proof of the collusion filter bears; the rest bounds time and products.
#[test]
fn numbers_of_the_estimate_out_of_range_are_refused_by_name() {
    let refused = |change: fn(&mut Settings)| {
        let mut policy = Policy::public();
        change(&mut policy.robust);
        match policy.validate() {
            Err(PolicyError::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(|robust| robust.residual_clip_ppm = 8_000_000), "robust.residual_clip_ppm");
    assert_eq!(refused(|robust| robust.residual_clip_ppm = 0), "robust.residual_clip_ppm");
    assert_eq!(refused(|robust| robust.sweeps = 65), "robust.sweeps");
    assert_eq!(refused(|robust| robust.sweeps = 0), "robust.sweeps");
    assert_eq!(refused(|robust| robust.iterations = 1_001), "robust.iterations");
    assert_eq!(refused(|robust| robust.patterns = 65), "robust.patterns");
    assert_eq!(refused(|robust| robust.evidence_rows = 1_001), "robust.evidence_rows");
    assert_eq!(refused(|robust| robust.outlier_ppm = 0), "robust.outlier_ppm");
    assert_eq!(refused(|robust| robust.edge_ppm = 999_999), "robust.edge_ppm");
    assert_eq!(refused(|robust| robust.camps_ppm = 0), "robust.camps_ppm");
    assert_eq!(refused(|robust| robust.member_ppm = u32::MAX), "robust.member_ppm");
    assert_eq!(refused(|robust| robust.spread_floor_ppm = 0), "robust.spread_floor_ppm");
    assert_eq!(refused(|robust| robust.spread_cap_ppm = 999_999), "robust.spread_cap_ppm");
    assert_eq!(refused(|robust| robust.prior_reports = 0), "robust.prior_reports");
    assert_eq!(refused(|robust| robust.bloc_hosters = 0), "robust.bloc_hosters");
    assert_eq!(refused(|robust| robust.minimum_groups = 1_000_001), "robust.minimum_groups");
    let mut edge = Policy::public();
    edge.robust.residual_clip_ppm = 7_999_999;
    assert_eq!(edge.validate(), Ok(()));
}

#[test]
fn a_policy_tells_how_promises_are_judged_and_probed() {
    let policy = Policy::lab();
    assert_eq!(policy.terms(990_000).guarantee_ppm, 990_000);
    let probing = policy.probing(12);
    assert_eq!((probing.committee, probing.pool, probing.pooled_s), (7, 12, 30 * 86_400));
}
