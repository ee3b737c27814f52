//! What the sessions of one thread share: a buffer to read into, the classifier's cache, counters, and the
//! operator's words ready to be sent. Lent for the length of one poll; a session keeps nothing of it.

use super::{ended::Keeper, servers::Servers};
use crate::{
    config::Config,
    fleet::{PidLog, Switch},
    freeze::Gate,
    observe::{LabelBook, Watch, WorkerCounters, Writers},
    session::{Output, Words},
    sql::Classifier,
    tls::Doorway,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

/// Bytes that are read at a time.
const READ_AT_ONCE: usize = 64 * 1024;

/// What every worker is made from.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The settings.
    pub config: Arc<Config>,
    /// The freeze, and the sessions.
    pub switch: Arc<Switch>,
    /// Those who watch.
    pub watch: Watch,
    /// Refusals by label.
    pub labels: Arc<LabelBook>,
    /// Who writes.
    pub writers: Arc<Writers>,
    /// The servers.
    pub servers: Arc<Servers>,
    /// Whose authentication ends here.
    pub keeper: Arc<Keeper>,
    /// TLS to clients; none: they are spoken to in plain text.
    pub doorway: Option<Arc<Doorway>>,
    /// Their sessions of ours, on disk.
    pub pids: Arc<PidLog>,
}

/// One thread's share.
#[derive(Debug)]
pub struct Worker {
    /// What all workers share.
    pub shared: Shared,
    /// This worker's numbers.
    pub counters: Arc<WorkerCounters>,
    lent: RefCell<Lent>,
    words: RefCell<Option<(Gate, Rc<Words>)>>,
    coarse_now: Cell<u64>,
}

/// What is lent for one poll.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) buffer: Box<[u8]>,
    pub(super) tools: Tools,
}

/// What a session needs to judge a message.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) classifier: Classifier,
    pub(super) output: Output,
}

impl Worker {
    /// A worker; `seed` makes its cache's slots unforeseeable.
    pub fn new(shared: Shared, counters: Arc<WorkerCounters>, seed: u64) -> Self {
        let lent = Lent {
            buffer: vec![0; READ_AT_ONCE].into_boxed_slice(),
            tools: Tools { classifier: Classifier::new(seed), output: Output::default() },
        };
        Self {
            shared,
            counters,
            lent: RefCell::new(lent),
            words: RefCell::new(None),
            coarse_now: Cell::new(0),
        }
    }

    /// Shows that the worker lives, sets the clock that transactions are dated by, and delivers what sessions have
    /// written; once a second is enough.
    pub fn tick(&self, now: u64) {
        self.counters.beat();
        self.coarse_now.set(now);
        let writes = &mut self.lent.borrow_mut().tools.output.writes;
        if writes.is_marked() {
            let mut counted = Vec::new();
            let lost = writes.take(|written| counted.push(written));
            self.shared.writers.deliver(counted, lost);
        }
    }

    /// Seconds since 1970, as of the last tick.
    pub(super) fn coarse_now(&self) -> u64 {
        self.coarse_now.get()
    }

    /// The operator's words for that gate.
    pub(super) fn words(&self, gate: Gate) -> Rc<Words> {
        if let Some((of, words)) = &*self.words.borrow()
            && *of == gate
        {
            return Rc::clone(words);
        }
        let words = Rc::new(Words::new(&self.shared.switch.state(), &self.shared.config.refusal));
        *self.words.borrow_mut() = Some((gate, Rc::clone(&words)));
        words
    }

    /// Lends the buffers. Polls do not nest, so they are always there.
    pub(super) fn lend(&self) -> std::cell::RefMut<'_, Lent> {
        self.lent.borrow_mut()
    }
}
