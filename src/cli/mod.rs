//! The command line: what is typed, what is said to a running proxy, and what people read.

pub mod args;
mod client;
mod demo;
mod doctor;
mod error;
mod exceptions;
mod explain;
mod guards;
mod rehearse;
mod reopen;
mod reports;
mod settings;
mod show;
mod verb_args;
mod verbs;
mod verify;
mod window;
mod window_args;
mod writers;

pub use args::{Cli, Command};
pub use client::Caller;
pub use demo::{DemoError, demo};
pub use doctor::doctor;
pub use error::{CliError, Exit};
pub use exceptions::{except, exceptions};
pub use explain::explain;
pub use guards::{preflight, smoke};
pub use rehearse::rehearse;
pub use reopen::reopen;
pub use reports::{history, report};
pub use settings::{check_config, serve_config};
pub use verbs::{freeze, refused, status, thaw};
pub use verify::verify;
pub use window::window;
pub use writers::writers;
