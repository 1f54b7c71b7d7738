//! Entries that the hostile make: lawful in form, and forged.

use pleach_core::{
    Id, Position, canonical,
    entry::{EntryBuilder, EntryView, Grant, Origin, Permission, SETTINGS, Value, VerifiedEntry, Who},
};

use crate::sim::{Sim, kinds::Strategy, work::STORE};

impl Sim {
    /// An entry of a hostile peer that writes a value.
    pub(super) fn value(
        &mut self,
        peer: usize,
        tree: Id,
        parents: &[Position],
        time: u64,
        path: &str,
    ) -> Option<VerifiedEntry> {
        let text = format!("hostile {peer} says {}", self.chance.number());
        self.signed(peer, tree, parents, time, (STORE, &map(path, text)))
    }

    /// An entry of a hostile peer that writes settings.
    pub(super) fn settings(
        &mut self,
        peer: usize,
        tree: Id,
        parents: &[Position],
        time: u64,
        given: &[(Who, Permission)],
        revoked: &[Who],
    ) -> Option<VerifiedEntry> {
        let grants: Vec<Grant<'_>> = given
            .iter()
            .map(|(who, permission)| Grant { who: *who, permission: *permission, name: None })
            .collect();
        let writes: Vec<(&str, Option<Vec<u8>>)> = Vec::new();
        let parts = [canonical::to_vec(&writes), canonical::to_vec(&grants), canonical::to_vec(revoked)];
        let data = [vec![2], parts.concat()].concat();
        self.signed(peer, tree, parents, time, (SETTINGS, &data))
    }

    fn signed(
        &mut self,
        peer: usize,
        tree: Id,
        parents: &[Position],
        time: u64,
        (name, data): (&str, &[u8]),
    ) -> Option<VerifiedEntry> {
        let mut builder = EntryBuilder::new(Origin::Tree(tree), time);
        for parent in parents {
            builder.parent(*parent).ok()?;
        }
        let entry = VerifiedEntry::sign(&builder, &self.peers[peer].key, &[(name, data)]).ok()?;
        self.ledger.note_checked(&entry);
        Some(entry)
    }

    /// Bytes that look like an entry and are none.
    pub(super) fn forged(&mut self, peer: usize, tree: Id, strategy: Strategy) -> Option<Vec<u8>> {
        let base = self.base(tree)?;
        let victim = self.chance.place(self.hosts.len());
        let author = match strategy {
            Strategy::StolenAuthor => self.hosts[victim].public,
            _ => self.peers[peer].public,
        };
        let height = match strategy {
            Strategy::WrongHeight => base.height + self.chance.between(2, 50),
            _ => base.height + 1,
        };
        let origin = match strategy {
            Strategy::WrongTree => Origin::Tree(Id::from_bytes(self.chance.bytes())),
            _ => Origin::Tree(tree),
        };
        let stores = [(STORE, map("forged", "forged".into()))];
        let time = self.time();
        let mut bytes = canonical::to_vec(&(1_u8, origin, height, time, &[base.id][..], author, &stores[..]));
        let signature = self.peers[peer].key.sign(&signed_hash(&bytes)?);
        bytes.extend(signature.as_bytes());
        if strategy == Strategy::BadSignature {
            let last = bytes.len() - 1 - self.chance.place(30);
            bytes[last] ^= 1;
        }
        Some(bytes)
    }
}

/// What is signed of an entry, from the bytes before its signature.
fn signed_hash(bytes: &[u8]) -> Option<[u8; 32]> {
    let whole = [bytes, &[0; 64]].concat();
    EntryView::read(&whole).ok().map(|view| view.signed_hash())
}

/// The data of a map with one text.
fn map(path: &str, text: String) -> Vec<u8> {
    let value = Value::Text(text).encode().unwrap_or_default();
    [vec![0], canonical::to_vec(&vec![(path, Some(value))])].concat()
}
