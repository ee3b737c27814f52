//! How a drain is waited for, and how far it has come.

use super::command::DrainOptions;
use tokio::{task::AbortHandle, time::Instant};

/// How the drain is waited for; a second `freeze` sets it anew.
#[derive(Debug, Default)]
pub(super) struct Drain {
    pub(super) options: DrainOptions,
    pub(super) deadline: Option<Instant>,
    pub(super) is_over: bool,
    /// The task that waits; there is one at most.
    waiter: Option<AbortHandle>,
}

impl Drain {
    /// The time runs from now.
    #[expect(
        clippy::disallowed_methods,
        reason = "a deadline of the runtime's own clock, which tests can stop"
    )]
    pub(super) fn set(&mut self, options: DrainOptions) {
        self.options = options;
        self.deadline = Instant::now().checked_add(options.timeout());
        self.is_over = false;
    }

    /// This task waits from now on, and no other.
    pub(super) fn own(&mut self, waiter: AbortHandle) {
        if let Some(before) = self.waiter.replace(waiter) {
            before.abort();
        }
    }

    /// Whether the drain time is over.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// How far a drain has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Latch {
    /// Something may still write.
    Waiting,
    /// All are quiet; now all must see that what passes only while draining passes no longer.
    Shut,
    /// All are quiet and have seen it: frozen.
    Frozen,
    /// Another freeze or thaw has come.
    Overtaken,
}
