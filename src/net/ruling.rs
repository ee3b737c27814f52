//! What the freeze is to one session: whether it holds, spares it, or denies it everything. Looked at when the gate
//! moves and when the client gives itself another name.

use super::relay::Relay;
use crate::{
    fleet::Ruling,
    session::{Bearing, Tally},
};
use std::sync::Arc;

impl Relay {
    /// The gate may have moved: one load, and a comparison.
    pub(super) fn look_at_gate(&mut self) {
        let gate = self.worker.shared.switch.gate();
        if gate != self.gate {
            self.look_anew();
        }
    }

    /// Takes over all that goes with the gate as it is now.
    pub(super) fn look_anew(&mut self) {
        self.look_at_ruling();
        self.words = self.worker.words(self.gate);
        self.session.set_loopholes(&self.at.known.loopholes(&self.record.identity.database));
    }

    /// Looks anew at what the gate is to this session. Who is spared is shown an open one, so that all that a thaw
    /// does is done for it; when that ends, all that a freeze does.
    fn look_at_ruling(&mut self) {
        let application = self.record.application();
        let switch = &self.worker.shared.switch;
        let (gate, shown, ruling) = switch.ruling(&self.record.identity, &application);
        let is_same = |usage: &Arc<_>| match &self.ruling {
            Ruling::Excepted(held) | Ruling::Denied(held) => Arc::ptr_eq(held, usage),
            Ruling::Bound | Ruling::Spared => false,
        };
        match &ruling {
            Ruling::Excepted(usage) | Ruling::Denied(usage) if !is_same(usage) => usage.count_session(),
            Ruling::Excepted(_) | Ruling::Denied(_) | Ruling::Bound | Ruling::Spared => {}
        }
        self.session.set_bearing(match &ruling {
            Ruling::Bound => Bearing::Bound,
            Ruling::Spared => Bearing::Spared,
            Ruling::Excepted(_) => Bearing::Excepted,
            Ruling::Denied(_) => Bearing::Denied,
        });
        (self.gate, self.shown, self.ruling) = (gate, shown, ruling);
    }

    /// Who is denied leaves when nothing is left to end.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self.ruling, Ruling::Denied(_)) && self.gate.is_shut()
    }

    /// Counts for what let them through: an exception, a scope, a stage.
    pub(super) fn count_spared(&self, tally: &Tally) {
        let counters = &self.worker.counters;
        if !self.gate.is_shut() {
            // A stage may open for everybody.
            return counters.add_spared_errors(tally.errors);
        }
        if tally.exempt > 0 {
            self.at.known.note_exempt(tally.exempt);
        }
        if !self.ruling.is_free() {
            return;
        }
        let [_, _, _, writes @ ..] = tally.statements;
        let sum = |counts: &[u32]| counts.iter().fold(0_u32, |sum, n| sum.saturating_add(*n));
        let statements = sum(&tally.statements);
        self.at.known.note_exempt(statements);
        if let Ruling::Excepted(usage) = &self.ruling {
            counters.add_spared(statements, true);
            usage.count_statements(u64::from(statements), u64::from(sum(&writes)));
        } else {
            counters.add_spared(statements, false);
            counters.add_spared_errors(tally.errors);
        }
    }
}
