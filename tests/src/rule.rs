//! The rule of access once more: plain, slow, and close to the words of its page in `docs/decisions`.
//!
//! Names are numbers: 0 is the root key, nothing is `*`. A set of entries is a set of places in a history.

use std::collections::BTreeSet;

use pleach_core::entry::Permission::{self, Read, Write};

/// A key by its number, or everybody.
pub type Name = Option<u8>;

/// A set of entries, by their places in a history.
pub type Set = BTreeSet<usize>;

/// Grants, and whose grants are revoked.
pub type Settings = (Vec<(Name, Permission)>, Vec<Name>);

/// What an entry says, as far as access cares.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Who signed it.
    pub author: u8,
    /// Its parents, by their places.
    pub parents: Vec<usize>,
    /// Grants and revocations, if it writes settings.
    pub settings: Option<Settings>,
}

/// Entries, each after its parents; the first is the root.
#[derive(Clone, Debug, Default)]
pub struct History {
    said: Vec<Said>,
    ancestors: Vec<Set>,
}

impl History {
    /// Adds an entry, and returns its place.
    pub fn add(&mut self, said: Said) -> usize {
        let mut ancestors = Set::new();
        for parent in &said.parents {
            ancestors.insert(*parent);
            ancestors.extend(&self.ancestors[*parent]);
        }
        self.said.push(said);
        self.ancestors.push(ancestors);
        self.said.len() - 1
    }

    /// Takes the last entry back.
    pub fn pop(&mut self) {
        self.said.pop();
        self.ancestors.pop();
        for ancestors in &mut self.ancestors {
            ancestors.remove(&self.said.len());
        }
    }

    /// Says that an entry lies among the ancestors of another, in a history that leaves out what lies between.
    pub fn descends(&mut self, entry: usize, from: usize) {
        self.ancestors[entry].insert(from);
    }

    /// What an entry says.
    pub fn said(&self, entry: usize) -> &Said {
        &self.said[entry]
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.said.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// Whether an entry counts in a set.
    pub fn counts(&self, set: &Set, entry: usize) -> bool {
        self.ranks_above(set, entry, self.needs(entry))
    }

    /// Whether an entry may be stored: it counts among itself and its ancestors.
    pub fn valid(&self, entry: usize) -> bool {
        let mut set = self.ancestors[entry].clone();
        set.insert(entry);
        self.counts(&set, entry)
    }

    /// The entries of a set that count in it, and their ancestors.
    pub fn shared(&self, set: &Set) -> Set {
        let mut shared = Set::new();
        for entry in set.iter().filter(|entry| self.counts(set, **entry)) {
            shared.insert(*entry);
            shared.extend(&self.ancestors[*entry]);
        }
        shared
    }

    /// The entries of a set without children in it.
    pub fn tips(&self, set: &Set) -> Set {
        let is_parent = |entry: &usize| set.iter().any(|child| self.said[*child].parents.contains(entry));
        set.iter().copied().filter(|entry| !is_parent(entry)).collect()
    }

    /// What an entry's author must rank above. (Nobody is granted less than `Read`, and whoever ranks above it writes.)
    fn needs(&self, entry: usize) -> Permission {
        let Some((grants, _)) = &self.said[entry].settings else { return Read };
        grants.iter().map(|(_, granted)| *granted).fold(Write(0), Permission::max)
    }

    fn revokes(&self, entry: usize, name: Name) -> bool {
        self.said[entry].settings.as_ref().is_some_and(|(_, revoked)| revoked.contains(&name))
    }

    /// Whether a grant above the bound stands for an entry in a set. The bound rises with every question that this
    /// one leads to.
    fn ranks_above(&self, set: &Set, entry: usize, bound: Permission) -> bool {
        let author = self.said[entry].author;
        author == 0
            || self.ancestors[entry].iter().filter(|maker| set.contains(maker)).any(|maker| {
                let settings = self.said[*maker].settings.as_ref();
                let grants = settings.map_or(&[][..], |(grants, _)| grants);
                grants.iter().any(|(name, granted)| {
                    (name.is_none() || *name == Some(author))
                        && *granted > bound
                        && self.ranks_above(set, *maker, self.needs(*maker))
                        && !self.revoked(set, entry, *maker, *name, *granted)
                })
            })
    }

    /// Whether a revocation that counts in a set, and does not descend from the entry, revokes a grant, or the author's
    /// use of one to everybody.
    fn revoked(&self, set: &Set, entry: usize, maker: usize, name: Name, granted: Permission) -> bool {
        set.iter().any(|revoker| {
            let apart = *revoker != maker && !self.ancestors[maker].contains(revoker);
            let revokes = (self.revokes(*revoker, name) && apart)
                || (name.is_none() && self.revokes(*revoker, Some(self.said[entry].author)));
            revokes
                && !self.ancestors[*revoker].contains(&entry)
                && self.ranks_above(set, *revoker, self.needs(*revoker).max(granted))
        })
    }
}
