//! The verbs, done: authorise, change the state, keep it, tell. One at a time; each may be said twice.

use super::{
    command::{DrainOptions, FreezeCall, RefusedReply, ThawCall, VerbReply},
    drain::{Drain, Latch},
    error::ControlError,
    status::{HoldsUp, Status},
};
use crate::{
    fleet::{Census, ServerKnowledge, StateFile, Switch},
    freeze::{Change, Epoch, FreezeRequest, FreezeState, Phase, check_words},
    observe::{
        Audit, LabelBook, Watch, WorkerCounters, line,
        metrics::{self, Facts},
    },
    sql::StatementClass,
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
/// Holding-up sessions that one status tells.
const TOLD_LIMIT: usize = 100;

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
    /// The relays' end of the queue.
    pub watch: Watch,
    /// Each worker's numbers.
    pub counters: Vec<Arc<WorkerCounters>>,
    /// Where the server is.
    pub upstream: String,
    /// What is known of it.
    pub server: Arc<ServerKnowledge>,
}

/// See the module's text.
pub struct Operator {
    pub(super) switch: Arc<Switch>,
    store: StateFile,
    state_durable: bool,
    start_fault: Mutex<Option<String>>,
    clock: Clock,
    sink: AuditSink,
    audit: Mutex<Audit>,
    labels: Arc<LabelBook>,
    watch: Watch,
    counters: Vec<Arc<WorkerCounters>>,
    upstream: String,
    server: Arc<ServerKnowledge>,
    verbs: AsyncMutex<()>,
    pub(super) drain: Mutex<Drain>,
    /// The epoch that has been declared frozen.
    declared: AtomicU64,
    health: Mutex<Health>,
}

