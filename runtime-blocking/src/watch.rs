//! A stream of what happens, waited for by a thread.

use std::time::Instant;

use pleach_transports::{host, park_on, park_until};

/// A stream of what happens. Dropping it ends it.
///
/// ```
/// use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Memory};
/// let instance = Instance::open(Memory::new())?;
/// let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let changes = db.watch();
/// let txn = db.new_transaction()?;
/// txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
/// txn.commit()?;
/// assert_eq!(changes.next().map(|change| change.entries), Some(db.tips()?));
/// assert_eq!(changes.try_next(), None, "nothing more so far");
/// assert_eq!(changes.next_until(std::time::Instant::now()), None);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Debug)]
pub struct Watch<T>(host::Watch<T>);

impl<T> Watch<T> {
    pub(crate) fn of(watch: host::Watch<T>) -> Self {
        Self(watch)
    }

    /// Waits for the next item; nothing once the instance is gone.
    pub fn next(&self) -> Option<T> {
        park_on(self.0.next())
    }

    /// Waits for the next item, but not beyond a moment.
    pub fn next_until(&self, deadline: Instant) -> Option<T> {
        park_until(deadline, self.0.next()).flatten()
    }

    /// The next item, if it is there already.
    pub fn try_next(&self) -> Option<T> {
        self.0.try_next()
    }
}
