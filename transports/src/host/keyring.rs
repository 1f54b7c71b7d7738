//! The further keys that a node may prove, and for what. Secret keys stand here only while somebody lends them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pleach_core::{
    Id, PublicKey, SecretKey,
    instance::UserInfo,
    wire::{Binding, Kind, MAX_PROOFS, ProofTarget, write},
};

use crate::{Address, Prover};

/// Bytes of a frame of proofs at most.
const FRAME: usize = 1 + MAX_PROOFS * 96;

/// What a key is proven for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Exchanges about a database.
    Database(Id),
    /// Asking the node at an address what may be read there.
    Lists(Address),
}

/// The further keys of a node. A cheap clone of a handle.
///
/// ```
/// # use pleach_core::{Id, SecretKey};
/// # use pleach_transports::host::{Keyring, Purpose};
/// let keyring = Keyring::default();
/// let notes = Purpose::Database(Id::of(b"notes"));
/// let alice = SecretKey::from_bytes([3; 32]);
/// let lent = keyring.lend(notes.clone(), [alice.clone()]);
/// assert_eq!(keyring.keys(&notes), [alice.public()]);
/// drop(lent);
/// assert!(keyring.keys(&notes).is_empty());
/// ```
#[derive(Clone, Default)]
pub struct Keyring(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What is lent, by purpose, the newest last.
    lent: BTreeMap<Purpose, Vec<(u64, SecretKey)>>,
    number: u64,
    /// What users track.
    users: BTreeMap<PublicKey, User>,
}

/// A user whose keys can be used.
#[derive(Default)]
struct User {
    /// How often they are logged in.
    sessions: usize,
    /// Their keys are under no password, so that whoever has opened the store may use them.
    stays: bool,
    tracked: BTreeMap<Id, SecretKey>,
}

/// Keys are lent until this is dropped.
#[derive(Debug)]
pub struct Lent {
    keyring: Keyring,
    purpose: Purpose,
    number: u64,
}

/// A user is logged in until this is dropped.
#[derive(Debug)]
pub struct LoggedIn {
    keyring: Keyring,
    user: PublicKey,
}

impl Keyring {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends keys for a purpose, best first.
    pub fn lend(&self, purpose: Purpose, keys: impl IntoIterator<Item = SecretKey>) -> Lent {
        let mut state = self.lock();
        state.number += 1;
        let number = state.number;
        // Those that were lent last are the first to be proven.
        let mut keys: Vec<_> = keys.into_iter().map(|key| (number, key)).collect();
        keys.reverse();
        state.lent.entry(purpose.clone()).or_default().extend(keys);
        Lent { keyring: self.clone(), purpose, number }
    }

    /// A user is logged in, and tracks databases with these keys. One without a password stays so.
    pub fn log_in(&self, user: &UserInfo, tracked: impl IntoIterator<Item = (Id, SecretKey)>) -> LoggedIn {
        let mut state = self.lock();
        let known = state.users.entry(user.id).or_default();
        known.sessions += 1;
        known.stays = !user.protected;
        known.tracked.extend(tracked);
        LoggedIn { keyring: self.clone(), user: user.id }
    }

    /// A user who is logged in, known by their first key, tracks a database with this key from now on, or no longer.
    /// The key with which they did so before.
    pub fn track(&self, user: &PublicKey, database: Id, key: Option<SecretKey>) -> Option<SecretKey> {
        let mut state = self.lock();
        let user = state.users.get_mut(user)?;
        match key {
            Some(key) => user.tracked.insert(database, key),
            None => user.tracked.remove(&database),
        }
    }

    /// A user is gone, whoever holds a handle.
    pub fn forget(&self, user: &PublicKey) {
        self.lock().users.remove(user);
    }

    /// The keys that are proven for a purpose: those lent last first, then those of users, each once, and no more than
    /// a message takes.
    pub fn keys(&self, purpose: &Purpose) -> Vec<PublicKey> {
        self.lock().of(purpose).iter().map(SecretKey::public).collect()
    }

    /// What proves all that may be proven for a purpose.
    pub fn prover(&self, purpose: Purpose, target: ProofTarget) -> Prover {
        let keyring = self.clone();
        Prover::new(move |binding| keyring.frame(&purpose, &target, binding))
    }

    fn frame(&self, purpose: &Purpose, target: &ProofTarget, binding: &Binding) -> Option<Vec<u8>> {
        let keys = self.lock().of(purpose);
        // The node's own key is proven by the transport.
        let proofs =
            keys.iter().filter(|key| key.public() != target.by).map(|key| target.prove(key, binding));
        let mut frame = vec![0; FRAME];
        let length = write(Kind::Keys, &(), proofs, &mut frame)?;
        frame.truncate(length);
        (length > 1).then_some(frame)
    }
}

