//! Rank: the root key above all, then grants in the order of their permissions.

use serde::{Deserialize, Serialize};

use crate::entry::Permission;

/// How high someone stands. The greater rank is the higher one.
///
/// ```
/// # use pleach_core::{access::Rank, entry::Permission};
/// assert!(Rank::Root > Rank::Granted(Permission::Admin(0)));
/// assert!(Rank::Granted(Permission::Admin(1)) > Rank::Granted(Permission::Write(0)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rank {
    /// By a grant of this permission.
    Granted(Permission),
    /// By the key that made the tree.
    Root,
}

impl Rank {
    /// What it allows; the root key may do what `Admin(0)` may, and more.
    pub const fn permission(self) -> Permission {
        match self {
            Self::Granted(permission) => permission,
            Self::Root => Permission::Admin(0),
        }
    }

    /// Whether it ranks strictly above a permission.
    pub fn is_above(self, permission: Permission) -> bool {
        self > Self::Granted(permission)
    }
}
