//! Values from the types that applications have.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use crate::entry::Value;

macro_rules! value_from {
    ($($type:ty => $make:expr;)*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                ($make)(value)
            }
        })*
    };
}

value_from! {
    bool => Value::Bool;
    i64 => Value::Int;
    i32 => |number: i32| Value::Int(number.into());
    u32 => |number: u32| Value::Int(number.into());
    f64 => Value::Float;
    String => Value::Text;
    &str => |text: &str| Value::Text(text.into());
    Vec<u8> => Value::Bytes;
    &[u8] => |bytes: &[u8]| Value::Bytes(bytes.into());
    Vec<Value> => Value::List;
    BTreeMap<String, Value> => Value::Map;
}