/// What is known of the server and of logins.
#[derive(Debug, Clone, Copy, Default)]
struct Health {
    upstream_up: Option<bool>,
    logins: u64,
    failed_logins: u64,
    drain_duration: Option<Duration>,
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
            watch: parts.watch,
            counters: parts.counters,
            upstream: parts.upstream,
            server: parts.server,
            verbs: AsyncMutex::new(()),
            drain: Mutex::new(Drain::default()),
            declared: AtomicU64::new(0),
            health: Mutex::new(Health::default()),
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
            self.begin_drain(DrainOptions::default(), state.epoch);
        }
    }

    /// Shuts the gate. When this returns it is shut, and the state is on disk; the drain goes on by itself.
    ///
    /// # Errors
    /// The words are not taken, or the state could not be kept; then the gate is shut all the same.
    pub async fn freeze(self: &Arc<Self>, call: FreezeCall) -> Result<VerbReply, ControlError> {
        let words = |what, text: &str| check_words(text).map_err(|fault| ControlError::Words { what, fault });
        words("reason", &call.reason)?;
        words("by", &call.by)?;
        if self.server.is_pooler() == Some(true) && !call.allow_unfenced {
            return Err(ControlError::Unfenced);
        }
        let _one_at_a_time = self.verbs.lock().await;
        let FreezeCall { reason, by, until, drain: options, .. } = call;
        let before = self.switch.state();
        let (state, change) =
            before.freeze(FreezeRequest { reason: reason.clone(), by: by.clone(), until }, self.now());
        let epoch = state.epoch;
        let phase = match change {
            Change::Made => Phase::Draining,
            Change::Already => self.switch.gate().phase,
        };
        self.switch.publish(state.clone(), phase);
        self.tell("freeze", json!({ "by": by, "reason": reason, "until": until, "epoch": epoch, "changed": change == Change::Made }));
        match change {
            Change::Made => self.begin_drain(options, epoch),
            Change::Already => lock(&self.drain).set(options),
        }
        self.keep(&state, "shut")?;
        Ok(self.reply(change))
    }

    /// Opens the gate. When this returns it is open, and the state is on disk.
    ///
    /// # Errors
    /// An exempt transaction is open, or the state could not be kept; then the gate stays shut.
    pub async fn thaw(&self, call: ThawCall) -> Result<VerbReply, ControlError> {
        let _one_at_a_time = self.verbs.lock().await;
        let (state, change) = self.switch.state().thaw();
        if change == Change::Already {
            return Ok(self.reply(change));
        }
        let open = self.census().exempt_in_transaction;
        if open > 0 {
            return Err(ControlError::ExemptTransactionOpen { count: open });
        }
        self.keep(&state, "shut")?;
        let epoch = state.epoch;
        *lock(&self.start_fault) = None;
        self.switch.publish(state, Phase::Open);
        self.tell("thaw", json!({ "by": call.by, "reason": call.reason, "epoch": epoch }));
        Ok(self.reply(change))
    }

    /// Looks whether the drain has come further, and says so if it has.
    pub(super) async fn latch(&self, epoch: Epoch) -> Result<Latch, ControlError> {
        let _one_at_a_time = self.verbs.lock().await;
        let (gate, state) = (self.switch.gate(), self.switch.state());
        if gate.epoch != epoch {
            return Ok(Latch::Overtaken);
        }
        let census = self.census();
        if !census.is_quiet() {
            return Ok(Latch::Waiting);
        }
        if gate.phase == Phase::Draining {
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
        Ok(Latch::Frozen)
    }

    fn keep(&self, state: &FreezeState, gate: &'static str) -> Result<(), ControlError> {
        self.store.save(state).map_err(|source| ControlError::NotKept { gate, source })
    }

    fn reply(&self, change: Change) -> VerbReply {
        VerbReply {
            state: self.phase(),
            epoch: self.switch.state().epoch.0,
            changed: change == Change::Made,
            state_durable: self.state_durable,
        }
    }

    /// A number for a new connection.
    pub fn next_session_id(&self) -> u64 {
        self.switch.roster().next_id()
    }

    /// How the sessions stand.
    pub fn census(&self) -> Census {
        let orphans = self.server.orphans().len();
        Census { orphans, ..self.switch.roster().census(self.switch.gate().epoch) }
    }

    /// Somebody who is logged in shall ask what has become of the sessions that a process before this one left.
    pub(super) fn ask_for_orphans(&self) {
        if !self.server.orphans().is_empty()
            && let Some(record) = self.switch.roster().all().first()
        {
            record.request_to_ask();
        }
    }

    /// Writes a line of the audit.
    pub fn tell(&self, event: &str, facts: serde_json::Value) {
        (self.sink)(&line(self.now(), event, facts));
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

    /// The server could be reached, or could not.
    pub fn note_upstream(&self, up: bool) {
        lock(&self.health).upstream_up = Some(up);
    }

    /// A login came to its end.
    pub fn note_login(&self, let_in: bool) {
        let mut health = lock(&self.health);
        let counter = if let_in { &mut health.logins } else { &mut health.failed_logins };
        *counter = counter.saturating_add(1);
    }

    /// What is told of the proxy.
    pub fn status(&self) -> Status {
        let (state, census, gate) = (self.switch.state(), self.census(), self.switch.gate());
        let freeze = state.freeze.as_ref();
        let now = self.now();
        let mut holding_up: Vec<HoldsUp> =
            self.switch.roster().all().iter().filter_map(|record| HoldsUp::of(record, now)).collect();
        holding_up.sort_by_key(|who| (std::cmp::Reverse(who.age_s), who.session));
        holding_up.truncate(TOLD_LIMIT);
        let timed_out = lock(&self.drain).is_over() && self.phase() == Phase::Draining;
        let open = census.writing.saturating_add(census.unproven).saturating_add(census.settling);
        Status {
            state: self.phase(),
            epoch: state.epoch.0,
            revision: gate.pack(),
            reason: freeze.map(|f| f.reason.clone()),
            by: freeze.map(|f| f.by.clone()),
            since: freeze.map(|f| f.since),
            until: freeze.and_then(|f| f.until),
            frozen_at: freeze.and_then(|f| f.frozen_at).filter(|_| self.phase() == Phase::Frozen),
            start_fault: lock(&self.start_fault).clone(),
            sessions: census.sessions,
            settling: census.settling,
            writing_transactions: census.writing,
            unproven: census.unproven,
            stragglers: if timed_out { open } else { 0 },
            readonly_leftovers: census.leftovers,
            exempt_sessions: census.exempt,
            refused_total: self.labels.total(),
            orphans: census.orphans,
            fence: if self.server.is_pooler() == Some(true) { "none".into() } else { "session".into() },
            quiet: "not_checked".into(),
            state_durable: self.state_durable,
            upstream: self.upstream.clone(),
            upstream_up: lock(&self.health).upstream_up,
            drain_timed_out: timed_out,
            holding_up,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Who tried to write what.
    pub fn refused(&self) -> RefusedReply {
        let audit = lock(&self.audit);
        RefusedReply {
            total: self.labels.total(),
            refused: audit.book().entries(),
            forgotten: audit.book().forgotten(),
        }
    }

    /// The page that Prometheus reads.
    ///
    /// # Errors
    /// A metric could not be told: a fault of the program.
    pub fn metrics(&self) -> Result<String, String> {
        let (status, census) = (self.status(), self.census());
        let health = *lock(&self.health);
        let mut statements: Vec<_> = StatementClass::ALL.map(|class| (class, 0_u64)).to_vec();
        for counters in &self.counters {
            for (sum, (_, count)) in statements.iter_mut().zip(counters.statements()) {
                sum.1 = sum.1.saturating_add(count);
            }
        }
        let seconds = |at: Timestamp| at.as_duration().as_secs_f64();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let facts = Facts {
            phase: status.state,
            epoch: status.epoch,
            freeze_started: status.since.map(seconds),
            freeze_until: status.until.map(seconds),
            drain_duration: health.drain_duration.map(|d| d.as_secs_f64()),
            statements,
            refused: self.labels.samples(),
            exempt: self.counters.iter().map(|c| c.exempt()).sum(),
            sessions_ordinary: count(census.sessions.saturating_sub(census.exempt)),
            sessions_maintenance: count(census.exempt),
            writing: count(census.writing),
            unproven: count(census.unproven),
            leftovers: count(census.leftovers),
            stragglers: count(status.stragglers),
            upstream_up: health.upstream_up,
            state_durable: self.state_durable,
            events_lost: self.watch.lost(),
            logins: health.logins,
            failed_logins: health.failed_logins,
        };
        metrics::render(&facts).map_err(|error| error.to_string())
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is replaced whole: it is usable even if a holder panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
