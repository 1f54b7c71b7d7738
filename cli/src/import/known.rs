//! What a tree holds before an import: its lines, and the grants that earlier imports made.

use std::{collections::HashMap, sync::Arc};

use pleach_core::{
    Id, Position,
    entry::Entry,
    storage::{Snapshot, StorageError},
};

use super::{
    author::Authors,
    content::Digest,
    history::{Walk, each_entry},
    mark::Mark,
};

/// What an entry descends from (itself included) that decides who may build on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// Whether from the entry that lets the node itself write.
    pub(super) base: bool,
    /// From how many links of the chain of grants.
    pub(super) links: u32,
}

impl Reach {
    pub(super) fn join(self, other: Self) -> Self {
        Self { base: self.base || other.base, links: self.links.max(other.links) }
    }
}

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) position: Position,
    pub(super) reach: Reach,
    pub(super) digest: Digest,
}

/// What is known of a tree, and of the lines that an import has added so far.
pub(super) struct Known {
    /// Lines by id.
    pub(super) lines: HashMap<Arc<str>, Place>,
    /// The chain of grants: each descends from the one before.
    pub(super) chain: Vec<Position>,
    /// Which link, counted from 1, grants which author.
    pub(super) link_of: HashMap<String, u32>,
    /// What lets the node itself write.
    pub(super) base: Position,
}

impl Known {
    /// Reads a tree. `base` is what lets the node itself write.
    pub(super) fn read(
        snapshot: &dyn Snapshot,
        tree: &Id,
        base: Position,
        authors: &mut Authors,
    ) -> Result<Self, StorageError> {
        let mut known = Self { lines: HashMap::new(), chain: Vec::new(), link_of: HashMap::new(), base };
        let mut walk = Walk::default();
        let mut reaches = HashMap::new();
        each_entry(snapshot, tree, |entry| {
            let above = entry.view().parents().iter().filter_map(|id| reaches.get(&id).copied());
            let mut reach = above.fold(Reach::default(), Reach::join);
            reach.base |= entry.id() == base.id;
            if known.take_link(&entry, reach, authors) {
                reach.links += 1;
            }
            reaches.insert(entry.id(), reach);
            if let Some(line) = walk.line(&entry, true) {
                let digest = line.digest();
                known.lines.insert(line.id, Place { position: entry.position(), reach, digest });
            }
            Ok::<_, StorageError>(())
        })?;
        Ok(known)
    }

    /// Takes an entry as the next link of the chain, if this node made it as such and it descends from all others.
    fn take_link(&mut self, entry: &Entry, above: Reach, authors: &mut Authors) -> bool {
        let view = entry.view();
        let ours = view.author() == authors.node().public() && above.links as usize == self.chain.len();
        let (true, Some(Mark::Grants(names)), Some(settings)) = (ours, Mark::of(&view), view.settings())
        else {
            return false;
        };
        if !authors.granted(&names, settings.grants.iter()) {
            return false;
        }
        self.link(entry.position(), names);
        true
    }

    /// Adds a link to the chain.
    pub(super) fn link(&mut self, position: Position, names: Vec<String>) {
        self.chain.push(position);
        let link = self.links();
        for name in names {
            self.link_of.entry(name).or_insert(link);
        }
    }

    /// How many links the chain has.
    pub(super) fn links(&self) -> u32 {
        u32::try_from(self.chain.len()).unwrap_or(u32::MAX)
    }
}