impl State {
    fn of(&self, purpose: &Purpose) -> Vec<SecretKey> {
        let lent = self.lent.get(purpose).into_iter().flatten().rev().map(|(_, key)| key);
        let tracked = self.users.values().filter_map(|user| match purpose {
            Purpose::Database(id) => user.tracked.get(id),
            Purpose::Lists(_) => None,
        });
        let mut keys = Vec::<SecretKey>::new();
        for key in lent.chain(tracked) {
            if keys.len() < MAX_PROOFS && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut state = self.keyring.lock();
        if let Some(keys) = state.lent.get_mut(&self.purpose) {
            keys.retain(|(number, _)| *number != self.number);
            if keys.is_empty() {
                state.lent.remove(&self.purpose);
            }
        }
    }
}

impl Drop for LoggedIn {
    fn drop(&mut self) {
        let mut state = self.keyring.lock();
        if let Some(user) = state.users.get_mut(&self.user) {
            user.sessions = user.sessions.saturating_sub(1);
            if user.sessions == 0 && !user.stays {
                state.users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pleach_core::wire::{Frame, Side};

    use super::*;

    fn secret(seed: u8) -> SecretKey {
        SecretKey::from_bytes([seed; 32])
    }

    fn notes() -> Purpose {
        Purpose::Database(Id::of(b"notes"))
    }

    fn public(seeds: impl IntoIterator<Item = u8>) -> Vec<PublicKey> {
        seeds.into_iter().map(|seed| secret(seed).public()).collect()
    }

    #[test]
    fn a_key_is_proven_for_what_it_is_lent_for_and_as_long_as_anybody_lends_it() {
        let keyring = Keyring::default();
        let first = keyring.lend(notes(), [secret(1)]);
        let again = keyring.lend(notes(), [secret(2), secret(3), secret(1)]);
        assert_eq!(keyring.keys(&notes()), public([2, 3, 1]), "the newest first, each once");
        assert!(keyring.keys(&Purpose::Database(Id::of(b"other"))).is_empty());
        assert!(keyring.keys(&Purpose::Lists(Address::http("a:1"))).is_empty());
        drop(again);
        assert_eq!(keyring.keys(&notes()), public([1]));
        drop(first);
        assert!(keyring.lock().lent.is_empty());
    }

    #[test]
    fn a_users_keys_are_there_while_the_user_is_logged_in_anywhere() {
        let keyring = Keyring::default();
        let alice = secret(7).public();
        let info = |protected| UserInfo::new("alice", alice, 0, protected).unwrap();
        let one = keyring.log_in(&info(true), [(Id::of(b"notes"), secret(8))]);
        let two = keyring.log_in(&info(true), []);
        keyring.track(&alice, Id::of(b"more"), Some(secret(9)));
        drop(one);
        assert_eq!(keyring.keys(&notes()), public([8]));
        assert_eq!(keyring.keys(&Purpose::Database(Id::of(b"more"))), public([9]));
        keyring.track(&alice, Id::of(b"more"), None);
        assert!(keyring.keys(&Purpose::Database(Id::of(b"more"))).is_empty());
        drop(two);
        assert!(keyring.keys(&notes()).is_empty());
        keyring.track(&alice, Id::of(b"more"), Some(secret(9)));
        assert!(keyring.lock().users.is_empty(), "nobody is logged in");
        drop(keyring.log_in(&info(false), [(Id::of(b"notes"), secret(8))]));
        assert_eq!(keyring.keys(&notes()), public([8]), "there is no password to be asked for");
        let last = keyring.log_in(&info(false), []);
        keyring.forget(&alice);
        drop(last);
        assert!(keyring.keys(&notes()).is_empty());
    }

    #[test]
    fn no_more_is_proven_than_a_message_takes_and_nothing_for_the_node_itself() {
        let keyring = Keyring::default();
        let target =
            ProofTarget { side: Side::Initiator, by: secret(1).public(), to: secret(2).public(), tree: None };
        let binding = Binding::from_bytes([4; 32]);
        let own = keyring.lend(notes(), [secret(1)]);
        assert_eq!(keyring.prover(notes(), target).frame(&binding), None);
        drop(own);
        let _many = keyring.lend(notes(), (10..100).map(secret));
        let frame = keyring.prover(notes(), target).frame(&binding).unwrap();
        let Ok(Frame::Keys(proofs)) = Frame::read(&frame) else { panic!("no proofs") };
        assert_eq!(proofs.iter().count(), MAX_PROOFS);
        assert!(proofs.iter().all(|proof| target.check(&proof, &binding).is_ok()));
    }
}
