//! The store in memory passes the suite.

use pleach_storage::{Memory, conformance};

conformance!(|| (Memory::new(), ()));
