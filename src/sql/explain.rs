//! EXPLAIN (`ExplainStmt` in gram.y, explain.c): harmless as long as it does not analyze, and with ANALYZE only of a
//! plain query. The server does not check EXPLAIN ANALYZE of CREATE TABLE AS, SELECT INTO or CREATE MATERIALIZED VIEW
//! against read-only mode at all.
use super::{
    calls::Use,
    class::{Command, StatementClass, Why},
    effects::Effects,
    judged::{Judged, Operation, skip},
    levels::Level,
    names::{folded, said},
    prepared::{execute, preparable},
    query::{Until, query},
    token::Kind,
    walk::Walk,
    words::Word,
};

const EXPLAIN: &str = "EXPLAIN";

/// Behind EXPLAIN.
pub(super) fn explain(walk: &mut Walk<'_>) -> Judged {
    let analyzes = if has_options(*walk) {
        match options(walk) {
            Some(analyzes) => analyzes,
            None => return Judged::unknown(walk, EXPLAIN),
        }
    } else {
        let analyzes = walk.take(Word::ANALYZE) || walk.take(Word::ANALYSE);
        walk.take(Word::VERBOSE);
        analyzes
    };
    if analyzes { analyzed(walk) } else { planned(walk) }
}

/// Whether a list of options stands here. A query may stand in parentheses as well; VALUES is a query if its rows
/// follow, else it would be the name of an option.
fn has_options(mut walk: Walk<'_>) -> bool {
    if !walk.take_kind(Kind::Open) {
        return false;
    }
    let first = walk.bump();
    let is_query = first.begins_query() && !(first.is(Word::VALUES) && walk.peek().kind() != Kind::Open);
    !is_query
}

/// The options, and whether the last ANALYZE among them says anything but false (`ParseExplainOptionList`). None if
/// it is no list of options.
fn options(walk: &mut Walk<'_>) -> Option<bool> {
    walk.bump();
    let mut analyzes = false;
    loop {
        let name = walk.take_name()?;
        let name = folded(name, walk.text);
        // A name that cannot be told may be ANALYZE.
        let is_analyze =
            name.is_none_or(|name| !name.exact || matches!(name.as_bytes(), b"analyze" | b"analyse"));
        let is_false = option_is_false(walk);
        if is_analyze {
            analyzes = !is_false;
        }
        if walk.take_kind(Kind::Close) {
            return Some(analyzes);
        }
        if !walk.take_kind(Kind::Comma) {
            return None;
        }
    }
}

/// Takes an option's value, if it has one; whether it is a spelling of false (`defGetBoolean` in define.c).
fn option_is_false(walk: &mut Walk<'_>) -> bool {
    if matches!(walk.peek().kind(), Kind::Comma | Kind::Close) {
        return false;
    }
    let signed = walk.take_kind(Kind::Operator);
    let value = said(walk.bump(), walk.text);
    !signed
        && value.is_some_and(|value| {
            [&b"false"[..], b"off", b"0"].iter().any(|no| value.as_bytes().eq_ignore_ascii_case(no))
        })
}

/// What is explained runs.
fn analyzed(walk: &mut Walk<'_>) -> Judged {
    if walk.peek().begins_query() {
        let mut judged = preparable(walk, Until::Statement);
        if judged.classification.command.as_str() == "SELECT"
            && judged.classification.class == StatementClass::Read
        {
            judged.classification.command = Command(EXPLAIN);
        }
        return judged;
    }
    let refuse = |command| Judged::refuse(StatementClass::Write, command, Why::ExplainAnalyze);
    let first = walk.bump();
    match first.word() {
        Word::EXECUTE => {
            let name = walk.peek();
            skip(walk);
            if name.is_name() { refuse(EXPLAIN).naming(Operation::Execute(name)) } else { refuse(EXPLAIN) }
        }
        Word::INSERT | Word::UPDATE | Word::DELETE | Word::MERGE => {
            skip(walk);
            refuse(match first.word() {
                Word::INSERT => "INSERT",
                Word::UPDATE => "UPDATE",
                Word::DELETE => "DELETE",
                _ => "MERGE",
            })
        }
        _ => {
            skip(walk);
            refuse(EXPLAIN)
        }
    }
}

/// What is explained is only planned: the planner may run functions that are not volatile.
fn planned(walk: &mut Walk<'_>) -> Judged {
    let pass = Judged::pass(StatementClass::Read, EXPLAIN, Effects::MAY_WRITE);
    let first = walk.peek();
    if first.begins_preparable() {
        let found = query(walk, Level::Statement, Until::Statement, Use::Plan);
        return pass.with_calls(&found);
    }
    match first.word() {
        Word::DECLARE => {
            let found = query(walk, Level::Inside, Until::Statement, Use::Plan);
            pass.with_calls(&found)
        }
        Word::CREATE => explained_create(walk, pass),
        Word::REFRESH => {
            skip(walk);
            pass
        }
        Word::EXECUTE => {
            walk.bump();
            explained_execute(walk)
        }
        _ => Judged::unknown(walk, EXPLAIN),
    }
}

/// EXPLAIN CREATE TABLE … AS, whose query may be EXECUTE.
fn explained_create(walk: &mut Walk<'_>, pass: Judged) -> Judged {
    let mut ahead = *walk;
    if ahead.take_as() && ahead.take(Word::EXECUTE) {
        *walk = ahead;
        return explained_execute(walk);
    }
    let found = query(walk, Level::Inside, Until::Statement, Use::Plan);
    pass.with_calls(&found)
}

/// The arguments of EXECUTE run even if nothing is analyzed (`ExplainExecuteQuery` in prepare.c).
fn explained_execute(walk: &mut Walk<'_>) -> Judged {
    let judged = execute(walk);
    skip(walk);
    let mut judged = Judged { operation: None, ..judged };
    judged.classification.effects.remove(Effects::NAMES);
    if judged.classification.command.as_str() == "EXECUTE" {
        judged.classification.command = Command(EXPLAIN);
    }
    judged
}
