//! See `pleach_core::fuzzing::signed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pleach_core::fuzzing::signed(bytes));
