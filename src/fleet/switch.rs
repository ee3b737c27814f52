//! The freeze while the process runs: one atomic word that sessions read for each message, and the state
//! behind it. Whoever changes it changes both, and wakes everybody.

use super::{
    entrance::Entrance,
    identity::Identity,
    roster::Roster,
    rules::{RuleBook, Ruling},
};
use crate::{
    freeze::{FreezeState, Gate, Phase},
    matching::{Rule, Who},
};
use jiff::Timestamp;
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
    configured: Mutex<Arc<Vec<Rule>>>,
    rules: Mutex<Arc<RuleBook>>,
    roster: Roster,
    stirred: Notify,
}

impl Switch {
    /// A switch in that state. A freeze that outlived its process drains anew: what the process before left
    /// behind on the server may still be writing. `configured` are the rules of the configuration.
    pub fn new(mut state: FreezeState, configured: Vec<Rule>, now: Timestamp) -> Self {
        if let Some(freeze) = &mut state.freeze {
            // Sessions that tell their clients the state go by this: it is frozen when it has been declared anew.
            freeze.frozen_at = None;
        }
        let rules = RuleBook::default().renewed(&configured, &state.rules, now);
        let phase = if state.freeze.is_some() { Phase::Draining } else { Phase::Open };
        let gate = Gate::new(state.epoch, phase);
        Self {
            gate: AtomicU64::new(gate.pack()),
            state: Mutex::new(Arc::new(state)),
            configured: Mutex::new(Arc::new(configured)),
            rules: Mutex::new(Arc::new(rules)),
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

    /// The rules that hold.
    pub fn rules(&self) -> Arc<RuleBook> {
        Arc::clone(&self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules of the configuration.
    pub fn configured(&self) -> Arc<Vec<Rule>> {
        // An `Arc` is whole even if a holder panicked.
        Arc::clone(&self.configured.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The configuration has others. List the rules anew afterwards.
    pub fn configure(&self, rules: Vec<Rule>) {
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Looks anew at which rules hold. Publish or renew the gate afterwards: sessions look when it moves.
    pub fn list_rules(&self, by_operator: &[Rule], now: Timestamp) {
        let configured = self.configured();
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        *rules = Arc::new(rules.renewed(&configured, by_operator, now));
    }

    /// What the gate is to that client now, and the gate that its session is to be shown.
    pub fn ruling(&self, who: &Identity, application: &str) -> (Gate, Gate, Ruling) {
        if who.entrance == Entrance::Maintenance {
            let gate = self.gate();
            return (gate, gate, Ruling::Bound);
        }
        let client = who.client.map(|address| address.ip());
        let who = Who { user: &who.user, database: &who.database, application, client };
        self.ruling_of(&who)
    }

    /// The same, of a client that has no session yet.
    pub fn ruling_of(&self, who: &Who<'_>) -> (Gate, Gate, Ruling) {
        // The gate first: what is ruled by a newer state is ruled again when the newer gate is seen.
        let gate = self.gate();
        let ruling = if gate.is_shut() { self.rules().ruling(&self.state(), who) } else { Ruling::Bound };
        let shown = if ruling.is_free() { gate.at(Phase::Open) } else { gate };
        (gate, shown, ruling)
    }

    /// The sessions.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The state is another one, which is on disk already. The word changes with it, and all sessions wake.
    pub fn publish(&self, state: FreezeState, phase: Phase) -> Gate {
        let mut held = self.lock();
        let before = self.gate();
        let is_same = before.epoch() == state.epoch;
        let gate = if is_same { before.renewed().at(phase) } else { Gate::new(state.epoch, phase) };
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
        self.gate.store(gate.renewed().pack(), Ordering::SeqCst);
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
