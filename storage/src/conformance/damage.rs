//! Damage to a store, planted behind the back of all rules.

use pleach_core::storage::StorageError;

use crate::{
    Memory,
    changes::Changes,
    layout::Table,
    store::Kept,
    tables::{Flow, Order, Span, Tables, View},
};

/// What becomes of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rot {
    /// Nothing.
    Spare,
    /// It is gone.
    Gone,
    /// Its value is another.
    Value(Vec<u8>),
}

/// A store that can be damaged.
pub trait Damage {
    /// Shows every pair of a table, named as in the store's file, and does to it what is asked. Says how many changed.
    fn damage(&self, table: &str, rot: &mut dyn FnMut(&[u8], &[u8]) -> Rot) -> Result<usize, StorageError>;
}

impl Damage for Memory {
    fn damage(&self, table: &str, rot: &mut dyn FnMut(&[u8], &[u8]) -> Rot) -> Result<usize, StorageError> {
        damage(self.kept(), table, rot)
    }
}

#[cfg(feature = "redb")]
impl Damage for crate::Redb {
    fn damage(&self, table: &str, rot: &mut dyn FnMut(&[u8], &[u8]) -> Rot) -> Result<usize, StorageError> {
        damage(self.kept(), table, rot)
    }
}

fn damage<T: Tables>(
    kept: &Kept<T>,
    name: &str,
    rot: &mut dyn FnMut(&[u8], &[u8]) -> Rot,
) -> Result<usize, StorageError> {
    let table = Table::ALL.into_iter().find(|table| table.name() == name);
    let table = table.unwrap_or_else(|| panic!("there is no table {name}"));
    let mut changes = Changes::default();
    let mut changed = 0;
    kept.tables().view()?.scan(table, &Span::prefix(&[]), Order::Ascending, &mut |key, value| {
        changed += 1;
        match rot(key, value) {
            Rot::Spare => changed -= 1,
            Rot::Gone => changes.remove(table, key),
            Rot::Value(value) => changes.put(table, key, value),
        }
        Ok(Flow::Continue(()))
    })?;
    kept.tables().apply(changes)?;
    Ok(changed)
}
