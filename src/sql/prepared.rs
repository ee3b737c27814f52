//! Prepared statements and cursors of SQL (`PrepareStmt`, `ExecuteStmt`, `DeclareCursorStmt`, `FetchStmt` … in gram.y).
use super::{
    calls::Use,
    class::{Command, StatementClass},
    effects::Effects,
    judged::{Judged, Operation},
    levels::Level,
    query::{Until, query},
    token::{Kind, Token},
    transaction,
    walk::Walk,
    words::Word,
};

/// Judges a query, or whatever else can be prepared.
pub(super) fn preparable(walk: &mut Walk<'_>, until: Until) -> Judged {
    let found = query(walk, Level::Statement, until, Use::Run);
    Judged::pass(StatementClass::Read, "SELECT", Effects::MAY_WRITE).with_query(&found)
}

/// Behind PREPARE.
pub(super) fn prepare(walk: &mut Walk<'_>) -> Judged {
    // TRANSACTION may also be the name of a prepared statement.
    if walk.peek().is(Word::TRANSACTION) && walk.peek_second().is_string() {
        walk.bump();
        return transaction::prepare(walk);
    }
    let Some(name) = walk.take_name() else { return Judged::unknown(walk, "PREPARE") };
    if walk.take_kind(Kind::Open) {
        let _types = query(walk, Level::Inside, Until::Close, Use::Plan);
    }
    if !walk.take(Word::AS) || !walk.peek().begins_preparable() {
        return Judged::unknown(walk, "PREPARE");
    }
    let prepared = walk.peek();
    if preparable(walk, Until::Statement).classification.class == StatementClass::Unknown {
        return Judged::unknown(walk, "PREPARE");
    }
    Judged::pass(StatementClass::Session, "PREPARE", Effects::NONE).naming(Operation::Prepare(name, prepared))
}

/// Behind EXECUTE: what it runs is known by its name; its arguments run too.
pub(super) fn execute(walk: &mut Walk<'_>) -> Judged {
    let Some(name) = walk.take_name() else { return Judged::unknown(walk, "EXECUTE") };
    let judged = Judged::pass(StatementClass::Read, "EXECUTE", Effects::MAY_WRITE);
    let judged = if walk.take_kind(Kind::Open) {
        judged.with_query(&query(walk, Level::Fresh, Until::Close, Use::Run))
    } else {
        judged
    };
    judged.complete(walk).naming(Operation::Execute(name))
}

/// Behind DEALLOCATE. PREPARE may be a noise word or the name itself.
pub(super) fn deallocate(walk: &mut Walk<'_>) -> Judged {
    let keyword = walk.peek();
    let noise = walk.take(Word::PREPARE);
    let judged = Judged::pass(StatementClass::Session, "DEALLOCATE", Effects::NONE);
    if walk.take(Word::ALL) {
        return judged.complete(walk).naming(Operation::DeallocateAll);
    }
    match walk.take_name().or(noise.then_some(keyword)) {
        Some(name) => judged.complete(walk).naming(Operation::Deallocate(name)),
        None => Judged::unknown(walk, "DEALLOCATE"),
    }
}

/// Behind DECLARE.
pub(super) fn declare(walk: &mut Walk<'_>) -> Judged {
    let Some(name) = walk.take_name() else { return Judged::unknown(walk, "DECLARE CURSOR") };
    while !walk.take(Word::CURSOR) {
        if !matches!(
            walk.bump().word(),
            Word::NO | Word::SCROLL | Word::BINARY | Word::INSENSITIVE | Word::ASENSITIVE
        ) {
            return Judged::unknown(walk, "DECLARE CURSOR");
        }
    }
    let holds = walk.take(Word::WITH) || walk.take(Word::WITHOUT);
    if holds != walk.take(Word::HOLD) || !walk.take(Word::FOR) || !walk.peek().begins_query() {
        return Judged::unknown(walk, "DECLARE CURSOR");
    }
    let declared = walk.peek();
    let mut judged = preparable(walk, Until::Statement);
    if judged.classification.command.as_str() == "SELECT" {
        judged.classification.command = Command("DECLARE CURSOR");
    }
    judged.naming(Operation::Declare(name, declared))
}

/// Behind FETCH or MOVE: the cursor's name comes last.
pub(super) fn fetch(walk: &mut Walk<'_>, command: &'static str) -> Judged {
    let mut last = Token::NONE;
    while !walk.at_end() {
        last = walk.bump();
        if !last.is_name() && !matches!(last.kind(), Kind::Number | Kind::Operator) {
            return Judged::unknown(walk, command);
        }
    }
    if !last.is_name() {
        return Judged::unknown(walk, command);
    }
    Judged::pass(StatementClass::Read, command, Effects::MAY_WRITE).naming(Operation::Fetch(last))
}

/// Behind CLOSE.
pub(super) fn close(walk: &mut Walk<'_>) -> Judged {
    let judged = Judged::pass(StatementClass::Read, "CLOSE CURSOR", Effects::NONE);
    if walk.take(Word::ALL) {
        return judged.complete(walk).naming(Operation::CloseAll);
    }
    match walk.take_name() {
        Some(name) => judged.complete(walk).naming(Operation::Close(name)),
        None => Judged::unknown(walk, "CLOSE CURSOR"),
    }
}
