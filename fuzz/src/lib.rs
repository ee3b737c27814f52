//! What all targets share. Built with `--cfg fuzzing` a target is the fuzzer's; built by itself it is a program that
//! takes files and folders of them and runs each, so that any Rust can compile the targets and repeat what was found.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

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

/// Runs each file that is named on the command line, and each in a folder that is.
///
/// # Panics
/// There is none, one can't be read, or what it holds is a find.
pub fn repeat(run: fn(&[u8])) {
    let files: Vec<PathBuf> = env::args_os().skip(1).flat_map(|path| files(Path::new(&path))).collect();
    assert!(!files.is_empty(), "name files, or folders that hold some");
    for file in &files {
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        println!("{}", file.display());
        run(&bytes);
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    match fs::read_dir(path) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => vec![path.to_owned()],
    }
}
