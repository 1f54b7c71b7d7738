//! What an entry writes into one store.

use core::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    PublicKey,
    canonical::{self, Blob, DecodeError},
    entry::{BuildError, EntryError, ValueView},
    limits::{MAX_GRANT_NAME, MAX_SETTINGS_RECORDS},
    path,
    seq::{Seq, SeqError},
};

/// The store that holds a tree's name, grants and revocations.
pub const SETTINGS: &str = "_settings";

/// The decoded data of one store in one entry. The first byte says which kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreData<'a> {
    /// 0: writes at paths, for `Doc` and `Table`; ascending by path, each path once.
    Map(Seq<'a, WriteView<'a>>),
    /// 1: opaque appends, for `Log`, in order.
    Log(Seq<'a, &'a [u8]>),
    /// 2: settings, in the store [`SETTINGS`] alone.
    Settings(SettingsView<'a>),
}

/// One write: a value at a path, or a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteView<'a> {
    /// Keys joined by dots, a literal dot escaped as `\.`, a backslash as `\\`.
    pub path: &'a str,
    /// The value; nothing for a tombstone.
    #[serde(borrow)]
    pub value: Option<ValueView<'a>>,
}

/// What an entry changes in the settings of its tree. Records stand for themselves; none overwrites another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsView<'a> {
    /// Writes at paths, such as `name`; as in [`StoreData::Map`].
    pub writes: Seq<'a, WriteView<'a>>,
    /// Grants, ascending by whom they name, each named once.
    pub grants: Seq<'a, Grant<'a>>,
    /// Whose grants are revoked, ascending.
    pub revocations: Seq<'a, Who>,
}

/// A permission for a key, or for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant<'a> {
    /// Whom it names.
    pub who: Who,
    /// What they may do.
    pub permission: Permission,
    /// A name for people to recognise the key by.
    pub name: Option<&'a str>,
}

/// A key, or everybody.
///
/// ```
/// # use pleach_core::{SecretKey, entry::Who};
/// let key = SecretKey::from_bytes([1; 32]).public();
/// assert!(Who::Everyone < Who::Key(key));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Who {
    /// `*`: every key, and whoever shows none.
    Everyone,
    /// One key.
    Key(PublicKey),
}

/// What a grant allows. A lower number ranks higher; `Admin` ranks above `Write`, `Write` above `Read`. The order
/// of this type is that of rank: the greater permission ranks higher.
///
/// ```
/// # use pleach_core::entry::{Permission, PermissionError};
/// assert!(Permission::Admin(1) < Permission::Admin(0) && Permission::Write(0) < Permission::Admin(9));
/// assert!(Permission::Write(100).writes() && !Permission::Write(100).administers());
/// assert_eq!("write:100".parse::<Permission>()?, Permission::Write(100));
/// # Ok::<(), PermissionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Permission {
    /// Read the tree.
    Read,
    /// Write values too.
    Write(u16),
    /// Write settings too, about whoever ranks lower.
    Admin(u16),
}

impl Permission {
    const fn rank(self) -> (u8, u16) {
        match self {
            Self::Read => (0, 0),
            Self::Write(n) => (1, u16::MAX.saturating_sub(n)),
            Self::Admin(n) => (2, u16::MAX.saturating_sub(n)),
        }
    }

    /// Whether it allows writing values.
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read)
    }

    /// Whether it allows writing settings.
    pub const fn administers(self) -> bool {
        matches!(self, Self::Admin(_))
    }
}

impl Ord for Permission {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Permission {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `read`, `write:N`, `admin:N`.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read"),
            Self::Write(n) => write!(f, "write:{n}"),
            Self::Admin(n) => write!(f, "admin:{n}"),
        }
    }
}

/// Why a text is no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a permission is written `read`, `write:N` or `admin:N` with N from 0 to 65535")]
pub struct PermissionError;

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let number = |n: &str| n.parse().map_err(|_| PermissionError);
        match text.split_once(':') {
            None if text == "read" => Ok(Self::Read),
            Some(("write", n)) => number(n).map(Self::Write),
            Some(("admin", n)) => number(n).map(Self::Admin),
            _ => Err(PermissionError),
        }
    }
}

/// `*`, or the key.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.pad("*"),
            Self::Key(key) => key.fmt(f),
        }
    }
}

impl FromStr for Who {
    type Err = crate::TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" { Ok(Self::Everyone) } else { text.parse().map(Self::Key) }
    }
}

impl<'a> StoreData<'a> {
    /// The first byte of writes at paths.
    pub(crate) const MAP: u8 = 0;
    /// The first byte of a log's appends.
    pub(crate) const LOG: u8 = 1;
    /// The first byte of settings.
    pub(crate) const SETTINGS: u8 = 2;

