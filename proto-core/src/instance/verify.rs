//! The whole history again, from its bytes; and signatures, on as many cores as there are.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    Id,
    entry::{Entry, EntryError, VerifiedEntry},
    instance::{Error, replay::Replay},
    limits::MAX_BATCH_ENTRIES,
    node::NodeError,
    storage::Snapshot,
};

/// The outcome of checking signatures: the entries, or the first that failed and those before it.
pub type Checked = Result<Vec<VerifiedEntry>, (Vec<VerifiedEntry>, EntryError)>;

/// Checks the signatures of some entries, one by one, up to the first that fails.
pub fn check(entries: Vec<Entry>) -> Checked {
    let mut good = Vec::with_capacity(entries.len());
    for entry in entries {
        match entry.verify() {
            Ok(entry) => good.push(entry),
            Err(error) => return Err((good, error)),
        }
    }
    Ok(good)
}

/// Checks the signatures of some entries, and sorts them by tree. In each tree their order stays.
pub fn check_by_tree(entries: &[Entry]) -> Result<BTreeMap<Id, Vec<VerifiedEntry>>, Error> {
    let mut trees = BTreeMap::<Id, Vec<VerifiedEntry>>::new();
    for entry in check(entries.to_vec()).map_err(|(_, error)| NodeError::BadEntry(error))? {
        trees.entry(entry.entry().view().tree()).or_default().push(entry);
    }
    Ok(trees)
}

/// Puts together what several workers found, in the order of their parts.
pub fn join_checked(parts: impl IntoIterator<Item = Checked>) -> Checked {
    let mut good = Vec::new();
    for part in parts {
        match part {
            Ok(entries) => good.extend(entries),
            Err((entries, error)) => {
                good.extend(entries);
                return Err((good, error));
            }
        }
    }
    Ok(good)
}

/// Something wrong in a database.
///
/// ```
/// # use pleach_core::{Id, instance::{Fault, Verification}};
/// let fault = Fault { id: Id::of(b"an entry"), fault: "the signature does not fit".into() };
/// let verification = Verification { entries: 7, faults: vec![fault] };
/// assert!(!verification.is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The entry that it concerns.
    pub id: Id,
    /// What is wrong.
    pub fault: String,
}

/// What [`verify`] found.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, Verification};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let verification: Verification = db.verify()?;
/// assert!(verification.is_ok());
/// assert_eq!(verification.entries, db.stats()?.entries);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Entries looked at that are intact.
    pub entries: u64,
    /// All that is wrong.
    pub faults: Vec<Fault>,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Checks everything that a store holds of a tree again: hashes, structure, indexes, rows and aggregates against the
/// bytes, every signature, and every permission by replaying the settings from the root.
///
/// `checks` verifies the signatures of a batch; give it [`check`], or something that spreads the work. Memory is
/// about 100 bytes for each entry, so that nothing that the store derived is taken on trust.
pub fn verify(
    snapshot: &dyn Snapshot,
    tree: &Id,
    mut checks: impl FnMut(Vec<Entry>) -> Checked,
) -> Result<Verification, Error> {
    let summary = snapshot.summary(tree)?.ok_or(Error::Node(NodeError::UnknownTree(*tree)))?;
    let mut found = Verification::default();
    let mut replay = Replay::new(*tree);
    let mut after = None;
    loop {
        let part = snapshot.audit(tree, after, MAX_BATCH_ENTRIES)?;
        found.faults.extend(part.faults.into_iter().map(|(id, fault)| Fault { id, fault }));
        signatures(part.entries.clone(), &mut checks, &mut found.faults);
        for entry in &part.entries {
            if let Some(fault) = replay.add(entry)? {
                found.faults.push(Fault { id: entry.id(), fault });
            }
        }
        found.entries = found.entries.saturating_add(part.entries.len() as u64);
        match part.next {
            Some(next) if Some(next) > after => after = Some(next),
            _ => break,
        }
    }
    if found.entries != summary.measure.count && found.faults.is_empty() {
        let fault = format!("{} entries are intact and {} are counted", found.entries, summary.measure.count);
        found.faults.push(Fault { id: *tree, fault });
    }
    Ok(found)
}

/// Names every entry whose signature does not fit: each failure costs one more call for what comes behind it.
fn signatures(
    mut entries: Vec<Entry>,
    checks: &mut impl FnMut(Vec<Entry>) -> Checked,
    faults: &mut Vec<Fault>,
) {
    while let Err((good, error)) = checks(entries.clone()) {
        let failed = good.len().min(entries.len().saturating_sub(1));
        let rest = entries.split_off(failed);
        let mut rest = rest.into_iter();
        let Some(entry) = rest.next() else { return };
        faults.push(Fault { id: entry.id(), fault: error.to_string() });
        entries = rest.collect();
    }
}
