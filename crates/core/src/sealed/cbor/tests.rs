use proptest::prelude::*;

use super::*;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Any value of at most four levels.
pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Value::Unsigned),
        any::<u64>().prop_map(Value::Negative),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        ".{0,20}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(".{0,12}", inner, 0..6).prop_map(Value::Map),
        ]
    })
}

/// RFC 8949, appendix A.
#[test]
fn values_have_the_forms_of_the_rfc() {
    let forms = [
        (Value::Unsigned(0), "00"),
        (Value::Unsigned(23), "17"),
        (Value::Unsigned(24), "1818"),
        (Value::Unsigned(1000), "1903e8"),
        (Value::Unsigned(1_000_000_000_000), "1b000000e8d4a51000"),
        (Value::Unsigned(u64::MAX), "1bffffffffffffffff"),
        (Value::from(-1i64), "20"),
        (Value::from(-1000i64), "3903e7"),
        (Value::Negative(u64::MAX), "3bffffffffffffffff"),
        (Value::Bool(false), "f4"),
        (Value::Bool(true), "f5"),
        (Value::Null, "f6"),
        (Value::Bytes(vec![1, 2, 3, 4]), "4401020304"),
        (Value::text("IETF"), "6449455446"),
        (Value::text("\u{6c34}"), "63e6b0b4"),
        (Value::Array(vec![1u64.into(), 2u64.into(), 3u64.into()]), "83010203"),
        (Value::map([("a", 1u64.into()), ("b", Value::Array(vec![2u64.into(), 3u64.into()]))]), "a26161016162820203"),
        // Shorter keys come before longer ones, whatever their letters.
        (Value::map([("aa", Value::Null), ("z", Value::Null)]), "a2617af6626161f6"),
    ];
    for (value, form) in forms {
        assert_eq!(hex(&value.encode().unwrap()), form);
        assert_eq!(Value::decode(&bytes(form)).unwrap(), value);
    }
}

#[test]
fn other_forms_of_the_same_are_refused() {
    use CborError::{DuplicateKey, Malformed, NotCanonical, Unsupported};
    let refused = [
        ("1817", NotCanonical),
        ("190017", NotCanonical),
        ("1b0000000000000017", NotCanonical),
        ("5f42010243030405ff", NotCanonical),
        ("7f61616162ff", NotCanonical),
        ("9f01ff", NotCanonical),
        ("bf616101ff", NotCanonical),
        ("a26162016161f6", NotCanonical),
        ("a2626161f6617af6", NotCanonical),
        ("a2616101616102", DuplicateKey { key: "a".into() }),
        ("0000", NotCanonical),
        ("f93c00", Unsupported { what: "floats" }),
        ("c11a514b67b0", Unsupported { what: "tags" }),
        ("a10102", Unsupported { what: "keys but text" }),
        ("", Malformed),
        ("83", Malformed),
        ("61ff", Malformed),
        ("ff", Malformed),
        // Lengths that nothing follows must not be believed.
        ("9bffffffffffffffff", Malformed),
        ("5bffffffffffffffff", Malformed),
    ];
    for (form, error) in refused {
        assert_eq!(Value::decode(&bytes(form)), Err(error), "{form}");
    }
    assert!(Value::decode(&bytes("f7")).is_err(), "undefined");
    assert!(Value::decode(&bytes("e0")).is_err(), "simple value");
    // A big number in a tag that fits an integer has a shorter form.
    assert!(Value::decode(&bytes("c24101")).is_err());
}

#[test]
fn sixteen_levels_are_the_limit() {
    let nested = |levels: usize| (1..levels).fold(Value::Array(vec![]), |inner, _| Value::Array(vec![inner]));
    let deepest = nested(MAX_DEPTH);
    let form = deepest.encode().unwrap();
    assert_eq!(Value::decode(&form).unwrap(), deepest);
    assert_eq!(nested(MAX_DEPTH + 1).encode(), Err(CborError::TooDeep));
    for levels in [MAX_DEPTH + 1, 63, 64, 65, 60_000] {
        let mut deep = vec![0x81; levels - 1];
        deep.push(0x80);
        assert_eq!(Value::decode(&deep), Err(CborError::TooDeep), "{levels} levels");
    }
}

proptest! {
    #[test]
    fn every_value_reads_back(value in values()) {
        let form = value.encode().unwrap();
        prop_assert_eq!(Value::decode(&form).unwrap(), value);
    }

    #[test]
    fn what_reads_is_what_would_be_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = Value::decode(&bytes) {
            prop_assert_eq!(value.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn numbers_keep_their_value(number in any::<i64>()) {
        prop_assert_eq!(Value::from(number).as_i64(), Some(number));
    }
}
