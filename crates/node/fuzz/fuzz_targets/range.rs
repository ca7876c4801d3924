#![no_main]
//! See `peermark_node::fuzzing::range`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peermark_node::fuzzing::range(bytes));
