//! See `pleach_core::fuzzing::store_data`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pleach_core::fuzzing::store_data(bytes));
