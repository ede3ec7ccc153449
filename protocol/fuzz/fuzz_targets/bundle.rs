//! Runs the target `bundle` with what libFuzzer offers; what it demands is in `muster_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| muster_fuzz::bundle(data));
