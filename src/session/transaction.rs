//! What is known of the session's transaction: its status as the server last told it, and what has been
//! done in it since it began.

use crate::{sql::Effects, wire::TransactionStatus};

/// What a transaction, or a message in flight, has done or may do. Ordered by how bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Work {
    /// Nothing that could write.
    #[default]
    None,
    /// Ran a query; a function, a rule or an operator in it may have written.
    Maybe,
    /// Wrote, as far as the statements tell.
    Wrote,
}

impl Work {
    /// All that a message may do.
    pub(super) fn of(effects: Effects) -> Self {
        Self::from_bits(effects, Effects::WRITES, Effects::MAY_WRITE)
    }

    /// What it may do in the transaction that is open behind it.
    pub(super) fn since_end(effects: Effects) -> Self {
        Self::from_bits(effects, Effects::WRITES_SINCE_END, Effects::MAY_WRITE_SINCE_END)
    }

    fn from_bits(effects: Effects, wrote: Effects, maybe: Effects) -> Self {
        if effects.contains(wrote) {
            Self::Wrote
        } else if effects.contains(maybe) {
            Self::Maybe
        } else {
            Self::None
        }
    }
}

/// The effects of one message followed by another.
pub(super) fn then(first: Effects, next: Effects) -> Effects {
    let since_end = Effects::WRITES_SINCE_END.union(Effects::MAY_WRITE_SINCE_END);
    let kept = if next.contains(Effects::ENDS) { without(first, since_end) } else { first };
    kept.union(next)
}

/// The effects less some.
pub(super) fn without(mut effects: Effects, less: Effects) -> Effects {
    effects.remove(less);
    effects
}

/// The transaction as of the last ReadyForQuery.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Transaction {
    pub(super) status: TransactionStatus,
    work: Work,
    /// A savepoint was set; a failed block may come to life again.
    savepoints: bool,
    /// The client itself asked for READ ONLY when it began it.
    asked_read_only: bool,
}

impl Transaction {
    /// What has been done in the transaction that is open: nothing if none is, nor if it has failed and can
    /// only be rolled back.
    pub(super) fn work(&self) -> Work {
        match self.status {
            TransactionStatus::Idle => Work::None,
            TransactionStatus::InBlock => self.work,
            TransactionStatus::Failed if self.savepoints => self.work,
            TransactionStatus::Failed => Work::None,
        }
    }

    /// Whether the client made this block READ ONLY itself.
    pub(super) fn is_read_only_by_client(&self) -> bool {
        self.asked_read_only && self.status != TransactionStatus::Idle
    }

    /// The server was asked and says that no transaction id has been assigned, or that one has.
    pub(super) fn learn(&mut self, wrote: bool) {
        self.work = if wrote { Work::Wrote } else { Work::None };
    }

    /// ReadyForQuery came behind messages with these effects.
    pub(super) fn on_ready(&mut self, status: TransactionStatus, effects: Effects, failed: bool) {
        self.status = status;
        match status {
            TransactionStatus::Idle => *self = Self::default(),
            TransactionStatus::InBlock if effects.contains(Effects::ENDS) && !failed => {
                // Another transaction than the one before: chained, or ended and begun in one batch. What
                // came before the end may be counted in, but nothing behind it is left out.
                *self = Self {
                    status,
                    work: Work::since_end(effects),
                    savepoints: effects.contains(Effects::SAVEPOINT),
                    asked_read_only: false,
                };
            }
            TransactionStatus::InBlock | TransactionStatus::Failed => {
                self.work = self.work.max(Work::of(effects));
                self.savepoints |= effects.contains(Effects::SAVEPOINT);
                // Inside a savepoint the mode would be undone by its end, and behind a query it came too
                // late for what that query ran: neither is relied upon.
                let asked = effects.contains(Effects::READ_ONLY_BLOCK) && !failed;
                self.asked_read_only |= asked && !self.savepoints && self.work == Work::None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSERT: Effects = Effects::WRITES.union(Effects::WRITES_SINCE_END);
    const SELECT: Effects = Effects::MAY_WRITE.union(Effects::MAY_WRITE_SINCE_END);

    #[test]
    fn what_is_done_behind_a_commit_in_one_batch_belongs_to_the_next_transaction() {
        let effects = then(then(INSERT, Effects::ENDS), then(Effects::BEGINS, SELECT));
        let mut tx = Transaction::default();
        tx.on_ready(TransactionStatus::InBlock, effects, false);
        assert_eq!(tx.work(), Work::Maybe);
        tx.on_ready(TransactionStatus::InBlock, then(INSERT, Effects::ENDS), true);
        assert_eq!(tx.work(), Work::Wrote, "an error may have kept the COMMIT from being run");
    }

    #[test]
    fn a_failed_block_may_commit_only_what_a_savepoint_keeps() {
        let mut tx = Transaction::default();
        tx.on_ready(TransactionStatus::InBlock, INSERT, false);
        tx.on_ready(TransactionStatus::Failed, SELECT, true);
        assert_eq!(tx.work(), Work::None);
        tx.on_ready(TransactionStatus::InBlock, Effects::SAVEPOINT, false);
        tx.on_ready(TransactionStatus::Failed, SELECT, true);
        assert_eq!(tx.work(), Work::Wrote);
        tx.on_ready(TransactionStatus::Idle, Effects::ENDS, false);
        assert_eq!(tx.work(), Work::None);
    }

    #[test]
    fn read_only_by_the_client_holds_from_the_blocks_begin_and_not_from_within_a_savepoint() {
        let mut tx = Transaction::default();
        tx.on_ready(TransactionStatus::InBlock, Effects::BEGINS.union(Effects::READ_ONLY_BLOCK), false);
        tx.on_ready(TransactionStatus::InBlock, SELECT, false);
        assert!(tx.is_read_only_by_client());
        let mut tx = Transaction::default();
        tx.on_ready(TransactionStatus::InBlock, SELECT, false);
        tx.on_ready(TransactionStatus::InBlock, Effects::READ_ONLY_BLOCK, false);
        assert!(!tx.is_read_only_by_client(), "the query ran before the mode was set");
        let mut tx = Transaction::default();
        tx.on_ready(TransactionStatus::InBlock, Effects::SAVEPOINT, false);
        tx.on_ready(TransactionStatus::InBlock, Effects::READ_ONLY_BLOCK, false);
        assert!(!tx.is_read_only_by_client());
    }
}
