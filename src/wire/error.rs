//! What can be wrong with bytes.

use super::tag::FrontendTag;

/// A peer broke the protocol. Its text may be shown to that peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A type byte that no PostgreSQL from 13 to 18 accepts from a client.
    #[error("invalid frontend message type {0}")]
    UnknownFrontendMessage(u8),
    /// A message's length word is below 4 or above what the server would take.
    #[error("invalid message length: {tag:?} message says {said} bytes, expected 4 to {limit}")]
    FrontendLength {
        /// Which message.
        tag: FrontendTag,
        /// The length word.
        said: u32,
        /// The longest that the server takes.
        limit: u32,
    },
    /// The server sent a length word below 4.
    #[error("the server's message of type {tag} says {said} bytes, expected at least 4")]
    BackendLength {
        /// The type byte.
        tag: u8,
        /// The length word.
        said: u32,
    },
    /// A message's body ends before its fields do.
    #[error("insufficient data left in {tag:?} message")]
    Truncated {
        /// Which message.
        tag: FrontendTag,
    },
    /// A start-up packet's length word is out of bounds.
    #[error("invalid length of startup packet: {said} bytes, expected {least} to {limit}")]
    StartupLength {
        /// The length word.
        said: u32,
        /// The shortest start-up packet.
        least: u32,
        /// The longest that the server takes.
        limit: u32,
    },
    /// Neither protocol 3 nor one of the special request codes.
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")]
    ProtocolVersion {
        /// Major version asked for.
        major: u16,
        /// Minor version asked for.
        minor: u16,
    },
    /// The start-up packet's name and value pairs do not end where its length says.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    StartupLayout,
    /// The start-up packet names no user.
    #[error("no PostgreSQL user name specified in startup packet")]
    NoUser,
    /// During a login something else came than the answer that the server had asked for.
    #[error("expected password response, got message type {got} of {said} bytes")]
    ExpectedPassword {
        /// The type byte.
        got: u8,
        /// The length word, as far as it is known.
        said: u32,
    },
}
