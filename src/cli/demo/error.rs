//! Why the demo stopped.

use crate::cli::Exit;
use std::{io, path::PathBuf, time::Duration};

/// See the module's text.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No PostgreSQL server is installed, or not where one is looked for.
    #[error("the demo needs PostgreSQL's own programs (initdb, postgres, psql), and found none\n{advice}")]
    NoPostgres {
        /// What to install, and where it was looked for.
        advice: String,
    },
    /// The folder that was named is not one of PostgreSQL's programs.
    #[error("FROSTGATE_PG_BIN: {} holds no {program}", folder.display())]
    NotPostgres {
        /// The folder.
        folder: PathBuf,
        /// What is missing there.
        program: &'static str,
    },
    /// Root may not run PostgreSQL, and there is nobody else who could.
    #[error("PostgreSQL refuses to run as root, and neither user postgres nor user nobody exists")]
    NobodyToRunIt,
    /// A file or folder of the demo can't be made or read.
    #[error("can't {act} {}", path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program can't be started.
    #[error("can't run {program}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which.
        program: String,
        /// What it said.
        said: String,
    },
    /// Something did not come in time.
    #[error("waited {limit:?} for {what}, in vain")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// A question to the server failed that should not.
    #[error("{what} failed")]
    Sql {
        /// What was asked.
        what: String,
        /// Why.
        #[source]
        source: tokio_postgres::Error,
    },
    /// What the demo was about to tell is not so.
    #[error("NOT SO: {claim}\n  expected: {expected}\n  seen:     {seen}")]
    NotSo {
        /// What was about to be told.
        claim: String,
        /// What would have shown it.
        expected: String,
        /// What was there instead.
        seen: String,
    },
    /// Nobody reads what the demo tells.
    #[error("can't write to standard output")]
    Stdout(#[source] io::Error),
    /// A signal.
    #[error("interrupted by {signal}")]
    Interrupted {
        /// Which.
        signal: &'static str,
    },
}

impl DemoError {
    /// The code that the process ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoPostgres { .. } | Self::NobodyToRunIt => Exit::Unreachable,
            Self::NotPostgres { .. } => Exit::Usage,
            Self::Interrupted { .. } => Exit::Interrupted,
            Self::File { .. }
            | Self::Start { .. }
            | Self::Failed { .. }
            | Self::TooLate { .. }
            | Self::Sql { .. }
            | Self::NotSo { .. }
            | Self::Stdout(_) => Exit::Failure,
        }
    }
}
