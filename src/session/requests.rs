//! What the client sends: each message is judged where it would run, and forwarded, held or refused.

use super::{
    judging::{Judged, Judgement},
    life::{Batch, Book, Deaf, Session, SessionError},
    names::{Change, Prepared},
    pipeline::{Owed, Step},
    policy::{Passage, Role},
    shows::IN_ITS_PLACE,
    transaction::Work,
    turn::{Fate, Turn},
};
use crate::{
    sql::{self, Classification, Effects, FunctionArgument, StatementClass, Verdict},
    wire::{
        Cut, FrontendTag, TransactionStatus,
        backend::ready_for_query,
        frame::bind_names,
        frontend::{
            FunctionCall, Named, Write, execute_portal, named, parse_name, parse_name_and_text, query_text,
        },
    },
};
use std::rc::Rc;

/// One message of the client, with as much of its body as is here.
#[derive(Clone, Copy)]
struct Request<'a> {
    tag: FrontendTag,
    body: &'a [u8],
    is_whole: bool,
}

impl Session {
    /// The client's next message.
    ///
    /// # Errors
    /// The session can't go on.
    pub fn on_frontend(
        &mut self,
        cut: &Cut<'_, FrontendTag>,
        turn: &mut Turn<'_>,
    ) -> Result<Fate, SessionError> {
        self.on_gate(turn)?;
        let request = match *cut {
            Cut::More => return Ok(Fate::Hold),
            Cut::Whole { tag, body, .. } => Request { tag, body, is_whole: true },
            Cut::Head { tag, prefix, .. } => Request { tag, body: prefix, is_whole: false },
        };
        if request.tag == FrontendTag::Terminate {
            self.is_terminating = true;
            return Ok(Fate::Forward);
        }
        if self.fence.in_flight().is_some() || self.is_about_to_ask() || self.pipeline.is_full() {
            return Ok(Fate::Hold);
        }
        if let Some(fate) = self.while_deaf(request.tag) {
            return Ok(fate);
        }
        Ok(match request.tag {
            FrontendTag::Query => self.on_query(request, turn),
            FrontendTag::Parse => self.on_parse(request, turn),
            FrontendTag::Bind => self.on_bind(request, turn),
            FrontendTag::Execute => self.on_execute(request, turn),
            FrontendTag::FunctionCall => self.on_function_call(request, turn),
            FrontendTag::Describe => self.on_describe(request),
            FrontendTag::Close => self.on_close(request),
            FrontendTag::Sync => self.on_sync(turn),
            FrontendTag::Flush if self.copies_in => Fate::Drop,
            FrontendTag::CopyData => self.on_copy_data(),
            FrontendTag::CopyDone | FrontendTag::CopyFail => self.on_copy_end(),
            FrontendTag::Flush | FrontendTag::Terminate | FrontendTag::Password | FrontendTag::Unknown(_) => {
                Fate::Forward
            }
        })
    }

    /// A question waits only for what is in flight already: what the client says next is judged by its answer.
    fn is_about_to_ask(&self) -> bool {
        self.question.is_some()
            && self.batch == Batch::Closed
            && self.deaf == Deaf::No
            && !self.copies_in
            && !self.copies_both
            && self.transaction.status == TransactionStatus::Idle
    }

    /// The server skips everything up to the next Sync, or we do. A write is never staked on our belief that
    /// the server is deaf: behind a shut gate nothing is sent into its ear.
    fn while_deaf(&self, tag: FrontendTag) -> Option<Fate> {
        match (self.deaf, tag) {
            (Deaf::No, _) | (_, FrontendTag::Sync) => None,
            (Deaf::Refused, FrontendTag::Flush) if self.batch != Batch::Closed => Some(Fate::Forward),
            (Deaf::Server, _) if !self.gate.is_shut() => Some(Fate::Forward),
            (Deaf::Server | Deaf::Refused, _) => Some(Fate::Drop),
        }
    }

    fn on_query(&mut self, request: Request<'_>, turn: &mut Turn<'_>) -> Fate {
        let Some(text) = query_text(request.body).ok().filter(|_| request.is_whole) else {
            let classification = &Classification::UNREADABLE;
            let judged = Judged { step: Step::Query, classification, text: &[], operations: &[] };
            return self.run(&judged, turn);
        };
        let prepared = self.prepare(text, turn);
        let executed = self.executed_by(&prepared);
        let classification = executed.as_ref().unwrap_or(&prepared.classification);
        if let Some(fate) = self.show(classification, turn) {
            return fate;
        }
        let operations = &prepared.operations;
        let fate = self.run(&Judged { step: Step::Query, classification, text, operations }, turn);
        if fate == Fate::Forward && classification.effects.intersects(Effects::SHOWS_FROSTGATE) {
            Write(&mut turn.out.to_server).query(IN_ITS_PLACE);
            return Fate::Drop;
        }
        fate
    }

