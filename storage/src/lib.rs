//! What carries out Pleach's storage requests: [`Memory`] always, [`Redb`] in one file with the feature `redb`.
//!
//! There is one store, written once over ordered maps of bytes:
//!
//! | file | holds |
//! |---|---|
//! | `tables` | the ordered maps: in memory, in a file, and a write's changes on top |
//! | `layout` | which tables there are, and how their keys sort |
//! | `record` | the values of the tables |
//! | `store` | [`Memory`] and [`Redb`]: one write at a time, none after a failure |
//! | `put` | taking entries: parents first, judged, with all that follows from them |
//! | `sharing` | the shared set: what enters and leaves it |
//! | `masks` | what a revocation takes out of what counts, and lets count again |
//! | `tree` | one tree as a view shows it, and what access asks about it |
//! | `aggregate` | counts and sums of ranges in O(log n) |
//! | `rows` | rows of writes: keys, queries |
//! | `snapshot` | reading |
//! | `repair` | making a damaged tree whole again |
//! | `sealed` | secret keys under a passphrase, over any store |
//! | `user` | the secret keys of users, under a password each |
//! | `audit` | checking what is stored again |
//! | `conformance` | the suite that every store passes |

mod aggregate;
mod audit;
mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
mod layout;
mod masks;
mod put;
mod record;
mod repair;
mod rows;
#[cfg(feature = "passphrase")]
mod sealed;
mod sharing;
mod snapshot;
mod store;
mod tables;
mod tree;
mod user;

#[cfg(feature = "passphrase")]
pub use sealed::{SealError, Sealed, passphrase_needed};
pub use store::Memory;
#[cfg(feature = "redb")]
pub use store::{DEFAULT_CACHE_BYTES, Options, Redb};
pub use user::{NewUser, OpenUser, forget_user, open_users};
