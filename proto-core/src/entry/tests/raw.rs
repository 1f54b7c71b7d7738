//! Entries encoded by hand, so that they can be wrong.

use std::{vec, vec::Vec};

use crate::{
    Id, PublicKey, SecretKey,
    entry::{EntryView, Origin, view::signed_hash},
};

pub(super) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// A length and the bytes.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    [varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A count and the elements, each encoded already.
pub(super) fn list(elements: &[Vec<u8>]) -> Vec<u8> {
    [varint(elements.len() as u64), elements.concat()].concat()
}

/// A write of a value, or a tombstone.
pub(super) fn write(path: &str, value: Option<&[u8]>) -> Vec<u8> {
    let value = value.map_or(vec![0], |value| [vec![1], sized(value)].concat());
    [sized(path.as_bytes()), value].concat()
}

pub(super) fn map(writes: &[Vec<u8>]) -> Vec<u8> {
    [vec![0], list(writes)].concat()
}

pub(super) fn settings(writes: &[Vec<u8>], grants: &[Vec<u8>], revocations: &[Vec<u8>]) -> Vec<u8> {
    [vec![2], list(writes), list(grants), list(revocations)].concat()
}

/// `*`, or a key made of one byte.
pub(super) fn who(key: Option<u8>) -> Vec<u8> {
    key.map_or(vec![0], |byte| [vec![1], vec![byte; 32]].concat())
}

/// A grant; the permission is 0 for `Read`, 1 and a number for `Write`, 2 and a number for `Admin`.
pub(super) fn grant(key: Option<u8>, permission: &[u8], name: Option<&str>) -> Vec<u8> {
    let name = name.map_or(vec![0], |name| [vec![1], sized(name.as_bytes())].concat());
    [who(key), permission.to_vec(), name].concat()
}

#[derive(Clone)]
pub(super) struct Raw {
    pub(super) version: u8,
    pub(super) origin: Origin,
    pub(super) height: u64,
    pub(super) time: u64,
    pub(super) parents: Vec<Id>,
    pub(super) stores: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(super) fn key() -> SecretKey {
    SecretKey::from_bytes([7; 32])
}

impl Raw {
    pub(super) fn root() -> Self {
        let grants = [grant(Some(1), &[2, 0], Some("first")), grant(Some(2), &[1, 100], None)];
        let settings = settings(&[write("name", Some(&[5, 1, b'x']))], &grants, &[who(None)]);
        Self {
            version: 1,
            origin: Origin::Root { nonce: [9; 16] },
            height: 0,
            time: 1_700_000_000_000,
            parents: vec![],
            stores: vec![(b"_settings".to_vec(), settings)],
        }
    }

    pub(super) fn child() -> Self {
        let mut parents = vec![Id::of(b"one"), Id::of(b"two")];
        parents.sort();
        let log = [vec![1], list(&[sized(b"first"), sized(b"")])].concat();
        let doc = map(&[write("a.b", Some(&[3, 2])), write("a.c", None)]);
        Self {
            version: 1,
            origin: Origin::Tree(Id::of(b"tree")),
            height: 3,
            time: 5,
            parents,
            stores: vec![(b"log".to_vec(), log), (b"notes".to_vec(), doc)],
        }
    }

    /// Signed by [`key`].
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.unsigned(&key().public());
        let signature = key().sign(&signed_hash(&bytes));
        bytes.extend(signature.as_bytes());
        bytes
    }

    /// All but the signature.
    pub(super) fn unsigned(&self, author: &PublicKey) -> Vec<u8> {
        let origin = match self.origin {
            Origin::Root { nonce } => [vec![0], nonce.to_vec()].concat(),
            Origin::Tree(id) => [vec![1], id.as_bytes().to_vec()].concat(),
        };
        let parents: Vec<_> = self.parents.iter().map(|id| id.as_bytes().to_vec()).collect();
        let stores: Vec<_> =
            self.stores.iter().map(|(name, data)| [sized(name), sized(data)].concat()).collect();
        let mut bytes = vec![self.version];
        bytes.extend(origin);
        bytes.extend(varint(self.height));
        bytes.extend(varint(self.time));
        bytes.extend(list(&parents));
        bytes.extend(author.as_bytes());
        bytes.extend(list(&stores));
        bytes
    }

    /// What a view shows, to be encoded again. The author and the signature are this module's own.
    pub(super) fn of(view: &EntryView<'_>) -> Self {
        Self {
            version: 1,
            origin: view.origin(),
            height: view.height(),
            time: view.time(),
            parents: view.parents().iter().collect(),
            stores: view
                .stores()
                .iter()
                .map(|store| (store.name.as_bytes().to_vec(), store.data.to_vec()))
                .collect(),
        }
    }
}
