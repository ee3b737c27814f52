//! One worker thread's numbers. It alone writes them, so that no bus is locked; anyone may read them.

use crate::{session::Tally, sql::StatementClass};
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module's text.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    statements: [AtomicU64; 8],
    exempt: AtomicU64,
    excepted: AtomicU64,
    spared: AtomicU64,
    spared_errors: AtomicU64,
    beats: AtomicU64,
}

impl WorkerCounters {
    /// Takes over what sessions have counted.
    pub fn take(&self, tally: &mut Tally) {
        for (counter, counted) in self.statements.iter().zip(tally.statements) {
            add(counter, counted);
        }
        add(&self.exempt, tally.exempt);
        *tally = Tally::default();
    }

    /// So many statements ran behind the shut gate in a session that it does not hold; `is_excepted`: for an exception.
    pub fn add_spared(&self, statements: u32, is_excepted: bool) {
        add(&self.spared, statements);
        if is_excepted {
            add(&self.excepted, statements);
        }
    }

    /// Statements that ran thanks to an exception.
    pub fn excepted(&self) -> u64 {
        self.excepted.load(Ordering::Relaxed)
    }

    /// Statements that ran behind the shut gate because it does not hold for their session.
    pub fn spared(&self) -> u64 {
        self.spared.load(Ordering::Relaxed)
    }

    /// So many errors were given to a session that the freeze does not reach.
    pub fn add_spared_errors(&self, errors: u32) {
        add(&self.spared_errors, errors);
    }

    /// Errors that the server gave to sessions which the freeze did not reach.
    pub fn spared_errors(&self) -> u64 {
        self.spared_errors.load(Ordering::Relaxed)
    }

    /// The worker is alive: its sessions are polled.
    pub fn beat(&self) {
        add(&self.beats, 1);
    }

    /// How often it has said so.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Statements judged, by class.
    pub fn statements(&self) -> impl Iterator<Item = (StatementClass, u64)> {
        StatementClass::ALL.into_iter().zip(self.statements.iter().map(|n| n.load(Ordering::Relaxed)))
    }

    /// Statements that exempt sessions ran while the gate was shut.
    pub fn exempt(&self) -> u64 {
        self.exempt.load(Ordering::Relaxed)
    }
}

/// There is one writer: a load and a store do.
fn add(counter: &AtomicU64, more: u32) {
    if more > 0 {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(u64::from(more)), Ordering::Relaxed);
    }
}
