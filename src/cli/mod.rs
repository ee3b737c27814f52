//! The command line: what is typed, what is said to a running proxy, and what people read.

pub mod args;
mod client;
mod demo;
mod doctor;
mod error;
mod exceptions;
mod explain;
mod settings;
mod show;
mod verbs;
mod verify;
mod when;
mod writers;

pub use args::{Cli, Command};
pub use client::Caller;
pub use demo::{DemoError, demo};
pub use doctor::doctor;
pub use error::{CliError, Exit};
pub use exceptions::{except, exceptions};
pub use explain::explain;
pub use settings::{check_config, serve_config};
pub use verbs::{freeze, refused, status, thaw};
pub use verify::verify;
pub use writers::writers;
