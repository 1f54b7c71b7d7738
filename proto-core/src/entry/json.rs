//! Values as JSON.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use data_encoding::BASE64;
use serde_json::Value as Json;

use crate::entry::{EntryError, Value};

/// The key under which JSON carries bytes.
const BYTES_KEY: &str = "$bytes";

impl Value {
    /// The value that a JSON value stands for: `{"$bytes": "<base64>"}` stands for bytes, `{"$$bytes": "text"}` for a
    /// map with the key `$bytes`, and so on with every further `$`. Whole numbers beyond an `i64` are refused.
    pub fn from_json(json: &Json) -> Result<Self, EntryError> {
        Ok(match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(float)) if !number.is_u64() => Self::Float(float),
                _ => return Err(EntryError::Value),
            },
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(values) => Self::List(values.iter().map(Self::from_json).collect::<Result<_, _>>()?),
            Json::Object(values) => match escaped(values.iter()) {
                Some((BYTES_KEY, Json::String(text))) => {
                    Self::Bytes(BASE64.decode(text.as_bytes()).map_err(|_| EntryError::Value)?)
                }
                Some((key, Json::String(text))) => {
                    let key = key.strip_prefix('$').unwrap_or(key);
                    Self::Map(BTreeMap::from([(key.into(), Self::Text(text.clone()))]))
                }
                _ => {
                    let pair = |(key, value): (&String, _)| Ok((key.clone(), Self::from_json(value)?));
                    Self::Map(values.iter().map(pair).collect::<Result<_, EntryError>>()?)
                }
            },
        })
    }

    /// The JSON that stands for this value, and for no other.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => one(BYTES_KEY.into(), BASE64.encode(bytes)),
            Self::List(values) => Json::Array(values.iter().map(Self::to_json).collect::<Vec<_>>()),
            Self::Map(values) => match escaped(values.iter()) {
                Some((key, Self::Text(text))) => one(format!("${key}"), text.clone()),
                _ => values.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
            },
        }
    }
}

fn one(key: String, text: String) -> Json {
    core::iter::once((key, Json::String(text))).collect()
}

/// The only pair of a map, if its key is `$bytes` with any number of further `$` before it.
fn escaped<'a, T>(mut pairs: impl Iterator<Item = (&'a String, &'a T)>) -> Option<(&'a str, &'a T)> {
    let (Some((key, value)), None) = (pairs.next(), pairs.next()) else { return None };
    let rest = key.trim_start_matches('$');
    (rest == "bytes" && rest.len() < key.len()).then_some((key.as_str(), value))
}
