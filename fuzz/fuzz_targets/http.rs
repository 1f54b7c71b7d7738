//! See `pleach_transports::fuzzing::http`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pleach_fuzz::begin(), |bytes: &[u8]| pleach_transports::fuzzing::http(bytes));
