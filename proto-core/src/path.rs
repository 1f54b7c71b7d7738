//! Paths inside a store: keys joined by dots, a literal dot or backslash escaped by a backslash.

#[cfg(feature = "alloc")]
use alloc::string::String;

use crate::{entry::EntryError, limits::MAX_PATH};

/// Checks a path's text: 1 to [`MAX_PATH`] bytes, no key empty, escapes only before `.` and `\`, no NUL (rows of
/// the store end their path with it).
pub fn check(path: &str) -> Result<(), EntryError> {
    if path.len() > MAX_PATH {
        return Err(EntryError::Path);
    }
    let mut key_is_empty = true;
    let mut escaped = false;
    for byte in path.bytes() {
        match byte {
            b'.' | b'\\' if escaped => escaped = false,
            _ if escaped => return Err(EntryError::Path),
            b'\\' => escaped = true,
            b'.' if key_is_empty => return Err(EntryError::Path),
            b'.' => {
                key_is_empty = true;
                continue;
            }
            0 => return Err(EntryError::Path),
            _ => {}
        }
        key_is_empty = false;
    }
    if key_is_empty || escaped { Err(EntryError::Path) } else { Ok(()) }
}

/// The paths above this one, nearest first: `a.b.c` gives `a.b`, then `a`.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut left = path;
    core::iter::from_fn(move || {
        left = left.get(..last_separator(left)?)?;
        Some(left)
    })
}

/// Whether `path` lies below `above`: `a.b` below `a`.
pub fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// The path that leads through these keys, as they are: dots and backslashes in them are escaped here.
///
/// ```
/// # use pleach_core::path;
/// let path = path::from_keys(["hosts", "example.org"])?;
/// assert_eq!(path, r"hosts.example\.org");
/// assert!(path::keys(&path).eq(["hosts", "example.org"]));
/// # Ok::<(), pleach_core::entry::EntryError>(())
/// ```
#[cfg(feature = "alloc")]
pub fn from_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<String, EntryError> {
    let mut path = String::new();
    for (number, key) in keys.into_iter().enumerate() {
        if number > 0 {
            path.push('.');
        }
        for character in key.chars() {
            if matches!(character, '.' | '\\') {
                path.push('\\');
            }
            path.push(character);
        }
    }
    check(&path)?;
    Ok(path)
}

/// The keys that a well-formed path leads through, without escapes.
#[cfg(feature = "alloc")]
pub fn keys(path: &str) -> impl Iterator<Item = String> {
    let mut left = Some(path);
    core::iter::from_fn(move || {
        let mut key = String::new();
        let mut characters = left?.chars();
        loop {
            match characters.next() {
                Some('\\') => key.extend(characters.next()),
                Some('.') => {
                    left = Some(characters.as_str());
                    return Some(key);
                }
                Some(character) => key.push(character),
                None => {
                    left = None;
                    return Some(key);
                }
            }
        }
    })
}

/// The path of a key below a path.
#[cfg(feature = "alloc")]
pub fn child(path: &str, key: &str) -> Result<String, EntryError> {
    let mut below = String::from(path);
    below.push('.');
    below.push_str(&from_keys([key])?);
    check(&below)?;
    Ok(below)
}

/// The last dot that is not escaped: an even number of backslashes stands before it.
fn last_separator(path: &str) -> Option<usize> {
    path.bytes().enumerate().rev().filter(|(_, byte)| *byte == b'.').map(|(at, _)| at).find(|at| {
        let before = path.as_bytes().get(..*at).unwrap_or_default();
        before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for good in ["a", "a.b", r"a\.b", r"a\\.b", "ä.ö", " "] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", r"a\", r"a\b", "a\0b", &"x".repeat(MAX_PATH + 1)] {
            assert_eq!(check(bad), Err(EntryError::Path), "{bad}");
        }
    }

    #[test]
    fn ancestors_stop_at_escaped_dots() {
        assert!(ancestors(r"a.b\.c.d").eq([r"a.b\.c", "a"]));
        assert!(ancestors(r"a\\.b").eq([r"a\\"]));
        assert!(is_below("a.b", "a") && !is_below("ab", "a") && !is_below("a", "a"));
    }
}
