//! What a window leaves: who, why, when, what happened, who was refused, what was made of exceptions, what hooks and
//! smoke tests said. Kept as it goes, so that a crash leaves what was known.

use super::{
    command::RuleTold,
    told::{HookTold, SmokeTold},
};
use crate::{freeze::Freeze, observe::Entry};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;

/// Lines of the audit that a window keeps.
const EVENTS_LIMIT: usize = 500;
/// Kinds of refused statements that a window keeps, the most frequent.
const REFUSALS_LIMIT: usize = 200;
/// Runs of hooks and smoke tests that a window keeps.
const RUNS_LIMIT: usize = 100;

/// What was refused of one kind during a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedInWindow {
    /// The name that the client gives itself.
    pub application: String,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// Where it came from.
    pub client: String,
    /// The command word.
    pub command: String,
    /// The tables that it would have written.
    pub tables: Vec<String>,
    /// The shape, in hexadecimal.
    pub fingerprint: String,
    /// How often during the window.
    pub count: u64,
    /// The last time.
    pub last: Timestamp,
}

impl RefusedInWindow {
    pub(super) fn of(entry: Entry) -> Self {
        Self {
            count: entry.count,
            application: entry.application.to_string(),
            user: entry.user.to_string(),
            database: entry.database.to_string(),
            client: entry.client,
            command: entry.command.to_string(),
            tables: entry.tables,
            fingerprint: entry.fingerprint,
            last: entry.last,
        }
    }

    /// By which kinds are told apart, across restarts of the book.
    pub(super) fn kind(&self) -> String {
        let Self { user, database, application, client, fingerprint, command, .. } = self;
        [user, database, application, client, fingerprint, command].map(String::as_str).join("\0")
    }
}

/// What a window's record had of refusals when this process began.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    refused: u64,
    refusals: Vec<RefusedInWindow>,
}

/// See the module's text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WindowRecord {
    /// Its number: the epoch of its freeze.
    pub number: u64,
    /// The operator's words.
    pub reason: String,
    /// Who froze.
    pub by: String,
    /// When the gate shut.
    pub since: Timestamp,
    /// When it should have been over.
    pub until: Option<Timestamp>,
    /// When nothing was left that could write.
    pub frozen_at: Option<Timestamp>,
    /// When the gate opened for everybody.
    pub ended_at: Option<Timestamp>,
    /// Who opened it.
    pub ended_by: Option<String>,
    /// Why.
    pub end_reason: Option<String>,
    /// What happened, as the audit told it.
    pub events: Vec<Value>,
    /// Lines that found no room.
    pub events_dropped: u64,
    /// Statements refused.
    pub refused: u64,
    /// By kind, the most frequent first.
    pub refusals: Vec<RefusedInWindow>,
    /// Exceptions and denials, and what was made of them.
    pub exceptions: Vec<RuleTold>,
    /// Commands that ran around it.
    pub hooks: Vec<HookTold>,
    /// Smoke tests.
    pub smokes: Vec<SmokeTold>,
}

/// What `history` tells of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLine {
    /// Its number.
    pub number: u64,
    /// The operator's words.
    pub reason: String,
    /// Who froze.
    pub by: String,
    /// When the gate shut.
    pub since: Timestamp,
    /// When nothing was left that could write.
    pub frozen_at: Option<Timestamp>,
    /// When the gate opened for everybody.
    pub ended_at: Option<Timestamp>,
    /// Statements refused.
    pub refused: u64,
}

impl WindowRecord {
    /// Of a freeze that has just begun.
    pub(super) fn begin(number: u64, freeze: &Freeze) -> Self {
        Self {
            number,
            reason: freeze.reason.clone(),
            by: freeze.by.clone(),
            since: freeze.since,
            until: freeze.until,
            ..Self::default()
        }
    }

    pub(super) fn note(&mut self, line: &str) {
        if self.events.len() >= EVENTS_LIMIT {
            self.events_dropped = self.events_dropped.saturating_add(1);
        } else if let Ok(event) = serde_json::from_str(line) {
            self.events.push(event);
        }
    }

    pub(super) fn note_hook(&mut self, told: HookTold) {
        if self.hooks.len() < RUNS_LIMIT {
            self.hooks.push(told);
        }
    }

    pub(super) fn note_smoke(&mut self, told: SmokeTold) {
        if self.smokes.len() < RUNS_LIMIT {
            self.smokes.push(told);
        }
    }

    /// What it has of refusals: what a process before this one wrote down.
    pub(super) fn earlier(&self) -> Earlier {
        Earlier { refused: self.refused, refusals: self.refusals.clone() }
    }

    /// What was refused since the window began; `before` tells how often each had been refused by then, and `earlier`
    /// what processes before this one had written down.
    pub(super) fn set_refusals(
        &mut self,
        entries: Vec<Entry>,
        before: impl Fn(&RefusedInWindow) -> u64,
        earlier: &Earlier,
    ) {
        let mut all: HashMap<String, RefusedInWindow> =
            earlier.refusals.iter().map(|refused| (refused.kind(), refused.clone())).collect();
        self.refused = earlier.refused;
        for mut refused in entries.into_iter().map(RefusedInWindow::of) {
            let count = refused.count.saturating_sub(before(&refused));
            if count == 0 {
                continue;
            }
            self.refused = self.refused.saturating_add(count);
            let known = all.get(&refused.kind()).map_or(0, |known| known.count);
            refused.count = known.saturating_add(count);
            drop(all.insert(refused.kind(), refused));
        }
        let mut all: Vec<RefusedInWindow> = all.into_values().collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then(a.last.cmp(&b.last)));
        all.truncate(REFUSALS_LIMIT);
        self.refusals = all;
    }

    /// What `history` tells of it.
    pub fn line(&self) -> WindowLine {
        WindowLine {
            number: self.number,
            reason: self.reason.clone(),
            by: self.by.clone(),
            since: self.since,
            frozen_at: self.frozen_at,
            ended_at: self.ended_at,
            refused: self.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_bounded_and_says_what_it_dropped() {
        let mut record = WindowRecord::default();
        for _ in 0..EVENTS_LIMIT + 3 {
            record.note("{\"event\":\"x\"}");
        }
        assert_eq!((record.events.len(), record.events_dropped), (EVENTS_LIMIT, 3));
    }
}
