//! A fault that the comparison must find: one row of a closed store is changed behind its back.

use std::path::Path;

use anyhow::Context as _;
use redb::{ReadableTable, TableDefinition};

use crate::node::STORE;

/// The store's table of rows.
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// What B wrote last under `title`, as the row ends.
const VALUE: &[u8] = b"'s second title";

/// Changes a letter of the value that shows.
pub(super) fn change_a_row(data: &Path) -> anyhow::Result<()> {
    let database = redb::Database::open(data.join(STORE))?;
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(ROWS)?;
        let mut found = Vec::new();
        for row in table.iter()? {
            let (key, value) = row?;
            if value.value().ends_with(VALUE) {
                found.push((key.value().to_vec(), value.value().to_vec()));
            }
        }
        // The last in order of time is the value that shows.
        let (key, mut value) = found.pop().context("there is no row to change")?;
        if let Some(last) = value.last_mut() {
            *last ^= 1;
        }
        table.insert(key.as_slice(), value.as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}
