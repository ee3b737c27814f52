//! Who a session is: what is known of it when it has logged in, and does not change.

use super::entrance::Entrance;
use crate::wire::startup::CancelKey;
use jiff::Timestamp;
use std::{net::SocketAddr, path::PathBuf, sync::Arc};

/// Who a session is, as far as that does not change.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Unique within the process's life.
    pub id: u64,
    /// The role that it logged in as.
    pub user: Box<str>,
    /// The database, as the client calls it.
    pub database: Box<str>,
    /// Where it came from; none for a Unix socket.
    pub client: Option<SocketAddr>,
    /// By which door.
    pub entrance: Entrance,
    /// When it logged in.
    pub since: Timestamp,
    /// The key that cancels its statements, with the server's process id in it.
    pub cancel_key: Option<CancelKey>,
    /// The name of the server that it is on: process ids are unique there only.
    pub upstream: Arc<str>,
    /// Where its server's connection went: a cancel request must go there too.
    pub place: Place,
}

/// Where one connection went, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub way: Way,
    /// Which of the upstream's hosts that is.
    pub host: usize,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
}

/// Where one connection went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// An address.
    Tcp(SocketAddr),
    /// A socket.
    Unix(PathBuf),
}

#[cfg(test)]
impl Identity {
    /// Somebody on that server, with that key.
    pub(super) fn on(upstream: &str, id: u64, key: CancelKey) -> Self {
        Self {
            id,
            user: "ann".into(),
            database: "shop".into(),
            client: None,
            entrance: Entrance::Ordinary,
            since: Timestamp::UNIX_EPOCH,
            cancel_key: Some(key),
            upstream: upstream.into(),
            place: Place { way: Way::Unix("/run".into()), host: 0, is_encrypted: false },
        }
    }
}
