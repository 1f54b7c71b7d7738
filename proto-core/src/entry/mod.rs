//! One entry: its bytes, how they are read, made and checked.
//!
//! | file | holds |
//! |---|---|
//! | `view` | [`EntryView`]: a checked entry in the bytes it came in |
//! | `store_data` | what an entry writes into one store: writes, appends, settings |
//! | `value`, `json`, `value_from` | the values of documents, the check of their encoding, what they are made from |
//! | `rules` | [`EntryError`]: every structural rule, by name |
//! | `build` | [`EntryBuilder`]: how an author makes one |
//! | `owned` | [`Entry`] and [`VerifiedEntry`] on the heap |
//!
//! The encoding, in order (postcard): `version` (one byte) · `origin` (0 and a nonce of 16 bytes for a root, 1 and
//! the tree's id otherwise) · `height` and `time` (varints) · `parents` (a count and 32 bytes each) · `author` (32
//! bytes) · `stores` (a count; name and data of each, both with their length) · `signature` (64 bytes). Exactly one
//! encoding is accepted.

mod build;
#[cfg(feature = "alloc")]
mod json;
#[cfg(feature = "alloc")]
mod owned;
mod rules;
mod store_data;
mod value;
#[cfg(feature = "alloc")]
mod value_from;
mod view;

pub use build::{BuildError, EntryBuilder, Origin};
#[cfg(feature = "alloc")]
pub use owned::{Entry, VerifiedEntry};
pub use rules::EntryError;
pub use store_data::{Grant, Permission, PermissionError, SETTINGS, SettingsView, StoreData, Who, WriteView};
#[cfg(feature = "alloc")]
pub use value::Value;
pub use value::{ValueKind, ValueView};
#[cfg(feature = "alloc")]
pub(crate) use view::check_name;
pub use view::{EntryView, ParentIds, StoreView};

#[cfg(test)]
mod tests;
