//! See `pleach_core::fuzzing::value`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pleach_fuzz::begin(), |bytes: &[u8]| pleach_core::fuzzing::value(bytes));
