//! Text to class: what a statement would do, judged on its raw bytes. Pure. The only folder that names sqlparser.
mod class;
mod effects;
mod encoding;
mod unknown;

pub use class::{Classification, Command, StatementClass, Verdict, Why};
pub use effects::Effects;
pub use encoding::ClientEncoding;

use std::ops::Range;

fn unreadable() -> Classification {
    Classification {
        class: StatementClass::Unknown,
        verdict: Verdict::Refuse,
        command: Command("statement"),
        why: Why::UnknownStatement,
        effects: Effects::MAY_WRITE,
    }
}

impl ClientEncoding {
    /// The encoding that a client named.
    pub fn from_name(_name: &[u8]) -> Self {
        Self::Uncertain
    }
}

/// Classifies the text of a Query or a Parse, without the NUL that ends it.
pub fn classify(_text: &[u8], _encoding: ClientEncoding) -> Classification {
    unreadable()
}

/// Classifies each statement of a text.
pub fn classify_statements(
    text: &[u8],
    encoding: ClientEncoding,
    mut each: impl FnMut(Range<usize>, Classification),
) {
    each(0..text.len(), classify(text, encoding));
}

/// Classifications that were made before, bounded; one per worker.
#[derive(Debug)]
pub struct Classifier {
    _seed: u64,
}

impl Classifier {
    /// An empty cache; the seed makes its slots unforeseeable.
    pub fn new(seed: u64) -> Self {
        Self { _seed: seed }
    }

    /// [`classify`], remembered.
    pub fn classify(&mut self, text: &[u8], encoding: ClientEncoding) -> Classification {
        classify(text, encoding)
    }
}

/// What a replication connection was opened for (`replication=true` or `replication=database`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationKind {
    /// `replication=true`: takes no SQL.
    Physical,
    /// `replication=database`: takes SQL as well.
    Database,
}

/// Classifies what a replication connection sends.
pub fn classify_replication(text: &[u8], encoding: ClientEncoding, _kind: ReplicationKind) -> Classification {
    classify(text, encoding)
}

/// One argument of a `FunctionCall`.
#[derive(Clone, Copy, Debug)]
pub struct FunctionArgument<'a> {
    /// Whether it comes in the binary format.
    pub binary: bool,
    /// Its bytes; none is NULL.
    pub value: Option<&'a [u8]>,
}

/// Classifies a `FunctionCall`.
pub fn classify_function_call<'a>(
    _oid: u32,
    _arguments: impl Iterator<Item = FunctionArgument<'a>>,
) -> Classification {
    unreadable()
}

/// A name of SQL, folded as the server folds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlName {
    /// Exactly this.
    Known(Vec<u8>),
    /// Bytes beyond ASCII, or so long that the server cuts it: any name may be meant.
    Uncertain,
}

/// What a statement does with prepared statements and cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedOperation<'a> {
    /// PREPARE name AS what.
    Prepare {
        /// The prepared statement's name.
        name: &'a SqlName,
        /// What would run under the name.
        classification: Classification,
    },
    /// EXECUTE name, also inside EXPLAIN ANALYZE and CREATE TABLE AS.
    Execute {
        /// The prepared statement's name.
        name: &'a SqlName,
    },
    /// DEALLOCATE name.
    Deallocate {
        /// The prepared statement's name.
        name: &'a SqlName,
    },
    /// DEALLOCATE ALL.
    DeallocateAll,
    /// DISCARD ALL: prepared statements and cursors are gone.
    DiscardAll,
    /// DECLARE name CURSOR FOR query.
    Declare {
        /// The cursor's name.
        name: &'a SqlName,
        /// What FETCH would run.
        classification: Classification,
    },
    /// CLOSE name.
    Close {
        /// The cursor's name.
        name: &'a SqlName,
    },
    /// CLOSE ALL.
    CloseAll,
}

/// Tells every named operation of a text, in order.
pub fn named_operations(_text: &[u8], _encoding: ClientEncoding, _each: impl FnMut(NamedOperation<'_>)) {}

/// What a known write is aimed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What the server would call it.
    pub command: Command,
    /// The tables it writes, as they are spelled, unquoted and without duplicates.
    pub tables: Vec<String>,
}

/// Describes a known write.
pub fn describe(text: &[u8]) -> Description {
    Description { command: classify(text, ClientEncoding::Safe).command, tables: Vec::new() }
}

/// The shape of a text, its literals left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// FNV-1a, 64 bits, of the shape.
    pub hash: u64,
    /// The shape itself, cut at a limit.
    pub normalized: String,
}

/// The shape of a text.
pub fn fingerprint(_text: &[u8]) -> Fingerprint {
    Fingerprint { hash: 0, normalized: String::new() }
}
