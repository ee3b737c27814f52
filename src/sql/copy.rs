//! COPY (`CopyStmt` in gram.y): out to the client is a read, anything else is not.
use super::{
    class::{Command, StatementClass, Why},
    effects::Effects,
    judged::{Judged, skip},
    prepared::preparable,
    query::Until,
    token::{Kind, Token},
    walk::Walk,
    words::Word,
};

/// Behind COPY.
pub(super) fn copy(walk: &mut Walk<'_>) -> Judged {
    let source = if walk.take_kind(Kind::Open) {
        if !walk.peek().begins_preparable() {
            return Judged::unknown(walk, "COPY");
        }
        Some(preparable(walk, Until::Close))
    } else if table(walk) {
        None
    } else {
        return Judged::unknown(walk, "COPY");
    };
    match walk.bump().word() {
        Word::TO => to(walk, source),
        Word::FROM if source.is_none() => from(walk),
        _ => Judged::unknown(walk, "COPY"),
    }
}

/// `[ BINARY ] table [ ( columns ) ]`
fn table(walk: &mut Walk<'_>) -> bool {
    // BINARY is no name of a table here (`type_func_name_keyword`).
    walk.take(Word::BINARY);
    loop {
        if walk.take_name().is_none() {
            return false;
        }
        if !walk.take_kind(Kind::Dot) {
            break;
        }
    }
    if walk.take_kind(Kind::Open) {
        while matches!(walk.peek().kind(), Kind::Comma | Kind::Word | Kind::Quoted | Kind::UnicodeName) {
            walk.bump();
        }
        return walk.take_kind(Kind::Close);
    }
    true
}

fn is_client(token: Token) -> bool {
    // The direction is told by TO and FROM alone: STDIN and STDOUT mean the same.
    token.is(Word::STDOUT) || token.is(Word::STDIN)
}

fn to(walk: &mut Walk<'_>, source: Option<Judged>) -> Judged {
    let target = walk.bump();
    skip(walk);
    if is_client(target) {
        let mut judged = source.unwrap_or(Judged::pass(StatementClass::Read, "COPY", Effects::MAY_WRITE));
        if judged.classification.class == StatementClass::Read {
            judged.classification.command = Command("COPY");
        }
        return judged;
    }
    Judged::refuse(StatementClass::Maintenance, "COPY", Why::ServerFile)
}

fn from(walk: &mut Walk<'_>) -> Judged {
    let from_client = is_client(walk.bump());
    skip(walk);
    let judged = Judged::refuse(StatementClass::Write, "COPY FROM", Why::Command("copies rows in"));
    if from_client { judged.and(Effects::COPIES_IN) } else { judged }
}