    fn on_function_call(&mut self, request: Request<'_>, turn: &mut Turn<'_>) -> Fate {
        let classification = match FunctionCall::read(request.body) {
            Ok(call) => {
                let argument = |(binary, value)| FunctionArgument { binary, value };
                sql::classify_function_call(call.oid, call.arguments().map(argument))
            }
            Err(_) => Classification::UNREADABLE,
        };
        let classification = &classification;
        self.run(&Judged { step: Step::FunctionCall, classification, text: &[], operations: &[] }, turn)
    }

    /// A Parse writes nothing; drivers parse early and bind later. Only what can't be read is refused here.
    fn on_parse(&mut self, request: Request<'_>, turn: &mut Turn<'_>) -> Fate {
        let whole = parse_name_and_text(request.body).ok().filter(|_| request.is_whole);
        let (name, text) = match whole {
            Some((name, text)) => (Some(name), text),
            None => (parse_name(request.body), &[][..]),
        };
        let prepared = match whole {
            Some(_) => Rc::new(self.prepare(text, turn)),
            None => Prepared::plain(Classification::UNREADABLE),
        };
        let classification = prepared.classification;
        let is_judged = self.gate.is_shut() && self.settings.role == Role::Ordinary;
        if is_judged && classification.class == StatementClass::Unknown {
            return self.refuse(Step::Parse, &classification, text, turn);
        }
        let mut owed = Owed::client(Step::Parse, Effects::default());
        if let Some(name) = name {
            self.statements.define(name, prepared, text, self.batch_number);
            self.changes.push_back((Book::Statements, Change::definition(name)));
            owed.changes = 1;
        } else {
            self.statements.lose_track();
        }
        let fate = self.forward_in_batch(owed, Batch::Prepared);
        // A name that is not kept would be forgotten to be one of ours when it is run.
        let kept = name.filter(|_| classification.effects.intersects(Effects::SHOWS_FROSTGATE));
        let kept = kept.filter(|name| self.statements.look_up(name, self.batch_number).is_some());
        if let Some(name) = kept.and_then(|name| std::str::from_utf8(name).ok()) {
            self.has_shown = true;
            Write(&mut turn.out.to_server).parse(name, IN_ITS_PLACE);
            return Fate::Drop;
        }
        fate
    }

    /// Planning may run functions, so a Bind may do whatever its statement's functions do.
    fn on_bind(&mut self, request: Request<'_>, turn: &mut Turn<'_>) -> Fate {
        let names = bind_names(request.body);
        let known = names.and_then(|(_, statement)| self.statements.look_up(statement, self.batch_number));
        let prepared = known.unwrap_or_else(Prepared::unknown);
        let executed = self.executed_by(&prepared);
        let classification = executed.as_ref().unwrap_or(&prepared.classification);
        let passage = match self.judge(classification, Step::Bind, turn) {
            Judgement::Wait => return Fate::Hold,
            Judgement::No => {
                let kept = names.map(|(_, statement)| self.statements.text(statement).to_vec());
                return self.refuse(Step::Bind, classification, &kept.unwrap_or_default(), turn);
            }
            Judgement::Yes(passage) => passage,
        };
        if classification.verdict == Verdict::Refuse {
            // Counted where its text is at hand: an Execute knows no more than its portal.
            let text = names.map(|(_, statement)| self.statements.text(statement)).unwrap_or_default();
            turn.out.writes.note(self.writer, classification, text);
        }
        let runs = Work::of(classification.effects) != Work::None;
        let planning = Effects::MAY_WRITE.union(Effects::MAY_WRITE_SINCE_END);
        let effects = if runs { self.masked(planning, passage) } else { Effects::default() };
        let mut owed = Owed::client(Step::Bind, effects);
        if let Some((portal, _)) = names {
            self.portals.define(portal, prepared, &[], self.batch_number);
            self.changes.push_back((Book::Portals, Change::definition(portal)));
            owed.changes = 1;
        } else {
            self.portals.lose_track();
        }
        self.forward_in_batch(owed, Batch::Ran)
    }

    fn on_execute(&mut self, request: Request<'_>, turn: &mut Turn<'_>) -> Fate {
        let portal = execute_portal(request.body).ok();
        let known = portal.and_then(|portal| self.portals.look_up(portal, self.batch_number));
        let prepared = known.unwrap_or_else(Prepared::unknown);
        let executed = self.executed_by(&prepared);
        let classification = executed.as_ref().unwrap_or(&prepared.classification);
        let operations = &prepared.operations;
        self.run(&Judged { step: Step::Execute, classification, text: &[], operations }, turn)
    }

