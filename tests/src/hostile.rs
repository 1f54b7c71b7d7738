//! Histories that hostile keys might write: what they say by chance, and real entries for it.

use std::collections::{BTreeMap, BTreeSet};

use pleach_core::{
    Entropy, Position, Range,
    entry::{
        Grant,
        Permission::{self, Admin, Read, Write as Writes},
        VerifiedEntry, Who,
    },
    storage::{OfPath, Paths, RowKind, RowQuery, Snapshot},
};
use pleach_storage::conformance::Maker;

use crate::rule::{History, Name, Said, Set};

/// Keys that are no root.
const KEYS: usize = 5;

/// Choices, the same from the same seed.
#[derive(Clone, Debug)]
pub struct Chance(Entropy);

impl Chance {
    /// Choices of a seed.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(Entropy::new(bytes))
    }

    /// A number below the end.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes(self.0.draw())) % end
    }

    fn key(&mut self) -> u8 {
        u8::try_from(1 + self.below(KEYS)).unwrap()
    }

    fn name(&mut self) -> Name {
        (self.below(6) > 0).then(|| self.key())
    }

    /// An entry on top of recent ones, or sometimes of old ones.
    pub fn said(&mut self, history: &History) -> Said {
        let mut parents = Set::new();
        // Often far back, so that much happens apart.
        let reach = if self.below(3) == 0 { history.len() } else { history.len().min(4) };
        for _ in 0..=self.below(2) {
            parents.insert(history.len() - 1 - self.below(reach));
        }
        let settings = (self.below(5) < 3).then(|| {
            let mut grants = BTreeMap::new();
            for _ in 0..self.below(3) {
                let name = self.name();
                let given = [Read, Writes(1), Admin(1), Admin(2), Admin(3)][self.below(5)];
                grants.insert(name, if name.is_none() { given.min(Writes(1)) } else { given });
            }
            let revoked: BTreeSet<Name> = (0..self.below(3)).map(|_| self.name()).collect();
            (grants.into_iter().collect(), revoked.into_iter().collect())
        });
        let author = if self.below(12) == 0 { 0 } else { self.key() };
        Said { author, parents: parents.into_iter().collect(), settings }
    }
}

/// Real entries for what a history says.
#[derive(Clone, Debug)]
pub struct Scribe {
    /// Makes the entries; its key is number 0.
    pub maker: Maker,
    /// The entries of the history, by their places.
    pub entries: Vec<VerifiedEntry>,
}

fn who(name: Name) -> Who {
    name.map_or(Who::Everyone, |key| Who::Key(Maker::new(1).signed_by(100 + key).key().public()))
}

impl Scribe {
    /// The entry for what is said on top of those that are there.
    pub fn write(&self, said: &Said) -> VerifiedEntry {
        let parents: Vec<Position> =
            said.parents.iter().map(|parent| self.entries[*parent].position()).collect();
        let author = match said.author {
            0 => self.maker.clone(),
            key => self.maker.signed_by(100 + key),
        };
        let place = self.entries.len();
        match &said.settings {
            Some((grants, revoked)) => {
                let grant = |(name, permission): &(Name, Permission)| Grant {
                    who: who(*name),
                    permission: *permission,
                    name: None,
                };
                let mut grants: Vec<_> = grants.iter().map(grant).collect();
                grants.sort_by_key(|grant| grant.who);
                let mut revoked: Vec<_> = revoked.iter().map(|name| who(*name)).collect();
                revoked.sort_unstable();
                author.settings(&parents, &grants, &revoked)
            }
            None => author.entry(&parents, &format!("p{place}"), "x"),
        }
    }

    /// Panics unless a store that holds a set shows what the rule says of it.
    pub fn compare(&self, snapshot: &dyn Snapshot, history: &History, set: &Set, what: &str) {
        let tree = self.maker.tree();
        let at = |set: &Set| {
            let mut positions: Vec<_> = set.iter().map(|entry| self.entries[*entry].position()).collect();
            positions.sort_unstable();
            positions
        };
        let shared = history.shared(set);
        assert_eq!(
            snapshot.positions(&tree, &Range::ALL, 999).unwrap(),
            at(&shared),
            "{what}: the shared set"
        );
        assert_eq!(snapshot.tips(&tree, None, 999).unwrap(), at(&history.tips(&shared)), "{what}: the tips");
        let query = RowQuery {
            store: "doc".into(),
            kind: RowKind::Map,
            paths: Paths::All,
            after: None,
            of_path: OfPath::All,
            limit: 999,
        };
        let mut shown: Vec<_> =
            snapshot.rows(&tree, &query).unwrap().iter().map(|row| row.stamp.position).collect();
        shown.sort_unstable();
        let writes = |entry: &usize| history.said(*entry).settings.is_none() && history.counts(set, *entry);
        let expected: Set = set.iter().copied().filter(writes).collect();
        assert_eq!(shown, at(&expected), "{what}: what is shown");
        let audit = snapshot.audit(&tree, None, 999).unwrap();
        assert_eq!(audit.faults, [], "{what}: an audit");
    }
}
