//! Permissions as people write them: the number may be left out.

use std::str::FromStr;

use pleach_core::entry::{Permission, PermissionError};
use serde::{Deserialize, Serialize};

use crate::args::Public;

/// The rank of a writer when none is given.
pub(crate) const DEFAULT_WRITE: u16 = 100;

/// The rank at which everybody writes: below every writer who is named.
const PUBLIC_WRITE: u16 = 1000;

/// A permission that somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// With its rank.
    Exactly(Permission),
    /// `admin` without a number: one below whoever grants it.
    AdminBelow,
}

impl FromStr for Asked {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        match text {
            "write" => Ok(Self::Exactly(Permission::Write(DEFAULT_WRITE))),
            "admin" => Ok(Self::AdminBelow),
            _ => text.parse().map(Self::Exactly),
        }
    }
}

impl Asked {
    /// The permission meant when it is asked of somebody else, who grants what is one below their own at most.
    pub(crate) const fn of_another(self) -> Permission {
        match self {
            Self::Exactly(permission) => permission,
            Self::AdminBelow => Permission::Admin(0),
        }
    }

    /// The permission meant when `granter` grants it.
    pub(crate) fn below(self, granter: Option<Permission>) -> anyhow::Result<Permission> {
        match (self, granter) {
            (Self::Exactly(permission), _) => Ok(permission),
            (Self::AdminBelow, Some(Permission::Admin(n))) => {
                n.checked_add(1).map(Permission::Admin).ok_or_else(|| {
                    anyhow::anyhow!("no rank is left below admin:{n}: ask an administrator of a higher rank")
                })
            }
            (Self::AdminBelow, _) => {
                anyhow::bail!("only an administrator can grant `admin`: ask one of them (`pleach keys DB`)")
            }
        }
    }
}

impl From<Public> for Permission {
    fn from(public: Public) -> Self {
        match public {
            Public::Read => Self::Read,
            Public::Write => Self::Write(PUBLIC_WRITE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_left_out_has_a_default() {
        assert_eq!("write".parse(), Ok(Asked::Exactly(Permission::Write(100))));
        assert_eq!("write:7".parse(), Ok(Asked::Exactly(Permission::Write(7))));
        assert_eq!("admin:0".parse(), Ok(Asked::Exactly(Permission::Admin(0))));
        assert_eq!(Asked::AdminBelow.below(Some(Permission::Admin(3))).unwrap(), Permission::Admin(4));
        assert!(Asked::AdminBelow.below(Some(Permission::Write(3))).is_err());
        assert!(Asked::AdminBelow.below(Some(Permission::Admin(u16::MAX))).is_err());
        assert!("owner".parse::<Asked>().is_err() && "write:65536".parse::<Asked>().is_err());
    }
}
