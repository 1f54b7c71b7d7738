//! See `pleach_tests::fuzzing::disk`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pleach_fuzz::begin(), |bytes: &[u8]| pleach_tests::fuzzing::disk(bytes));
