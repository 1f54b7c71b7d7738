//! Short fixed byte strings: hexadecimal where people read (JSON), the bytes alone elsewhere.

use core::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serializer, de, ser::SerializeTuple};

struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(super) fn serialize<const N: usize, S: Serializer>(
    bytes: &[u8; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        return serializer.collect_str(&Shown(bytes));
    }
    let mut tuple = serializer.serialize_tuple(N)?;
    for byte in bytes {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

pub(super) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(Text::<N>)
    } else {
        deserializer.deserialize_tuple(N, Binary::<N>)
    }
}

struct Text<const N: usize>;

impl<const N: usize> de::Visitor<'_> for Text<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hexadecimal digits", N.saturating_mul(2))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let mut bytes = [0; N];
        if HEXLOWER.decode_len(text.len()) != Ok(N) {
            return Err(E::invalid_length(text.len(), &self));
        }
        HEXLOWER
            .decode_mut(text.as_bytes(), &mut bytes)
            .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
        Ok(bytes)
    }
}

struct Binary<const N: usize>;

impl<'de, const N: usize> de::Visitor<'de> for Binary<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut bytes = [0; N];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(at, &self))?;
        }
        Ok(bytes)
    }
}

/// Byte strings of any length up to `N`: hexadecimal in text, length and bytes elsewhere.
pub(super) mod prefix {
    use heapless::Vec;
    use serde::{Serialize, de::Error};

    use super::{Deserialize, Deserializer, HEXLOWER, Serializer, Shown, de, fmt};

    pub(in super::super) fn serialize<const N: usize, S: Serializer>(
        bytes: &Vec<u8, N>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&Shown(bytes))
        } else {
            bytes.serialize(serializer)
        }
    }

    pub(in super::super) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8, N>, D::Error> {
        struct Text<const N: usize>;
        impl<const N: usize> de::Visitor<'_> for Text<N> {
            type Value = Vec<u8, N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {} hexadecimal digits", N.saturating_mul(2))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let length = HEXLOWER.decode_len(text.len()).map_err(E::custom)?;
                let mut bytes = Vec::new();
                bytes.resize(length, 0).map_err(|_| E::invalid_length(text.len(), &self))?;
                HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).map_err(|e| E::custom(e.error))?;
                Ok(bytes)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text::<N>)
        } else {
            Vec::<u8, N>::deserialize(deserializer)
        }
    }
}
