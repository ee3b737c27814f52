//! The second wall: when the server's side of a session must be made read-only, and when it gives that back.
//! Pure bookkeeping; `life.rs` says what happens and writes what is due.
//!
//! ```text
//!             gate shuts, idle           RESET ALL, DISCARD ALL          it was done
//!   down ────────────────────────▶ up ─────────────────────────▶ unsure ─────────────▶ down
//!     ▲                            │ ▲                             │
//!     └────────────────────────────┘ └─────────────────────────────┘
//!             gate opens, idle         raised, or (gate open) taken down, again
//!
//!   a block that was open when the gate shut:   unfenced ──▶ fenced     (SET TRANSACTION READ ONLY; the end
//!                                                   ▲           │        of a savepoint undoes it)
//!                                                   └───────────┘
//! ```
//! What holds and what does not: FACTS of PostgreSQL, `check_transaction_read_only` in `guc`/`variable.c`,
//! `CommitSubTransaction` and `AbortSubTransaction` in `xact.c` (both restore the mode from before the
//! savepoint).

use super::{injection::Injection, transaction::Work};
use crate::{freeze::Gate, wire::TransactionStatus};

/// How often an injection that a cancel hit is said again before the session is given up.
pub(super) const TRIES_LIMIT: u8 = 5;

/// Whether this session can have a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceKind {
    /// `default_transaction_read_only` in the session, `SET TRANSACTION READ ONLY` in open blocks.
    Session,
    /// None: exempt, physical replication, or a pooler behind the proxy.
    None,
}

/// The session's own mode on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wall {
    Down,
    Up,
    /// The client has forwarded what takes it down; whether that was done is not known.
    Unsure,
}

/// The mode of the transaction that is open, or of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// It begins under the session's fence, or began under it.
    UnderSession,
    /// It began before the fence.
    Unfenced,
    /// It began before the fence and has been made read-only since.
    Fenced,
}

/// What the client itself had set before the fence went up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// It never touched the mode.
    Unset,
    /// It set it to on: there is nothing to take down.
    On,
    /// It set it to off.
    Off,
}

#[derive(Debug)]
pub(super) struct Fence {
    kind: FenceKind,
    wall: Wall,
    /// The wall came with the login: it is what RESET goes back to.
    from_login: bool,
    block: Block,
    /// What is on its way; nothing of the client is forwarded before it is answered.
    in_flight: Option<Injection>,
    tries: u8,
    /// The client touched the mode, or a change of it was seen whose cause was not: ask before raising.
    touched: bool,
    own: Option<Own>,
    /// The client set it to on in a transaction that has not ended.
    own_is_coming: bool,
}

impl Fence {
    pub(super) fn new(kind: FenceKind, from_login: bool) -> Self {
        Self {
            kind,
            wall: if from_login { Wall::Up } else { Wall::Down },
            from_login,
            block: Block::UnderSession,
            in_flight: None,
            tries: 0,
            touched: false,
            own: None,
            own_is_coming: false,
        }
    }

    pub(super) fn kind(&self) -> FenceKind {
        self.kind
    }

    /// The server has turned out to be a pooler: a setting would stay behind in a session of others.
    pub(super) fn give_up(&mut self) {
        self.kind = FenceKind::None;
    }

    pub(super) fn in_flight(&self) -> Option<Injection> {
        self.in_flight
    }

    /// Whether the server rejects writes in every transaction from now on.
    pub(super) fn is_up(&self) -> bool {
        self.wall == Wall::Up
    }

    /// Whether the server's mode may be another one than the client's for our sake.
    pub(super) fn shows(&self) -> bool {
        self.wall != Wall::Down || self.in_flight.is_some()
    }

    /// Whether the open transaction is read-only for our sake.
    pub(super) fn holds_open_block(&self) -> bool {
        match self.block {
            Block::UnderSession => self.is_up(),
            Block::Fenced => true,
            Block::Unfenced => false,
        }
    }

    /// Whether the open transaction, or the next one, began behind the shut gate.
    pub(super) fn is_block_new(&self) -> bool {
        self.block == Block::UnderSession
    }

    /// The gate shut. A fence that was still up from the last time may have been taken down while it was open.
    pub(super) fn on_shut(&mut self, is_idle: bool) {
        if self.is_up() {
            self.wall = Wall::Unsure;
        }
        if !is_idle {
            self.block = Block::Unfenced;
        }
    }

    /// No transaction is open.
    pub(super) fn on_idle(&mut self) {
        self.block = Block::UnderSession;
    }

    /// The open block has been made read-only, or will have been by the time that anything else runs in it.
    pub(super) fn on_block_raised(&mut self) {
        self.block = Block::Fenced;
    }

    /// The client has forwarded what ends the open block, or undoes its mode: what follows is another one.
    pub(super) fn on_block_end(&mut self) {
        if self.block == Block::Fenced {
            self.block = Block::Unfenced;
        }
    }

