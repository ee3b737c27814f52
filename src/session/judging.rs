//! How a message is judged: its class, with what it runs by name; where it would run; what is refused how.

use super::{
    inject::{Form, inject},
    injection::Injection,
    life::{Batch, Book, Deaf, Session},
    names::{Change, Operation, Prepared, both, stricter_class},
    pipeline::{Origin, Owed, Step},
    policy::{Cover, Decision, Passage, decide},
    refusal::{Refusal, poison, tell, tell_failed_block},
    transaction::without,
    turn::{Event, Fate, Turn},
};
use crate::{
    sql::{self, Classification, ClientEncoding, Effects, ReplicationKind, SqlName, StatementClass},
    wire::{TransactionStatus, backend::ready_for_query, startup::Replication},
};

/// SQL-level changes of names that one message may make; one with more makes every name unknown.
pub(super) const CHANGES_LIMIT: usize = 256;

/// A message that runs something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged<'a> {
    pub(super) step: Step,
    pub(super) classification: &'a Classification,
    pub(super) text: &'a [u8],
    pub(super) operations: &'a [Operation],
}

/// What was decided, with the fence put in front where that was needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Yes(Passage),
    No,
    Wait,
}

impl Session {
    /// The class of a text, and what it does with names.
    pub(super) fn prepare(&self, text: &[u8], turn: &mut Turn<'_>) -> Prepared {
        let encoding = self.encoding_of(text);
        let alone = match self.settings.replication {
            Replication::None => turn.classifier.classify(text, encoding),
            Replication::Physical => sql::classify_replication(text, encoding, ReplicationKind::Physical),
            Replication::Database => sql::classify_replication(text, encoding, ReplicationKind::Database),
        };
        let classification = match &self.loopholes {
            Some(loopholes) => loopholes.judge(text, alone),
            None => alone,
        };
        let mut operations = Vec::new();
        if classification.effects.contains(Effects::NAMES) {
            let is_loophole = classification != alone;
            sql::named_operations(text, encoding, |operation| {
                // One more than the limit tells that there were too many.
                if operations.len() <= CHANGES_LIMIT {
                    let operation = Operation::from(operation);
                    operations.push(if is_loophole { operation.through_loophole() } else { operation });
                }
            });
        }
        Prepared { classification, operations: operations.into() }
    }

    /// The server may have another encoding in mind by the time that it reads the text.
    fn encoding_of(&self, text: &[u8]) -> ClientEncoding {
        let changing = self.answered.contains(Effects::TOUCHES_ENCODING) || self.pipeline.touches_encoding();
        if changing && !text.is_ascii() { ClientEncoding::Uncertain } else { self.encoding }
    }

    /// What is to be judged where it is not what was prepared itself: EXECUTE does what was prepared under its name, be
    /// it in the same message.
    #[inline]
    pub(super) fn executed_by(&self, prepared: &Prepared) -> Option<Classification> {
        let is_strict = self.settings.is_strict && self.gate.is_shut();
        let is_plain = prepared.operations.is_empty() && !is_strict;
        if is_plain { None } else { Some(self.with_operations(prepared, is_strict)) }
    }

    #[inline(never)]
    fn with_operations(&self, prepared: &Prepared, is_strict: bool) -> Classification {
        let mut classification = prepared.classification;
        let mut here: Vec<(&[u8], Classification)> = Vec::new();
        for operation in &prepared.operations {
            match operation {
                Operation::Prepare(SqlName::Known(name), classification) => {
                    here.push((name, *classification));
                }
                Operation::Execute(name) => {
                    let executed = match name {
                        SqlName::Known(name) => self.prepared_as(name, &here),
                        SqlName::Uncertain => Classification::UNKNOWN_NAME,
                    };
                    classification = both(classification, executed);
                    // PREPARE takes queries and writes only. What a Parse has put under the name may end the
                    // transaction in the middle of a message: where it does so can't be told any more.
                    if matches!(executed.class, StatementClass::Session | StatementClass::Transaction) {
                        classification = both(classification, Classification::UNKNOWN_NAME);
                    }
                }
                // A cursor that was not seen being declared is a function's own: FETCH is a read, and the fence
                // holds. One that locks rows was seen, and locks them when it is fetched from.
                Operation::Fetch(SqlName::Known(name)) => {
                    if let Some(cursor) = self.portals.look_up(name, self.batch_number) {
                        classification = both(classification, cursor.classification);
                    }
                }
                Operation::Prepare(SqlName::Uncertain, _)
                | Operation::Fetch(SqlName::Uncertain)
                | Operation::Deallocate(_)
                | Operation::DeallocateAll
                | Operation::DiscardAll
                | Operation::Declare(..)
                | Operation::Close(_)
                | Operation::CloseAll => {}
            }
        }
        if is_strict { classification.strictly() } else { classification }
    }