    /// Reads and checks the data of one store: nothing may follow it.
    pub fn read(bytes: &'a [u8]) -> Result<Self, EntryError> {
        let (kind, rest) = canonical::take_from_bytes::<u8>(bytes)?;
        let (data, rest) = match kind {
            Self::MAP => take_writes(rest).map(|(writes, rest)| (Self::Map(writes), rest))?,
            Self::LOG => Seq::take(rest, usize::MAX, |_, _: &Blob<'_>| Ok::<_, EntryError>(()))
                .map(|(appends, rest)| (Self::Log(Seq::of_checked(appends.len(), appends.elements())), rest))
                .map_err(element)?,
            Self::SETTINGS => {
                SettingsView::take(rest).map(|(settings, rest)| (Self::Settings(settings), rest))?
            }
            _ => return Err(DecodeError::Malformed.into()),
        };
        if rest.is_empty() { Ok(data) } else { Err(DecodeError::Trailing(rest.len()).into()) }
    }
}

impl WriteView<'_> {
    /// Encodes writes, ascending by path, as the data of one store into the front of `room`, without a heap.
    ///
    /// ```
    /// # use pleach_core::entry::{StoreData, ValueKind, WriteView};
    /// let (mut number, mut room) = ([0; 16], [0; 64]);
    /// let value = Some(ValueKind::Int(21).encode(&mut number)?);
    /// let data = WriteView::encode(&[WriteView { path: "celsius", value }], &mut room)?;
    /// assert!(matches!(StoreData::read(data)?, StoreData::Map(writes) if writes.len() == 1));
    /// # Ok::<(), pleach_core::entry::BuildError>(())
    /// ```
    pub fn encode<'r>(writes: &[Self], room: &'r mut [u8]) -> Result<&'r [u8], BuildError> {
        let size = room.len();
        let data = canonical::to_slice(&(StoreData::MAP, writes), room).ok_or(BuildError::Room(size))?;
        StoreData::read(data)?;
        Ok(data)
    }
}

impl<'a> SettingsView<'a> {
    fn take(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), EntryError> {
        let (writes, rest) = take_writes(bytes)?;
        let (grants, rest) = Seq::take(rest, MAX_SETTINGS_RECORDS, check_grant).map_err(element)?;
        let (revocations, rest) = Seq::take(rest, MAX_SETTINGS_RECORDS, |before, who: &Who| {
            if before.is_some_and(|before| before >= who) { Err(EntryError::RecordOrder) } else { Ok(()) }
        })
        .map_err(element)?;
        let records = grants.len().saturating_add(revocations.len());
        if records > MAX_SETTINGS_RECORDS {
            return Err(EntryError::TooManyRecords(records));
        }
        Ok((Self { writes, grants, revocations }, rest))
    }
}

fn take_writes(bytes: &[u8]) -> Result<(Seq<'_, WriteView<'_>>, &[u8]), EntryError> {
    Seq::take(bytes, usize::MAX, |before: Option<&WriteView<'_>>, write| {
        if before.is_some_and(|before| before.path >= write.path) {
            return Err(EntryError::RecordOrder);
        }
        path::check(write.path)?;
        write.value.map_or(Ok(()), |value| value.check())
    })
    .map_err(element)
}

fn check_grant(before: Option<&Grant<'_>>, grant: &Grant<'_>) -> Result<(), EntryError> {
    if before.is_some_and(|before| before.who >= grant.who) {
        return Err(EntryError::RecordOrder);
    }
    if grant.who == Who::Everyone && grant.permission.administers() {
        return Err(EntryError::AdminForAll);
    }
    match grant.name {
        Some(name) if name.len() > MAX_GRANT_NAME || name.chars().any(char::is_control) => {
            Err(EntryError::GrantName)
        }
        _ => Ok(()),
    }
}

fn element(error: SeqError<EntryError>) -> EntryError {
    match error {
        SeqError::TooMany(count) => EntryError::TooManyRecords(count),
        SeqError::Element(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::{SecretKey, entry::ValueKind};

    #[test]
    fn permissions_and_whom_they_are_for_read_back_as_they_are_written() {
        let known = [
            (Permission::Read, "read"),
            (Permission::Write(0), "write:0"),
            (Permission::Admin(9), "admin:9"),
        ];
        for (permission, text) in known {
            assert_eq!((permission.to_string().as_str(), text.parse()), (text, Ok(permission)));
        }
        for text in ["", "Read", "read:1", "write", "write:", "write:-1", "write:65536", "owner:1"] {
            assert_eq!(text.parse::<Permission>(), Err(PermissionError), "{text}");
        }
        let key = SecretKey::from_bytes([1; 32]).public();
        for (who, text) in [(Who::Everyone, "*"), (Who::Key(key), &key.to_string())] {
            assert_eq!((who.to_string().as_str(), text.parse().ok()), (text, Some(who)));
        }
        assert!("**".parse::<Who>().is_err());
    }

    #[test]
    fn a_permission_ranks_by_what_it_allows_and_then_by_the_lower_number() {
        use Permission::{Admin, Read, Write};
        assert!(
            [Read, Write(u16::MAX), Write(1), Write(0), Admin(u16::MAX), Admin(0)].is_sorted_by(|a, b| a < b)
        );
        assert_eq!([Read, Write(0), Admin(0)].map(Permission::writes), [false, true, true]);
        assert_eq!([Read, Write(0), Admin(0)].map(Permission::administers), [false, false, true]);
    }

    #[test]
    fn writes_are_encoded_without_a_heap_if_they_keep_the_rules() {
        let (mut number, mut room) = ([0; 16], [0; 64]);
        let value = Some(ValueKind::Int(21).encode(&mut number).unwrap());
        let writes = [WriteView { path: "a", value }, WriteView { path: "b", value: None }];
        let data = WriteView::encode(&writes, &mut room).unwrap();
        assert!(matches!(StoreData::read(data), Ok(StoreData::Map(found)) if found.iter().eq(writes)));
        let unsorted = WriteView::encode(&[writes[1], writes[0]], &mut room);
        assert_eq!(unsorted, Err(EntryError::RecordOrder.into()));
        assert_eq!(WriteView::encode(&writes, &mut [0; 4]), Err(BuildError::Room(4)));
    }
}
