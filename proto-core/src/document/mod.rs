//! What applications read and write: values at paths, tables, logs, settings.
//!
//! | file | holds |
//! |---|---|
//! | `row` | [`rows_of`]: the rows that a store keeps of an entry |

#[cfg(feature = "alloc")]
mod row;

#[cfg(feature = "alloc")]
pub use row::{RowPath, RowWrite, rows_of};
