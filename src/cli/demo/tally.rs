//! What each client of the demo counts for itself: what it was told, not what the proxy says of it.

use super::error::DemoError;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use tokio_postgres::error::SqlState;

/// One client's count, as it goes on.
#[derive(Debug, Default)]
pub(super) struct Tally {
    reads: AtomicU64,
    writes: AtomicU64,
    refused: AtomicU64,
    faults: AtomicU64,
    words: Mutex<Words>,
}

/// The last words that the client was told.
#[derive(Debug, Default, Clone)]
pub(super) struct Words {
    pub(super) refusal: String,
    pub(super) fault: String,
}

/// A count, at one moment or over a time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) reads: u64,
    /// What it was told is written.
    pub(super) writes: u64,
    /// What it was told is refused: SQLSTATE 25006.
    pub(super) refused: u64,
    /// Reads that failed, and writes that failed in another way.
    pub(super) faults: u64,
}

impl Count {
    /// What came after `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            reads: self.reads.saturating_sub(before.reads),
            writes: self.writes.saturating_sub(before.writes),
            refused: self.refused.saturating_sub(before.refused),
            faults: self.faults.saturating_sub(before.faults),
        }
    }
}

/// How a statement ended for who sent it.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// 25006, with its words.
    Refused(String),
    Failed(String),
}

impl<T> From<Result<T, tokio_postgres::Error>> for Outcome {
    fn from(ended: Result<T, tokio_postgres::Error>) -> Self {
        let Err(error) = ended else { return Self::Done };
        match error.as_db_error() {
            Some(said) if *said.code() == SqlState::READ_ONLY_SQL_TRANSACTION => {
                let line = |label, text: Option<&str>| text.map(|text| format!("\n{label}:  {text}"));
                let mut words = format!("{}:  {}: {}", said.severity(), said.code().code(), said.message());
                words.extend(line("DETAIL", said.detail()));
                words.extend(line("HINT", said.hint()));
                Self::Refused(words)
            }
            Some(said) => Self::Failed(format!("{}: {}", said.code().code(), said.message())),
            None => Self::Failed(error.to_string()),
        }
    }
}

impl Tally {
    pub(super) fn count(&self) -> Count {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Count {
            reads: load(&self.reads),
            writes: load(&self.writes),
            refused: load(&self.refused),
            faults: load(&self.faults),
        }
    }

    pub(super) fn words(&self) -> Words {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note_read(&self, outcome: impl Into<Outcome>) {
        match outcome.into() {
            Outcome::Done => add(&self.reads),
            Outcome::Refused(words) | Outcome::Failed(words) => self.note_fault(words),
        }
    }

    pub(super) fn note_write(&self, outcome: impl Into<Outcome>) {
        match outcome.into() {
            Outcome::Done => add(&self.writes),
            Outcome::Refused(words) => {
                add(&self.refused);
                self.remember(|known| known.refusal = words);
            }
            Outcome::Failed(words) => self.note_fault(words),
        }
    }

    pub(super) fn note_fault(&self, words: String) {
        add(&self.faults);
        self.remember(|known| known.fault = words);
    }

    /// What a client could not even begin.
    pub(super) fn note_end(&self, ended: Result<(), DemoError>) {
        if let Err(error) = ended {
            self.note_fault(error.to_string());
        }
    }

    fn remember(&self, tell: impl FnOnce(&mut Words)) {
        tell(&mut self.words.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
