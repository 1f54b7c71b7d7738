//! See `cli/src/import/fuzzing.rs`, which belongs to a program: its sources stand here once more.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the program uses more of them")]

#[path = "../../cli/src/import/mod.rs"]
mod import;

/// What `import` takes from it.
mod permission {
    pub(crate) const DEFAULT_WRITE: u16 = 100;
}

libfuzzer_sys::fuzz_target!(init: pleach_fuzz::begin(), |bytes: &[u8]| import::fuzzing::lines(bytes));
