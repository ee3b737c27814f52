//! The freeze while the process runs: one atomic word that sessions read for each message, and the state
//! behind it. Whoever changes it changes both, and wakes everybody.

use super::roster::Roster;
use crate::freeze::{FreezeState, Gate, Phase};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;

/// See the module's text.
#[derive(Debug)]
pub struct Switch {
    gate: AtomicU64,
    state: Mutex<Arc<FreezeState>>,
    roster: Roster,
    stirred: Notify,
}

impl Switch {
    /// A switch in that state. A freeze that outlived its process drains anew: what the process before left
    /// behind on the server may still be writing.
    pub fn new(state: FreezeState) -> Self {
        let phase = if state.freeze.is_some() { Phase::Draining } else { Phase::Open };
        let gate = Gate { epoch: state.epoch, phase, edition: 0 };
        Self {
            gate: AtomicU64::new(gate.pack()),
            state: Mutex::new(Arc::new(state)),
            roster: Roster::default(),
            stirred: Notify::new(),
        }
    }

    /// The gate as it is now: one load.
    pub fn gate(&self) -> Gate {
        Gate::unpack(self.gate.load(Ordering::SeqCst))
    }

    /// The state as it is now.
    pub fn state(&self) -> Arc<FreezeState> {
        Arc::clone(&self.lock())
    }

    /// The sessions.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The state is another one, which is on disk already. The word changes with it, and all sessions wake.
    pub fn publish(&self, state: FreezeState, phase: Phase) -> Gate {
        let mut held = self.lock();
        let before = self.gate();
        let edition = if before.epoch == state.epoch { before.edition.wrapping_add(1) } else { 0 };
        let gate = Gate { epoch: state.epoch, phase, edition };
        *held = Arc::new(state);
        self.gate.store(gate.pack(), Ordering::SeqCst);
        drop(held);
        self.roster.wake_all();
        self.stirred.notify_waiters();
        gate
    }

    /// What sessions judge by has changed, though the state has not: all look anew.
    pub fn renew(&self) {
        let held = self.lock();
        let gate = self.gate();
        let renewed = Gate { edition: gate.edition.wrapping_add(1), ..gate };
        self.gate.store(renewed.pack(), Ordering::SeqCst);
        drop(held);
        self.roster.wake_all();
    }

    /// Something that a drain waits for may have happened. Cheap if nobody waits.
    pub fn stir(&self) {
        self.stirred.notify_waiters();
    }

    /// Waits until something stirs. Make the future, look at the state, then await it: nothing is missed.
    pub fn stirred(&self) -> impl Future<Output = ()> + '_ {
        self.stirred.notified()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<FreezeState>> {
        // An `Arc` is whole even if a holder panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
