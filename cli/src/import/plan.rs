//! The first pass: every line is checked, and all authors are collected, before anything is written.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use anyhow::{Context, bail, ensure};
use pleach_core::{
    Id, Position, SecretKey,
    entry::{Permission, Who},
    storage::Snapshot,
};

use super::{
    Lines,
    author::Authors,
    content::{Content, Digest, Filler},
    known::Known,
};

/// What an import will do to a tree.
pub(crate) struct Plan {
    pub(super) tree: Id,
    pub(super) authors: Authors,
    pub(super) known: Known,
    /// Authors that no grant names yet, in order of appearance.
    pub(super) strangers: Vec<String>,
    /// Lines that the tree does not hold yet.
    pub(crate) missing: u64,
    /// Lines that it holds.
    pub(crate) held: u64,
}

impl Plan {
    /// Checks all lines against each other and against the tree. `base` is an entry that lets the node write.
    pub(crate) fn make(
        lines: &mut Lines,
        snapshot: &dyn Snapshot,
        tree: Id,
        base: Position,
        node: SecretKey,
    ) -> anyhow::Result<Self> {
        let who = Who::Key(node.public());
        let permission = snapshot.permission(&tree, &who)?.max(snapshot.permission(&tree, &Who::Everyone)?);
        ensure!(
            permission.is_some_and(Permission::writes),
            "this node may not write to the database: ask an administrator for `write`"
        );
        let mut authors = Authors::new(tree, node);
        let known = Known::read(snapshot, &tree, base, &mut authors)?;
        let mut check = Check {
            known: &known,
            authors: &authors,
            seen: HashMap::new(),
            strangers: Strangers::default(),
            held: 0,
        };
        let mut filler = Filler::default();
        lines.each(|line| {
            let number = line.number;
            let (content, digest) = filler.fill(line);
            check.line(&content, digest).with_context(|| format!("line {number}"))
        })?;
        let Check { seen, strangers, held, .. } = check;
        let (missing, strangers) = (seen.len() as u64 - held, strangers.names);
        ensure!(
            strangers.is_empty() || permission.is_some_and(Permission::administers),
            "the lines have authors of their own, and this node may not grant them the permission to write: ask an \
             administrator for `admin`, or leave out `author`"
        );
        Ok(Self { tree, authors, known, strangers, missing, held })
    }
}

struct Check<'a> {
    known: &'a Known,
    authors: &'a Authors,
    seen: HashMap<Arc<str>, Digest>,
    strangers: Strangers,
    held: u64,
}

#[derive(Default)]
struct Strangers {
    names: Vec<String>,
    seen: HashSet<String>,
}

impl Check<'_> {
    fn line(&mut self, line: &Content, digest: Digest) -> anyhow::Result<()> {
        for parent in &line.parents {
            let is_there = self.seen.contains_key(parent) || self.known.lines.contains_key(parent);
            ensure!(is_there, "the parent {parent:?} is not known: a line comes after its parents");
        }
        match self.seen.entry(Arc::clone(&line.id)) {
            Entry::Occupied(before) if *before.get() == digest => return Ok(()),
            Entry::Occupied(_) => bail!("the id {:?} stands here again with other content", line.id),
            Entry::Vacant(place) => place.insert(digest),
        };
        match self.known.lines.get(&line.id) {
            Some(place) if place.digest == digest => {
                self.held += 1;
                return Ok(());
            }
            Some(_) => bail!("the id {:?} was imported before with other content", line.id),
            None => {}
        }
        let foreign = line.author.as_deref().filter(|author| !self.authors.is_node(Some(author)));
        if let Some(author) = foreign.filter(|author| !self.known.link_of.contains_key(*author))
            && self.strangers.seen.insert(author.to_owned())
        {
            self.strangers.names.push(author.to_owned());
        }
        Ok(())
    }
}
