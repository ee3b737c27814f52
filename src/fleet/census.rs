//! How many sessions stand how: what a drain and a thaw wait for, in numbers.

use super::{
    entrance::Entrance,
    session_record::{SessionRecord, has_met},
};
use crate::freeze::{Gate, Standing};

/// How many stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// All of them.
    pub sessions: usize,
    /// Those of the maintenance listener.
    pub maintenance: usize,
    /// The same, and while the gate is shut those for whom an exception was made.
    pub exempt: usize,
    /// Of these, those with a transaction open.
    pub exempt_in_transaction: usize,
    /// Those whom the scope of the freeze leaves out.
    pub spared: usize,
    /// Of these, those with a transaction open: they may write, and no thaw waits for them.
    pub left_out_in_transaction: usize,
    /// Have not met the gate yet, or their fence is on its way.
    pub settling: usize,
    /// May be writing.
    pub unproven: usize,
    /// Have written and not ended.
    pub writing: usize,
    /// Have not seen that all others are quiet.
    pub unaware: usize,
    /// Read-only to their end though the gate is open again.
    pub leftovers: usize,
    /// Logins under way in which a trigger may write.
    pub logins: usize,
    /// Sessions of a process before this one that may still be at something.
    pub orphans: usize,
}

impl Census {
    pub(super) fn count(&mut self, record: &SessionRecord, gate: Gate) {
        let epoch = gate.epoch();
        let add = |field: &mut usize| *field = field.saturating_add(1);
        let report = record.report();
        add(&mut self.sessions);
        if report.is_leftover {
            add(&mut self.leftovers);
        }
        if record.identity.entrance == Entrance::Maintenance {
            add(&mut self.maintenance);
            add(&mut self.exempt);
            if report.in_transaction {
                add(&mut self.exempt_in_transaction);
            }
            return;
        }
        if report.is_spared && gate.is_shut() {
            add(match (has_met(&report, gate), report.is_excepted) {
                (false, _) => &mut self.settling,
                (true, true) => &mut self.exempt,
                (true, false) => &mut self.spared,
            });
            // Also if it has not met the newest gate: it may write all the same.
            if report.in_transaction {
                let is_exempt = report.is_excepted;
                add(if is_exempt {
                    &mut self.exempt_in_transaction
                } else {
                    &mut self.left_out_in_transaction
                });
            }
            return;
        }
        match report.standing {
            Standing::Quiet | Standing::Settling if report.epoch != epoch => add(&mut self.settling),
            Standing::Quiet => {}
            Standing::Settling => add(&mut self.settling),
            Standing::Unproven => add(&mut self.unproven),
            Standing::Writing => add(&mut self.writing),
        }
        if report.epoch != epoch || !report.saw_frozen {
            add(&mut self.unaware);
        }
    }

    /// Nothing that is not exempt could still write.
    pub fn is_quiet(&self) -> bool {
        self.settling == 0 && self.unproven == 0 && self.writing == 0 && self.logins == 0 && self.orphans == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::{Identity, Roster},
        freeze::{Epoch, Phase, Report},
        wire::startup::CancelKey,
    };

    #[test]
    fn who_may_write_behind_the_gate_and_has_a_transaction_open_is_counted_by_what_waits_for_it() {
        let (roster, gate) = (Roster::default(), Gate::new(Epoch(3), Phase::Frozen));
        let report =
            Report { epoch: gate.epoch(), is_spared: true, in_transaction: true, ..Report::default() };
        for (id, is_excepted) in [(1, true), (2, false), (3, false)] {
            let key = CancelKey { process_id: 70, secret: [7; 4].into() };
            roster.enter(Identity::on("a", id, key), "").publish(Report { is_excepted, ..report }, 0);
        }
        let census = roster.census(gate);
        assert_eq!((census.exempt_in_transaction, census.left_out_in_transaction), (1, 2));
        assert_eq!((census.sessions, census.maintenance, census.exempt, census.spared), (3, 0, 1, 2));
        assert!(census.is_quiet(), "the freeze does not hold for them");
    }
}
