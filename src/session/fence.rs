//! The second wall: when the server's side of a session must be made read-only, and when it gives that back.
//! Pure bookkeeping; `life.rs` says what happens and writes what is due.
//!
//! ```text
//!             gate shuts, idle                     RESET ALL, DISCARD ALL
//!   down ────────────────────────▶ up ───────────────────────────────────▶ down
//!     ▲                            │
//!     └────────────────────────────┘ gate opens, idle
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
    is_up: bool,
    block: Block,
    /// What is on its way; nothing of the client is forwarded before it is answered.
    in_flight: Option<Injection>,
    tries: u8,
    /// The client touched the mode, or a change of it was seen whose cause was not: ask before raising.
    touched: bool,
    own: Option<Own>,
    /// Nobody has looked yet whether a pooler stands behind the proxy.
    asks_process: bool,
}

impl Fence {
    pub(super) fn new(kind: FenceKind, asks_process: bool) -> Self {
        Self {
            kind,
            is_up: false,
            block: Block::UnderSession,
            in_flight: None,
            tries: 0,
            touched: false,
            own: None,
            asks_process,
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
        self.is_up
    }

    /// Whether the open transaction is read-only for our sake.
    pub(super) fn holds_open_block(&self) -> bool {
        match self.block {
            Block::UnderSession => self.is_up,
            Block::Fenced => true,
            Block::Unfenced => false,
        }
    }

    /// Whether the open transaction, or the next one, began behind the shut gate.
    pub(super) fn is_block_new(&self) -> bool {
        self.block == Block::UnderSession
    }

    /// The gate shut while a transaction was, or may have been, open.
    pub(super) fn shut_in_block(&mut self) {
        if !self.is_up {
            self.block = Block::Unfenced;
        }
    }

    /// No transaction is open.
    pub(super) fn on_idle(&mut self) {
        self.block = Block::UnderSession;
    }

    /// The client has forwarded what undoes the mode of the open block.
    pub(super) fn on_savepoint_end(&mut self) {
        if self.block == Block::Fenced {
            self.block = Block::Unfenced;
        }
    }

    /// The client has forwarded RESET ALL or DISCARD ALL: its own settings are gone, and ours with them. The
    /// open transaction keeps its mode.
    pub(super) fn on_reset(&mut self) {
        if self.is_up && self.block == Block::UnderSession {
            self.block = Block::Fenced;
        }
        self.is_up = false;
        self.own = Some(Own::Unset);
        self.touched = false;
    }

    /// The client set the mode, or the server reported a change that we did not make.
    pub(super) fn on_touched(&mut self) {
        self.touched = true;
        self.own = None;
    }

    /// The client, fenced, set the mode to on: after the thaw it stays so.
    pub(super) fn on_client_set_read_only(&mut self) {
        self.touched = true;
        self.own = Some(Own::On);
    }

    /// The server says that the mode went off though nobody we know of did it.
    pub(super) fn on_lost(&mut self) {
        self.is_up = false;
    }

    /// What must be said now that nothing of the client is in flight.
    pub(super) fn due(&self, gate: Gate, status: TransactionStatus, work: Work) -> Option<Injection> {
        if self.kind == FenceKind::None || self.in_flight.is_some() {
            return None;
        }
        if self.asks_process && status == TransactionStatus::Idle {
            return Some(Injection::AskProcess);
        }
        match (gate.is_shut(), status) {
            (true, TransactionStatus::Idle) => self.due_to_raise(),
            (true, TransactionStatus::InBlock) if self.block == Block::Unfenced => match work {
                Work::None => Some(Injection::RaiseBlock),
                Work::Maybe => Some(Injection::AskWritten),
                Work::Wrote => None,
            },
            (false, TransactionStatus::Idle) if self.is_up => match self.own {
                Some(Own::On) => None,
                Some(Own::Off) => Some(Injection::SetSessionReadWrite),
                Some(Own::Unset) | None => Some(Injection::ResetSession),
            },
            (true, TransactionStatus::InBlock | TransactionStatus::Failed)
            | (false, TransactionStatus::Idle | TransactionStatus::InBlock | TransactionStatus::Failed) => {
                None
            }
        }
    }

    fn due_to_raise(&self) -> Option<Injection> {
        if self.is_up {
            return None;
        }
        let unknown = self.touched && self.own.is_none();
        Some(if unknown { Injection::AskOwn } else { Injection::RaiseSession })
    }

    /// It is on its way.
    pub(super) fn on_injected(&mut self, what: Injection) {
        self.in_flight = Some(what);
    }

    /// The gate opened and the client's own mode is what the fence had set: nothing needs to be said.
    pub(super) fn stand_down(&mut self, gate: Gate) {
        if !gate.is_shut() && self.is_up && self.own == Some(Own::On) {
            self.is_up = false;
            self.own = None;
        }
    }

    /// The server did it.
    pub(super) fn on_done(&mut self, what: Injection) {
        self.in_flight = None;
        self.tries = 0;
        match what {
            Injection::RaiseSession => self.is_up = true,
            Injection::ResetSession | Injection::SetSessionReadWrite => {
                self.is_up = false;
                self.own = None;
            }
            Injection::RaiseBlock => self.block = Block::Fenced,
            Injection::AskProcess => self.asks_process = false,
            Injection::AskWritten | Injection::AskOwn | Injection::Rollback => {}
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