    /// The client has forwarded RESET ALL or DISCARD ALL. The open transaction keeps its mode.
    pub(super) fn on_reset(&mut self) {
        if self.is_up() && self.block == Block::UnderSession {
            self.block = Block::Fenced;
        }
        if self.wall != Wall::Down {
            self.wall = Wall::Unsure;
        }
    }

    /// The server has done it, and no rollback can undo it: the client's own settings are gone, and ours.
    pub(super) fn on_reset_done(&mut self) {
        if self.wall == Wall::Unsure {
            self.wall = Wall::Down;
        }
        // It may have set the mode anew in a message that is on its way: then it is asked for.
        self.own = None;
    }

    /// The client set the mode, or the server reported a change that we did not make.
    pub(super) fn on_touched(&mut self) {
        self.touched = true;
        self.own = None;
    }

    /// The client, fenced, set the mode to on: if that is committed, it stays so after the thaw.
    pub(super) fn on_client_set_read_only(&mut self) {
        self.touched = true;
        self.own_is_coming = true;
    }

    /// ReadyForQuery: what the client set in a transaction is its own once that has been committed.
    pub(super) fn settle_own(&mut self, status: TransactionStatus, is_done: bool) {
        if status == TransactionStatus::Idle && std::mem::take(&mut self.own_is_coming) && is_done {
            self.own = Some(Own::On);
        }
    }

    /// The server says that the mode went off. Behind a shut gate nobody we know of did it; while the gate is
    /// open it was the client's to set. Either way a rollback may bring it back.
    pub(super) fn on_lost(&mut self, gate: Gate) {
        self.wall = Wall::Unsure;
        if !gate.is_shut() {
            self.on_touched();
        }
    }

    /// The server says that the mode went on, and the gate is open. It is the client's own doing, but in a session
    /// whose login was made read-only: there any reset brings the wall back.
    pub(super) fn on_back(&mut self) -> bool {
        if self.from_login {
            self.wall = Wall::Unsure;
        }
        self.from_login
    }

    /// What must be said now that nothing of the client is in flight.
    pub(super) fn due(&self, gate: Gate, status: TransactionStatus, work: Work) -> Option<Injection> {
        if self.kind == FenceKind::None || self.in_flight.is_some() {
            return None;
        }
        match (gate.is_shut(), status) {
            (true, TransactionStatus::Idle) => self.due_to_raise(),
            (true, TransactionStatus::InBlock) if self.block == Block::Unfenced => match work {
                Work::None => Some(Injection::RaiseBlock),
                Work::Maybe => Some(Injection::AskWritten),
                Work::Wrote => None,
            },
            (false, TransactionStatus::Idle) if self.wall != Wall::Down => match self.own {
                Some(Own::On) => None,
                Some(Own::Off) => Some(Injection::SetSessionReadWrite),
                Some(Own::Unset) | None if self.from_login => Some(Injection::SetSessionReadWrite),
                Some(Own::Unset) | None => Some(Injection::ResetSession),
            },
            (true, TransactionStatus::InBlock | TransactionStatus::Failed)
            | (false, TransactionStatus::Idle | TransactionStatus::InBlock | TransactionStatus::Failed) => {
                None
            }
        }
    }

    fn due_to_raise(&self) -> Option<Injection> {
        if self.is_up() {
            return None;
        }
        // Where our own setting may still be in the way of the answer, the client is taken not to have had one.
        let unknown = self.touched && self.own.is_none() && self.wall == Wall::Down;
        Some(if unknown { Injection::AskOwn } else { Injection::RaiseSession })
    }

    /// It is on its way.
    pub(super) fn on_injected(&mut self, what: Injection) {
        self.in_flight = Some(what);
    }

    /// The gate is open and no transaction is: nothing needs to be said if the mode is the client's own wish, or
    /// if the server has told that it is off already.
    pub(super) fn stand_down(&mut self, is_reported_off: bool) {
        if self.own == Some(Own::On) || (self.wall == Wall::Unsure && is_reported_off) {
            self.wall = Wall::Down;
            self.own = None;
        }
    }

    /// The server did it.
    pub(super) fn on_done(&mut self, what: Injection) {
        self.in_flight = None;
        self.tries = 0;
        match what {
            Injection::RaiseSession => self.wall = Wall::Up,
            Injection::ResetSession | Injection::SetSessionReadWrite => {
                self.wall = Wall::Down;
                self.own = None;
            }
            Injection::RaiseBlock => self.on_block_raised(),
            Injection::AskWritten | Injection::AskOwn | Injection::AskServer | Injection::Rollback => {}
        }
    }

    /// The server said what the client had set.
    pub(super) fn on_own(&mut self, own: Own) {
        self.own = Some(own);
    }

    /// The server failed it. Tells whether it may be said again.
    pub(super) fn on_failed(&mut self) -> bool {
        self.in_flight = None;
        self.tries = self.tries.saturating_add(1);
        self.tries < TRIES_LIMIT
    }
}
