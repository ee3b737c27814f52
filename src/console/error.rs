//! Why a command came to nothing, as the console's user reads it.

use crate::{control::ControlError, sql::PHRASES_LIMIT};

/// See the module's text.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConsoleError {
    /// Nothing begins so.
    #[error("syntax error at or near \"{near}\"")]
    Unknown {
        /// The word.
        near: String,
    },
    /// It begins like a command, and goes on like none.
    #[error("{problem}")]
    Syntax {
        /// What is wrong.
        problem: String,
        /// The command.
        command: &'static str,
    },
    /// The text can't be split into words.
    #[error("{problem}")]
    Unreadable {
        /// Why.
        problem: &'static str,
    },
    /// A text is longer than commands are.
    #[error("the text says {said} bytes, the limit is {limit}")]
    TooLong {
        /// How long it is.
        said: usize,
        /// How long it may be.
        limit: usize,
    },
    /// More is kept for a connection than may be. Source of the kind: `max_prepared_statements` of poolers.
    #[error("a connection keeps {limit} prepared statements and portals at most")]
    TooManyNames {
        /// How many.
        limit: usize,
    },
    /// One statement was expected. Source: `exec_parse_message`.
    #[error("cannot insert multiple commands into a prepared statement")]
    SeveralInOne,
    /// A setting that is not there. Source: `GetConfigOptionByName`.
    #[error("unrecognized configuration parameter \"{name}\"")]
    UnknownSetting {
        /// Its name.
        name: String,
    },
    /// The user's role does not allow it.
    #[error("permission denied for {command}")]
    NotAllowed {
        /// The command.
        command: &'static str,
        /// The user.
        user: String,
    },
    /// The block has failed. Source: `exec_simple_query`.
    #[error("current transaction is aborted, commands ignored until end of transaction block")]
    FailedBlock,
    /// It was not done.
    #[error("{}", crate::causes::with_causes(.0))]
    Control(#[from] ControlError),
    /// It was cut off: the process is stopping, or has a fault.
    #[error("the command was cut off")]
    Unfinished,
    /// The freeze has not come to its end in time, or was overtaken.
    #[error("{told}")]
    NotReached {
        /// How it ended.
        told: String,
        /// Whom it waits for.
        detail: String,
    },
    /// The waiting was ended; the freeze was not. Source of the text: `ProcessInterrupts` in `postgres.c`.
    #[error("canceling statement due to user request")]
    Cancelled {
        /// Where the proxy stands.
        state: &'static str,
    },
}

impl ConsoleError {
    /// The code. Source: manual, "PostgreSQL Error Codes"; the command line's exit codes are the contract's.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::Syntax { .. } | Self::Unreadable { .. } | Self::SeveralInOne => {
                "42601"
            }
            Self::TooLong { .. } | Self::TooManyNames { .. } => "54000",
            Self::UnknownSetting { .. } => "42704",
            Self::NotAllowed { .. } => "42501",
            Self::FailedBlock => "25P02",
            // Usage; in the way of a guard; out of reach; whatever else.
            Self::Control(error) => match error.exit_code() {
                2 => "22023",
                4 => "55000",
                5 => "08001",
                _ => "58000",
            },
            Self::Unfinished => "58000",
            Self::NotReached { .. } => "55P03",
            Self::Cancelled { .. } => "57014",
        }
    }

    /// DETAIL, if there is any.
    pub(super) fn detail(&self) -> Option<String> {
        match self {
            Self::NotReached { detail, .. } => Some(detail.clone()).filter(|detail| !detail.is_empty()),
            Self::NotAllowed { user, .. } => {
                Some(format!("\"{user}\" is a viewer of this console; admins change the state."))
            }
            Self::Cancelled { state } => Some(format!("Only the waiting has ended: the proxy is {state}.")),
            Self::Unreadable { .. } => Some(format!("A text has {PHRASES_LIMIT} words at most.")),
            Self::Unknown { .. }
            | Self::Syntax { .. }
            | Self::TooLong { .. }
            | Self::TooManyNames { .. }
            | Self::SeveralInOne
            | Self::UnknownSetting { .. }
            | Self::FailedBlock
            | Self::Unfinished
            | Self::Control(_) => None,
        }
    }

    /// HINT, if there is any.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } | Self::Unreadable { .. } => {
                Some("This is Frostgate's console, not a database. HELP lists its commands.".into())
            }
            Self::Syntax { command, .. } => Some(format!("HELP tells how {command} is written.")),
            Self::UnknownSetting { .. } => {
                Some("HELP lists what SHOW tells, frostgate.state among it.".into())
            }
            Self::NotReached { .. } | Self::Unfinished => {
                Some("SHOW STATUS tells how it goes on; THAW opens the gate.".into())
            }
            Self::Cancelled { .. } => Some("THAW opens the gate.".into()),
            Self::TooLong { .. }
            | Self::TooManyNames { .. }
            | Self::SeveralInOne
            | Self::NotAllowed { .. }
            | Self::FailedBlock
            | Self::Control(_) => None,
        }
    }
}
