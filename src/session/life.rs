//! A session between its login and its end: what is kept of it, how it meets the gate, and what it says of
//! itself. `requests.rs` judges what the client sends, `replies.rs` what the server answers.

use super::{
    ahead::Ahead,
    fence::{Fence, FenceKind},
    inject::{Form, inject},
    injection::Injection,
    names::{Change, Names, Settled},
    pipeline::{Owed, Pipeline},
    policy::{Bearing, Cover, Role},
    refusal::Refusal,
    transaction::{Transaction, Work, then},
    turn::{Output, Turn},
    writes::WriterId,
};
use crate::{
    freeze::Gate,
    sql::{ClientEncoding, Effects, Loopholes},
    wire::{TransactionStatus, WireError, frame::Rows, startup::Replication},
};
use std::{collections::VecDeque, sync::Arc};

/// What is known of a session when it has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSettings {
    /// By where it entered.
    pub role: Role,
    /// Which kind of walsender it speaks to, if any.
    pub replication: Replication,
    /// Whether it can have a fence.
    pub fence: FenceKind,
    /// As the server reported it at login.
    pub encoding: ClientEncoding,
    /// `default_transaction_read_only` as the server reported it at login; PostgreSQL 13 reports none.
    pub default_read_only: Option<bool>,
    /// The process id that the server gave out at login.
    pub process_id: u32,
    /// The login itself was made read-only, as a login trigger might have written: the mode is what RESET goes
    /// back to, for the session's whole life.
    pub fenced_at_login: bool,
    /// Show the fence to the client instead of hiding it.
    pub advertise_read_only: bool,
    /// While the gate is shut, refuse what calls a function that is not known to be harmless.
    pub is_strict: bool,
}

/// Why a session can't go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// A peer broke the protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The server would not make the session read-only.
    #[error("the session could not be made read-only while frozen: the server answered {code}")]
    FenceFailed {
        /// The server's code.
        code: String,
    },
}

/// Extended messages that no Sync has ended yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Batch {
    /// None.
    Closed,
    /// Only such as run nothing: Parse, Close, Describe.
    Prepared,
    /// Something was bound or executed.
    Ran,
}

/// Whether messages are skipped up to the next Sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deaf {
    No,
    /// The server failed one.
    Server,
    /// We refused one.
    Refused,
}

/// See the module's text.
#[derive(Debug)]
pub struct Session {
    pub(super) settings: SessionSettings,
    pub(super) encoding: ClientEncoding,
    pub(super) gate: Gate,
    pub(super) pipeline: Pipeline,
    pub(super) transaction: Transaction,
    /// What has been answered since the last ReadyForQuery: effects, and whether an error was among it.
    pub(super) answered: Effects,
    pub(super) answered_error: bool,
    pub(super) answered_rollback: bool,
    pub(super) batch: Batch,
    pub(super) batch_number: u32,
    pub(super) deaf: Deaf,
    pub(super) copies_in: bool,
    pub(super) copies_both: bool,
    pub(super) ahead: Ahead,
    pub(super) statements: Names,
    pub(super) portals: Names,
    pub(super) changes: VecDeque<(Book, Change)>,
    pub(super) refusals: VecDeque<Refusal>,
    pub(super) fence: Fence,
    /// The mode as the server last reported it, and as the client was last told.
    pub(super) reported_read_only: bool,
    pub(super) told_read_only: bool,
    pub(super) injection_failure: Option<Box<str>>,
    pub(super) wants_rollback: bool,
    /// What is to be asked of the server, and whether that is under way.
    pub(super) question: Option<Box<str>>,
    pub(super) last_command: &'static str,
    /// Of its database; none while that is known to have none.
    pub(super) loopholes: Option<Arc<Loopholes>>,
    /// The client has said that it goes.
    pub(super) is_terminating: bool,
    /// Under which number its writes are counted.
    pub(super) writer: WriterId,
    pub(super) bearing: Bearing,
    /// A statement was prepared that asks for what the proxy tells of itself.
    pub(super) has_shown: bool,
}

/// Which names a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Book {
    Statements,
    Portals,
}

impl Session {
    /// A session that has just become ready, under that gate.
    pub fn new(settings: SessionSettings, gate: Gate) -> Self {
        let read_only = settings.default_read_only.unwrap_or(false);
        let fence = match settings.role {
            Role::Ordinary => settings.fence,
            Role::Exempt => FenceKind::None,
        };
        let mut session = Self {
            settings,
            encoding: settings.encoding,
            gate,
            pipeline: Pipeline::default(),
            transaction: Transaction::default(),
            answered: Effects::default(),
            answered_error: false,
            answered_rollback: false,
            batch: Batch::Closed,
            batch_number: 0,
            deaf: Deaf::No,
            copies_in: false,
            copies_both: false,
            ahead: Ahead { status: TransactionStatus::Idle, work: Work::None, cover: Cover::None },
            statements: Names::default(),
            portals: Names::default(),
            changes: VecDeque::new(),
            refusals: VecDeque::new(),
            fence: Fence::new(fence, settings.fenced_at_login),
            reported_read_only: read_only,
            told_read_only: read_only,
            injection_failure: None,
            wants_rollback: false,
            question: None,
            last_command: "",
            loopholes: None,
            is_terminating: false,
            writer: 0,
            bearing: Bearing::Bound,
            has_shown: false,
        };
        session.look_ahead();
        session
    }

    /// The gate may have moved. Call it before anything else, and when the switch wakes the session.
    ///
    /// # Errors
    /// None of its own: see [`Session::advance`].
    #[inline]
    pub fn on_gate(&mut self, turn: &mut Turn<'_>) -> Result<(), SessionError> {
        if self.meet(turn.gate) { self.advance(turn.out) } else { Ok(()) }
    }

