//! See `pleach_tests::fuzzing::peers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pleach_tests::fuzzing::peers(bytes));
