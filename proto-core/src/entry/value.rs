//! Values of documents: what JSON knows, and bytes.
//!
//! The encoding is a tag byte and: 0 null · 1 false · 2 true · 3 integer (zigzag varint) · 4 float (8 bytes, little
//! endian, finite) · 5 text · 6 bytes · 7 list (count, values) · 8 map (count, then text and value of each, keys
//! strictly ascending). Lists and maps nest at most [`MAX_VALUE_DEPTH`] deep.

#[cfg(feature = "alloc")]
use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    canonical::{self, Blob},
    entry::{BuildError, EntryError},
    limits::MAX_VALUE_DEPTH,
};

/// A value in the bytes it came in: the encoding of one value, with its length before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueView<'a>(&'a [u8]);

impl Serialize for ValueView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Blob(self.0).serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ValueView<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Blob::deserialize(deserializer).map(|Blob(bytes)| Self(bytes))
    }
}

/// The first level of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValueKind<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Opaque bytes.
    Bytes(&'a [u8]),
    /// This many values follow.
    List(usize),
    /// This many keys, each with its value, follow.
    Map(usize),
}

impl ValueKind<'_> {
    /// Encodes a value of one level into the front of `room`, without a heap; a list or a map only if it is empty.
    ///
    /// ```
    /// # use pleach_core::entry::ValueKind;
    /// let mut room = [0; 16];
    /// let value = ValueKind::Int(21).encode(&mut room)?;
    /// assert_eq!(value.kind()?, ValueKind::Int(21));
    /// assert!(ValueKind::Text("longer than the room").encode(&mut room).is_err());
    /// # Ok::<(), pleach_core::entry::BuildError>(())
    /// ```
    pub fn encode<'r>(&self, room: &'r mut [u8]) -> Result<ValueView<'r>, BuildError> {
        let size = room.len();
        let used = match self {
            Self::Null => canonical::to_slice(&NULL, room),
            Self::Bool(false) => canonical::to_slice(&FALSE, room),
            Self::Bool(true) => canonical::to_slice(&TRUE, room),
            Self::Int(number) => canonical::to_slice(&(INT, number), room),
            Self::Float(number) => canonical::to_slice(&(FLOAT, number), room),
            Self::Text(text) => canonical::to_slice(&(TEXT, text), room),
            Self::Bytes(bytes) => canonical::to_slice(&(BYTES, bytes), room),
            Self::List(count) => canonical::to_slice(&(LIST, count), room),
            Self::Map(count) => canonical::to_slice(&(MAP, count), room),
        };
        let value = ValueView(used.ok_or(BuildError::Room(size))?);
        value.check()?;
        Ok(value)
    }
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const BYTES: u8 = 6;
const LIST: u8 = 7;
const MAP: u8 = 8;

impl<'a> ValueView<'a> {
    /// Takes the encoding of one value without checking it.
    pub const fn from_encoded(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The encoding.
    pub const fn encoded(&self) -> &'a [u8] {
        self.0
    }

    /// The first level, for a reader without a heap.
    pub fn kind(&self) -> Result<ValueKind<'a>, EntryError> {
        take_kind(self.0).map(|(kind, _)| kind)
    }

    /// Checks that the bytes are the one encoding of one value. Its stack is one counter for each level.
    pub fn check(&self) -> Result<(), EntryError> {
        struct Level<'a> {
            left: usize,
            is_map: bool,
            /// The key before, in a map.
            before: Option<&'a str>,
        }
        let mut levels = heapless::Vec::<Level<'a>, MAX_VALUE_DEPTH>::new();
        let mut rest = self.0;
        loop {
            let (kind, after) = take_kind(rest)?;
            rest = after;
            let below = match kind {
                ValueKind::List(left) => Some(Level { left, is_map: false, before: None }),
                ValueKind::Map(left) => Some(Level { left, is_map: true, before: None }),
                _ => None,
            };
            if let Some(level) = below {
                levels.push(level).map_err(|_| EntryError::Value)?;
            }
            while levels.last().is_some_and(|level| level.left == 0) {
                levels.pop();
            }
            let Some(level) = levels.last_mut() else {
                return if rest.is_empty() { Ok(()) } else { Err(EntryError::Value) };
            };
            level.left = level.left.saturating_sub(1);
            if level.is_map {
                let (key, after) = canonical::take_from_bytes::<&str>(rest).map_err(|_| EntryError::Value)?;
                if level.before.is_some_and(|before| before >= key) {
                    return Err(EntryError::Value);
                }
                level.before = Some(key);
                rest = after;
            }
        }
    }
}

