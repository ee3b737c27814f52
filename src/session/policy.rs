//! The one table of the product: what becomes of a statement, by its class, the gate, the transaction that
//! it would run in, and who sends it.

use super::transaction::Work;
use crate::{
    freeze::{Gate, Phase},
    sql::{Classification, Effects, StatementClass, Verdict},
    wire::TransactionStatus,
};

/// Whose session it is, by where it entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everybody.
    Ordinary,
    /// May write while frozen.
    Exempt,
}

/// What a shut gate is to a session that is not exempt by where it entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bearing {
    /// It holds.
    #[default]
    Bound,
    /// It does not, as the freeze does not reach it: the session is shown an open one.
    Spared,
    /// It does not, by an exception: the session is shown an open one.
    Excepted,
    /// Nothing runs, not even reads.
    Denied,
}

/// What makes the server reject a write in the transaction that the next message runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover {
    /// The session's fence: this transaction and all that follow are read-only.
    Session,
    /// This transaction alone is read-only.
    Block,
    /// Nothing.
    None,
    /// Nothing, and nothing can be had: a pooler behind the proxy.
    Impossible,
}

/// Where the next message of a session would run, as far as can be told past everything in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) gate: Gate,
    pub(super) role: Role,
    pub(super) bearing: Bearing,
    pub(super) cover: Cover,
    /// Whether the state below is certain: no ReadyForQuery is owed.
    pub(super) is_certain: bool,
    /// What the transaction has done.
    pub(super) work: Work,
    pub(super) status: TransactionStatus,
    /// A batch of extended messages is open, that only the client's Sync can end.
    pub(super) is_in_batch: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It goes to the server.
    Forward(Passage),
    /// It does not.
    Refuse,
    /// It waits until what is in flight, or the fence, has been answered.
    Hold,
    /// The fence goes in front of it, within the client's batch.
    CoverAndForward,
}

/// On what ground it is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// The gate is open, or the statement can't write.
    Free,
    /// Its transaction wrote before the gate shut and has not ended.
    Licensed,
    /// The server would reject a write.
    Covered,
    /// Its session is exempt.
    Exempt,
}

/// Behind a shut gate: an open one lets everything pass, and is not asked ([`Session::judge`]).
pub(super) fn decide(statement: &Classification, at: &Position) -> Decision {
    if at.role == Role::Exempt {
        return Decision::Forward(Passage::Exempt);
    }
    if statement.class == StatementClass::Unknown {
        return Decision::Refuse;
    }
    // Who is denied may only end what was begun before; a writer as all others, when it has written.
    let ends =
        statement.effects.contains(Effects::ENDS) && !statement.effects.contains(Effects::WORK_AFTER_END);
    if at.bearing == Bearing::Denied && at.is_certain && at.work != Work::Wrote && !ends {
        return Decision::Refuse;
    }
    if at.bearing == Bearing::Denied && !at.is_certain {
        return Decision::Hold;
    }
    let matters_not = match at.cover {
        Cover::Session => true,
        Cover::Impossible => statement.verdict == Verdict::Pass,
        Cover::Block | Cover::None => false,
    };
    if !at.is_certain && !matters_not {
        return Decision::Hold;
    }
    match statement.verdict {
        Verdict::Refuse => decide_write(statement, at),
        Verdict::Pass => decide_read(statement, at),
    }
}

fn decide_write(statement: &Classification, at: &Position) -> Decision {
    let Classification { class, effects, .. } = *statement;
    // What two-phase commit has prepared wrote before; while draining it may come to its end.
    if effects.contains(Effects::FINISHES_PREPARED) {
        let passes = at.gate.phase() == Phase::Draining && !effects.contains(Effects::WORK_AFTER_END);
        return if passes { Decision::Forward(Passage::Licensed) } else { Decision::Refuse };
    }
    let writes = match class {
        StatementClass::Write
        | StatementClass::Ddl
        | StatementClass::Maintenance
        | StatementClass::Procedural => true,
        StatementClass::Transaction => effects.contains(Effects::PREPARES_TRANSACTION),
        // What would take the fence down is refused to writers too: their next transaction is fenced.
        StatementClass::Session | StatementClass::Read | StatementClass::Unknown => false,
    };
    // Under the session's fence no transaction can have written.
    let licensed =
        at.work == Work::Wrote && at.cover != Cover::Session && !effects.contains(Effects::WORK_AFTER_END);
    if licensed && writes { Decision::Forward(Passage::Licensed) } else { Decision::Refuse }
}

fn decide_read(statement: &Classification, at: &Position) -> Decision {
    let goes_on = |beyond| statement.effects.contains(beyond);
    match at.cover {
        Cover::Session => Decision::Forward(Passage::Covered),
        Cover::Impossible => Decision::Forward(Passage::Free),
        // In one message the fence can't be put up again behind what ends it.
        Cover::Block | Cover::None
            if goes_on(Effects::WORK_AFTER_END)
                || (at.work != Work::Wrote && goes_on(Effects::WORK_AFTER_SUBTRANSACTION_END)) =>
        {
            Decision::Refuse
        }
        Cover::Block => Decision::Forward(Passage::Covered),
        Cover::None if at.work == Work::Wrote => Decision::Forward(Passage::Licensed),
        // The server takes nothing here but the block's end and ROLLBACK TO.
        Cover::None if at.status == TransactionStatus::Failed => Decision::Forward(Passage::Free),
        Cover::None if at.is_in_batch => Decision::CoverAndForward,
        Cover::None => Decision::Hold,
    }
}
