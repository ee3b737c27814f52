//! The verbs, done: authorise, change the state, keep it, tell. One at a time; each may be said twice.

use super::{
    command::{DrainOptions, VerbReply},
    drain::{Drain, Latch},
    error::ControlError,
    told::Occasion,
    watched::Watched,
    window::{Window, WindowParts},
};
use crate::{
    causes::with_causes,
    config::{Config, Expectation},
    fleet::{Census, StateFile, Switch},
    freeze::{Change, Epoch, FreezeState, Phase},
    net::Servers,
    observe::{Audit, LabelBook, Watch, WorkerCounters, Writers, line},
};
use jiff::Timestamp;
use serde_json::json;
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex as AsyncMutex;

/// Tells the time; `app` owns it.
pub type Clock = fn() -> Timestamp;
/// Takes a line of the audit.
pub type AuditSink = Box<dyn Fn(&str) + Send + Sync>;
/// The configuration anew, of the same file, environment and flags as at the start; or what is wrong with it.
pub type Reread = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// What an operator is made from.
#[expect(missing_debug_implementations, reason = "the sink is a function")]
pub struct OperatorParts {
    /// The freeze while the process runs.
    pub switch: Arc<Switch>,
    /// The freeze on disk.
    pub store: StateFile,
    /// Whether that disk survives a restart of the machine.
    pub state_durable: bool,
    /// Why the proxy starts frozen, if nobody asked for it.
    pub start_fault: Option<String>,
    /// The time.
    pub clock: Clock,
    /// Where audit lines go.
    pub sink: AuditSink,
    /// What has been refused.
    pub audit: Audit,
    /// Refusals by label.
    pub labels: Arc<LabelBook>,
    /// Who writes.
    pub writers: Arc<Writers>,
    /// The relays' end of the queue.
    pub watch: Watch,
    /// Each worker's numbers.
    pub counters: Vec<Arc<WorkerCounters>>,
    /// The servers.
    pub servers: Arc<Servers>,
    /// Each of them, with who looks at it from outside.
    pub watched: Vec<Watched>,
    /// Who may go round the proxy.
    pub expect: Vec<Expectation>,
    /// What belongs to a window.
    pub window: WindowParts,
    /// Reads the configuration again.
    pub reread: Reread,
}

/// See the module's text.
pub struct Operator {
    pub(super) switch: Arc<Switch>,
    pub(super) store: StateFile,
    pub(super) state_durable: bool,
    pub(super) start_fault: Mutex<Option<String>>,
    clock: Clock,
    sink: AuditSink,
    audit: Mutex<Audit>,
    pub(super) labels: Arc<LabelBook>,
    pub(super) watch: Watch,
    pub(super) counters: Vec<Arc<WorkerCounters>>,
    pub(super) servers: Arc<Servers>,
    pub(super) watched: Vec<Arc<Watched>>,
    pub(super) writers: Arc<Writers>,
    /// One verb at a time: how many have changed, or asked anew for, the freeze.
    pub(super) verbs: AsyncMutex<u64>,
    pub(super) drain: Mutex<Drain>,
    /// The epoch that has been declared frozen.
    pub(super) declared: AtomicU64,
    pub(super) health: Mutex<Health>,
    pub(super) expect: Vec<Expectation>,
    pub(super) window: Window,
    pub(super) reread: Reread,
    /// When this process began.
    pub(super) started: Timestamp,
}

/// What is known of logins and of the last drain.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Health {
    pub(super) logins: u64,
    pub(super) failed_logins: u64,
    pub(super) drain_duration: Option<Duration>,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

