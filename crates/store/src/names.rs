//! The words under which closed lists are stored: the same words that they are serialised and printed with.

use peermark_core::{Culprit, EvidenceClass, FailureClass, Outcome, Unit};

/// What `hist.outcome` and `obs.outcome` say of a complete operation.
pub(crate) const OK: &str = "ok";

/// What `obs.outcome` says of a failed operation.
pub(crate) const FAILED: &str = "failed";

const CULPRITS: [Culprit; 4] = [Culprit::Observer, Culprit::Peer, Culprit::Path, Culprit::ThirdParty];
const EVIDENCE: [EvidenceClass; 4] =
    [EvidenceClass::Raw, EvidenceClass::Working, EvidenceClass::OffChain, EvidenceClass::SelfReport];
const UNITS: [Unit; 5] = [Unit::Nanoseconds, Unit::Bytes, Unit::Count, Unit::PartsPerMillion, Unit::BitsPerSecond];

pub(crate) fn failure_class(name: &str) -> Option<FailureClass> {
    FailureClass::ALL.into_iter().find(|class| class.as_str() == name)
}

pub(crate) fn culprit(name: &str) -> Option<Culprit> {
    CULPRITS.into_iter().find(|culprit| culprit.as_str() == name)
}

pub(crate) fn evidence_name(class: EvidenceClass) -> &'static str {
    match class {
        EvidenceClass::Raw => "RAW",
        EvidenceClass::Working => "WORKING",
        EvidenceClass::OffChain => "OFF_CHAIN",
        EvidenceClass::SelfReport => "SELF_REPORT",
    }
}

pub(crate) fn evidence_class(name: &str) -> Option<EvidenceClass> {
    EVIDENCE.into_iter().find(|class| evidence_name(*class) == name)
}

pub(crate) fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "nanoseconds",
        Unit::Bytes => "bytes",
        Unit::Count => "count",
        Unit::PartsPerMillion => "parts_per_million",
        Unit::BitsPerSecond => "bits_per_second",
    }
}

pub(crate) fn unit(name: &str) -> Option<Unit> {
    UNITS.into_iter().find(|unit| unit_name(*unit) == name)
}

/// `ok` or the failure class: how a histogram is labelled.
pub(crate) fn class_name(class: Option<FailureClass>) -> &'static str {
    class.map_or(OK, FailureClass::as_str)
}

/// The reverse of [`class_name`]; the outer `None` is an unknown name.
pub(crate) fn class_of_name(name: &str) -> Option<Option<FailureClass>> {
    if name == OK { Some(None) } else { failure_class(name).map(Some) }
}

/// `outcome`, `class` and `culprit` of an observation.
pub(crate) fn outcome_names(outcome: Outcome) -> (&'static str, Option<&'static str>, Option<&'static str>) {
    match outcome {
        Outcome::Ok => (OK, None, None),
        Outcome::Failed { class, culprit } => (FAILED, Some(class.as_str()), Some(culprit.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_names_are_the_serialised_names_and_read_back() {
        let quoted = |name: &str| Some(format!("\"{name}\""));
        for class in EVIDENCE {
            assert_eq!(serde_json::to_string(&class).ok(), quoted(evidence_name(class)));
            assert_eq!(evidence_class(evidence_name(class)), Some(class));
        }
        for one in UNITS {
            assert_eq!(serde_json::to_string(&one).ok(), quoted(unit_name(one)));
            assert_eq!(unit(unit_name(one)), Some(one));
        }
        for one in CULPRITS {
            assert_eq!(culprit(one.as_str()), Some(one));
        }
        for class in FailureClass::ALL.into_iter().map(Some).chain([None]) {
            assert_eq!(class_of_name(class_name(class)), Some(class));
        }
    }

    #[test]
    fn unknown_names_are_none() {
        assert_eq!(failure_class("ok"), None);
        assert_eq!(class_of_name("gremlins"), None);
        assert_eq!(culprit("Peer"), None);
        assert_eq!(evidence_class("raw"), None);
        assert_eq!(unit(""), None);
    }
}
