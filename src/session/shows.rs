//! `SHOW frostgate.state` and its kin: what an application can ask on its own connection, to draw a banner. Asked alone
//! in a simple Query with nothing in flight it is answered here, and the server hears nothing of it. In the extended
//! protocol, in a pipeline and in a failed block the server runs a SHOW of its own in its place, whose column and row
//! are rewritten: so it keeps the order, the names and the transaction, as for every other statement.

use super::{
    life::Session,
    policy::Bearing,
    refusal::Words,
    turn::{Fate, Turn},
};
use crate::{
    freeze::{Gate, Phase},
    sql::{Classification, Effects, StatementClass},
    wire::{
        TransactionStatus,
        backend::{command_complete, data_row, ready_for_query, row_description},
    },
};
use std::borrow::Cow;

/// What the server runs in its place: as every SHOW it takes no snapshot, and whoever logs in may see it.
pub(super) const IN_ITS_PLACE: &str = "SHOW server_version";

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    State,
    Reason,
    Until,
    Epoch,
}

impl Shown {
    /// What a message asks for, if it asks for one and nothing else.
    pub(super) fn by(effects: Effects) -> Option<Self> {
        if !effects.intersects(Effects::SHOWS_FROSTGATE) {
            return None;
        }
        let all = [
            (Effects::SHOWS_STATE, Self::State),
            (Effects::SHOWS_REASON, Self::Reason),
            (Effects::SHOWS_UNTIL, Self::Until),
            (Effects::SHOWS_EPOCH, Self::Epoch),
        ];
        all.into_iter().find(|(effect, _)| effects.contains(*effect)).map(|(_, shown)| shown)
    }

    fn name(self) -> &'static str {
        match self {
            Self::State => "frostgate.state",
            Self::Reason => "frostgate.reason",
            Self::Until => "frostgate.until",
            Self::Epoch => "frostgate.epoch",
        }
    }

    /// By the gate that the session is shown: whom the freeze does not reach is told that it is open.
    fn value(self, gate: Gate, words: &Words) -> Cow<'_, str> {
        match self {
            Self::Epoch => gate.epoch().0.to_string().into(),
            Self::State => match gate.phase() {
                // `frozen` is said when it is on disk, and not before.
                Phase::Frozen if !words.is_declared => Phase::Draining.as_str().into(),
                Phase::Open | Phase::Draining | Phase::Frozen => gate.phase().as_str().into(),
            },
            Self::Reason | Self::Until if !gate.is_shut() => "".into(),
            Self::Reason => words.reason.as_str().into(),
            Self::Until => words.until.as_str().into(),
        }
    }

    /// Appends its column.
    pub(super) fn describe(self, out: &mut Vec<u8>) {
        row_description(out, self.name());
    }

    /// Appends its row.
    pub(super) fn tell(self, turn: &mut Turn<'_>) {
        data_row(&mut turn.out.to_client, self.value(turn.gate, turn.words).as_bytes());
    }
}

impl Session {
    /// Answers a simple Query that asks for one of them, where that can be done without the server.
    pub(super) fn show(&mut self, what: &Classification, turn: &mut Turn<'_>) -> Option<Fate> {
        let shown = Shown::by(what.effects)?;
        let is_free = self.is_settled() && self.transaction.status != TransactionStatus::Failed;
        if !is_free || self.bearing == Bearing::Denied {
            return None;
        }
        self.last_command = what.command.as_str();
        turn.out.tally.count(StatementClass::Read);
        shown.describe(&mut turn.out.to_client);
        shown.tell(turn);
        command_complete(&mut turn.out.to_client, "SHOW");
        ready_for_query(&mut turn.out.to_client, self.transaction.status);
        Some(Fate::Drop)
    }
}