    /// What stands under a name, the definitions of the same message included.
    fn prepared_as(&self, name: &[u8], here: &[(&[u8], Classification)]) -> Classification {
        let before = self.statements.look_up(name, self.batch_number).map(|known| known.classification);
        let defined = here.iter().filter(|(n, _)| *n == name).map(|(_, class)| *class);
        let strictest = before.into_iter().chain(defined).reduce(stricter_class);
        strictest.unwrap_or(Classification::UNKNOWN_NAME)
    }

    /// Books what a forwarded message does with names; tells how many changes it will settle.
    pub(super) fn note_operations(&mut self, operations: &[Operation]) -> u16 {
        if operations.len() > CHANGES_LIMIT {
            self.statements.lose_track();
            self.portals.lose_track();
            return 0;
        }
        let before = self.changes.len();
        for operation in operations {
            self.note_operation(operation);
        }
        u16::try_from(self.changes.len().saturating_sub(before)).unwrap_or(u16::MAX)
    }

    fn note_operation(&mut self, operation: &Operation) {
        let batch = self.batch_number;
        let change = match operation {
            Operation::Prepare(SqlName::Known(name), classification) => {
                self.statements.define(name, Prepared::plain(*classification), &[], batch);
                (Book::Statements, Change::definition(name))
            }
            Operation::Declare(SqlName::Known(name), classification) => {
                self.portals.define(name, Prepared::plain(*classification), &[], batch);
                (Book::Portals, Change::definition(name))
            }
            Operation::Deallocate(SqlName::Known(name)) => (Book::Statements, Change::removal(name)),
            Operation::Close(SqlName::Known(name)) => (Book::Portals, Change::removal(name)),
            Operation::DeallocateAll => (Book::Statements, Change::Clear),
            Operation::CloseAll => (Book::Portals, Change::Clear),
            Operation::DiscardAll => {
                self.changes.push_back((Book::Portals, Change::Clear));
                (Book::Statements, Change::Clear)
            }
            // The server folds or converts the name in a way that is not ours to repeat: it may have become
            // any name that we know.
            Operation::Prepare(SqlName::Uncertain, _) => return self.statements.lose_track(),
            Operation::Declare(SqlName::Uncertain, _) => return self.portals.lose_track(),
            Operation::Execute(_)
            | Operation::Fetch(_)
            | Operation::Deallocate(SqlName::Uncertain)
            | Operation::Close(SqlName::Uncertain) => return,
        };
        self.changes.push_back(change);
    }

    /// What the gate does with it here and now: an open one nothing, and then it need not be told where the message would
    /// run. Where the open batch must be made read-only first, that has been written when this returns.
    #[inline]
    pub(super) fn judge(&mut self, what: &Classification, step: Step, turn: &mut Turn<'_>) -> Judgement {
        self.last_command = what.command.as_str();
        if self.gate.is_shut() {
            self.judge_while_shut(what, step, turn)
        } else {
            Judgement::Yes(Passage::Free)
        }
    }

