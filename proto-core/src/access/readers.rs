//! What the settings say now: who may read, and who is a member.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};

use crate::{
    PublicKey,
    access::{
        Facts, Rank, View,
        resolve::{Memory, Resolution},
    },
    entry::{Permission, Who},
    storage::StorageError,
};

/// Who holds a permission.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Member, Memory, Permission, SettingsStore, Who};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let members: Vec<Member> = db.get_store_viewer::<SettingsStore>("_settings")?.keys()?;
/// let creator = Member { who: Who::Key(instance.device_key()), permission: Permission::Admin(0), name: None };
/// assert_eq!(members, [creator]);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The key, or everybody.
    pub who: Who,
    /// The strongest permission that holds.
    pub permission: Permission,
    /// The name that the grant gave.
    pub name: Option<String>,
}

/// What a key, or everybody, may do by the settings in a view: by a grant to the key or to `*`. The root key has
/// `Admin(0)`, and more than that.
pub fn permission_of(facts: &dyn Facts, view: &View, who: &Who) -> Result<Option<Permission>, StorageError> {
    let rank = Reading::new(facts, view)?.rank(who)?;
    Ok(rank.map(Rank::permission))
}

/// Whether one of the keys that a peer has proven, or everybody, may read by the settings in a view.
pub fn may_read(facts: &dyn Facts, view: &View, proven: &[PublicKey]) -> Result<bool, StorageError> {
    let mut reading = Reading::new(facts, view)?;
    let names = core::iter::once(Who::Everyone).chain(proven.iter().copied().map(Who::Key));
    for who in names {
        if reading.rank(&who)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Every name that a grant in the view names and that holds a permission of its own, ascending by whom. A key that
/// holds none but that of `*` is not listed.
pub fn members(facts: &dyn Facts, view: &View) -> Result<Vec<Member>, StorageError> {
    let mut names = BTreeMap::<Who, BTreeMap<u32, Option<String>>>::new();
    for ordinal in view.iter() {
        for grant in facts.record(ordinal)?.grants {
            names.entry(grant.who).or_default().insert(ordinal, grant.name);
        }
    }
    let mut reading = Reading::new(facts, view)?;
    let mut members = Vec::new();
    for (who, mut given) in names {
        let found = reading.resolution.rank(facts, &mut reading.memory, &who)?;
        let Some((rank, strongest)) = found else { continue };
        // What stands for the key may be a grant to `*`; that is the member `*`, not this one.
        let Some(name) = strongest.map_or(Some(None), |strongest| {
            (strongest.who == who).then(|| given.remove(&strongest.grant.ordinal).flatten())
        }) else {
            continue;
        };
        members.push(Member { who, permission: rank.permission(), name });
    }
    Ok(members)
}

struct Reading<'a> {
    facts: &'a dyn Facts,
    memory: Memory,
    resolution: Resolution,
}

impl<'a> Reading<'a> {
    fn new(facts: &'a dyn Facts, view: &View) -> Result<Self, StorageError> {
        let mut memory = Memory::default();
        memory.refresh(facts)?;
        Ok(Self { facts, memory, resolution: Resolution::new(Arc::new(view.clone())) })
    }

    fn rank(&mut self, who: &Who) -> Result<Option<Rank>, StorageError> {
        Ok(self.resolution.rank(self.facts, &mut self.memory, who)?.map(|(rank, _)| rank))
    }
}
