//! The way from a relay to those who watch: a bounded queue that is never waited for.

use crate::{fleet::SessionRecord, session::Refusal};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc;

/// What may wait to be watched.
pub const WATCH_LIMIT: usize = 16 * 1024;

/// Something that happened in a session.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whose session.
    pub who: Arc<SessionRecord>,
    /// The name that the client gave itself when it happened.
    pub application: Arc<str>,
    /// What happened.
    pub what: What,
}

/// See [`Seen`].
#[derive(Debug, Clone)]
pub enum What {
    /// A statement was refused.
    Refused(Refusal),
    /// The server rejected a write because of the fence.
    Rejected {
        /// The server's command word; empty if it speaks another language.
        command: Box<[u8]>,
    },
    /// The fence went down and nobody knows how; it is put up again.
    FenceLost,
    /// What the database has of loopholes could not be asked: functions that users wrote count as such.
    LoopholesUnknown,
    /// A pooler stands behind the proxy: no fence in this session.
    PoolerFound,
    /// The server would not have the fence: the session was ended.
    FenceFailed {
        /// The server's code.
        code: Option<String>,
    },
}

/// A relay's end of the queue.
#[derive(Debug, Clone)]
pub struct Watch {
    sender: mpsc::Sender<Seen>,
    lost: Arc<AtomicU64>,
}

impl Watch {
    /// Both ends.
    pub fn new() -> (Self, mpsc::Receiver<Seen>) {
        let (sender, receiver) = mpsc::channel(WATCH_LIMIT);
        (Self { sender, lost: Arc::default() }, receiver)
    }

    /// Tells it if there is room; else it is counted as lost. Counters are kept elsewhere and lose nothing.
    pub fn tell(&self, seen: Seen) {
        if self.sender.try_send(seen).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How much was dropped since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
