//! SET, RESET, SHOW, DISCARD, LISTEN and UNLISTEN (`VariableSetStmt`, `VariableResetStmt`, `VariableShowStmt`,
//! `DiscardStmt` … in gram.y): what they may do to the fence and to the encoding.
use super::{
    class::{StatementClass, Why},
    effects::Effects,
    judged::{Judged, Operation, skip},
    names::{folded, said},
    settings::{Setting, is_true, setting},
    strings::Short,
    token::{Kind, Token},
    transaction::modes,
    walk::Walk,
    words::Word,
};

fn pass(command: &'static str, effects: Effects) -> Judged {
    Judged::pass(StatementClass::Session, command, effects)
}

/// Whether the token makes the one before it a setting's name.
fn assigns(token: Token) -> bool {
    matches!(token.kind(), Kind::Equals | Kind::Dot) || token.is(Word::TO) || token.is(Word::FROM)
}

/// Behind SET.
pub(super) fn set(walk: &mut Walk<'_>) -> Judged {
    let scope = walk.peek();
    if scope.is(Word::CONSTRAINTS) && !assigns(walk.peek_second()) {
        // SET CONSTRAINTS … IMMEDIATE runs the triggers that a write has queued.
        skip(walk);
        return pass("SET CONSTRAINTS", Effects::MAY_WRITE);
    }
    let second = walk.peek_second();
    let is_scope = scope.is(Word::LOCAL)
        || (scope.is(Word::SESSION) && !second.is(Word::AUTHORIZATION) && !second.is(Word::CHARACTERISTICS));
    if is_scope && !assigns(second) {
        walk.bump();
    }
    if assigns(walk.peek_second()) {
        return assignment(walk);
    }
    match walk.bump().word() {
        Word::TRANSACTION if walk.take(Word::SNAPSHOT) => constant_value(walk),
        Word::TRANSACTION => in_session(modes(walk, "SET", Effects::READ_ONLY_BLOCK)),
        Word::SESSION if walk.take(Word::CHARACTERISTICS) => {
            if walk.take(Word::AS) && walk.take(Word::TRANSACTION) {
                in_session(modes(walk, "SET", Effects::TOUCHES_READ_ONLY))
            } else {
                Judged::unknown(walk, "SET")
            }
        }
        Word::SESSION if walk.take(Word::AUTHORIZATION) => constant_value(walk),
        Word::TIME if walk.take(Word::ZONE) => {
            skip(walk);
            pass("SET", Effects::NONE)
        }
        Word::NAMES if walk.at_end() => pass("SET", Effects::TOUCHES_ENCODING),
        Word::NAMES => constant_value(walk).and(Effects::TOUCHES_ENCODING),
        Word::ROLE | Word::SCHEMA | Word::CATALOG => constant_value(walk),
        Word::XML if walk.take(Word::OPTION) => constant_value(walk),
        _ => Judged::unknown(walk, "SET"),
    }
}

/// SET TRANSACTION is a SET: session, not transaction control.
fn in_session(mut judged: Judged) -> Judged {
    if judged.classification.class == StatementClass::Transaction {
        judged.classification.class = StatementClass::Session;
    }
    judged
}

/// One value: a word, a name or a string.
fn constant_value(walk: &mut Walk<'_>) -> Judged {
    let value = walk.bump();
    if value.is_name() || value.is_string() {
        pass("SET", Effects::NONE).complete(walk)
    } else {
        Judged::unknown(walk, "SET")
    }
}

/// `name = value, …`
fn assignment(walk: &mut Walk<'_>) -> Judged {
    let Some(which) = setting_name(walk) else { return Judged::unknown(walk, "SET") };
    if walk.peek().kind() != Kind::Equals && !assigns(walk.peek()) {
        return Judged::unknown(walk, "SET");
    }
    walk.bump();
    let effects = match which {
        Setting::TransactionReadOnly | Setting::DefaultReadOnly => {
            return read_only_value(walk, which);
        }
        Setting::ClientEncoding => Effects::TOUCHES_ENCODING,
        Setting::Frostgate(_) | Setting::Harmless | Setting::Other => Effects::NONE,
    };
    while !walk.at_end() {
        let value = walk.bump();
        if matches!(value.kind(), Kind::Open | Kind::Close) {
            return Judged::unknown(walk, "SET");
        }
    }
    pass("SET", effects)
}

/// Only a single, provably true value may be set.
fn read_only_value(walk: &mut Walk<'_>, which: Setting) -> Judged {
    let value = walk.bump();
    let is_true = said(value, walk.text).is_some_and(|value| is_true(value.as_bytes()));
    if !is_true || !walk.at_end() {
        skip(walk);
        return refuse_read_write("SET");
    }
    let block = if which == Setting::TransactionReadOnly { Effects::READ_ONLY_BLOCK } else { Effects::NONE };
    pass("SET", Effects::TOUCHES_READ_ONLY | block)
}

