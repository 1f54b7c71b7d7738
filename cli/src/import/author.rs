//! Keys of foreign authors, and the grants that let them write.

use std::collections::HashMap;

use pleach_core::{
    Id, PublicKey, SecretKey, canonical,
    entry::{Grant, Permission, SETTINGS, Who},
    limits::{MAX_GRANT_NAME, MAX_SETTINGS_RECORDS},
};

use super::{IMPORT, mark::Mark};
use crate::permission::DEFAULT_WRITE;

/// Bytes of names that one grants entry carries: with its grants it stays well below an entry's limit.
const MAX_NAMES: usize = 96 * 1024;

/// Whose keys sign the lines of one import.
pub(super) struct Authors {
    tree: Id,
    node: SecretKey,
    keys: HashMap<String, SecretKey>,
}

impl Authors {
    pub(super) fn new(tree: Id, node: SecretKey) -> Self {
        Self { tree, node, keys: HashMap::new() }
    }

    /// The node's own key.
    pub(super) const fn node(&self) -> &SecretKey {
        &self.node
    }

    /// Whether this author is the node itself.
    pub(super) fn is_node(&self, author: Option<&str>) -> bool {
        author.is_none_or(|name| name.parse::<PublicKey>() == Ok(self.node.public()))
    }

    /// The key of an author.
    pub(super) fn key(&mut self, author: Option<&str>) -> SecretKey {
        match author {
            Some(name) if !self.is_node(author) => self.foreign(name).clone(),
            _ => self.node.clone(),
        }
    }

    /// The key of another author: derived, so that an import that goes on finds it again.
    fn foreign(&mut self, name: &str) -> &SecretKey {
        let Self { tree, node, keys } = self;
        keys.entry(name.to_owned()).or_insert_with(|| derive(node, tree, name))
    }

    /// Whether these grants, in order, are to the keys of these names.
    pub(super) fn granted<'a>(&mut self, names: &[String], grants: impl Iterator<Item = Grant<'a>>) -> bool {
        let keys: Vec<_> = names.iter().map(|name| Who::Key(self.foreign(name).public())).collect();
        grants.filter(|grant| grant.permission.writes()).map(|grant| grant.who).eq(keys)
    }
}

fn derive(node: &SecretKey, tree: &Id, name: &str) -> SecretKey {
    let mut hasher = blake3::Hasher::new_derive_key("pleach 2026 import v1 author");
    hasher.update(&node.to_bytes()).update(tree.as_bytes()).update(name.as_bytes());
    SecretKey::from_bytes(*hasher.finalize().as_bytes())
}

/// Names in lots, each of which one grants entry holds.
pub(super) fn lots(names: Vec<String>) -> Vec<Vec<String>> {
    let mut lots: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for name in names {
        bytes += name.len();
        match lots.last_mut() {
            Some(lot) if lot.len() < MAX_SETTINGS_RECORDS && bytes <= MAX_NAMES => lot.push(name),
            _ => {
                bytes = name.len();
                lots.push(vec![name]);
            }
        }
    }
    lots
}

/// The stores of an entry that lets these authors write.
pub(super) fn grants(
    authors: &mut Authors,
    names: Vec<String>,
) -> anyhow::Result<[(&'static str, Vec<u8>); 2]> {
    let mut all: Vec<_> =
        names.into_iter().map(|name| (Who::Key(authors.foreign(&name).public()), name)).collect();
    all.sort_unstable();
    let shown: Vec<_> = all.iter().map(|(_, name)| shown(name)).collect();
    let grants: Vec<_> = all
        .iter()
        .zip(&shown)
        .map(|((who, _), name)| Grant {
            who: *who,
            permission: Permission::Write(DEFAULT_WRITE),
            name: Some(name.as_str()),
        })
        .collect();
    // Kind 2, no writes, the grants, no revocations.
    let mut settings = vec![2, 0];
    settings.extend(canonical::to_vec(&grants));
    settings.push(0);
    let names = all.into_iter().map(|(_, name)| name).collect();
    Ok([(IMPORT, Mark::Grants(names).encode()?), (SETTINGS, settings)])
}

/// As much of a name as a grant takes.
fn shown(name: &str) -> String {
    let mut shown = String::new();
    for c in name.chars().filter(|c| !c.is_control()) {
        if shown.len() + c.len_utf8() > MAX_GRANT_NAME {
            break;
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use pleach_core::entry::StoreData;

    use super::*;

    fn authors(seed: u8) -> Authors {
        Authors::new(Id::of(b"tree"), SecretKey::from_bytes([seed; 32]))
    }

    #[test]
    fn an_author_has_the_same_key_each_time_and_another_in_each_tree_and_node() {
        let key = authors(1).key(Some("ann")).public();
        assert_eq!(authors(1).key(Some("ann")).public(), key);
        assert_ne!(authors(1).key(Some("bob")).public(), key);
        assert_ne!(authors(2).key(Some("ann")).public(), key);
        let mut elsewhere = Authors::new(Id::of(b"other"), SecretKey::from_bytes([1; 32]));
        assert_ne!(elsewhere.key(Some("ann")).public(), key);
    }

    #[test]
    fn the_node_by_name_is_the_node() {
        let mut authors = authors(1);
        let node = authors.node().public();
        assert_eq!(authors.key(None).public(), node);
        assert_eq!(authors.key(Some(&node.to_string())).public(), node);
    }

    #[test]
    fn grants_are_settings_that_the_core_reads() {
        let mut authors = authors(1);
        let long = "é".repeat(200);
        let [(_, names), (_, settings)] = grants(&mut authors, vec!["b".into(), "a\n".into(), long]).unwrap();
        let Ok(StoreData::Settings(settings)) = StoreData::read(&settings) else { panic!("{settings:?}") };
        let Ok(StoreData::Log(names)) = StoreData::read(&names) else { panic!("{names:?}") };
        let names: Vec<_> = names.iter().map(|name| String::from_utf8(name.into()).unwrap()).collect();
        assert_eq!((settings.grants.len(), names.len()), (3, 3));
        assert!(authors.granted(&names, settings.grants.iter()));
        assert!(!authors.granted(&names[1..], settings.grants.iter()));
    }

    #[test]
    fn a_lot_holds_a_thousand_keys_at_most() {
        let names: Vec<_> = (0..2_500).map(|n| n.to_string()).collect();
        let sizes: Vec<_> = lots(names).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1_000, 1_000, 500]);
        assert!(lots((0..400).map(|_| "x".repeat(500)).collect()).len() > 1);
    }
}
