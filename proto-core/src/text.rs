//! How 32 bytes are written for people, lower-case base32 without padding; and how text of others is shown to them.

use core::{
    fmt::{self, Write},
    str,
};

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Characters in the text of 32 bytes.
pub const TEXT_LEN: usize = 52;

/// Why a text is not that of an id or a key.
///
/// ```
/// # use pleach_core::{Id, TextError};
/// assert_eq!("cut".parse::<Id>(), Err(TextError::Length(3)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The text has another length than [`TEXT_LEN`].
    #[error("expected {TEXT_LEN} characters of base32, got {0}: check that the whole text was copied")]
    Length(usize),
    /// A character is not in `a..=z` or `2..=7`, or the last one carries stray bits.
    #[error(
        "character {0} is not base32 as written here (a to z, 2 to 7): check that the text was copied exactly"
    )]
    Character(usize),
}

pub(crate) fn write(bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0; TEXT_LEN];
    BASE32_NOPAD.encode_mut(bytes, &mut text);
    text.make_ascii_lowercase();
    f.pad(str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

/// `Name(first8…)`: enough to tell two apart in a log.
pub(crate) fn write_short(name: &str, bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0; 8];
    let (head, _) = bytes.split_at(5);
    BASE32_NOPAD.encode_mut(head, &mut text);
    text.make_ascii_lowercase();
    write!(f, "{name}({}…)", str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

/// Accepts exactly what [`write`] prints, and its upper-case form (shorter in QR codes).
pub(crate) fn parse(text: &str) -> Result<[u8; 32], TextError> {
    let mut upper: [u8; TEXT_LEN] =
        text.as_bytes().try_into().map_err(|_| TextError::Length(text.chars().count()))?;
    upper.make_ascii_uppercase();
    // The decoder wants room for its own upper bound on the length.
    let mut bytes = [0; 33];
    let length = BASE32_NOPAD.decode_len(TEXT_LEN).map_err(|e| TextError::Character(e.position))?;
    let room = bytes.get_mut(..length).ok_or(TextError::Length(length))?;
    BASE32_NOPAD.decode_mut(&upper, room).map_err(|e| TextError::Character(e.error.position))?;
    bytes.first_chunk().copied().ok_or(TextError::Length(length))
}

/// Text where people read (JSON), the bytes alone elsewhere.
pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    struct Shown<'a>(&'a [u8; 32]);
    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write(self.0, f)
        }
    }
    if serializer.is_human_readable() {
        serializer.collect_str(&Shown(bytes))
    } else {
        bytes.serialize(serializer)
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    struct Text;
    impl de::Visitor<'_> for Text {
        type Value = [u8; 32];
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{TEXT_LEN} characters of base32")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            parse(text).map_err(E::custom)
        }
    }
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(Text)
    } else {
        <[u8; 32]>::deserialize(deserializer)
    }
}

/// Shows text that a peer, a file or a person wrote: control characters, which could move a terminal's cursor or begin
/// a line of a log, and those that change the direction of writing are shown as escapes.
///
/// ```
/// # use pleach_core::Shown;
/// assert_eq!(Shown("good\r\u{1b}[2Jbad").to_string(), r"good\u{d}\u{1b}[2Jbad");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl Shown<'_> {
    /// Whether a character is one of those: control characters, and those that reorder what stands around them
    /// (Unicode Standard Annex 9).
    pub fn escapes(c: char) -> bool {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if Self::escapes(c) { write!(f, "{}", c.escape_unicode()) } else { f.write_char(c) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_text_is_read() {
        let id = crate::Id::of(b"x");
        let mut text = heapless::String::<64>::new();
        fmt::Write::write_fmt(&mut text, format_args!("{id}")).unwrap();
        assert_eq!(parse(&text).as_ref(), Ok(id.as_bytes()));
        assert_eq!(parse(&text[1..]), Err(TextError::Length(51)));
        // 52 characters carry 260 bits: the last 4 must be zero.
        let mut stray = text.clone();
        stray.pop();
        stray.push('b').unwrap();
        assert!(matches!(parse(&stray), Err(TextError::Character(51))));
        let mut wrong = heapless::String::<64>::new();
        wrong.push('1').unwrap();
        wrong.push_str(&text[1..]).unwrap();
        assert_eq!(parse(&wrong), Err(TextError::Character(0)));
    }

    #[test]
    fn what_could_move_a_cursor_or_turn_the_writing_is_shown_as_an_escape() {
        for (c, escaped) in [
            ('a', false),
            ('é', false),
            ('\n', true),
            ('\u{1b}', true),
            ('\u{9b}', true),
            ('\u{202e}', true),
            ('\u{2066}', true),
            ('\u{200d}', false),
        ] {
            assert_eq!(Shown::escapes(c), escaped, "{c:?}");
        }
        assert_eq!(std::format!("{}", Shown("a\u{1b}\u{202e}b")), r"a\u{1b}\u{202e}b");
    }
}