    fn on_describe(&mut self, request: Request<'_>) -> Fate {
        let effects = if self.has_shown { self.shown_by(request.body) } else { Effects::default() };
        self.forward_in_batch(Owed::client(Step::Describe, effects), Batch::Prepared)
    }

    /// Which column a Describe is to be told in place of the server's.
    fn shown_by(&self, body: &[u8]) -> Effects {
        let known = match named(FrontendTag::Describe, body) {
            Ok(Named::Statement(name)) => self.statements.look_up(name, self.batch_number),
            Ok(Named::Portal(name)) => self.portals.look_up(name, self.batch_number),
            Err(_) => None,
        };
        let effects = known.map(|known| known.classification.effects).unwrap_or_default();
        effects.intersection(Effects::SHOWS_FROSTGATE)
    }

    fn on_close(&mut self, request: Request<'_>) -> Fate {
        let mut owed = Owed::client(Step::Close, Effects::default());
        let change = match named(FrontendTag::Close, request.body) {
            Ok(Named::Statement(name)) => Some((Book::Statements, Change::removal(name))),
            Ok(Named::Portal(name)) => Some((Book::Portals, Change::removal(name))),
            Err(_) => None,
        };
        if let Some(change) = change {
            self.changes.push_back(change);
            owed.changes = 1;
        }
        self.forward_in_batch(owed, Batch::Prepared)
    }

    fn on_sync(&mut self, turn: &mut Turn<'_>) -> Fate {
        if self.copies_in {
            return Fate::Drop;
        }
        let refused_alone = self.deaf == Deaf::Refused && self.batch == Batch::Closed;
        self.deaf = Deaf::No;
        self.batch = Batch::Closed;
        self.batch_number = self.batch_number.wrapping_add(1);
        if refused_alone {
            ready_for_query(&mut turn.out.to_client, self.transaction.status);
            return Fate::Drop;
        }
        self.pipeline.push(Owed::client(Step::Sync, Effects::default()));
        Fate::Forward
    }

    /// Outside a copy the server ignores what belongs to one (`SocketBackend`, `PostgresMain`); what follows
    /// a COPY that we refused ourselves ends here.
    fn on_copy_data(&self) -> Fate {
        if self.pipeline.is_empty() && !self.copies_in { Fate::Drop } else { Fate::Forward }
    }

    fn on_copy_end(&mut self) -> Fate {
        if self.copies_in {
            self.copies_in = false;
        } else if self.pipeline.is_empty() {
            return Fate::Drop;
        } else if !self.copies_both {
            self.pipeline.push(Owed::client(Step::CopyEnd, Effects::default()));
        }
        Fate::Forward
    }

    /// A Query, an Execute or a FunctionCall.
    fn run(&mut self, judged: &Judged<'_>, turn: &mut Turn<'_>) -> Fate {
        let Judged { step, classification, text, operations } = *judged;
        let passage = match self.judge(classification, step, turn) {
            Judgement::Wait => return Fate::Hold,
            Judgement::No => return self.refuse(step, classification, text, turn),
            Judgement::Yes(passage) => passage,
        };
        turn.out.tally.count(classification.class);
        if classification.verdict == Verdict::Refuse && step != Step::Execute {
            turn.out.writes.note(self.writer, classification, text);
        }
        if passage == Passage::Exempt {
            turn.out.tally.count_exempt();
        }
        let effects = classification.effects;
        let mut owed = Owed::client(step, self.masked(effects, passage));
        if effects.contains(Effects::TOUCHES_READ_ONLY) && !self.gate.is_shut() {
            // Whatever comes of it, the mode is the client's own affair; it is asked for before the fence goes up.
            self.fence.on_touched();
            owed.effects.remove(Effects::TOUCHES_READ_ONLY);
        }
        owed.changes = self.note_operations(operations);
        if step == Step::Query && *classification == Classification::UNREADABLE {
            self.statements.lose_track();
            self.portals.lose_track();
        }
        if effects.contains(Effects::RESETS_ALL) {
            self.fence.on_reset();
        }
        if effects.intersects(Effects::ENDS.union(Effects::ENDS_SUBTRANSACTION)) {
            self.fence.on_block_end();
        }
        if step == Step::Execute {
            return self.forward_in_batch(owed, Batch::Ran);
        }
        self.batch = Batch::Closed;
        self.batch_number = self.batch_number.wrapping_add(1);
        self.book(owed)
    }

    fn forward_in_batch(&mut self, owed: Owed, at_least: Batch) -> Fate {
        self.batch = self.batch.max(at_least);
        self.book(owed)
    }

    fn book(&mut self, owed: Owed) -> Fate {
        self.pipeline.push(owed);
        if self.gate.is_shut() {
            self.ahead.step(owed.effects);
        }
        Fate::Forward
    }
}
