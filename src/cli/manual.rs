//! Man pages and shell completions, made from what can be typed: they can't say anything else.

use super::{args::Cli, error::CliError, show::out};
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::path::Path;

/// `completions`.
///
/// # Errors
/// Standard output failed.
pub fn completions(shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "frostgate", &mut script);
    out(String::from_utf8_lossy(&script).trim_end())
}

/// `man`: a page for the whole, and one for each verb.
///
/// # Errors
/// The folder is not there, or takes no files.
pub fn man(folder: &Path) -> Result<(), CliError> {
    clap_mangen::generate_to(Cli::command(), folder)
        .map_err(|source| CliError::Folder { path: folder.into(), source })
}