fn refuse_read_write(command: &'static str) -> Judged {
    Judged::refuse(StatementClass::Session, command, Why::ReadWrite).and(Effects::TOUCHES_READ_ONLY)
}

/// A setting's name with all its dots; None if there is none.
fn setting_name(walk: &mut Walk<'_>) -> Option<Setting> {
    let mut whole = Some(Short::EMPTY);
    loop {
        let part = walk.take_name()?;
        whole = whole.zip(folded(part, walk.text)).and_then(|(mut whole, part)| {
            part.as_bytes().iter().try_for_each(|byte| whole.push(*byte))?;
            Some(whole)
        });
        if !walk.take_kind(Kind::Dot) {
            // A name that is too long, or not certain to be ASCII, is none of those that matter.
            return Some(whole.map_or(Setting::Other, |whole| setting(whole.as_bytes())));
        }
        whole = whole.and_then(|mut whole| whole.push(b'.').map(|()| whole));
    }
}

/// Behind RESET.
pub(super) fn reset(walk: &mut Walk<'_>) -> Judged {
    match walk.peek().word() {
        Word::ALL => {
            walk.bump();
            return pass("RESET", RESETS_ALL).complete(walk);
        }
        Word::TIME if walk.peek_second().is(Word::ZONE) => skip(walk),
        Word::TRANSACTION if walk.peek_second().is(Word::ISOLATION) => skip(walk),
        Word::SESSION if walk.peek_second().is(Word::AUTHORIZATION) => skip(walk),
        _ => match setting_name(walk) {
            Some(Setting::TransactionReadOnly | Setting::DefaultReadOnly) => {
                skip(walk);
                return refuse_read_write("RESET");
            }
            Some(Setting::ClientEncoding) => return pass("RESET", Effects::TOUCHES_ENCODING).complete(walk),
            Some(Setting::Frostgate(_) | Setting::Harmless | Setting::Other) => {}
            None => return Judged::unknown(walk, "RESET"),
        },
    }
    pass("RESET", Effects::NONE).complete(walk)
}

/// RESET ALL and DISCARD ALL: whether they may pass depends on what follows them in the message.
const RESETS_ALL: Effects =
    Effects::RESETS_ALL.union(Effects::TOUCHES_READ_ONLY).union(Effects::TOUCHES_ENCODING);

/// Behind SHOW.
pub(super) fn show(walk: &mut Walk<'_>) -> Judged {
    let effects = match walk.peek().word() {
        Word::ALL => {
            walk.bump();
            Effects::NONE
        }
        Word::TIME | Word::TRANSACTION | Word::SESSION if walk.peek_second().kind() == Kind::Word => {
            skip(walk);
            Effects::NONE
        }
        _ => match setting_name(walk) {
            Some(Setting::TransactionReadOnly) => Effects::SHOWS_TRANSACTION_READ_ONLY,
            Some(Setting::DefaultReadOnly) => Effects::SHOWS_DEFAULT_READ_ONLY,
            Some(Setting::Frostgate(effect)) => effect,
            Some(Setting::ClientEncoding | Setting::Harmless | Setting::Other) => Effects::NONE,
            None => return Judged::unknown(walk, "SHOW"),
        },
    };
    Judged::pass(StatementClass::Read, "SHOW", effects).complete(walk)
}

/// Behind DISCARD.
pub(super) fn discard(walk: &mut Walk<'_>) -> Judged {
    match walk.bump().word() {
        Word::ALL => pass("DISCARD ALL", RESETS_ALL | Effects::MAY_WRITE).naming(Operation::DiscardAll),
        // Dropping the session's temporary tables takes a transaction id.
        Word::TEMP | Word::TEMPORARY => pass("DISCARD TEMP", Effects::MAY_WRITE),
        Word::PLANS => pass("DISCARD PLANS", Effects::NONE),
        Word::SEQUENCES => pass("DISCARD SEQUENCES", Effects::NONE),
        _ => return Judged::unknown(walk, "DISCARD"),
    }
    .complete(walk)
}

/// Behind LISTEN or UNLISTEN.
pub(super) fn listen(walk: &mut Walk<'_>, command: &'static str) -> Judged {
    let channel = walk.bump();
    let every = channel.of(walk.text) == b"*" && command == "UNLISTEN";
    if channel.is_name() || every {
        pass(command, Effects::NONE).complete(walk)
    } else {
        Judged::unknown(walk, command)
    }
}