impl Operator {
    /// An operator of that state. If it is frozen, draining begins when [`Operator::resume`] is called.
    pub fn new(parts: OperatorParts) -> Self {
        Self {
            switch: parts.switch,
            store: parts.store,
            state_durable: parts.state_durable,
            start_fault: Mutex::new(parts.start_fault),
            clock: parts.clock,
            sink: parts.sink,
            audit: Mutex::new(parts.audit),
            labels: parts.labels,
            writers: parts.writers,
            watch: parts.watch,
            counters: parts.counters,
            servers: parts.servers,
            watched: parts.watched.into_iter().map(Arc::new).collect(),
            verbs: AsyncMutex::new(0),
            drain: Mutex::new(Drain::default()),
            declared: AtomicU64::new(0),
            health: Mutex::new(Health::default()),
            expect: parts.expect,
            window: Window::new(parts.window),
            reread: parts.reread,
            started: (parts.clock)(),
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Where the proxy stands, as it is told outside: `frozen` only once it has been declared.
    pub fn phase(&self) -> Phase {
        let state = self.switch.state();
        if state.freeze.is_none() {
            Phase::Open
        } else if self.declared.load(Ordering::SeqCst) == state.epoch.0 {
            Phase::Frozen
        } else {
            Phase::Draining
        }
    }

    /// A freeze that outlived its process is drained for again.
    pub fn resume(self: &Arc<Self>) {
        let state = self.switch.state();
        if state.freeze.is_some() {
            self.begin_record(&state, Vec::new());
            self.begin_drain(DrainOptions::default(), state.epoch);
        }
    }

    /// Looks whether the drain has come further, and says so if it has.
    pub(super) async fn latch(self: &Arc<Self>, epoch: Epoch) -> Result<Latch, ControlError> {
        let _one_at_a_time = self.verbs.lock().await;
        let (gate, state) = (self.switch.gate(), self.switch.state());
        if gate.epoch() != epoch {
            return Ok(Latch::Overtaken);
        }
        let census = self.census();
        if !census.is_quiet() {
            return Ok(Latch::Waiting);
        }
        if gate.phase() == Phase::Draining {
            self.switch.publish((*state).clone(), Phase::Frozen);
            return Ok(Latch::Shut);
        }
        if census.unaware > 0 {
            return Ok(Latch::Waiting);
        }
        let now = self.now();
        let state = state.drained(now);
        let since = state.freeze.as_ref().map(|freeze| freeze.since);
        let taken = since.map(|since| now.duration_since(since).unsigned_abs());
        self.keep(&state, "shut")?;
        self.declared.store(epoch.0, Ordering::SeqCst);
        lock(&self.health).drain_duration = taken;
        self.switch.publish(state, Phase::Frozen);
        self.tell("frozen", json!({ "epoch": epoch, "after_ms": taken.map(|t| t.as_millis()) }));
        if self.note_frozen() {
            self.spawn_hooks(Occasion::AfterFreeze);
        }
        Ok(Latch::Frozen)
    }

    /// If the server was not known when the gate shut, it is from now on.
    pub async fn note_frozen_server(&self) {
        let _one_at_a_time = self.verbs.lock().await;
        let before = self.switch.state();
        let state = self.on_servers(&before);
        if state == *before {
            return;
        }
        match self.keep(&state, "shut") {
            Ok(()) => drop(self.switch.publish(state, self.switch.gate().phase())),
            Err(error) => {
                self.tell("server_not_kept", json!({ "problem": with_causes(&error) }));
            }
        }
    }

    pub(super) fn keep(&self, state: &FreezeState, gate: &'static str) -> Result<(), ControlError> {
        self.store.save(state).map_err(|source| ControlError::NotKept { gate, source })
    }

    pub(super) fn reply(&self, change: Change, verbs: u64) -> VerbReply {
        VerbReply {
            state: self.phase(),
            epoch: self.switch.state().epoch.0,
            changed: change != Change::Already,
            state_durable: self.state_durable,
            verbs,
        }
    }

    /// A number for a new connection.
    pub fn next_session_id(&self) -> u64 {
        self.switch.roster().next_id()
    }

    /// How the sessions stand.
    pub fn census(&self) -> Census {
        let orphans = self.orphans();
        Census { orphans, ..self.switch.roster().census(self.switch.gate()) }
    }

    /// Writes a line of the audit.
    pub fn tell(&self, event: &str, facts: serde_json::Value) {
        let line = line(self.now(), event, facts);
        (self.sink)(&line);
        self.window.note(&line);
    }

    /// Writes a line of the audit that is not kept with the window.
    pub fn tell_aside(&self, event: &str, facts: serde_json::Value) {
        (self.sink)(&line(self.now(), event, facts));
    }

    /// Writes a line of the audit that is kept with that window, though it may be closed.
    pub(super) fn tell_of(&self, window: Option<u64>, event: &str, facts: serde_json::Value) {
        let line = line(self.now(), event, facts);
        (self.sink)(&line);
        if let Some(number) = window {
            self.window.change_of(number, |record| record.note(&line));
        }
    }

    /// The book of what was refused, for the task that fills it.
    pub fn audit(&self) -> MutexGuard<'_, Audit> {
        lock(&self.audit)
    }

    /// Writes lines that the audit has ready.
    pub fn write_audit(&self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            (self.sink)(&line);
        }
    }

    /// A login came to its end.
    pub fn note_login(&self, let_in: bool) {
        let mut health = lock(&self.health);
        let counter = if let_in { &mut health.logins } else { &mut health.failed_logins };
        *counter = counter.saturating_add(1);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is replaced whole: it is usable even if a holder panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
