//! What can go wrong on the wire.

use crate::{
    auth::AuthError,
    session::SessionError,
    tls::TlsError,
    wire::{WireError, backend::SqlState},
};
use std::{io, path::PathBuf};

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
    /// The database has no entry in the configuration, and there is no server for those that have none. Source: the
    /// server's own text.
    #[error("database \"{name}\" does not exist")]
    NoDatabase {
        /// As the client calls it.
        name: String,
    },
    /// The client asked for something over and over that it had been answered.
    #[error("the client repeated its request for encryption")]
    RepeatedRequest,
    /// TLS with the client came to nothing.
    #[error("the TLS handshake with the client failed: {problem}")]
    Handshake {
        /// Why.
        problem: String,
    },
    /// Plain text came behind the request for TLS. Source: the server's own text.
    #[error("received unencrypted data after SSL request")]
    PlainBehindRequest,
    /// Plain text came where TLS is demanded.
    #[error("this proxy lets nobody in without TLS")]
    NotEncrypted,
    /// The client and the server would bind the login to a certificate that is not the same on both legs.
    #[error(
        "SCRAM channel binding can't be relayed: the client supports it, and so does the server, but the \
         certificate that the client sees is Frostgate's and not the server's"
    )]
    ChannelBinding,
    /// Authentication that ends at the proxy came to nothing.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The file of secrets is no good.
    #[error("auth.secrets: {}: {problem}", path.display())]
    Secrets {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The server would not have a login or a question of the proxy's own.
    #[error("the server says: {problem}")]
    OwnLogin {
        /// Its words.
        problem: String,
    },
    /// A secret can't be looked up.
    #[error("auth.query: {0}")]
    SecretQuery(#[source] Box<Self>),
    /// A password's keys could not be derived.
    #[error("a password's keys could not be derived")]
    Deriving(#[source] io::Error),
    /// There are no random bytes to be had.
    #[error(transparent)]
    Random(#[from] TlsError),
    /// All places are taken. Source of the text: `InitProcess` in `proc.c`.
    #[error("sorry, too many clients already")]
    TooMany {
        /// What the operator can do.
        remedy: &'static str,
    },
    /// While frozen this client runs nothing.
    #[error("this client runs nothing while Frostgate is frozen")]
    Denied,
    /// The session can't go on.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl NetError {
    /// The code that the client reads with it.
    pub fn sql_state(&self) -> SqlState {
        match self {
            Self::Protocol { peer: Peer::Client, .. }
            | Self::RepeatedRequest
            | Self::Handshake { .. }
            | Self::PlainBehindRequest => SqlState::PROTOCOL_VIOLATION,
            Self::Auth(error) if error.is_breach() => SqlState::PROTOCOL_VIOLATION,
            Self::Auth(AuthError::Failed { .. }) => SqlState::INVALID_PASSWORD,
            Self::Auth(_) | Self::NotEncrypted | Self::ChannelBinding => {
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            }
            Self::Protocol { .. } | Self::Lost { .. } | Self::Closed { .. } => SqlState::CONNECTION_FAILURE,
            Self::LoginTimeout { .. } => SqlState::CONNECTION_FAILURE,
            Self::Secrets { .. }
            | Self::OwnLogin { .. }
            | Self::SecretQuery(_)
            | Self::Deriving(_)
            | Self::Random(_) => SqlState::CONNECTION_FAILURE,
            Self::Denied => SqlState::CANNOT_CONNECT_NOW,
            Self::TooMany { .. } => SqlState::TOO_MANY_CONNECTIONS,
            Self::NoDatabase { .. } => SqlState::INVALID_CATALOG_NAME,
            Self::Unreachable { .. } => SqlState::UNABLE_TO_CONNECT,
            Self::Session(SessionError::Wire(_)) => SqlState::PROTOCOL_VIOLATION,
            Self::Session(SessionError::FenceFailed { .. }) => SqlState::ADMIN_SHUTDOWN,
        }
    }

    /// What can be done about it, if that is known.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::PlainBehindRequest => {
                "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."
            }
            Self::TooMany { remedy } => remedy,
            Self::NotEncrypted => "Connect with sslmode=require, or set tls.mode = \"allow\" in Frostgate.",
            Self::ChannelBinding => {
                "Any of these helps: connect with channel_binding=disable; give Frostgate the server's own \
                 certificate and key (tls.cert, tls.key); let Frostgate ask for the password itself \
                 (auth.rules with method scram); let one of the two legs be without TLS (the client's \
                 sslmode, or the one in upstream)."
            }
            Self::Protocol { .. }
            | Self::Lost { .. }
            | Self::Closed { .. }
            | Self::LoginTimeout { .. }
            | Self::Unreachable { .. }
            | Self::NoDatabase { .. }
            | Self::RepeatedRequest
            | Self::Handshake { .. }
            | Self::Secrets { .. }
            | Self::OwnLogin { .. }
            | Self::SecretQuery(_)
            | Self::Deriving(_)
            | Self::Random(_)
            | Self::Denied
            | Self::Session(_) => "",
            Self::Auth(error) => error.remedy(),
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
