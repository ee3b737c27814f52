//! The process: parse the command line, run, turn the end into an exit code.

fn main() {}
