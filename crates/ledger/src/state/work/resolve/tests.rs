use peermark_core::sealed::Bytes;

use super::*;
use crate::item::hosting::Sizes;
use crate::transaction::hosting::Made;

const PLAIN: u64 = 640;

fn copy(plain_bytes: u64, encoded_bytes: u64) -> HeldCopy {
    HeldCopy { sizes: Sizes { plain_bytes, encoded_bytes }, manifest: Bytes([1; 32]) }
}

fn made() -> Made {
    Made { copy: copy(PLAIN, 700), encoder: Bytes([2; 64]) }
}

const NONE: Held = Held { encoder: false, hoster: false };
const BOTH: Held = Held { encoder: true, hoster: true };
const ENCODER: Held = Held { encoder: true, hoster: false };

/// The whole table of §2.4 with its faults corrected, S35, S36, S41: what the attester reports, which signatures hold, what the hoster
/// says itself; then how the place ends, and what the attester's word is worth.
#[test]
fn s36_s41_the_table_of_blame_of_a_place() {
    use HosterAnswer::{NothingCame, Refused, Took};
    use Word::{Doubted, False, Holds};
    let other = copy(PLAIN, 701);
    let took = PlaceEnd::Hosted(other);
    let hosted = Some(Place::Hosted { made: made(), hoster: Bytes([3; 64]) });
    let failed = Some(Place::HosterFailed { made: None });
    let shown = Some(Place::HosterFailed { made: Some(made()) });
    let encoder = Some(Place::EncoderFailed {});
    let rows = [
        // Both signatures: hosted, whatever else was said before.
        (&hosted, BOTH, None, PlaceEnd::Hosted(made().copy), Holds),
        (&hosted, BOTH, Some(Refused), PlaceEnd::Hosted(made().copy), Holds),
        // A signature that does not hold is the attester's fault, and nobody else's.
        (&hosted, ENCODER, None, PlaceEnd::Unknown, False),
        (&hosted, NONE, None, PlaceEnd::Unknown, False),
        (&hosted, ENCODER, Some(Took(other)), took, False),
        (&hosted, ENCODER, Some(Refused), PlaceEnd::EncoderDoubted, False),
        // "Hoster failed": an accusation of a hoster that says nothing, and no proof against the attester where it says the contrary.
        (&failed, NONE, None, PlaceEnd::HosterAccused(None), Holds),
        (&shown, ENCODER, None, PlaceEnd::HosterAccused(Some(made().copy)), Holds),
        (&shown, NONE, None, PlaceEnd::Unknown, False),
        (&failed, NONE, Some(Took(other)), took, Doubted),
        (&failed, NONE, Some(Refused), PlaceEnd::EncoderDoubted, Holds),
        (&failed, NONE, Some(NothingCame), PlaceEnd::HosterDoubted, Doubted),
        // "Encoder failed".
        (&encoder, NONE, None, PlaceEnd::EncoderAccused, Holds),
        (&encoder, NONE, Some(Refused), PlaceEnd::EncoderFailed, Holds),
        (&encoder, NONE, Some(NothingCame), PlaceEnd::EncoderAccused, Holds),
        (&encoder, NONE, Some(Took(other)), took, Doubted),
        // No report: the attester's fault; what hosters said themselves counts.
        (&None, NONE, None, PlaceEnd::Unknown, False),
        (&None, NONE, Some(Took(other)), took, False),
        (&None, NONE, Some(Refused), PlaceEnd::EncoderDoubted, False),
        (&None, NONE, Some(NothingCame), PlaceEnd::Unknown, False),
    ];
    for (report, held, answer, end, word) in rows {
        assert_eq!(resolve(report.as_ref(), held, answer.as_ref()), (end, word), "{report:?} {held:?} {answer:?}");
        // S41: no hoster is blamed that said anything itself, and none by an attester that is caught.
        if answer.is_some() || word == False {
            assert!(!matches!(resolve(report.as_ref(), held, answer.as_ref()).0, PlaceEnd::HosterAccused(_)));
        }
    }
}

/// S37, S38: the median of three decides about sizes, proofs before it.
#[test]
fn s38_the_median_of_three_names_the_odd_one() {
    let copies = |sizes: [(u64, u64); 3]| -> Vec<(u32, HeldCopy)> {
        (0..).zip(sizes).map(|(place, (plain, encoded))| (place, copy(plain, encoded))).collect()
    };
    let same = copies([(640, 700), (640, 703), (640, 697)]);
    assert_eq!(compare(&same, None, 10), Compared::Agree);
    assert_eq!(compare(&same, Some(640), 10), Compared::Agree);
    assert_eq!(compare(&copies([(640, 700), (641, 700), (640, 700)]), None, 10), Compared::Differs(1));
    // Proved sizes are stronger than two that agree on something else.
    assert_eq!(compare(&copies([(641, 700), (641, 700), (640, 700)]), Some(640), 10), Compared::Differs(0));
    // Encodings may differ by five bytes a chunk.
    assert_eq!(compare(&copies([(640, 700), (640, 750), (640, 700)]), None, 10), Compared::Agree);
    assert_eq!(compare(&copies([(640, 700), (640, 751), (640, 700)]), None, 10), Compared::Differs(1));
    assert_eq!(compare(&copies([(640, 700), (640, 900), (640, 100)]), None, 10), Compared::Nobody);
    assert_eq!(compare(&same[..2], None, 10), Compared::Agree);
    assert_eq!(compare(&copies([(1, 700), (2, 900), (3, 100)])[..1], Some(640), 10), Compared::Differs(0));
}
