//! The node's metadata, as it is changed.

use alloc::{string::String, vec::Vec};
use core::{fmt, ops::Deref};

/// A key of the node's metadata, and its value.
pub type Meta = (Vec<u8>, Vec<u8>);

/// What is to change in the node's metadata: for each key a value, or nothing to remove it.
///
/// Secret keys are among the values, so `Debug` shows keys alone.
///
/// ```
/// # use pleach_core::storage::MetaChanges;
/// let changes = MetaChanges::from([(b"colour".to_vec(), Some(b"green".to_vec()))]);
/// assert_eq!(format!("{changes:?}"), r#"{"colour": 5 bytes}"#);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct MetaChanges(Vec<MetaChange>);

/// One change: a key, and its value or nothing to remove it.
pub type MetaChange = (Vec<u8>, Option<Vec<u8>>);

impl<T: Into<Vec<MetaChange>>> From<T> for MetaChanges {
    fn from(changes: T) -> Self {
        Self(changes.into())
    }
}

impl FromIterator<MetaChange> for MetaChanges {
    fn from_iter<T: IntoIterator<Item = MetaChange>>(changes: T) -> Self {
        Self(changes.into_iter().collect())
    }
}

impl Deref for MetaChanges {
    type Target = [MetaChange];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Debug for MetaChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Vec<u8>>| match value {
            Some(value) => alloc::format!("{} bytes", value.len()),
            None => String::from("removed"),
        };
        let mut map = f.debug_map();
        for (key, value) in &self.0 {
            map.entry(&String::from_utf8_lossy(key), &format_args!("{}", shown(value)));
        }
        map.finish()
    }
}
