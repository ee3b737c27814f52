//! What the server answers: each message closes or fails what is owed, and is passed on, swallowed or
//! rewritten. What seldom comes is kept out of line: what comes always has the less to step over.

use super::{
    fence::Own,
    injection::Injection,
    life::{Batch, Deaf, Session},
    names::Settled,
    pipeline::{CopyIn, Origin, SkipTo, Step},
    refusal::is_answer_to_poison,
    shows::Shown,
    turn::{Event, Fate, Turn},
};
use crate::{
    sql::{ClientEncoding, Effects},
    wire::{
        BackendTag, Cut, TransactionStatus,
        backend::{
            ErrorFields, SqlState, data_row, error_response_with, first_column, parameter_status,
            read_parameter_status,
        },
    },
};

impl Session {
    /// The server's next message. What the session writes to the client goes behind it.
    #[expect(clippy::inline_always, reason = "called in one place, for each message of the server")]
    #[inline(always)]
    pub fn on_backend(&mut self, cut: &Cut<'_, BackendTag>, turn: &mut Turn<'_>) -> Fate {
        self.meet(turn.gate);
        let (tag, body, is_whole) = match *cut {
            Cut::More => return Fate::Hold,
            Cut::Whole { tag, body, .. } => (tag, body, true),
            Cut::Head { tag, prefix, .. } => (tag, prefix, false),
        };
        match tag {
            BackendTag::ReadyForQuery => self.on_ready(body, turn),
            BackendTag::ErrorResponse => self.on_error(ErrorFields(body), is_whole, turn),
            BackendTag::ParameterStatus => self.on_parameter_status(body, turn),
            BackendTag::NotificationResponse => Fate::Forward,
            BackendTag::DataRow => self.on_row(body, turn),
            BackendTag::CopyInResponse => self.on_copy_in(),
            BackendTag::CopyBothResponse => {
                self.copies_both = true;
                Fate::Forward
            }
            BackendTag::BindComplete => self.on_step(Step::Bind, turn),
            BackendTag::RowDescription => self.on_row_description(turn),
            BackendTag::CommandComplete => {
                self.answered_rollback |= body.starts_with(b"ROLLBACK");
                self.on_step(Step::Execute, turn)
            }
            BackendTag::EmptyQueryResponse | BackendTag::PortalSuspended => self.on_step(Step::Execute, turn),
            BackendTag::NoData => self.on_step(Step::Describe, turn),
            BackendTag::ParseComplete => self.on_step(Step::Parse, turn),
            BackendTag::CloseComplete => self.on_step(Step::Close, turn),
            BackendTag::NoticeResponse
            | BackendTag::Authentication
            | BackendTag::BackendKeyData
            | BackendTag::CopyData
            | BackendTag::CopyDone
            | BackendTag::CopyOutResponse
            | BackendTag::FunctionCallResponse
            | BackendTag::NegotiateProtocolVersion
            | BackendTag::ParameterDescription
            | BackendTag::Unknown(_) => self.unless_ours(),
        }
    }

    fn unless_ours(&self) -> Fate {
        let ours = self.pipeline.head().is_some_and(|head| head.injection().is_some());
        if ours { Fate::Drop } else { Fate::Forward }
    }

    /// The last message that such an extended message gets, if that is the one owed.
    fn on_step(&mut self, ends: Step, turn: &mut Turn<'_>) -> Fate {
        let fate = self.unless_ours();
        if let Some(closed) = self.pipeline.close(ends) {
            self.note_answered(closed.effects);
            self.settle_changes(&closed, Settled::Done);
            self.tell_due_refusal(turn);
        }
        fate
    }

    fn on_row_description(&mut self, turn: &mut Turn<'_>) -> Fate {
        let shown = self.pipeline.head().and_then(|head| Shown::by(head.effects));
        if let Some(shown) = shown {
            shown.describe(&mut turn.out.to_client);
        }
        let fate = self.on_step(Step::Describe, turn);
        if shown.is_some() { Fate::Drop } else { fate }
    }

    /// A refusal waits until all that stands before it in its batch has been answered.
    #[inline]
    fn tell_due_refusal(&mut self, turn: &mut Turn<'_>) {
        if !self.refusals.is_empty() {
            self.tell_refusal_if_due(turn);
        }
    }

    #[inline(never)]
    fn tell_refusal_if_due(&mut self, turn: &mut Turn<'_>) {
        if self.pipeline.take_due_refusal().is_some()
            && let Some(refusal) = self.refusals.pop_front()
        {
            self.tell_now(refusal, turn);
        }
    }