fn take_kind(bytes: &[u8]) -> Result<(ValueKind<'_>, &[u8]), EntryError> {
    fn take<'a, T: Deserialize<'a> + Serialize>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), EntryError> {
        canonical::take_from_bytes(bytes).map_err(|_| EntryError::Value)
    }
    let (tag, rest) = bytes.split_first().ok_or(EntryError::Value)?;
    Ok(match *tag {
        NULL => (ValueKind::Null, rest),
        FALSE => (ValueKind::Bool(false), rest),
        TRUE => (ValueKind::Bool(true), rest),
        INT => take(rest).map(|(n, rest)| (ValueKind::Int(n), rest))?,
        FLOAT => match take::<f64>(rest)? {
            (number, rest) if number.is_finite() => (ValueKind::Float(number), rest),
            _ => return Err(EntryError::Value),
        },
        TEXT => take(rest).map(|(text, rest)| (ValueKind::Text(text), rest))?,
        BYTES => take(rest).map(|(Blob(bytes), rest)| (ValueKind::Bytes(bytes), rest))?,
        LIST => take(rest).map(|(count, rest)| (ValueKind::List(count), rest))?,
        MAP => take(rest).map(|(count, rest)| (ValueKind::Map(count), rest))?,
        _ => return Err(EntryError::Value),
    })
}

/// A value on the heap.
///
/// ```
/// # use pleach_core::entry::Value;
/// let value = Value::from_json(&serde_json::json!({"title": "first", "done": false}))?;
/// assert_eq!(Value::decode(value.encode()?.as_slice())?, value);
/// assert_eq!(value.to_json()["title"], "first");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Default)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// Text.
    Text(String),
    /// Opaque bytes. In JSON: `{"$bytes": "<base64>"}`.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Value>),
    /// Values by key.
    Map(BTreeMap<String, Value>),
}

#[cfg(feature = "alloc")]
impl Value {
    /// The canonical encoding. Fails on numbers that are not finite and on nesting beyond [`MAX_VALUE_DEPTH`].
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let mut bytes = Vec::new();
        self.write(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), EntryError> {
        let nested = matches!(self, Self::List(_) | Self::Map(_));
        if nested && depth == MAX_VALUE_DEPTH {
            return Err(EntryError::Value);
        }
        let mut put = |tag: u8, body: &[u8]| {
            out.push(tag);
            out.extend_from_slice(body);
        };
        match self {
            Self::Null => put(NULL, &[]),
            Self::Bool(false) => put(FALSE, &[]),
            Self::Bool(true) => put(TRUE, &[]),
            Self::Int(number) => put(INT, &canonical::to_vec(number)),
            Self::Float(number) if number.is_finite() => put(FLOAT, &canonical::to_vec(number)),
            Self::Float(_) => return Err(EntryError::Value),
            Self::Text(text) => put(TEXT, &canonical::to_vec(text)),
            Self::Bytes(bytes) => put(BYTES, &canonical::to_vec(&Blob(bytes))),
            Self::List(values) => {
                put(LIST, &canonical::to_vec(&values.len()));
                for value in values {
                    value.write(out, depth.saturating_add(1))?;
                }
            }
            Self::Map(values) => {
                put(MAP, &canonical::to_vec(&values.len()));
                for (key, value) in values {
                    out.extend_from_slice(&canonical::to_vec(key));
                    value.write(out, depth.saturating_add(1))?;
                }
            }
        }
        Ok(())
    }

    /// Reads an encoding from outside: checks it first, so the walk below is bounded.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        ValueView::from_encoded(bytes).check()?;
        Self::take(bytes).map(|(value, _)| value)
    }

    /// Depth was checked, so this recursion ends after [`MAX_VALUE_DEPTH`] steps.
    fn take(bytes: &[u8]) -> Result<(Self, &[u8]), EntryError> {
        let (kind, mut rest) = take_kind(bytes)?;
        let value = match kind {
            ValueKind::Null => Self::Null,
            ValueKind::Bool(value) => Self::Bool(value),
            ValueKind::Int(value) => Self::Int(value),
            ValueKind::Float(value) => Self::Float(value),
            ValueKind::Text(text) => Self::Text(text.into()),
            ValueKind::Bytes(bytes) => Self::Bytes(bytes.into()),
            ValueKind::List(count) => {
                let mut values = Vec::new();
                for _ in 0..count {
                    let (value, after) = Self::take(rest)?;
                    values.push(value);
                    rest = after;
                }
                Self::List(values)
            }
            ValueKind::Map(count) => {
                let mut values = BTreeMap::new();
                for _ in 0..count {
                    let (key, after) =
                        canonical::take_from_bytes::<&str>(rest).map_err(|_| EntryError::Value)?;
                    let (value, after) = Self::take(after)?;
                    values.insert(key.into(), value);
                    rest = after;
                }
                Self::Map(values)
            }
        };
        Ok((value, rest))
    }
}
