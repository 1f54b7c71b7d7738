//! Making the entries of commits: parents, merges, times, signatures.

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};

use crate::{
    Id, Position, SecretKey,
    entry::{BuildError, EntryBuilder, Origin, VerifiedEntry},
    limits::{MAX_PARENTS, TIME_END},
    node::{Commit, CommitContext},
    path,
};

/// Composes commits one on top of the other: each becomes the only tip that the next one sees.
pub(super) struct Composer {
    tree: Id,
    wall: u64,
    /// What the next commit hangs on; the first are those among which its author may write.
    tips: VecDeque<Position>,
    /// The newest time at each store and path that the commits before have written.
    written: BTreeMap<(String, String), u64>,
    entries: Vec<VerifiedEntry>,
}

impl Composer {
    pub(super) fn new(tree: Id, wall: u64, tips: Vec<Position>) -> Self {
        Self { tree, wall, tips: tips.into(), written: BTreeMap::new(), entries: Vec::new() }
    }

    /// Adds a commit; `newest` holds the time of the newest stored write for each of its paths. Returns where the
    /// new entry stands. After an error nothing of the commit is left but merges, which stand for themselves.
    pub(super) fn add(&mut self, commit: &Commit, newest: &[u64]) -> Result<Position, BuildError> {
        self.merge(&commit.key)?;
        let seen = newest.iter().copied().max().unwrap_or(0).max(self.newest_written(&commit.paths));
        let time = self.time(seen);
        let stores: Vec<(&str, &[u8])> =
            commit.stores.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
        let position = self.sign(&commit.key, time, self.tips.len(), &stores)?;
        for (store, path) in &commit.paths {
            self.written.insert((store.clone(), path.clone()), time);
        }
        Ok(position)
    }

    /// Adds a merge over all tips that has each of `named` among its parents, whether or not something builds on it
    /// already.
    pub(super) fn merge_naming(
        &mut self,
        key: &SecretKey,
        named: &[Position],
    ) -> Result<VerifiedEntry, BuildError> {
        self.tips.retain(|tip| !named.contains(tip));
        let others = MAX_PARENTS.saturating_sub(named.len()).max(1);
        while self.tips.len() > others {
            self.sign(key, self.time(0), self.tips.len().min(MAX_PARENTS), &[])?;
        }
        self.tips.extend(named);
        self.sign(key, self.time(0), self.tips.len(), &[])?;
        self.entries.last().cloned().ok_or(BuildError::TooManyParents)
    }

    pub(super) fn into_entries(self) -> Vec<VerifiedEntry> {
        self.entries
    }

    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Writes merges until the rest fits into one entry. Each takes the one before as its first parent, so that
    /// the author's grant, which the first tips carry, is always among the ancestors.
    fn merge(&mut self, key: &SecretKey) -> Result<(), BuildError> {
        while self.tips.len() > MAX_PARENTS {
            self.sign(key, self.time(0), MAX_PARENTS, &[])?;
        }
        Ok(())
    }

    fn sign(
        &mut self,
        key: &SecretKey,
        time: u64,
        parents: usize,
        stores: &[(&str, &[u8])],
    ) -> Result<Position, BuildError> {
        let mut builder = EntryBuilder::new(Origin::Tree(self.tree), time);
        for tip in self.tips.iter().take(parents) {
            builder.parent(*tip)?;
        }
        let entry = VerifiedEntry::sign(&builder, key, stores)?;
        let position = entry.position();
        self.tips.drain(..parents);
        self.tips.push_front(position);
        self.entries.push(entry);
        Ok(position)
    }

    /// The greatest of now and one more than what was seen, within what an entry can say.
    fn time(&self, seen: u64) -> u64 {
        let after = if seen == 0 { 0 } else { seen.saturating_add(1) };
        self.wall.max(after).min(TIME_END.saturating_sub(1))
    }

    /// The newest time that earlier commits of this run gave to these paths, or to paths above or below them.
    fn newest_written(&self, paths: &[(String, String)]) -> u64 {
        let mut newest = 0;
        for (store, at) in paths {
            let exact_and_above = core::iter::once(at.as_str()).chain(path::ancestors(at));
            for path in exact_and_above {
                if let Some(time) = self.written.get(&(store.clone(), path.into())) {
                    newest = newest.max(*time);
                }
            }
            let below = self.written.range((store.clone(), alloc::format!("{at}."))..);
            for (_, time) in below.take_while(|((s, p), _)| s == store && path::is_below(p, at)) {
                newest = newest.max(*time);
            }
        }
        newest
    }
}

/// Splits what was read about the paths of several commits into the part of each.
pub(super) fn newest_of<'a>(
    context: &'a CommitContext,
    commits: impl Iterator<Item = &'a Commit>,
) -> impl Iterator<Item = &'a [u64]> {
    let mut rest = context.newest.as_slice();
    commits.map(move |commit| {
        let (own, after) = rest.split_at(commit.paths.len().min(rest.len()));
        rest = after;
        own
    })
}
