#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| connie_fuzz_targets::proxy_request(data));
