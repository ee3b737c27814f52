//! The window that is open, or rather shut: its record as it goes, and what belongs to it.

use super::{
    record::{Earlier, WindowLine, WindowRecord},
    told::{ReopenPhase, ReopenTold},
};
use crate::{
    config::{Stage, WindowSettings},
    fleet::Records,
    freeze::Epoch,
    monitor::Principal,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

/// What `window` must know to run a child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowPlan {
    /// Where the maintenance listener is.
    pub maintenance: Option<String>,
    /// Whether there is a smoke test.
    pub has_smoke: bool,
    /// The stages of a reopening, by name.
    pub stages: Vec<String>,
}

/// What `windows` answers.
#[derive(Debug, Clone, Serialize)]
pub struct WindowsReply {
    /// How many are kept.
    pub total: usize,
    /// The newest of them, the newest first.
    pub windows: Vec<WindowLine>,
}

/// What an operator needs for windows.
#[derive(Debug)]
pub struct WindowParts {
    /// Hooks, smoke, stages.
    pub settings: WindowSettings,
    /// Past windows.
    pub records: Records,
    /// Who makes the smoke test, and looks before a freeze; the servers' monitors do the latter too.
    pub principals: Vec<Principal>,
    /// Where there are several servers: who looks at each before a freeze, by its name, if anybody does.
    pub lookers: Vec<(String, Option<Principal>)>,
    /// Where the maintenance listener is.
    pub maintenance: Option<String>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Window {
    /// As of the start; the stages are beside, as they may change.
    pub(super) settings: WindowSettings,
    pub(super) stages: Mutex<Vec<Stage>>,
    pub(super) principals: Vec<Principal>,
    pub(super) lookers: Vec<(String, Option<Principal>)>,
    pub(super) reopening: Mutex<Option<ReopenTold>>,
    /// The epoch in which a smoke test has passed last.
    pub(super) smoked: Mutex<Option<Epoch>>,
    /// Stages of reopenings that failed.
    pub(super) stages_failed: AtomicU64,
    pub(super) records: Records,
    pub(super) maintenance: Option<String>,
    pub(super) current: Mutex<Option<Current>>,
}

#[derive(Debug)]
pub(super) struct Current {
    pub(super) record: WindowRecord,
    /// How often each kind had been refused when it began.
    pub(super) before: HashMap<String, u64>,
    /// What had been written down by a process before this one.
    pub(super) earlier: Earlier,
    /// How many the book had counted when the record was saved last.
    pub(super) saved: u64,
}

impl Window {
    pub(super) fn new(parts: WindowParts) -> Self {
        let WindowParts { mut settings, records, principals, lookers, maintenance } = parts;
        Self {
            stages: Mutex::new(std::mem::take(&mut settings.stages)),
            settings,
            principals,
            lookers,
            reopening: Mutex::default(),
            smoked: Mutex::default(),
            stages_failed: AtomicU64::new(0),
            records,
            maintenance,
            current: Mutex::default(),
        }
    }

    /// A line of the audit, as it was written.
    pub(super) fn note(&self, line: &str) {
        self.change(|record| record.note(line));
    }

    /// Changes the record, if there is one that is not closed: what comes after the thaw is not of that window. A
    /// reopening is, to its end, also where a stage of it was the thaw.
    pub(super) fn change(&self, change: impl FnOnce(&mut WindowRecord)) {
        let is_reopening = self.is_reopening();
        let mut current = self.lock();
        let open = current.as_mut().filter(|current| is_reopening || current.record.ended_at.is_none());
        if let Some(current) = open {
            change(&mut current.record);
        }
    }

    /// Changes the record of that window, closed or not. Tells whether it is the one at hand; else nothing is changed.
    pub(super) fn change_of(&self, number: u64, change: impl FnOnce(&mut WindowRecord)) -> bool {
        let mut current = self.lock();
        let found = current.as_mut().filter(|current| current.record.number == number);
        found.map(|current| change(&mut current.record)).is_some()
    }

    /// The number of the window at hand.
    pub(super) fn number(&self) -> Option<u64> {
        self.lock().as_ref().map(|current| current.record.number)
    }

    fn is_reopening(&self) -> bool {
        let reopening = self.reopening.lock().unwrap_or_else(PoisonError::into_inner);
        reopening.as_ref().is_some_and(|told| told.phase == ReopenPhase::Running)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Current>> {
        // A record is whole even if a holder panicked.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
