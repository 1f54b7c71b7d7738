//! Who may do what: a function of an entry and of the settings among its ancestors, the same in every order of
//! arrival.
//!
//! | file | holds |
//! |---|---|
//! | `refusal` | [`Refusal`]: the rule that keeps an entry out |
//! | `rank` | [`Rank`]: how high a grant, or the root key, stands |
//! | `view` | [`View`]: which settings entries an entry has among its ancestors |
//! | `facts` | [`Facts`]: what a store tells about a tree, [`SettingsRecord`] among it |
//! | `judge` | [`Judge`]: may this entry be stored? |
//! | `resolve` | which grants and revocations hold in a view |
//! | `census` | [`Census`]: what counts in all that a store holds |
//! | `readers` | [`permission_of`], [`may_read`], [`members`] |
//!
//! # The rule
//!
//! In a set of entries a grant *stands* for an entry E if it names E's author or `*`, an ancestor of E that counts
//! in the set made it, and no revocation that counts in the set revokes it, except one that E is an ancestor of. E
//! *counts* if the strongest grant that stands for it suffices for what it writes: `Write` for values and merges,
//! `Admin` for settings, and above every grant in it. The root key's entries always count. E may be stored if it
//! counts among itself and its ancestors.
//!
//! A revocation acts at the rank of its entry. It revokes each grant of the name it names that ranks below and was
//! made neither by the same entry nor by a descendant; and, if it names a key, that key's use of `*`, for good.
//!
//! Only settings entries matter to this, so a set of entries is given by a [`View`].
//!
//! What does not count in all that a store holds is *masked*: its values are hidden and its settings have no effect,
//! until a higher rank revokes the revoker. The *shared set* are the entries that count, and their ancestors: all that is
//! offered and compared covers it.

#[cfg(feature = "alloc")]
mod census;
#[cfg(feature = "alloc")]
mod facts;
#[cfg(feature = "alloc")]
mod judge;
mod rank;
#[cfg(feature = "alloc")]
mod readers;
mod refusal;
#[cfg(feature = "alloc")]
mod resolve;
mod view;

#[cfg(feature = "alloc")]
pub use census::{Census, Needs};
#[cfg(feature = "alloc")]
pub use facts::{Facts, GrantRecord, GrantRef, Header, SettingsRecord};
#[cfg(feature = "alloc")]
pub use judge::{Authority, Before, Judge, Standing, Verdict, judge};
pub use rank::Rank;
#[cfg(feature = "alloc")]
pub use readers::{Member, may_read, members, permission_of};
pub use refusal::Refusal;
#[cfg(feature = "alloc")]
pub use view::View;
pub use view::ViewId;

#[cfg(all(test, feature = "alloc"))]
mod tests;
