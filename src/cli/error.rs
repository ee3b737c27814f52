//! What went wrong on the command line, and the code that it ends with.

use crate::{config::ConfigError, control::ControlError};
use std::{io, path::PathBuf};

/// The codes that the process ends with. Source: the contract's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failure.
    Failure = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Not reached in time.
    NotInTime = 3,
    /// Refused by a guard.
    Guarded = 4,
    /// Proxy or server can't be reached.
    Unreachable = 5,
    /// Writes or bypassers were found.
    NotQuiet = 7,
    /// Interrupted; the state is as it was told.
    Interrupted = 130,
    /// As the command that was run ended.
    Child(u8) = 255,
}

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotInTime => 3,
            Self::Guarded => 4,
            Self::Unreachable => 5,
            Self::NotQuiet => 7,
            Self::Interrupted => 130,
            Self::Child(code) => code,
        }
    }

    /// The code that the proxy's answer names.
    pub fn from_code(code: u64) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::NotInTime,
            4 => Self::Guarded,
            5 => Self::Unreachable,
            7 => Self::NotQuiet,
            130 => Self::Interrupted,
            _ => Self::Failure,
        }
    }
}

/// Why a verb came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// No proxy answers.
    #[error(
        "no frostgate answers at {}; is `frostgate serve` running, and is this its --control socket (or \
         FROSTGATE_CONTROL)?",
        path.display()
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The proxy hung up, or said something that is no answer.
    #[error("the proxy's answer can't be read: {problem}")]
    Answer {
        /// What is wrong with it.
        problem: String,
    },
    /// The proxy said no.
    #[error("{text}")]
    Refused {
        /// Its words.
        text: String,
        /// Its code.
        exit: Exit,
    },
    /// Something typed is wrong.
    #[error("{what}: {problem}")]
    Usage {
        /// The flag.
        what: &'static str,
        /// What was expected.
        problem: String,
    },
    /// What stands behind a verb can't be read.
    #[error("--{0}")]
    Option(ControlError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The secrets of users can't be had.
    #[error(transparent)]
    Secrets(#[from] crate::net::NetError),
    /// A file that TLS needs is no good.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// A file can't be read.
    #[error("can't read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A command can't be started.
    #[error("can't run {program}")]
    Command {
        /// The command.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Files can't be written to a folder.
    #[error("can't write to {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Standard input or output failed.
    #[error("standard input or output failed")]
    Stdio(#[from] io::Error),
}

impl From<ControlError> for CliError {
    /// On this side of the socket nothing but an option can be wrong.
    fn from(error: ControlError) -> Self {
        Self::Option(error)
    }
}

impl CliError {
    /// The code that the process ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Refused { exit, .. } => *exit,
            Self::Option(_) => Exit::Usage,
            Self::Usage { .. }
            | Self::Config(_)
            | Self::Tls(_)
            | Self::Secrets(_)
            | Self::File { .. }
            | Self::Command { .. } => Exit::Usage,
            Self::Answer { .. } | Self::Folder { .. } | Self::Stdio(_) => Exit::Failure,
        }
    }
}