    /// Takes note of the gate; tells whether it is another one.
    #[inline]
    pub(super) fn meet(&mut self, gate: Gate) -> bool {
        let has_moved = gate != self.gate;
        if has_moved {
            self.meet_another(gate);
        }
        has_moved
    }

    #[inline(never)]
    fn meet_another(&mut self, gate: Gate) {
        // Within an epoch it shuts for a session that was spared until now.
        let newly_shut = gate.is_shut() && (gate.epoch() != self.gate.epoch() || !self.gate.is_shut());
        self.gate = gate;
        if newly_shut {
            self.fence.on_shut(self.is_settled() && self.transaction.status == TransactionStatus::Idle);
            self.look_ahead();
        }
    }

    /// Says what is due of the fence, if the server is free to hear it. Call it when messages of either side
    /// have been dealt with.
    ///
    /// # Errors
    /// The server would not make the session read-only: it must not go on.
    pub fn advance(&mut self, out: &mut Output) -> Result<(), SessionError> {
        if let Some(code) = &self.injection_failure {
            return Err(SessionError::FenceFailed { code: code.to_string() });
        }
        if !self.is_settled() {
            return Ok(());
        }
        let status = self.transaction.status;
        if !self.gate.is_shut() && status == TransactionStatus::Idle {
            let reports = self.settings.default_read_only.is_some();
            self.fence.stand_down(reports && !self.reported_read_only);
        }
        if self.fence.in_flight().is_some() {
            return Ok(());
        }
        let due = if status == TransactionStatus::Idle && self.question.is_some() {
            Some(Injection::AskServer)
        } else if self.wants_rollback && status != TransactionStatus::Idle {
            Some(Injection::Rollback)
        } else {
            self.fence.due(self.gate, status, self.unproven_work())
        };
        if let Some(what) = due {
            let form = match self.settings.replication {
                Replication::None => Form::Synced,
                Replication::Physical | Replication::Database => Form::Simple,
            };
            let asked = if what == Injection::AskServer { self.question.take() } else { None };
            let sql = asked.as_deref().unwrap_or(what.sql());
            inject(what, sql, form, &mut out.to_server, &mut self.pipeline);
            self.fence.on_injected(what);
        }
        Ok(())
    }

    /// Whether the client has said that it goes: that the server closes is then no news.
    pub fn is_terminating(&self) -> bool {
        self.is_terminating
    }

    /// Something is to be asked of the server as soon as it is free to hear it; [`super::Event::Answered`] tells
    /// what it said.
    ///
    /// # Errors
    /// As [`Session::advance`].
    pub fn ask(&mut self, sql: &str, out: &mut Output) -> Result<(), SessionError> {
        if self.settings.replication == Replication::None {
            self.question = Some(sql.into());
        }
        self.advance(out)
    }

    /// The loopholes of the session's database. What was prepared or declared before may name a new one.
    pub fn set_loopholes(&mut self, loopholes: &Arc<Loopholes>) {
        let known = Some(loopholes).filter(|loopholes| !loopholes.is_empty());
        if self.loopholes.as_ref() == known {
            return;
        }
        self.loopholes = known.cloned();
        self.statements.distrust();
        self.portals.distrust();
    }

    /// What a shut gate is to it from now on. Who is spared is to be shown an open gate in its place.
    pub fn set_bearing(&mut self, bearing: Bearing) {
        self.bearing = bearing;
    }

    /// Under which number its writes are counted from now on.
    pub fn set_writer(&mut self, writer: WriterId) {
        self.writer = writer;
    }

    /// The session turns out to have a pooler behind it: a setting would stay behind in a session of others.
    pub fn give_up_fence(&mut self) {
        self.fence.give_up();
        self.look_ahead();
    }

    /// A straggler is to be ended: its block is rolled back as soon as the server is free to hear it.
    ///
    /// # Errors
    /// As [`Session::advance`].
    pub fn roll_back(&mut self, out: &mut Output) -> Result<(), SessionError> {
        self.wants_rollback = true;
        self.advance(out)
    }

    /// Whether nothing at all is in flight.
    pub fn is_settled(&self) -> bool {
        self.pipeline.is_empty()
            && self.batch == Batch::Closed
            && self.deaf == Deaf::No
            && !self.copies_in
            && !self.copies_both
    }

    /// The transaction's status as of the last ReadyForQuery.
    pub fn status(&self) -> TransactionStatus {
        self.transaction.status
    }

    /// Whether the next rows from the server must be seen whole.
    pub fn rows(&self) -> Rows {
        let shows = Effects::SHOWS_DEFAULT_READ_ONLY
            .union(Effects::SHOWS_TRANSACTION_READ_ONLY)
            .union(Effects::SHOWS_FROSTGATE);
        match self.pipeline.head() {
            Some(head) if head.is_question() || head.effects.intersects(shows) => Rows::Held,
            Some(_) | None => Rows::Stream,
        }
    }

    /// Whether the server waits for the client's data: it can only be ended by closing its connection.
    pub fn is_copying_in(&self) -> bool {
        self.copies_in
    }

    /// The command word of the last statement that was judged.
    pub fn last_command(&self) -> &'static str {
        self.last_command
    }

    /// A message has come to its end: what it defined or removed is settled.
    pub(super) fn settle_changes(&mut self, owed: &Owed, how: Settled) {
        for _ in 0..owed.changes {
            match self.changes.pop_front() {
                Some((Book::Statements, change)) => self.statements.settle(change, how),
                Some((Book::Portals, change)) => self.portals.settle(change, how),
                None => {}
            }
        }
    }

    /// Appends what has been answered to what was before it since the last ReadyForQuery.
    pub(super) fn note_answered(&mut self, effects: Effects) {
        self.answered = then(self.answered, effects);
    }
}
