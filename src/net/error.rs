//! What can go wrong on the wire.

use crate::{
    session::SessionError,
    wire::{WireError, backend::SqlState},
};
use std::io;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// What connected to us.
    Client,
    /// The PostgreSQL behind us.
    Server,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// Why a connection came to nothing, or to an end.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A peer broke the protocol.
    #[error("the {peer} broke the protocol")]
    Protocol {
        /// Which.
        peer: Peer,
        /// How.
        #[source]
        source: WireError,
    },
    /// A socket failed.
    #[error("lost the {peer}")]
    Lost {
        /// Which.
        peer: Peer,
        /// How.
        #[source]
        source: io::Error,
    },
    /// A peer closed its connection before the login was over.
    #[error("the {peer} closed the connection during the login")]
    Closed {
        /// Which.
        peer: Peer,
    },
    /// The login took too long.
    #[error("the login took longer than {limit_ms} ms")]
    LoginTimeout {
        /// The limit.
        limit_ms: u128,
    },
    /// No place of the upstream could be reached.
    #[error("can't connect to the server {upstream}: {problem}")]
    Unreachable {
        /// Where it should be.
        upstream: String,
        /// What each place answered.
        problem: String,
    },
    /// The client asked for something over and over that it had been answered.
    #[error("the client repeated its request for encryption")]
    RepeatedRequest,
    /// The session can't go on.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl NetError {
    /// The code that the client reads with it.
    pub fn sql_state(&self) -> SqlState {
        match self {
            Self::Protocol { peer: Peer::Client, .. } | Self::RepeatedRequest => SqlState::PROTOCOL_VIOLATION,
            Self::Protocol { .. } | Self::Lost { .. } | Self::Closed { .. } => SqlState::CONNECTION_FAILURE,
            Self::LoginTimeout { .. } => SqlState::CONNECTION_FAILURE,
            Self::Unreachable { .. } => SqlState::UNABLE_TO_CONNECT,
            Self::Session(SessionError::Wire(_)) => SqlState::PROTOCOL_VIOLATION,
            Self::Session(SessionError::FenceFailed { .. }) => SqlState::ADMIN_SHUTDOWN,
        }
    }

    /// What the client reads: its own breach of the protocol in the server's words, all else as it is.
    pub fn client_text(&self) -> String {
        if let Self::Protocol { peer: Peer::Client, source } = self {
            return source.to_string();
        }
        self.to_string()
    }
}
