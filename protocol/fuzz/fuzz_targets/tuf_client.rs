//! Runs the target `tuf_client` with what libFuzzer offers; what it demands is in `muster_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| muster_fuzz::tuf_client(data));
