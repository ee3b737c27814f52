//! What a message does with the names of prepared statements and cursors.
use super::{
    class::{Classification, Verdict},
    encoding::ClientEncoding,
    judged::Operation,
    lexer::Backslash,
    message::readings,
    names::SqlName,
    prepared::preparable,
    query::Until,
    walk::Walk,
};

/// What a statement does with prepared statements and cursors. PREPARE and DECLARE tell what would run under the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedOperation<'a> {
    /// PREPARE name AS what.
    Prepare {
        /// The prepared statement's name.
        name: &'a SqlName,
        /// What EXECUTE would run.
        classification: Classification,
    },
    /// EXECUTE name, by itself or in EXPLAIN ANALYZE.
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
    /// DISCARD ALL: neither prepared statements nor cursors are left.
    DiscardAll,
    /// DECLARE name CURSOR FOR query.
    Declare {
        /// The cursor's name.
        name: &'a SqlName,
        /// What FETCH and MOVE would run.
        classification: Classification,
    },
    /// FETCH or MOVE from the cursor.
    Fetch {
        /// The cursor's name.
        name: &'a SqlName,
    },
    /// CLOSE name.
    Close {
        /// The cursor's name.
        name: &'a SqlName,
    },
    /// CLOSE ALL.
    CloseAll,
}

/// An operation with its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Prepare(SqlName, Classification),
    Execute(SqlName),
    Deallocate(SqlName),
    DeallocateAll,
    DiscardAll,
    Declare(SqlName, Classification),
    Fetch(SqlName),
    Close(SqlName),
    CloseAll,
}

impl Named {
    fn of(operation: Operation, text: &[u8], backslash: Backslash) -> Self {
        let name = |token| SqlName::of(token, text);
        let judged =
            |first| preparable(&mut Walk::at(text, first, backslash), Until::Statement).classification;
        match operation {
            Operation::Prepare(token, first) => Self::Prepare(name(token), judged(first)),
            Operation::Execute(token) => Self::Execute(name(token)),
            Operation::Deallocate(token) => Self::Deallocate(name(token)),
            Operation::DeallocateAll => Self::DeallocateAll,
            Operation::DiscardAll => Self::DiscardAll,
            Operation::Declare(token, first) => Self::Declare(name(token), judged(first)),
            Operation::Fetch(token) => Self::Fetch(name(token)),
            Operation::Close(token) => Self::Close(name(token)),
            Operation::CloseAll => Self::CloseAll,
        }
    }

    fn tell(&self, each: &mut impl FnMut(NamedOperation<'_>)) {
        each(match self {
            Self::Prepare(name, classification) => {
                NamedOperation::Prepare { name, classification: *classification }
            }
            Self::Execute(name) => NamedOperation::Execute { name },
            Self::Deallocate(name) => NamedOperation::Deallocate { name },
            Self::DeallocateAll => NamedOperation::DeallocateAll,
            Self::DiscardAll => NamedOperation::DiscardAll,
            Self::Declare(name, classification) => {
                NamedOperation::Declare { name, classification: *classification }
            }
            Self::Fetch(name) => NamedOperation::Fetch { name },
            Self::Close(name) => NamedOperation::Close { name },
            Self::CloseAll => NamedOperation::CloseAll,
        });
    }

    /// The same operation under a name that is not certain.
    fn uncertain(self) -> Self {
        match self {
            Self::Prepare(_, classification) => Self::Prepare(SqlName::Uncertain, classification),
            Self::Execute(_) => Self::Execute(SqlName::Uncertain),
            Self::Deallocate(_) => Self::Deallocate(SqlName::Uncertain),
            Self::Declare(_, classification) => Self::Declare(SqlName::Uncertain, classification),
            Self::Fetch(_) => Self::Fetch(SqlName::Uncertain),
            Self::Close(_) => Self::Close(SqlName::Uncertain),
            Self::DeallocateAll | Self::DiscardAll | Self::CloseAll => self,
        }
    }

    /// Whether both do the same to the same name; then the worse of what is prepared is kept.
    fn agrees(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prepare(name, one), Self::Prepare(other_name, other))
            | (Self::Declare(name, one), Self::Declare(other_name, other)) => {
                if (other.verdict == Verdict::Refuse, other.class)
                    > (one.verdict == Verdict::Refuse, one.class)
                {
                    *one = *other;
                }
                name == other_name
            }
            (one, other) => one == other,
        }
    }
}

/// Tells every named operation of a text, in the order of its statements. If the server may read the text in several
/// ways that do not agree, those of all readings are told, with uncertain names.
pub fn named_operations(text: &[u8], encoding: ClientEncoding, mut each: impl FnMut(NamedOperation<'_>)) {
    let mut all: Vec<Vec<Named>> = Vec::new();
    readings(
        text,
        encoding,
        Vec::new,
        |named: &mut Vec<Named>, reading, _, judged| {
            named.extend(
                judged.operation.map(|operation| Named::of(operation, reading.text, reading.backslash)),
            );
        },
        |named| all.push(named),
    );
    let mut readings = all.into_iter();
    let Some(mut first) = readings.next() else { return };
    let mut agree = true;
    let mut others = Vec::new();
    for reading in readings {
        agree &= first.len() == reading.len();
        for (one, other) in first.iter_mut().zip(&reading) {
            agree &= one.agrees(other);
        }
        others.extend(reading);
    }
    if agree {
        for named in &first {
            named.tell(&mut each);
        }
    } else {
        for named in first.into_iter().chain(others) {
            named.uncertain().tell(&mut each);
        }
    }
}

#[cfg(test)]
#[path = "operations/tests.rs"]
mod tests;
