//! The server's processes that work for sessions of this proxy over a stretch of time: those that were there when it
//! began, and those that came since, though they may have gone again.

use super::entrance::Entrance;
use std::collections::{BTreeSet, VecDeque};

/// Sessions that came most recently and are remembered; more than come in one stretch of watching.
const RECENT_LIMIT: usize = 100_000;

/// See the module's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    /// Of ordinary sessions.
    pub ordinary: BTreeSet<u32>,
    /// Of sessions of the maintenance listener.
    pub exempt: BTreeSet<u32>,
    /// How many ordinary sessions have ended since the process began.
    pub ended: u64,
    /// How many sessions have come since then: where a later look goes on.
    came: u64,
}

impl Processes {
    pub(super) fn add(&mut self, pid: u32, entrance: Entrance) {
        let set = match entrance {
            Entrance::Ordinary => &mut self.ordinary,
            Entrance::Maintenance => &mut self.exempt,
        };
        set.insert(pid);
    }
}

/// Who came lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    came: VecDeque<(u32, Entrance)>,
    total: u64,
    ended: u64,
}

impl Recent {
    pub(super) fn enter(&mut self, pid: u32, entrance: Entrance) {
        if self.came.len() >= RECENT_LIMIT {
            self.came.pop_front();
        }
        self.came.push_back((pid, entrance));
        self.total = self.total.saturating_add(1);
    }

    pub(super) fn leave(&mut self, entrance: Entrance) {
        if entrance == Entrance::Ordinary {
            self.ended = self.ended.saturating_add(1);
        }
    }

    /// Adds who came since, and notes how far that is.
    pub(super) fn add_since(&self, processes: &mut Processes) {
        let new = usize::try_from(self.total.saturating_sub(processes.came)).unwrap_or(usize::MAX);
        for (pid, entrance) in self.came.iter().rev().take(new) {
            processes.add(*pid, *entrance);
        }
        self.note(processes);
    }

    /// Only notes how far it is.
    pub(super) fn note(&self, processes: &mut Processes) {
        (processes.came, processes.ended) = (self.total, self.ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_and_went_in_between_is_known_too() {
        let mut recent = Recent::default();
        recent.enter(1, Entrance::Ordinary);
        let mut processes = Processes::default();
        recent.note(&mut processes);
        recent.enter(2, Entrance::Ordinary);
        recent.enter(3, Entrance::Maintenance);
        recent.leave(Entrance::Ordinary);
        recent.add_since(&mut processes);
        assert_eq!(processes.ordinary, BTreeSet::from([2]));
        assert_eq!((processes.exempt.clone(), processes.ended), (BTreeSet::from([3]), 1));
        recent.add_since(&mut processes);
        assert_eq!(processes.ordinary, BTreeSet::from([2]), "nobody came");
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let mut recent = Recent::default();
        for pid in 0..150_000 {
            recent.enter(pid, Entrance::Ordinary);
        }
        assert_eq!(recent.came.len(), RECENT_LIMIT);
    }
}
