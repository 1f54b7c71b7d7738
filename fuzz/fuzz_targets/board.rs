//! See `pleach_tests::fuzzing::board`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pleach_fuzz::begin(), |bytes: &[u8]| pleach_tests::fuzzing::board(bytes));
