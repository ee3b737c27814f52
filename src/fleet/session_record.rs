//! One session as others see it: who it is, how it stands, what is wanted of it, and how to wake it. It writes its own
//! atomics; operators read them.

use super::{entrance::Entrance, identity::Identity};
use crate::freeze::{Gate, Report, Standing};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
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

/// What waits for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The drain, as the session stands so. While open: a drain would.
    Drain(Standing),
    /// The thaw alone: it may write while frozen, and has a transaction open.
    Thaw,
}

impl Wait {
    /// The word that people and programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drain(standing) => standing.as_str(),
            Self::Thaw => "exempt",
        }
    }
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
    /// Of a session that has just logged in.
    pub(super) fn new(identity: Identity, application: &str) -> Self {
        Self {
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
        }
    }

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

    /// What waits for it, at that gate.
    pub fn waited_for(&self, gate: Gate) -> Option<Wait> {
        let report = self.report();
        if gate.is_shut() {
            let of_thaw = report.in_transaction.then_some(Wait::Thaw);
            if self.identity.entrance == Entrance::Maintenance {
                return of_thaw;
            }
            if report.is_spared && !has_met(&report, gate) {
                return Some(Wait::Drain(Standing::Settling));
            }
            if report.is_spared {
                return of_thaw.filter(|_| report.is_excepted);
            }
        }
        (report.standing != Standing::Quiet).then_some(Wait::Drain(report.standing))
    }

    /// The session itself, and nobody else, says how it stands; `now` is in coarse seconds. Tells whether that is
    /// news.
    pub fn publish(&self, report: Report, now: u64) -> bool {
        let (before, word) = (self.report.load(Ordering::Relaxed), report.pack());
        if before == word {
            return false;
        }
        if report.in_transaction && !Report::unpack(before).in_transaction {
            self.transaction_since.store(now, Ordering::Relaxed);
        }
        self.report.store(word, Ordering::SeqCst);
        true
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

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// Whether the session has acted on that very gate.
pub(super) fn has_met(report: &Report, gate: Gate) -> bool {
    report.epoch == gate.epoch() && report.edition == gate.edition()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is a word: it is whole even if a holder panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