    #[inline(never)]
    fn judge_while_shut(&mut self, what: &Classification, step: Step, turn: &mut Turn<'_>) -> Judgement {
        match decide(what, &self.position()) {
            Decision::Forward(passage) => Judgement::Yes(passage),
            Decision::Refuse => Judgement::No,
            // In the middle of a copy the server answers nothing that could be waited for.
            Decision::Hold if self.copies_in => Judgement::No,
            Decision::Hold => Judgement::Wait,
            // Behind an open batch a Query of the client would lose its work on PostgreSQL 18 if something
            // were executed in front of it without a Sync.
            Decision::CoverAndForward if step == Step::Query || step == Step::FunctionCall => Judgement::No,
            Decision::CoverAndForward => {
                let what = Injection::RaiseBlock;
                let out = &mut turn.out.to_server;
                inject(what, what.sql(), Form::InBatch, out, &mut self.pipeline);
                // If the server fails it, it skips what follows it too.
                self.fence.on_block_raised();
                self.batch = Batch::Ran;
                self.ahead.cover = Cover::Block;
                Judgement::Yes(Passage::Covered)
            }
        }
    }

    /// What a message may still do: under a fence the server rejects what could write.
    pub(super) fn masked(&self, effects: Effects, passage: Passage) -> Effects {
        let maybe = Effects::MAY_WRITE.union(Effects::MAY_WRITE_SINCE_END);
        let is_harmless = match passage {
            Passage::Covered => true,
            Passage::Free => {
                let own = self.transaction.is_read_only_by_client() && self.pipeline.is_empty();
                let unfenced = self.gate.is_shut()
                    && self.position().cover == Cover::Impossible
                    && self.fence.is_block_new();
                own || unfenced
            }
            Passage::Licensed | Passage::Exempt => false,
        };
        if is_harmless { without(effects, maybe) } else { effects }
    }

    /// The message is not forwarded. The client reads a refusal, at the place where the server's own error
    /// would be, and the server's state becomes what its own error would have made it.
    pub(super) fn refuse(
        &mut self,
        step: Step,
        what: &Classification,
        text: &[u8],
        turn: &mut Turn<'_>,
    ) -> Fate {
        let refusal = Refusal::new(*what, text);
        let ends_itself = matches!(step, Step::Query | Step::FunctionCall);
        let nothing_ran = self.pipeline.readies() == 0 && self.batch != Batch::Ran && !self.copies_in;
        let status = self.transaction.status;
        if ends_itself && self.is_settled() && status != TransactionStatus::InBlock {
            self.tell_now(refusal, turn);
            ready_for_query(&mut turn.out.to_client, status);
        } else if !ends_itself && nothing_ran && status == TransactionStatus::Idle {
            if self.pipeline.is_empty() {
                self.tell_now(refusal, turn);
            } else {
                self.pipeline.push(Owed::client(Step::Refusal, Effects::default()));
                self.refusals.push_back(refusal);
            }
            self.deaf = Deaf::Refused;
        } else {
            poison(&mut turn.out.to_server, step, &refusal);
            self.pipeline.push(Owed {
                step,
                origin: Origin::Poison,
                effects: Effects::default(),
                changes: 0,
            });
            self.refusals.push_back(refusal);
            if ends_itself {
                self.batch = Batch::Closed;
                self.batch_number = self.batch_number.wrapping_add(1);
            } else {
                self.batch = Batch::Ran;
                self.deaf = Deaf::Refused;
            }
        }
        Fate::Drop
    }

    /// Writes the refusal to the client and tells those who watch.
    pub(super) fn tell_now(&mut self, refusal: Refusal, turn: &mut Turn<'_>) {
        if self.is_in_failed_block() {
            return tell_failed_block(&mut turn.out.to_client);
        }
        tell(&mut turn.out.to_client, &refusal, turn.words);
        turn.out.events.push(Event::Refused(refusal));
    }

    /// The block has failed, and nothing that was answered since has brought it back.
    fn is_in_failed_block(&self) -> bool {
        let revived = Effects::ENDS.union(Effects::ENDS_SUBTRANSACTION);
        self.transaction.status == TransactionStatus::Failed && !self.answered.intersects(revived)
    }
}
