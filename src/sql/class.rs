//! What a statement is, what a frozen gate does with it, and why: the classifier's answer, as values.
//! Nothing is decided here.
use std::fmt;

use super::effects::Effects;

/// What a statement does, in the words of the contract (PRODUCT.md, "What is refused while frozen").
/// The order is that of harm: of a message that passes, the greatest class is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementClass {
    /// Looks and leaves nothing behind.
    Read,
    /// Changes this session only.
    Session,
    /// Begins, ends or divides a transaction.
    Transaction,
    /// Changes rows, sequences, large objects, locks rows, or notifies.
    Write,
    /// Changes definitions, or locks a table against writers.
    Ddl,
    /// Acts on the server, its files or its storage.
    Maintenance,
    /// Runs code that cannot be read from the text: DO, CALL, `FunctionCall`.
    Procedural,
    /// Cannot be read, or is no statement that we know.
    Unknown,
}

impl StatementClass {
    /// Every class, in the order of harm: for counters that start at 0.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Session,
        Self::Transaction,
        Self::Write,
        Self::Ddl,
        Self::Maintenance,
        Self::Procedural,
        Self::Unknown,
    ];

    /// The class as one lower-case word, for labels and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Write => "write",
            Self::Ddl => "ddl",
            Self::Maintenance => "maintenance",
            Self::Procedural => "procedural",
            Self::Unknown => "unknown",
        }
    }
}

/// What a frozen gate does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Goes on to the server.
    Pass,
    /// Is answered by us; the server never runs it.
    Refuse,
}

/// The word the server itself would put into "cannot execute … in a read-only transaction": its command tag
/// (`CreateCommandTag` in utility.c, `cmdtaglist.h`), or the name it gives a function (`nextval()`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Command(pub(super) &'static str);

impl Command {
    /// The word, as the server writes it.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A function that is refused by its name.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FunctionName {
    /// The function, without schema and parentheses.
    pub name: &'static str,
    /// What it does; follows "which".
    pub reason: &'static str,
}

/// Why a statement was judged as it was. Its text is a fragment that follows "because it" or "refused: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nothing in it is known to write.
    Harmless,
    /// Its command says what it does.
    Command(&'static str),
    /// No statement at all: blanks, comments, semicolons.
    Empty,
    /// INSERT, UPDATE, DELETE or MERGE inside WITH.
    DataModifyingWith,
    /// SELECT … INTO creates a table.
    SelectInto,
    /// FOR UPDATE and its kin lock rows.
    RowLock,
    /// EXPLAIN ANALYZE runs what it explains, and that is not a plain query.
    ExplainAnalyze,
    /// A function that writes, or acts, past read-only mode.
    Function(&'static FunctionName),
    /// Names a function or a table of its database that is known to write past read-only mode.
    Loophole,
    /// `set_config` whose setting is not a constant on the list.
    SetConfigName,
    /// A function that nobody knows to be harmless, where those are refused.
    UnknownFunction,
    /// `lo_open` whose mode is not provably read-only.
    LargeObjectMode,
    /// Would make the session or the transaction read-write.
    ReadWrite,
    /// Takes the fence down before other statements of the message.
    ResetsBeforeMore(&'static str),
    /// A server's file or program is written or run.
    ServerFile,
    /// The text cannot be split into tokens.
    Unreadable(&'static str),
    /// No statement that we know begins so.
    UnknownStatement,
    /// It begins like a statement that we know, and goes on like none.
    UnknownForm(&'static str),
}

impl fmt::Display for Why {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Harmless => to.write_str("nothing in it is known to write"),
            Self::Command(what) => to.write_str(what),
            Self::Empty => to.write_str("there is no statement in it"),
            Self::DataModifyingWith => to.write_str("a data-modifying WITH"),
            Self::SelectInto => to.write_str("SELECT INTO creates a table"),
            Self::RowLock => to.write_str("locks rows, and a row lock is written into the row"),
            Self::ExplainAnalyze => to.write_str("EXPLAIN ANALYZE runs what it explains"),
            Self::Function(function) => write!(to, "calls {}, which {}", function.name, function.reason),
            Self::Loophole => to
                .write_str("names a function or a table of this database that can write past read-only mode"),
            Self::SetConfigName => {
                to.write_str("calls set_config for a setting that is not a harmless constant")
            }
            Self::UnknownFunction => to.write_str("calls a function that is not known to be harmless"),
            Self::LargeObjectMode => to.write_str("calls lo_open in a mode that is not provably read-only"),
            Self::ReadWrite => to.write_str("could make the session or the transaction read-write"),
            Self::ResetsBeforeMore(what) => {
                write!(
                    to,
                    "{what} before other statements: it is let through only as the last of its message"
                )
            }
            Self::ServerFile => to.write_str("writes a file or runs a program on the server"),
            Self::Unreadable(what) => write!(to, "cannot be read: {what}"),
            Self::UnknownStatement => to.write_str("not a statement that is known to be harmless"),
            Self::UnknownForm(what) => write!(to, "not a form of {what} that is known to be harmless"),
        }
    }
}

/// The classifier's answer for one statement, or for a whole message: of a message it tells the first statement
/// that is refused, else the one of the greatest class; the effects are those of all its statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classification {
    /// What it does.
    pub class: StatementClass,
    /// What a frozen gate does with it.
    pub verdict: Verdict,
    /// What the server would call it.
    pub command: Command,
    /// Why it was judged so.
    pub why: Why,
    /// What the session has to know about it.
    pub effects: Effects,
}

impl Classification {
    /// The answer where functions that are not known to be harmless are refused as CALL is: the fence holds them, but
    /// not those that were made to take it down, and not those in C.
    #[must_use]
    pub fn strictly(self) -> Self {
        let calls = self.effects.contains(Effects::CALLS_UNKNOWN_FUNCTION);
        if !calls || self.verdict == Verdict::Refuse {
            return self;
        }
        let (class, verdict, why) = (StatementClass::Procedural, Verdict::Refuse, Why::UnknownFunction);
        Self { class, verdict, why, ..self }
    }
}
