//! Transaction control (`TransactionStmt` and `transaction_mode_list` in gram.y; what it does: xact.c).
use super::{
    class::{StatementClass, Why},
    effects::Effects,
    judged::Judged,
    token::Kind,
    walk::Walk,
    words::Word,
};

fn pass(command: &'static str, effects: Effects) -> Judged {
    Judged::pass(StatementClass::Transaction, command, effects)
}

/// Two-phase commands change what others see of a transaction that wrote before.
fn two_phase(walk: &mut Walk<'_>, command: &'static str, effects: Effects) -> Judged {
    if !walk.bump().is_string() || !walk.at_end() {
        return Judged::unknown(walk, command);
    }
    Judged::refuse(StatementClass::Transaction, command, Why::Command("a two-phase command")).and(effects)
}

/// Behind BEGIN, or behind START.
pub(super) fn begin(walk: &mut Walk<'_>, command: &'static str) -> Judged {
    if command == "START TRANSACTION" {
        if !walk.take(Word::TRANSACTION) {
            return Judged::unknown(walk, command);
        }
    } else if !walk.take(Word::WORK) {
        walk.take(Word::TRANSACTION);
    }
    let effects = Effects::BEGINS;
    if walk.at_end() {
        return pass(command, effects);
    }
    modes(walk, command, Effects::READ_ONLY_BLOCK).and(effects)
}

/// A list of modes: READ WRITE is refused, READ ONLY brings `read_only`.
pub(super) fn modes(walk: &mut Walk<'_>, command: &'static str, read_only: Effects) -> Judged {
    let mut effects = Effects::NONE;
    let mut read_write = false;
    loop {
        let known = match walk.bump().word() {
            Word::ISOLATION => walk.take(Word::LEVEL) && isolation_level(walk),
            Word::READ if walk.take(Word::ONLY) => {
                effects |= read_only;
                true
            }
            Word::READ if walk.take(Word::WRITE) => {
                read_write = true;
                true
            }
            Word::NOT => walk.take(Word::DEFERRABLE),
            Word::DEFERRABLE => true,
            _ => false,
        };
        if !known {
            return Judged::unknown(walk, command);
        }
        if !walk.take_kind(Kind::Comma) && walk.at_end() {
            break;
        }
    }
    if read_write {
        Judged::refuse(StatementClass::Transaction, command, Why::ReadWrite).and(Effects::TOUCHES_READ_ONLY)
    } else {
        pass(command, effects)
    }
}

fn isolation_level(walk: &mut Walk<'_>) -> bool {
    match walk.bump().word() {
        Word::SERIALIZABLE => true,
        Word::REPEATABLE => walk.take(Word::READ),
        Word::READ => walk.take(Word::COMMITTED) || walk.take(Word::UNCOMMITTED),
        _ => false,
    }
}

/// Behind COMMIT or END.
pub(super) fn commit(walk: &mut Walk<'_>, may_be_prepared: bool) -> Judged {
    if may_be_prepared && walk.take(Word::PREPARED) {
        // What the prepared transaction wrote is visible from here on.
        return two_phase(walk, "COMMIT PREPARED", FINISHES | Effects::WRITES | Effects::MAY_WRITE);
    }
    end(walk, "COMMIT")
}

const FINISHES: Effects = Effects::FINISHES_PREPARED;

/// Behind ROLLBACK or ABORT.
pub(super) fn rollback(walk: &mut Walk<'_>, abort: bool) -> Judged {
    if !abort && walk.take(Word::PREPARED) {
        return two_phase(walk, "ROLLBACK PREPARED", FINISHES | Effects::WRITES | Effects::MAY_WRITE);
    }
    let noise = walk.peek();
    if noise.is(Word::WORK) || noise.is(Word::TRANSACTION) {
        walk.bump();
    }
    if !abort && walk.take(Word::TO) {
        return savepoint_name(walk, "ROLLBACK", Effects::ENDS_SUBTRANSACTION);
    }
    chain(walk, "ROLLBACK")
}

fn end(walk: &mut Walk<'_>, command: &'static str) -> Judged {
    if !walk.take(Word::WORK) {
        walk.take(Word::TRANSACTION);
    }
    chain(walk, command)
}

/// `opt_transaction_chain`.
fn chain(walk: &mut Walk<'_>, command: &'static str) -> Judged {
    let mut effects = Effects::ENDS;
    if walk.take(Word::AND) {
        let chains = !walk.take(Word::NO);
        if !walk.take(Word::CHAIN) {
            return Judged::unknown(walk, command);
        }
        if chains {
            effects |= Effects::CHAINS;
        }
    }
    pass(command, effects).complete(walk)
}

/// Behind SAVEPOINT.
pub(super) fn savepoint(walk: &mut Walk<'_>) -> Judged {
    match walk.take_name() {
        Some(_) => pass("SAVEPOINT", Effects::SAVEPOINT).complete(walk),
        None => Judged::unknown(walk, "SAVEPOINT"),
    }
}

/// Behind RELEASE.
pub(super) fn release(walk: &mut Walk<'_>) -> Judged {
    savepoint_name(walk, "RELEASE", Effects::ENDS_SUBTRANSACTION)
}

/// `[ SAVEPOINT ] name`, where the name may be SAVEPOINT itself.
fn savepoint_name(walk: &mut Walk<'_>, command: &'static str, effects: Effects) -> Judged {
    let keyword = walk.take(Word::SAVEPOINT);
    if walk.take_name().is_none() && !keyword {
        return Judged::unknown(walk, command);
    }
    pass(command, effects).complete(walk)
}

/// Behind PREPARE TRANSACTION.
pub(super) fn prepare(walk: &mut Walk<'_>) -> Judged {
    two_phase(walk, "PREPARE TRANSACTION", Effects::PREPARES_TRANSACTION | Effects::ENDS)
}
