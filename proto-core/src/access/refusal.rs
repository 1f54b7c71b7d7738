//! Why an entry is not let in.

use serde::{Deserialize, Serialize};

use crate::{
    Id, PublicKey,
    entry::{Permission, Who},
};

/// The rule that keeps an entry out of a tree. All nodes refuse the same entry by the same rule.
///
/// ```
/// # use pleach_core::{Id, access::Refusal};
/// let refusal = Refusal::WrongTree { claimed: Id::of(b"another") };
/// assert!(refusal.to_string().contains("not to this one"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The entry belongs to another tree than the one it was offered for.
    #[error("the entry belongs to the tree {claimed}, not to this one: offer it there")]
    WrongTree {
        /// The tree that the entry names.
        claimed: Id,
    },
    /// The height is not one above the highest parent's.
    #[error("the height must be {expected}, one above the highest parent's, and is {claimed}")]
    WrongHeight {
        /// 1 + the greatest height among the parents.
        expected: u64,
        /// What the entry says.
        claimed: u64,
    },
    /// No grant among the ancestors stands for the author.
    #[error("no grant among the entry's ancestors stands for {author}: ask an administrator for access")]
    NoPermission {
        /// Who signed the entry.
        author: PublicKey,
    },
    /// The author may read, and has written.
    #[error("{author} may only read here: ask an administrator for write access")]
    ReadOnly {
        /// Who signed the entry.
        author: PublicKey,
    },
    /// The entry writes settings, and its author is no administrator.
    #[error("settings are written by administrators, and {author} has {has}: ask one of them")]
    SettingsNeedAdmin {
        /// Who signed the entry.
        author: PublicKey,
        /// The strongest permission that stands for the author.
        has: Permission,
    },
    /// The entry grants something that does not rank below its author.
    #[error("{author} has {has} and can grant only what ranks below, not {granted} to {who}")]
    GrantNotBelow {
        /// Who signed the entry.
        author: PublicKey,
        /// The strongest permission that stands for the author.
        has: Permission,
        /// What the entry grants.
        granted: Permission,
        /// To whom.
        who: Who,
    },
}