    fn on_ready(&mut self, body: &[u8], turn: &mut Turn<'_>) -> Fate {
        let status = TransactionStatus::from_byte(body.first().copied().unwrap_or_default());
        let mut ours = None;
        while let Some((owed, is_last)) = self.pipeline.pop_to_ready() {
            // What has not been answered by a message of its own ends here, or was lost sight of.
            let done = is_last && !self.answered_error;
            self.note_answered(owed.effects);
            self.settle_changes(&owed, if done { Settled::Done } else { Settled::Unsure });
            if owed.carries_refusal() {
                self.refusals.pop_front();
            }
            if is_last {
                ours = owed.injection();
                break;
            }
        }
        let fate = if let Some(what) = ours {
            self.on_injection_answered(what, status, turn);
            Fate::Drop
        } else {
            self.on_client_ready(status);
            Fate::Forward
        };
        self.answered = Effects::default();
        (self.answered_error, self.answered_rollback) = (false, false);
        if self.pipeline.is_empty() {
            self.copies_in = false;
            self.copies_both = false;
        }
        if self.gate.is_shut() && self.pipeline.readies() == 0 {
            self.look_ahead();
        }
        fate
    }

    fn on_client_ready(&mut self, status: TransactionStatus) {
        let is_done = !self.answered_error && !self.answered_rollback;
        if self.answered.contains(Effects::RESETS_ALL) {
            // The server has told by now whether the mode is off, unless it is a PostgreSQL 13.
            if is_done && !self.reported_read_only && status == TransactionStatus::Idle {
                self.fence.on_reset_done();
            }
        } else if self.answered.contains(Effects::TOUCHES_READ_ONLY) {
            // Behind a shut gate all that passes is to set it to on.
            if self.gate.is_shut() && is_done {
                self.fence.on_client_set_read_only();
            } else {
                self.fence.on_touched();
            }
        }
        self.fence.settle_own(status, is_done);
        self.transaction.on_ready(status, self.answered, self.answered_error);
        if status == TransactionStatus::Idle {
            self.fence.on_idle();
            self.portals.forget_all();
        }
    }

    /// The server has done, or failed, what we said ourselves.
    #[inline(never)]
    fn on_injection_answered(&mut self, what: Injection, status: TransactionStatus, turn: &mut Turn<'_>) {
        self.transaction.status = status;
        if status == TransactionStatus::Idle {
            // The gate may have shut while we were speaking ourselves.
            self.fence.on_idle();
        }
        if self.answered_error {
            return;
        }
        self.fence.on_done(what);
        match what {
            Injection::ResetSession | Injection::SetSessionReadWrite => self.tell_mode(turn),
            Injection::Rollback => {
                self.transaction.on_ready(status, Effects::ENDS, false);
                turn.out.events.push(Event::RolledBack);
            }
            Injection::RaiseSession
            | Injection::RaiseBlock
            | Injection::AskWritten
            | Injection::AskOwn
            | Injection::AskServer => {}
        }
    }

    /// What the client was last told of its mode is true again, or is put right.
    fn tell_mode(&mut self, turn: &mut Turn<'_>) {
        if self.settings.default_read_only.is_some() && self.reported_read_only != self.told_read_only {
            self.told_read_only = self.reported_read_only;
            let value: &[u8] = if self.told_read_only { b"on" } else { b"off" };
            parameter_status(&mut turn.out.to_client, "default_transaction_read_only", value);
        }
    }

    fn on_row(&mut self, body: &[u8], turn: &mut Turn<'_>) -> Fate {
        let Some(head) = self.pipeline.head().copied() else { return Fate::Forward };
        if let Some(what) = head.injection() {
            self.on_answer(what, first_column(body), turn);
            return Fate::Drop;
        }
        if let Some(shown) = Shown::by(head.effects) {
            shown.tell(turn);
            return Fate::Drop;
        }
        if self.settings.advertise_read_only || !self.fence.holds_open_block() {
            return Fate::Forward;
        }
        let shown = if head.effects.contains(Effects::SHOWS_TRANSACTION_READ_ONLY) {
            self.transaction.is_read_only_by_client() || self.told_read_only
        } else if head.effects.contains(Effects::SHOWS_DEFAULT_READ_ONLY) {
            self.told_read_only
        } else {
            return Fate::Forward;
        };
        data_row(&mut turn.out.to_client, if shown { b"on" } else { b"off" });
        Fate::Drop
    }

    /// The row that answers a question of ours.
    #[inline(never)]
    fn on_answer(&mut self, what: Injection, value: Option<&[u8]>, turn: &mut Turn<'_>) {
        match what {
            Injection::AskWritten => self.transaction.learn(value.is_some()),
            Injection::AskOwn => self.fence.on_own(match value {
                Some(b"on") => Own::On,
                Some(b"off") => Own::Off,
                Some(_) | None => Own::Unset,
            }),
            Injection::AskServer => turn.out.events.push(Event::Answered(value.unwrap_or_default().into())),
            Injection::RaiseSession
            | Injection::ResetSession
            | Injection::SetSessionReadWrite
            | Injection::RaiseBlock
            | Injection::Rollback => {}
        }
    }

    #[inline(never)]
    fn on_copy_in(&mut self) -> Fate {
        self.copies_in = self.pipeline.copies_in() == CopyIn::EndToCome;
        Fate::Forward
    }

