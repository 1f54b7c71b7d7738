//! What every store does: one small semantic trait, as plain data in and out.
//!
//! A store holds trees. Of each tree it keeps the entries in order of position, an index by id, the aggregates from
//! which the fingerprint of any range costs O(log n), one row for each write, the order of arrival, and for each
//! entry the grant that stands for it and its view of the settings. Beside the trees it keeps the node's metadata.
//!
//! The rules are not the store's: it calls [`crate::access::judge`] and [`crate::document::rows_of`] inside its write
//! transaction, so that every entry is judged against exactly what is stored.
//!
//! # What every store must keep
//!
//! 1. A write that returned `Ok` survives a crash; one that returned `Err`, or never returned, left nothing or all.
//! 2. No entry is stored without its parents, or unless [`crate::access::judge`] let it in.
//! 3. A snapshot never changes, and reads do not wait for writes.
//! 4. Nothing returned grows beyond the limit that the request names.
//! 5. An entry's hash is checked whenever its bytes are read; a mismatch is [`StorageError::Damaged`], never data.

mod fingerprint;
#[cfg(feature = "alloc")]
mod meta;
#[cfg(feature = "alloc")]
mod store;
mod token;

#[cfg(feature = "alloc")]
pub use crate::access::{Header, Member};
pub use fingerprint::{Fingerprint, Measure, Sum};
#[cfg(feature = "alloc")]
pub use meta::{Meta, MetaChange, MetaChanges};
#[cfg(feature = "alloc")]
pub use store::*;
pub use token::{Epoch, Token};
