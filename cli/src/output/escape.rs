//! Text that others wrote, on its way to a terminal.

use std::fmt::{self, Write};

/// Shows text that a peer, a file or a person wrote: control characters, which could move the cursor, and those
/// that change the direction of writing are shown as escapes.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if is_treacherous(c) { write!(f, "{}", c.escape_unicode()) } else { f.write_char(c) }
        })
    }
}

/// Makes JSON safe for a terminal. Such characters can only stand inside its strings, where an escape means the
/// same.
pub(crate) fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_treacherous(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Control characters, and those that reorder what stands around them (Unicode Standard Annex 9).
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_passes() {
        assert_eq!(Shown("a\x1b[2Jb\r\u{9b}c\u{202e}").to_string(), r"a\u{1b}[2Jb\u{d}\u{9b}c\u{202e}");
        let text = serde_json::to_string("ä\u{9b}\u{7f}\u{202e}\n").unwrap();
        assert_eq!(json(&text), r#""ä\u009b\u007f\u202e\n""#);
        assert_eq!(serde_json::from_str::<String>(&json(&text)).unwrap(), "ä\u{9b}\u{7f}\u{202e}\n");
    }
}
