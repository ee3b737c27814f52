//! What all targets share. Built by cargo-fuzz a target is the fuzzer's; built by itself it is a program that takes
//! files and runs each, so that any Rust can compile the targets and repeat what the fuzzer has found.

use std::{env, fs};

/// Makes a target of a function that takes bytes.
#[macro_export]
macro_rules! target {
    ($run:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $run(bytes));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::repeat($run);
        }
    };
}

/// Runs each file that is named on the command line.
///
/// # Panics
/// A file can't be read, or what it holds is a find.
pub fn repeat(run: fn(&[u8])) {
    for path in env::args_os().skip(1) {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        run(&bytes);
    }
}
