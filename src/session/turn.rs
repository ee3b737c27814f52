//! What a session is lent for each message, and what it gives back.

use super::{
    refusal::{Refusal, Words},
    writes::Writes,
};
use crate::{
    freeze::Gate,
    sql::{Classifier, StatementClass},
    wire::backend::SqlState,
};

/// Lent for one message: the freeze as it is now, the worker's classifier, and where to write.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Read just now.
    pub gate: Gate,
    /// The operator's words for this gate.
    pub words: &'a Words,
    /// The worker's.
    pub classifier: &'a mut Classifier,
    /// Where the session writes.
    pub out: &'a mut Output,
}

/// What a session writes besides the messages that are forwarded. On the client's side it goes *before* the
/// message that is being judged, on the server's side *behind* it.
#[derive(Debug, Default)]
pub struct Output {
    /// For the server: poison and injections.
    pub to_server: Vec<u8>,
    /// For the client: refusals and rewritten messages.
    pub to_client: Vec<u8>,
    /// For those who watch.
    pub events: Vec<Event>,
    /// Counts since they were last taken.
    pub tally: Tally,
    /// What passed that a frozen gate would refuse, since it was last taken.
    pub writes: Writes,
}

impl Output {
    /// Whether nothing has been written for either side or for those who watch.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.to_server.is_empty() && self.to_client.is_empty() && self.events.is_empty()
    }
}

/// Statements judged, by class, since the numbers were last taken.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// By [`StatementClass`], in the order of its `ALL`.
    pub statements: [u32; 8],
    /// Those that an exempt session ran while the gate was shut, by class.
    pub exempt: u32,
    /// Errors of the server that no fence brought.
    pub errors: u32,
    /// Whether anything was counted.
    pub is_marked: bool,
}

impl Tally {
    pub(super) fn count(&mut self, class: StatementClass) {
        self.is_marked = true;
        let at = match class {
            StatementClass::Read => &mut self.statements[0],
            StatementClass::Session => &mut self.statements[1],
            StatementClass::Transaction => &mut self.statements[2],
            StatementClass::Write => &mut self.statements[3],
            StatementClass::Ddl => &mut self.statements[4],
            StatementClass::Maintenance => &mut self.statements[5],
            StatementClass::Procedural => &mut self.statements[6],
            StatementClass::Unknown => &mut self.statements[7],
        };
        *at = at.saturating_add(1);
    }

    pub(super) fn count_error(&mut self) {
        self.is_marked = true;
        self.errors = self.errors.saturating_add(1);
    }

    pub(super) fn count_exempt(&mut self) {
        self.is_marked = true;
        self.exempt = self.exempt.saturating_add(1);
    }
}

/// What becomes of the message just shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as it is.
    Forward,
    /// It goes no further; what stands in its place has been written.
    Drop,
    /// It and all behind it wait: show it again when something has come from the server, or the gate moved.
    Hold,
}

/// Something that those who watch should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client was refused.
    Refused(Refusal),
    /// The server rejected a write because of the fence; the command word is the server's.
    Rejected {
        /// As in "cannot execute INSERT in a read-only transaction"; empty if the server speaks another language.
        command: Box<[u8]>,
    },
    /// The client's `application_name` is another one now.
    ApplicationName(Box<[u8]>),
    /// The fence went down though nothing that we forwarded should have done it. It is put up again.
    FenceLost,
    /// What the server answered to a question.
    Answered(Box<[u8]>),
    /// The server did not answer a question: it was cancelled, or took longer than the session lets a statement run.
    Unanswered,
    /// A straggler's transaction has been rolled back: the session can be ended.
    RolledBack,
    /// The server would not have the fence.
    FenceFailed {
        /// The server's code.
        code: Option<SqlState>,
    },
}
