//! The sessions that there are: who they are, how each stands, and how to wake it. A session writes its own
//! record's atomics; operators read them. The lock is taken when a session comes, goes or is looked at, and
//! never for a message.

use super::{
    entrance::Entrance,
    identity::Identity,
    processes::{Processes, Recent},
};
use crate::{
    freeze::{Gate, Report, Standing},
    wire::startup::CancelKey,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

/// What an operator, or a shutdown, wants of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Nothing.
    None,
    /// End when idle: the process is stopping.
    Leave,
    /// A read that began before the fence: cancel it, and go on.
    CancelRead,
    /// A straggler: cancel what runs, roll back, end.
    RollBack,
    /// End now.
    Kill,
}

/// One session's place in the roster.
#[derive(Debug)]
pub struct SessionRecord {
    /// Who it is.
    pub identity: Identity,
    application: Mutex<Arc<str>>,
    report: AtomicU64,
    transaction_since: AtomicU64,
    last_command: Mutex<&'static str>,
    order: AtomicU8,
    client_is_gone: AtomicBool,
    shall_ask: AtomicBool,
    waker: OnceLock<Waker>,
}

impl SessionRecord {
    /// The name that the client gives itself, as it is now.
    pub fn application(&self) -> Arc<str> {
        Arc::clone(&lock(&self.application))
    }

    /// The client gave itself another name.
    pub fn set_application(&self, name: &str) {
        *lock(&self.application) = name.into();
    }

    /// How the session stands.
    pub fn report(&self) -> Report {
        Report::unpack(self.report.load(Ordering::SeqCst))
    }

    /// The session itself says how it stands; `now` is in coarse seconds.
    pub fn publish(&self, report: Report, now: u64) {
        if report.in_transaction && !self.report().in_transaction {
            self.transaction_since.store(now, Ordering::Relaxed);
        }
        self.report.store(report.pack(), Ordering::SeqCst);
    }

    /// When the open transaction began, in the coarse seconds of [`SessionRecord::publish`].
    pub fn transaction_since(&self) -> Option<u64> {
        self.report().in_transaction.then(|| self.transaction_since.load(Ordering::Relaxed))
    }