    #[inline(never)]
    fn on_error(&mut self, error: ErrorFields<'_>, is_whole: bool, turn: &mut Turn<'_>) -> Fate {
        let Some(head) = self.pipeline.head_to_fail() else { return Fate::Forward };
        let fate = match head.origin {
            Origin::Poison => self.on_poison_answered(head.step, error, turn),
            Origin::Injected(_) => self.on_injection_failed(error, turn),
            Origin::Client => self.on_client_error(error, is_whole, turn),
        };
        self.answered_error = true;
        self.copies_in = false;
        self.skip_after_error();
        self.tell_due_refusal(turn);
        fate
    }

    /// Everything up to the next Sync will never be answered.
    fn skip_after_error(&mut self) {
        let mut skipped = Vec::new();
        let end = self.pipeline.fail(|owed| skipped.push(owed));
        for (at, owed) in skipped.iter().enumerate() {
            let ran_in_part = at == 0 && owed.step == Step::Execute;
            self.settle_changes(owed, if ran_in_part { Settled::Unsure } else { Settled::Skipped });
            if owed.carries_refusal() {
                self.refusals.pop_front();
            }
        }
        if end == SkipTo::SyncToCome {
            self.batch = Batch::Ran;
            if self.deaf == Deaf::No {
                self.deaf = Deaf::Server;
            }
        }
    }

    /// Rewritten is only what our poison brought; a cancel or the end of the connection passes as it is.
    fn on_poison_answered(&mut self, step: Step, error: ErrorFields<'_>, turn: &mut Turn<'_>) -> Fate {
        self.pipeline.disarm_head();
        let Some(refusal) = self.refusals.pop_front() else { return Fate::Forward };
        if !is_answer_to_poison(step, error) {
            return Fate::Forward;
        }
        self.tell_now(refusal, turn);
        Fate::Drop
    }

    fn on_injection_failed(&mut self, error: ErrorFields<'_>, turn: &mut Turn<'_>) -> Fate {
        // In the client's batch the error is the client's: it was cancelled, or the block had failed.
        if self.fence.in_flight().is_none() || !error.is_plain_error() {
            return Fate::Forward;
        }
        if self.fence.in_flight() == Some(Injection::AskServer) {
            self.fence.on_done(Injection::AskServer);
            turn.out.events.push(Event::Unanswered);
        } else if !self.fence.on_failed() {
            let code = error.sql_state();
            turn.out.events.push(Event::FenceFailed { code });
            self.injection_failure = Some(code.map_or("no code".into(), |code| code.to_string().into()));
        }
        Fate::Drop
    }

    /// A write that the server rejects only because of the fence: the client reads the operator's words.
    fn on_client_error(&mut self, error: ErrorFields<'_>, is_whole: bool, turn: &mut Turn<'_>) -> Fate {
        let is_ours = self.fence.holds_open_block() && !self.transaction.is_read_only_by_client();
        if !is_ours || !is_whole || error.sql_state() != Some(SqlState::READ_ONLY_SQL_TRANSACTION) {
            turn.out.tally.count_error();
            return Fate::Forward;
        }
        let words = turn.words;
        error_response_with(&mut turn.out.to_client, error, &words.detail, &words.hint);
        let message = error.field(b'M').unwrap_or_default();
        let command = message
            .strip_prefix(b"cannot execute ")
            .and_then(|rest| rest.strip_suffix(b" in a read-only transaction"))
            .unwrap_or_default();
        turn.out.events.push(Event::Rejected { command: command.into() });
        Fate::Drop
    }

    #[inline(never)]
    fn on_parameter_status(&mut self, body: &[u8], turn: &mut Turn<'_>) -> Fate {
        match read_parameter_status(body) {
            Some((b"default_transaction_read_only", value)) => self.on_mode_reported(value == b"on", turn),
            Some((b"client_encoding", value)) => {
                self.encoding = ClientEncoding::from_name(value);
                Fate::Forward
            }
            Some((b"application_name", value)) => {
                turn.out.events.push(Event::ApplicationName(value.into()));
                Fate::Forward
            }
            _ => Fate::Forward,
        }
    }

    /// The client shall not see the fence: drivers that look for a writable server would turn away, and
    /// reads with them.
    fn on_mode_reported(&mut self, read_only: bool, turn: &mut Turn<'_>) -> Fate {
        self.reported_read_only = read_only;
        let is_moving = self.fence.in_flight().is_some();
        if self.fence.is_up() && !is_moving && !read_only {
            self.fence.on_lost(self.gate);
            if self.gate.is_shut() {
                turn.out.events.push(Event::FenceLost);
            }
        }
        let is_ours = self.fence.kind() == super::fence::FenceKind::Session
            && (self.gate.is_shut() || self.fence.shows());
        let is_back = read_only && !is_ours && self.fence.on_back();
        let is_hidden = (is_ours || is_back) && !self.settings.advertise_read_only;
        // What the client has been told already it would not be told again: it never saw the fence between.
        if is_hidden || read_only == self.told_read_only {
            return Fate::Drop;
        }
        self.told_read_only = read_only;
        if !is_ours {
            self.fence.on_touched();
        }
        Fate::Forward
    }
}
