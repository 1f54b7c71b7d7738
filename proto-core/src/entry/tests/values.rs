//! Values on the heap: their encoding, and JSON.

use std::{
    string::{String, ToString},
    vec,
};

use proptest::prelude::*;

use crate::{
    entry::{BuildError, EntryError, Value, ValueKind, ValueView},
    limits::MAX_VALUE_DEPTH,
};

pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
    ];
    let depth = u32::try_from(MAX_VALUE_DEPTH).unwrap();
    leaf.prop_recursive(depth, 32, 4, |inner| {
        let keys = prop_oneof![any::<String>(), "\\$?\\$?bytes"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::btree_map(keys, inner, 0..4).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_survives_its_encoding_and_json(value in values()) {
        let encoded = value.encode().unwrap();
        prop_assert_eq!(ValueView::from_encoded(&encoded).check(), Ok(()));
        prop_assert_eq!(&Value::decode(&encoded).unwrap(), &value);
        prop_assert_eq!(&Value::from_json(&value.to_json()).unwrap(), &value);
    }

    #[test]
    fn a_value_of_one_level_encodes_alike_with_and_without_a_heap(value in values()) {
        let mut room = [0; 512];
        let kind = match &value {
            Value::Null => ValueKind::Null,
            Value::Bool(is) => ValueKind::Bool(*is),
            Value::Int(number) => ValueKind::Int(*number),
            Value::Float(number) => ValueKind::Float(*number),
            Value::Text(text) => ValueKind::Text(text),
            Value::Bytes(bytes) => ValueKind::Bytes(bytes),
            Value::List(values) => ValueKind::List(values.len()),
            Value::Map(values) => ValueKind::Map(values.len()),
        };
        let encoded = value.encode().unwrap();
        match kind.encode(&mut room) {
            Ok(view) => prop_assert_eq!(view.encoded(), encoded.as_slice()),
            Err(BuildError::Room(512)) => prop_assert!(encoded.len() > 512),
            Err(error) => {
                prop_assert!(matches!(kind, ValueKind::List(1..) | ValueKind::Map(1..)), "{error} {value:?}");
            }
        }
    }

    #[test]
    fn bytes_that_pass_the_check_are_the_one_encoding(
        value in values(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut encoded = value.encode().unwrap();
        let at = at.index(encoded.len());
        encoded[at] = byte;
        if let Ok(value) = Value::decode(&encoded) {
            prop_assert_eq!(value.encode().unwrap(), encoded);
        }
    }
}

#[test]
fn what_has_no_encoding_is_refused() {
    let nested = |depth| (0..depth).fold(Value::Null, |value, _| Value::List(vec![value]));
    assert!(nested(MAX_VALUE_DEPTH).encode().is_ok());
    assert_eq!(nested(MAX_VALUE_DEPTH + 1).encode(), Err(EntryError::Value));
    assert_eq!(Value::Float(f64::NAN).encode(), Err(EntryError::Value));
}

#[test]
fn json_that_would_lose_something_is_refused() {
    let json = |text: &str| Value::from_json(&serde_json::from_str(text).unwrap());
    assert_eq!(json("9223372036854775807"), Ok(Value::Int(i64::MAX)));
    assert_eq!(json("9223372036854775808"), Err(EntryError::Value));
    assert_eq!(json(r#"{"$bytes": "AQI="}"#), Ok(Value::Bytes(vec![1, 2])));
    assert_eq!(json(r#"{"$bytes": "no base64"}"#), Err(EntryError::Value));
}

#[test]
fn a_map_with_a_key_like_that_of_bytes_stays_a_map() {
    for (key, json) in [("bytes", r#"{"bytes":"AQI="}"#), ("$bytes", r#"{"$$bytes":"AQI="}"#)] {
        let map = Value::Map([(String::from(key), Value::Text("AQI=".into()))].into());
        assert_eq!(map.to_json().to_string(), json);
        assert_eq!(Value::from_json(&map.to_json()), Ok(map));
    }
}

#[test]
fn a_float_survives_the_text_of_json_to_the_last_bit() {
    let mut chance = crate::Entropy::new([7; 32]);
    // The first is one of those that a hasty reader gets wrong in the last bit.
    let some = [0x4d25_9b91_b2e3_88db, 1, 0x7fef_ffff_ffff_ffff, 0x0010_0000_0000_0000].map(f64::from_bits);
    let many = core::iter::repeat_with(|| f64::from_le_bytes(chance.draw())).take(10_000);
    for float in some.into_iter().chain(many).filter(|float| float.is_finite()) {
        let text = serde_json::to_string(&Value::Float(float).to_json()).unwrap();
        let read = Value::from_json(&serde_json::from_str(&text).unwrap());
        assert_eq!(read, Ok(Value::Float(float)), "{text}");
    }
}
