#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| connie_fuzz_targets::memory_bytes(data));
