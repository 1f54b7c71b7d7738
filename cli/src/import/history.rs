//! A tree's history as lines: settings, merges and what is masked are left out, and the edges through them contracted.

use std::{collections::HashMap, sync::Arc};

use pleach_core::{
    Id, Position, Range,
    entry::{Entry, EntryView, StoreData},
    storage::{Snapshot, StorageError},
};

use super::{IMPORT, change::Change, content::Content, mark::Mark};

/// Entries and bytes read at once.
const PAGE: (usize, usize) = (4_096, 4 * 1024 * 1024);

/// All entries of a tree's shared set, ascending, so that parents come before children.
pub(crate) fn each_entry<E: From<StorageError>>(
    snapshot: &dyn Snapshot,
    tree: &Id,
    mut entry: impl FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    let mut start = Position::MIN;
    loop {
        let page = snapshot.entries(tree, &Range { start, end: Position::END }, PAGE.0, PAGE.1)?;
        let Some(last) = page.last() else { return Ok(()) };
        start = last.position().next();
        page.into_iter().try_for_each(&mut entry)?;
    }
}

/// Turns entries into lines, one after the other, parents first.
#[derive(Default)]
pub(super) struct Walk {
    /// For each entry the lines that its children hang on: its own, or those above it.
    stands_for: HashMap<Id, Arc<[Arc<str>]>>,
    /// The ids given out, so that none is twice.
    taken: std::collections::HashSet<Arc<str>>,
}

impl Walk {
    /// The line of the next entry; none for settings and merges, and for what does not count.
    pub(super) fn line(&mut self, entry: &Entry, counts: bool) -> Option<Content> {
        let view = entry.view();
        let mark = Mark::of(&view);
        // What an import puts between its lines and the rest of the tree is no ancestor of theirs.
        let parents = if matches!(mark, Some(Mark::Grants(_))) { Vec::new() } else { self.parents(&view) };
        let changes = if counts { changes(&view) } else { Vec::new() };
        if changes.is_empty() {
            self.stands_for.insert(entry.id(), parents.into());
            return None;
        }
        let (id, author) = self.name(entry, mark);
        self.taken.insert(Arc::clone(&id));
        self.stands_for.insert(entry.id(), Arc::new([Arc::clone(&id)]));
        Some(Content { id, parents, author, changes })
    }

    fn parents(&self, view: &EntryView<'_>) -> Vec<Arc<str>> {
        let above = view.parents().iter().filter_map(|id| self.stands_for.get(&id));
        let mut parents: Vec<_> = above.flat_map(|lines| lines.iter().cloned()).collect();
        parents.sort_unstable();
        parents.dedup();
        parents
    }

    /// The id and author that came in with an entry; its own where nothing did, or another entry has that id.
    fn name(&self, entry: &Entry, mark: Option<Mark>) -> (Arc<str>, Option<String>) {
        match mark {
            Some(Mark::Line { id, author }) if !self.taken.contains(id.as_str()) => (id.into(), author),
            Some(Mark::Line { author, .. }) => (entry.id().to_string().into(), author),
            _ => (entry.id().to_string().into(), Some(entry.view().author().to_string())),
        }
    }
}

/// What an entry changes, its settings and marks aside, in order of store and path.
fn changes(view: &EntryView<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for store in view.stores().iter().filter(|store| store.name != IMPORT) {
        let name = || store.name.to_owned();
        match store.read() {
            Ok(StoreData::Map(writes)) => changes.extend(writes.iter().map(|write| {
                let value = write.value.map(|value| value.encoded().to_vec());
                Change::Write { store: name(), path: write.path.to_owned(), value }
            })),
            Ok(StoreData::Log(appends)) => {
                let append = |bytes: &[u8]| Change::Append { store: name(), bytes: bytes.to_vec() };
                changes.extend(appends.iter().map(append));
            }
            _ => {}
        }
    }
    changes
}
