//! One encoding for each value: postcard, and only the bytes that the encoder itself would write.
//!
//! Postcard's decoder accepts padded varints and trailing bytes. Everything from outside is therefore decoded
//! here: the value is encoded again, against the bytes that came, and any difference is refused.

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte string, encoded and compared as a whole. Serde takes a plain slice for a sequence and goes through it byte by
/// byte, with the same outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blob<'a>(pub(crate) &'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Blob<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Self)
    }
}

/// Why bytes are not the canonical encoding of what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early, or are no encoding of this type.
    #[error("cut short or malformed: fetch it again from its source")]
    Malformed,
    /// The bytes go on after the value.
    #[error("{0} bytes too many: fetch it again from its source")]
    Trailing(usize),
    /// Another encoding of the value than the canonical one.
    #[error("not the canonical encoding: the sender must encode integers in the fewest bytes")]
    NotCanonical,
}

/// Decodes a whole value.
pub fn from_bytes<'a, T: Deserialize<'a> + Serialize>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let (value, rest) = take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(rest.len())) }
}

/// Decodes a value from the front and returns what follows it.
pub fn take_from_bytes<'a, T: Deserialize<'a> + Serialize>(
    bytes: &'a [u8],
) -> Result<(T, &'a [u8]), DecodeError> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| DecodeError::Malformed)?;
    let used =
        bytes.len().checked_sub(rest.len()).and_then(|n| bytes.get(..n)).ok_or(DecodeError::Malformed)?;
    #[cfg(feature = "planted-faults")]
    if crate::planted::is_awake(crate::planted::Planted::EncodingsLoose) {
        return Ok((value, rest));
    }
    if encodes_to(&value, used) { Ok((value, rest)) } else { Err(DecodeError::NotCanonical) }
}

/// Encodes into the front of `room` and returns the bytes used, or nothing if the room is too small.
pub fn to_slice<'a, T: Serialize + ?Sized>(value: &T, room: &'a mut [u8]) -> Option<&'a mut [u8]> {
    postcard::to_slice(value, room).ok()
}

/// Encodes into a vector.
#[cfg(feature = "alloc")]
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> alloc::vec::Vec<u8> {
    // Postcard refuses only sequences of unknown length, which no type here has.
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Bytes that the value takes.
pub fn encoded_len<T: Serialize + ?Sized>(value: &T) -> usize {
    postcard::serialize_with_flavor(value, postcard::ser_flavors::Size::default()).unwrap_or(usize::MAX)
}

fn encodes_to<T: Serialize + ?Sized>(value: &T, expected: &[u8]) -> bool {
    postcard::serialize_with_flavor(value, Compare { left: expected }).unwrap_or(false)
}

/// Takes the encoder's output only while it equals the bytes expected: no buffer is needed.
struct Compare<'a> {
    left: &'a [u8],
}

impl Flavor for Compare<'_> {
    type Output = bool;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.left = self.left.strip_prefix(bytes).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.left.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_varint_is_another_encoding() {
        assert_eq!(from_bytes::<u64>(&[5]), Ok(5));
        assert_eq!(postcard::from_bytes::<u64>(&[0x85, 0]), Ok(5), "postcard itself is lenient");
        assert_eq!(from_bytes::<u64>(&[0x85, 0]), Err(DecodeError::NotCanonical));
        assert_eq!(from_bytes::<u64>(&[5, 0]), Err(DecodeError::Trailing(1)));
        assert_eq!(from_bytes::<u64>(&[0x85]), Err(DecodeError::Malformed));
    }

    #[test]
    fn an_encoding_is_compared_to_its_end() {
        assert!(encodes_to(&(5_u8, 300_u16), &[5, 0xac, 2]));
        for other in [&[5, 0xac][..], &[5, 0xac, 2, 0], &[5, 0xac, 3], &[]] {
            assert!(!encodes_to(&(5_u8, 300_u16), other), "{other:?}");
        }
        assert_eq!(encoded_len(&(5_u8, 300_u16)), 3);
    }

    #[test]
    fn a_byte_string_has_the_encoding_of_a_sequence_of_bytes() {
        let bytes = [7; 200];
        let mut room = [0; 256];
        let encoded = to_slice(&bytes[..], &mut room).unwrap();
        assert_eq!(from_bytes(encoded), Ok(Blob(&bytes)));
        let mut other = [0; 256];
        assert_eq!(to_slice(&Blob(&bytes), &mut other).unwrap(), encoded);
        let padded = [&[0x80, 0][..]].concat();
        assert_eq!(from_bytes::<Blob<'_>>(&padded), Err(DecodeError::NotCanonical));
    }
}
