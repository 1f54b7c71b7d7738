//! Text that others wrote, on its way to a terminal.

use std::fmt::Write;

pub(crate) use pleach_core::Shown;

/// Makes JSON safe for a terminal. Such characters can only stand inside its strings, where an escape means the
/// same.
pub(crate) fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if Shown::escapes(c) {
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
