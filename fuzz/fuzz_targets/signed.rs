//! See `pleach_core::fuzzing::signed`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pleach_fuzz::begin(), |bytes: &[u8]| pleach_core::fuzzing::signed(bytes));
