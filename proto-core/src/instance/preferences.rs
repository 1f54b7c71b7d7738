//! What users want to be kept the same, combined, and what the node is told when they change their minds.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    Id, PublicKey,
    instance::{
        Edit, Error, PeerBook, SyncPeerInfo, SyncSettings, TrackedDatabase, UserInfo, peer_edit::Change,
    },
};

/// What users say about databases, of those whose preferences count.
pub(super) type Preferences = BTreeMap<Id, SyncSettings>;

pub(super) fn combined(users: &[UserInfo], tracked: &[TrackedDatabase]) -> Preferences {
    let counts =
        |tracked: &&TrackedDatabase| users.iter().any(|user| user.followed && user.name == tracked.user);
    let mut said = BTreeMap::<Id, Vec<&SyncSettings>>::new();
    for tracked in tracked.iter().filter(counts) {
        said.entry(tracked.database).or_default().push(&tracked.settings);
    }
    said.into_iter().map(|(database, all)| (database, SyncSettings::combined(all))).collect()
}

impl PeerBook {
    /// What users say about a database, combined; nothing if nobody does.
    pub fn preferences(&self, database: &Id) -> Option<&SyncSettings> {
        self.preferences.get(database)
    }

    /// Whether the background keeps a pair the same: what users say goes before what was said of the pair.
    pub fn follows(&self, info: &SyncPeerInfo) -> bool {
        info.is_followed(self.preferences(&info.tree_id))
    }

    /// A user tracks a database from now on, in place of what they said of it before.
    pub fn track(&mut self, tracked: TrackedDatabase) -> Result<Edit, Error> {
        self.tracked.retain(|known| (known.database, &known.user) != (tracked.database, &tracked.user));
        let database = tracked.database;
        self.tracked.push(tracked.clone());
        self.changed(&[database], Edit::of(Change::Tracked(tracked.into())))
    }

    /// A user tracks a database no longer. Nothing if they did not.
    pub fn untrack(&mut self, user: &str, database: &Id) -> Result<Edit, Error> {
        let before = self.tracked.len();
        self.tracked.retain(|known| known.database != *database || known.user != user);
        if self.tracked.len() == before {
            return Ok(Edit::default());
        }
        self.changed(&[*database], Edit::of(Change::NoTracked(*database, user.into())))
    }

    /// The preferences of a user count from now on, or do so no longer. The background takes up at once what they say.
    pub fn follow_user(&mut self, name: &str, followed: bool) -> Result<Edit, Error> {
        let user = self.users.iter_mut().find(|user| user.name == name);
        let user = user.ok_or_else(|| Error::NoUser(name.into()))?;
        user.followed = followed;
        let edit = Edit::of(Change::User(user.clone()));
        let databases: Vec<Id> = self.tracked_by(name).map(|tracked| tracked.database).collect();
        self.changed(&databases, edit)
    }

    /// A user is gone, with all that they said; the keys are removed beside this.
    pub fn forget_user(&mut self, name: &str) -> Result<Edit, Error> {
        let databases: Vec<Id> = self.tracked_by(name).map(|tracked| tracked.database).collect();
        self.tracked.retain(|tracked| tracked.user != name);
        let mut edit = Edit::default();
        for database in &databases {
            edit = edit.with(Change::NoTracked(*database, name.into()));
        }
        self.changed(&databases, edit)
    }

    /// A user under whose password there is a key that may be the one which may read a database: they track it with a key
    /// that is not among those that can be used.
    pub fn logged_out(&self, database: &Id, usable: &[PublicKey]) -> Option<&str> {
        let locked = |name: &str| self.users.iter().any(|user| user.protected && user.name == name);
        let mut tracked = self.tracked.iter().filter(|tracked| tracked.database == *database);
        let missing = tracked.find(|tracked| !usable.contains(&tracked.key) && locked(&tracked.user))?;
        Some(&missing.user)
    }

    /// What a user tracks, ascending by database.
    pub fn tracked_by<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a TrackedDatabase> {
        self.tracked.iter().filter(move |tracked| tracked.user == name)
    }

    /// Tells the node of all pairs of these databases.
    fn changed(&mut self, databases: &[Id], mut edit: Edit) -> Result<Edit, Error> {
        self.preferences = combined(&self.users, &self.tracked);
        for info in self.pairs().iter().filter(|info| databases.contains(&info.tree_id)) {
            edit = edit.then(self.tracks_at_once(info)?);
        }
        Ok(edit)
    }
}