    /// The command word of the last statement that was judged behind a shut gate.
    pub fn last_command(&self) -> &'static str {
        *lock(&self.last_command)
    }

    /// Behind a shut gate the session tells what it was last asked to do.
    pub fn set_last_command(&self, command: &'static str) {
        *lock(&self.last_command) = command;
    }

    /// The client has gone; the server's session has not ended yet.
    pub fn set_client_gone(&self) {
        self.client_is_gone.store(true, Ordering::Relaxed);
    }

    /// Whether only the server's side is left of it.
    pub fn is_client_gone(&self) -> bool {
        self.client_is_gone.load(Ordering::Relaxed)
    }

    /// What is wanted of it.
    pub fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::None,
            1 => Order::Leave,
            2 => Order::CancelRead,
            3 => Order::RollBack,
            _ => Order::Kill,
        }
    }

    /// Wants something of it; a weaker order never takes the place of a stronger one.
    pub fn give(&self, order: Order) {
        let level = match order {
            Order::None => 0,
            Order::Leave => 1,
            Order::CancelRead => 2,
            Order::RollBack => 3,
            Order::Kill => 4,
        };
        self.order.fetch_max(level, Ordering::AcqRel);
        self.wake();
    }

    /// The read has been cancelled; a stronger order that came meanwhile stands.
    pub fn read_was_cancelled(&self) {
        let (cancel_read, none) = (2, 0);
        let exchanged = self.order.compare_exchange(cancel_read, none, Ordering::AcqRel, Ordering::Acquire);
        // If it failed, a stronger order has come: that is what is wanted now.
        debug_assert!(exchanged.is_ok() || self.order() > Order::CancelRead, "orders only grow stronger");
    }

    /// The session shall ask the server what there is to ask.
    pub fn request_to_ask(&self) {
        self.shall_ask.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it shall; it is told once.
    pub fn take_request_to_ask(&self) -> bool {
        self.shall_ask.load(Ordering::Relaxed) && self.shall_ask.swap(false, Ordering::AcqRel)
    }

    /// Whom to wake when the gate moves or an order comes. A task's waker is the same all its life, so this
    /// is said once.
    pub fn register(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// All sessions that have logged in.
#[derive(Debug, Default)]
pub struct Roster {
    sessions: Mutex<HashMap<u64, Arc<SessionRecord>>>,
    /// By server: process ids are unique on one only. As many as are configured.
    recent: Mutex<HashMap<Arc<str>, Recent>>,
    next_id: AtomicU64,
    /// Logins that the server is at, begun while the gate was open, in which a trigger may write.
    logins: AtomicUsize,
}

/// Counted as long as it lives.
#[derive(Debug)]
pub struct LoginUnderWay<'a>(&'a Roster);

impl Drop for LoginUnderWay<'_> {
    fn drop(&mut self) {
        self.0.logins.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Roster {
    /// The server is at a login in which a trigger may write.
    pub fn begin_login(&self) -> LoginUnderWay<'_> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        LoginUnderWay(self)
    }

    /// A number for a new connection.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// A session has logged in. From now on a drain waits for its word.
    pub fn enter(&self, identity: Identity, application: &str) -> Arc<SessionRecord> {
        let id = identity.id;
        let record = Arc::new(SessionRecord {
            identity,
            application: Mutex::new(application.into()),
            // The first words of a session may be the proxy's.
            report: AtomicU64::new(Report { is_asking: true, ..Report::default() }.pack()),
            transaction_since: AtomicU64::new(0),
            last_command: Mutex::new(""),
            order: AtomicU8::new(0),
            client_is_gone: AtomicBool::new(false),
            shall_ask: AtomicBool::new(false),
            waker: OnceLock::new(),
        });
        lock(&self.sessions).insert(id, Arc::clone(&record));
        if let Some(key) = &record.identity.cancel_key {
            let who = &record.identity;
            let mut recent = lock(&self.recent);
            recent.entry(Arc::clone(&who.upstream)).or_default().enter(key.process_id, who.entrance);
        }
        record
    }

    /// A session is known to have ended on the server's side too.
    pub fn leave(&self, id: u64) {
        let left = lock(&self.sessions).remove(&id);
        if let Some(record) = left {
            let who = &record.identity;
            lock(&self.recent).entry(Arc::clone(&who.upstream)).or_default().leave(who.entrance);
        }
    }

    /// That server's processes of all sessions, as of now.
    pub fn processes(&self, upstream: &str) -> Processes {
        let mut processes = Processes::default();
        // In this order, and the other one in `enter`, nobody is missed.
        if let Some(recent) = lock(&self.recent).get(upstream) {
            recent.note(&mut processes);
        }
        for record in lock(&self.sessions).values().filter(|record| &*record.identity.upstream == upstream) {
            if let Some(key) = &record.identity.cancel_key {
                // For whom the freeze does not hold may write, wherever it came in.
                let entrance =
                    if record.report().is_spared { Entrance::Maintenance } else { record.identity.entrance };
                processes.add(key.process_id, entrance);
            }
        }
        processes
    }

    /// Adds those that came to that server since.
    pub fn add_since(&self, upstream: &str, processes: &mut Processes) {
        if let Some(recent) = lock(&self.recent).get(upstream) {
            recent.add_since(processes);
        }
    }

    /// Somebody on that server.
    pub fn anybody_on(&self, upstream: &str) -> Option<Arc<SessionRecord>> {
        lock(&self.sessions).values().find(|record| &*record.identity.upstream == upstream).cloned()
    }

    /// Everybody, as of now.
    pub fn all(&self) -> Vec<Arc<SessionRecord>> {
        lock(&self.sessions).values().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The session that a cancel request means, if its key is right. Two servers may have given out the same key: then
    /// nobody can tell whose it is, and it means neither.
    pub fn by_cancel_key(&self, key: &CancelKey) -> Option<Arc<SessionRecord>> {
        let sessions = lock(&self.sessions);
        let mut found = sessions.values().filter(|record| record.identity.cancel_key.as_ref() == Some(key));
        let only = found.next().cloned();
        only.filter(|_| found.next().is_none())
    }

    /// Whether one of our sessions has that process of that server.
    pub fn has_process(&self, upstream: &str, pid: u32) -> bool {
        let has = |who: &Identity| {
            &*who.upstream == upstream && who.cancel_key.as_ref().is_some_and(|key| key.process_id == pid)
        };
        lock(&self.sessions).values().any(|record| has(&record.identity))
    }

    /// Wakes everybody.
    pub fn wake_all(&self) {
        for record in lock(&self.sessions).values() {
            record.wake();
        }
    }

    /// How everybody stands with regard to that gate.
    pub fn census(&self, gate: Gate) -> Census {
        let mut census = Census { logins: self.logins.load(Ordering::SeqCst), ..Census::default() };
        for record in lock(&self.sessions).values() {
            census.count(record, gate);
        }
        census
    }
}

/// How many stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// All of them.
    pub sessions: usize,
    /// Exempt ones.
    pub exempt: usize,
    /// Exempt ones with a transaction open.
    pub exempt_in_transaction: usize,
    /// Those for whom the freeze does not hold, by its scope or by an exception.
    pub spared: usize,
    /// Have not met the gate yet, or their fence is on its way.
    pub settling: usize,
    /// May be writing.
    pub unproven: usize,
    /// Have written and not ended.
    pub writing: usize,
    /// Have not seen that all others are quiet.
    pub unaware: usize,
    /// Read-only to their end though the gate is open again.
    pub leftovers: usize,
    /// Logins under way in which a trigger may write.
    pub logins: usize,
    /// Sessions of a process before this one that may still be at something.
    pub orphans: usize,
}

impl Census {
    fn count(&mut self, record: &SessionRecord, gate: Gate) {
        let epoch = gate.epoch;
        let add = |field: &mut usize| *field = field.saturating_add(1);
        let report = record.report();
        add(&mut self.sessions);
        if report.is_leftover {
            add(&mut self.leftovers);
        }
        if record.identity.entrance == Entrance::Maintenance {
            add(&mut self.exempt);
            if report.in_transaction {
                add(&mut self.exempt_in_transaction);
            }
            return;
        }
        if report.is_spared && gate.is_shut() {
            let is_met = report.epoch == epoch && report.edition == gate.edition;
            add(if is_met { &mut self.spared } else { &mut self.settling });
            return;
        }
        match report.standing {
            Standing::Quiet | Standing::Settling if report.epoch != epoch => add(&mut self.settling),
            Standing::Quiet => {}
            Standing::Settling => add(&mut self.settling),
            Standing::Unproven => add(&mut self.unproven),
            Standing::Writing => add(&mut self.writing),
        }
        if report.epoch != epoch || !report.saw_frozen {
            add(&mut self.unaware);
        }
    }

    /// Nothing that is not exempt could still write.
    pub fn is_quiet(&self) -> bool {
        self.settling == 0 && self.unproven == 0 && self.writing == 0 && self.logins == 0 && self.orphans == 0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is a map or a word: it is whole even if a holder panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(process_id: u32, secret: u8) -> CancelKey {
        CancelKey { process_id, secret: [secret; 4].into() }
    }

    #[test]
    fn the_same_process_id_on_two_servers_is_two_processes() {
        let roster = Roster::default();
        drop(roster.enter(Identity::on("a", 1, key(70, 1)), ""));
        drop(roster.enter(Identity::on("b", 2, key(71, 2)), ""));
        assert!(roster.has_process("a", 70) && !roster.has_process("b", 70));
        let mut on_b = roster.processes("b");
        assert_eq!(on_b.ordinary, [71].into());
        drop(roster.enter(Identity::on("a", 3, key(72, 1)), ""));
        roster.leave(1);
        roster.add_since("b", &mut on_b);
        assert_eq!((on_b.ordinary, on_b.ended), ([71].into(), 0), "72 came to a, and one of a ended");
        assert_eq!(roster.anybody_on("b").map(|record| record.identity.id), Some(2));
        assert!(roster.anybody_on("c").is_none());
    }

    #[test]
    fn a_cancel_key_means_the_session_that_has_all_of_it_and_none_where_two_have() {
        let roster = Roster::default();
        drop(roster.enter(Identity::on("a", 1, key(70, 1)), ""));
        drop(roster.enter(Identity::on("b", 2, key(70, 2)), ""));
        let meant = |key: &CancelKey| roster.by_cancel_key(key).map(|record| record.identity.id);
        assert_eq!((meant(&key(70, 1)), meant(&key(70, 2)), meant(&key(70, 3))), (Some(1), Some(2), None));
        drop(roster.enter(Identity::on("c", 3, key(70, 2)), ""));
        assert_eq!(meant(&key(70, 2)), None, "it may be either's");
    }
}
