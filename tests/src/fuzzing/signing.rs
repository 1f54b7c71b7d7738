//! Signatures that no input could guess: what an input says is signed by keys that are known here, so that it gets to
//! what lies behind them. What was not changed stays as it is, since the same bytes get the same signature.

use std::{cell::RefCell, collections::HashMap};

use pleach_core::{
    Id, Position, PublicKey, SecretKey,
    entry::{Entry, EntryBuilder, EntryError, EntryView, VerifiedEntry},
    wire::{Binding, EntriesWriter, Frame, Invite, Kind, ProofTarget, Redemption, Side, write},
};

use crate::frames::{control, entries};

/// Entries of which it is remembered that they are signed.
const REMEMBERED: usize = 20_000;

thread_local! {
    static CHECKED: RefCell<HashMap<Id, VerifiedEntry>> = RefCell::default();
}

/// Checks an entry. The id covers the signature: what was checked once in this process needs no second look.
pub(super) fn checked(entry: Entry) -> Result<VerifiedEntry, EntryError> {
    let known = CHECKED.with_borrow(|checked| checked.get(&entry.id()).cloned());
    if let Some(known) = known {
        return Ok(known);
    }
    let entry = entry.verify()?;
    CHECKED.with_borrow_mut(|checked| {
        if checked.len() >= REMEMBERED {
            checked.clear();
        }
        checked.insert(entry.id(), entry.clone());
    });
    Ok(entry)
}

/// Keys that sign, and what they sign for.
pub(super) struct Signer {
    pub(super) keys: Vec<SecretKey>,
    /// Who says it and to whom, if they have proven who they are.
    pub(super) target: Option<ProofTarget>,
    pub(super) binding: Binding,
    /// Entries that stand for what an input names: those that are known, and what entries signed here were before.
    named: HashMap<Id, Id>,
    /// The last that was signed.
    last: Option<Position>,
}

impl Signer {
    pub(super) fn new(keys: Vec<SecretKey>, known: Vec<Position>) -> Self {
        let named = known.into_iter().map(|position| (position.id, position.id)).collect();
        Self { keys, target: None, binding: Binding::from_bytes([0; 32]), named, last: None }
    }

    /// The parent that an id stands for, at the height that its child claims for it. What was changed since has lost its
    /// name: the last entry stands for it, unless it shall be one that nobody has.
    fn parent(&self, id: Id, height: u64) -> Position {
        match (self.named.get(&id), self.last) {
            (Some(id), _) => Position { height, id: *id },
            (None, Some(last)) if id.as_bytes()[31] != 0xff => last,
            (None, _) => Position { height, id },
        }
    }

    /// The key that is named, or one for a name that nobody here has.
    fn key(&self, named: &PublicKey) -> &SecretKey {
        let any = usize::from(named.as_bytes()[0]) % self.keys.len();
        self.keys.iter().find(|key| key.public() == *named).unwrap_or(&self.keys[any])
    }

    /// An entry's bytes; those of no entry stay as they are.
    fn entry(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Ok(view) = EntryView::read(bytes) else { return bytes.to_vec() };
        let mut builder = EntryBuilder::new(view.origin(), view.time());
        for id in view.parents().iter() {
            let parent = self.parent(id, view.height().saturating_sub(1));
            builder.parent(parent).expect("as many as there were");
        }
        let stores: Vec<_> = view.stores().iter().map(|store| (store.name, store.data)).collect();
        let Ok(signed) = VerifiedEntry::sign(&builder, self.key(&view.author()), &stores) else {
            return bytes.to_vec();
        };
        self.named.insert(view.id(), signed.id());
        self.last = Some(signed.position());
        signed.bytes().to_vec()
    }

    fn redemption(&self, Redemption { invite, .. }: Redemption) -> Redemption {
        let Invite { tree, permission, uses, expires, .. } = invite;
        let (admin, secret) = (self.key(&invite.by), self.key(&invite.key));
        let signed = Invite::sign(admin, tree, secret.public(), permission, uses, expires);
        let by = self.target.map_or(secret.public(), |target| target.by);
        // Another version stays one, and is refused for that.
        Redemption::sign(Invite { version: invite.version, ..signed }, secret, by)
    }

    /// A frame with everything in it signed that is to be.
    pub(super) fn frame(&mut self, frame: &[u8]) -> Vec<u8> {
        match Frame::read(frame) {
            Ok(Frame::Entries(all)) => {
                let all: Vec<_> = all.map(|bytes| self.entry(bytes)).collect();
                let mut room = vec![0; frame.len() + 64 * all.len()];
                let mut writer = EntriesWriter::new(&mut room);
                if all.iter().all(|entry| writer.push(entry)) {
                    writer.finish().to_vec()
                } else {
                    entries(&all)
                }
            }
            Ok(Frame::Advance(bytes)) => [&[Kind::Advance as u8], &self.entry(bytes)[..]].concat(),
            Ok(Frame::Ask(mut ask, metadata)) if ask.invite.is_some() => {
                ask.invite = ask.invite.map(|redemption| self.redemption(redemption));
                [&control(Kind::Ask, &ask), metadata].concat()
            }
            Ok(Frame::Keys(proofs)) => {
                let Some(target) = self.target else { return frame.to_vec() };
                let sign = |key: &PublicKey| target.prove(self.key(key), &self.binding);
                let proofs: Vec<_> = proofs.iter().map(|proof| sign(&proof.key)).collect();
                let mut room = vec![0; frame.len()];
                let used = write(Kind::Keys, &(), proofs, &mut room).expect("as many as there were");
                room.truncate(used);
                room
            }
            _ => frame.to_vec(),
        }
    }

    /// What one says to another about a tree, or about none.
    pub(super) fn says(&mut self, by: PublicKey, to: PublicKey, tree: Option<Id>, binding: Binding) {
        self.target = Some(ProofTarget { side: Side::Initiator, by, to, tree });
        self.binding = binding;
    }
}
