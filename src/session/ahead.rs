//! How the next message will find the transaction, past everything that is in flight.

use super::{policy::Cover, transaction::Work};
use crate::{sql::Effects, wire::TransactionStatus};

/// How the transaction stands past everything in flight. Kept only while the gate is shut and nothing but
/// the client's open batch is in flight; before that, the server's answers are waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    pub(super) status: TransactionStatus,
    pub(super) work: Work,
    pub(super) cover: Cover,
}

impl Ahead {
    /// Something more is in flight.
    pub(super) fn step(&mut self, effects: Effects) {
        if effects.contains(Effects::ENDS) {
            let open = effects.contains(Effects::LEAVES_OPEN);
            self.status = if open { TransactionStatus::InBlock } else { TransactionStatus::Idle };
            self.work = Work::since_end(effects);
            if self.cover == Cover::Block {
                self.cover = Cover::None;
            }
        } else {
            self.work = self.work.max(Work::of(effects));
            if effects.contains(Effects::BEGINS) {
                self.status = TransactionStatus::InBlock;
            }
        }
        if effects.contains(Effects::ENDS_SUBTRANSACTION) {
            self.status = TransactionStatus::InBlock;
            if self.cover == Cover::Block {
                self.cover = Cover::None;
            }
        }
        if effects.contains(Effects::RESETS_ALL) && self.cover == Cover::Session {
            self.cover = Cover::Block;
        }
    }
}
