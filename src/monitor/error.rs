//! Why the monitor could not look.

use crate::net::NetError;
use std::time::Duration;

/// See the module's text. Its texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The server can't be reached.
    #[error("the monitor can't reach the server")]
    Unreachable(#[source] NetError),
    /// It would not let the monitor in.
    #[error("the server does not let the monitor in")]
    Login(#[source] tokio_postgres::Error),
    /// It did not answer in time.
    #[error("the server did not answer the monitor within {} ms", limit.as_millis())]
    TooSlow {
        /// The time that it had.
        limit: Duration,
    },
    /// It would not answer.
    #[error("the server did not answer the monitor's question")]
    Asking(#[source] tokio_postgres::Error),
    /// Its answer is none.
    #[error("the server's answer to the monitor can't be read")]
    Answer(#[source] serde_json::Error),
    /// It answered nothing.
    #[error("the server's answer to the monitor is empty")]
    NoAnswer,
}
