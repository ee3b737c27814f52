//! One connection's commands: who may say them, what they are answered, and the audit of them.

use super::{
    command::{Command, Statement, Word, help},
    desk::Guest,
    error::ConsoleError,
    tables::Row,
};
use crate::{control::instant, freeze::Phase};
use jiff::Timestamp;
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::mpsc, task::JoinSet};

/// Notices on their way to one client; what finds no room is not told.
pub(super) const NOTICES_LIMIT: usize = 64;

/// What is told while a command runs.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    /// Whether it is a WARNING.
    pub(super) warns: bool,
    pub(super) text: String,
    pub(super) detail: Option<String>,
}

/// The way there.
pub(super) type Notices = mpsc::Sender<Notice>;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) guest: Guest,
    /// Of what only looks, when it was told in the audit last, and how often it was said since.
    looked: Mutex<HashMap<&'static str, (Timestamp, u64)>>,
}

impl Visit {
    pub(super) fn new(guest: Guest) -> Self {
        Self { guest, looked: Mutex::default() }
    }

    /// Begins it, on the runtime of the verbs. It ends there when nobody waits for it any more.
    pub(super) fn begin(
        self: &Arc<Self>,
        statement: &Statement,
        block_has_failed: bool,
        notices: Notices,
    ) -> JoinSet<Result<Vec<Row>, ConsoleError>> {
        let (visit, statement) = (Arc::clone(self), statement.clone());
        let mut work = JoinSet::new();
        let done = async move { visit.run(&statement, block_has_failed, &notices).await };
        drop(work.spawn_on(done, &self.guest.console.runtime));
        work
    }

    /// Does it, if that is allowed.
    async fn run(
        &self,
        statement: &Statement,
        block_has_failed: bool,
        notices: &Notices,
    ) -> Result<Vec<Row>, ConsoleError> {
        let command = &statement.command;
        if block_has_failed && !matches!(command, Command::End(_)) {
            return Err(ConsoleError::FailedBlock);
        }
        let outcome = if self.guest.role < command.role() {
            Err(ConsoleError::NotAllowed { command: command.name(), user: self.guest.user.clone() })
        } else {
            self.perform(command, notices).await
        };
        self.audit(statement, outcome.as_ref().err());
        outcome
    }

    async fn perform(&self, command: &Command, notices: &Notices) -> Result<Vec<Row>, ConsoleError> {
        let console = &self.guest.console;
        let operator = &console.operator;
        match command {
            Command::Help => Ok(help()),
            Command::Table(table) => Ok(table.rows(operator, &console.shared.config)),
            Command::Word(_, word) => Ok(vec![vec![Some(self.word(*word))]]),
            Command::Freeze(options) => self.freeze(options, notices).await,
            Command::Thaw(options) => self.thaw(options).await,
            Command::Reload => Ok(self.reload().await),
            Command::Kill(session) => {
                let told = operator.kill(*session, &self.guest.user)?;
                let session = told.session.to_string();
                Ok(vec![[session, told.user, told.database, told.application].map(Some).to_vec()])
            }
            Command::Heard(_) | Command::Begin | Command::End(_) => Ok(Vec::new()),
        }
    }

    /// As on every connection, where SHOW knows no NULL.
    fn word(&self, word: Word) -> String {
        let status = self.guest.console.operator.status();
        match word {
            Word::State => status.state.as_str().to_owned(),
            Word::Epoch => status.epoch.to_string(),
            Word::Reason => status.reason.filter(|_| status.state != Phase::Open).unwrap_or_default(),
            Word::Until => status.until.map(instant).unwrap_or_default(),
        }
    }

    /// Each change is a line, and is kept with the window; of what only looks, a line in an interval: `\watch` says
    /// the same thing over and over.
    fn audit(&self, statement: &Statement, error: Option<&ConsoleError>) {
        let command = &statement.command;
        if matches!(command, Command::Heard(_) | Command::Begin | Command::End(_)) {
            return;
        }
        let Guest { console, user, role, client, application, .. } = &self.guest;
        // Who may not changes nothing: were it kept with the window, anybody could fill that record.
        let is_refused = matches!(error, Some(ConsoleError::NotAllowed { .. }));
        let changes = command.role() > crate::config::ConsoleRole::Viewer && !is_refused;
        let since_last_line =
            if changes || (error.is_some() && !is_refused) { Some(1) } else { self.due(command.name()) };
        let Some(since_last_line) = since_last_line else { return };
        let text = changes.then_some(statement.text.as_str());
        let facts = json!({
            "user": user, "role": role.as_str(), "client": client, "application": application,
            "command": command.name(), "text": text,
            "outcome": if error.is_none() { "done" } else { "error" },
            "code": error.map(ConsoleError::code), "problem": error.map(ToString::to_string),
            "since_last_line": since_last_line,
        });
        if changes {
            console.operator.tell("console_command", facts);
        } else {
            console.operator.tell_aside("console_command", facts);
        }
    }

    /// How often it was said, this time included, since it was last told; none if it is too early to tell again.
    fn due(&self, name: &'static str) -> Option<u64> {
        let console = &self.guest.console;
        let (now, interval) = (console.operator.now(), console.shared.config.audit_interval);
        // A map is whole even if a holder panicked.
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((told_at, count)) = looked.get_mut(name) else {
            looked.insert(name, (now, 0));
            return Some(1);
        };
        *count = count.saturating_add(1);
        if now.duration_since(*told_at).unsigned_abs() < interval {
            return None;
        }
        *told_at = now;
        Some(std::mem::take(count))
    }
}
