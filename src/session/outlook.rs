//! What a session says of itself: to the drain, how it stands; to the policy, where the next message would run.

use super::{
    ahead::Ahead,
    fence::FenceKind,
    injection::Injection,
    life::{Batch, Session},
    policy::{Bearing, Cover, Position, Role},
    transaction::Work,
};
use crate::{
    freeze::{Phase, Report, Standing},
    wire::TransactionStatus,
};

impl Session {
    /// How the session stands under the gate that it has met.
    pub fn report(&self) -> Report {
        let flight = self.pipeline.work().max(Work::of(self.answered));
        let standing = match flight.max(self.unproven_work()) {
            Work::Wrote => Standing::Writing,
            Work::Maybe => Standing::Unproven,
            Work::None => self.standing_without_work(),
        };
        let in_transaction = self.transaction.status != TransactionStatus::Idle || self.batch == Batch::Ran;
        let is_leftover = !self.gate.is_shut() && in_transaction && self.fence.holds_open_block();
        let saw_frozen = self.gate.phase() == Phase::Frozen;
        let is_asking = self.fence.in_flight() == Some(Injection::AskServer);
        let (epoch, edition) = (self.gate.epoch(), self.gate.edition());
        let is_excepted = self.bearing == Bearing::Excepted;
        let is_spared = is_excepted || self.bearing == Bearing::Spared;
        Report {
            epoch,
            standing,
            in_transaction,
            is_leftover,
            saw_frozen,
            is_spared,
            is_excepted,
            is_asking,
            edition,
        }
    }

    fn standing_without_work(&self) -> Standing {
        if !self.gate.is_shut() || self.settings.role == Role::Exempt {
            return Standing::Quiet;
        }
        let status = self.transaction.status;
        if self.fence.kind() == FenceKind::None {
            // Its functions can still write in the block that was open when the gate shut.
            let old = status == TransactionStatus::InBlock && !self.fence.is_block_new();
            return if old { Standing::Unproven } else { Standing::Quiet };
        }
        let covered = match status {
            TransactionStatus::Idle => self.fence.is_up(),
            TransactionStatus::InBlock => {
                self.fence.holds_open_block() || self.transaction.is_read_only_by_client()
            }
            // Nothing runs in it, and what follows it is held until the fence is up.
            TransactionStatus::Failed => true,
        };
        // A batch that ran nothing yet gets its fence in front of what it runs.
        let waits = self.pipeline.is_empty() && self.batch != Batch::Closed;
        if covered || waits { Standing::Quiet } else { Standing::Settling }
    }

    /// What the open transaction has done, as far as it is not known to be harmless.
    pub(super) fn unproven_work(&self) -> Work {
        match self.transaction.work() {
            Work::Maybe if self.transaction.is_read_only_by_client() => Work::None,
            work @ (Work::None | Work::Maybe | Work::Wrote) => work,
        }
    }

    /// Where the client's next message would run.
    pub(super) fn position(&self) -> Position {
        let is_certain = self.pipeline.readies() == 0;
        let cover = if is_certain { self.ahead.cover } else { self.cover_of(TransactionStatus::Idle) };
        Position {
            gate: self.gate,
            role: self.settings.role,
            bearing: self.bearing,
            cover,
            is_certain,
            work: self.ahead.work,
            status: self.ahead.status,
            is_in_batch: self.batch != Batch::Closed,
        }
    }

    /// Tells anew how the transaction stands past what is in flight, which is at most the open batch.
    pub(super) fn look_ahead(&mut self) {
        let status = self.transaction.status;
        let mut ahead = Ahead { status, work: self.unproven_work(), cover: self.cover_of(status) };
        ahead.step(self.answered);
        for owed in self.pipeline.iter() {
            ahead.step(owed.effects);
        }
        self.ahead = ahead;
    }

    fn cover_of(&self, status: TransactionStatus) -> Cover {
        if self.fence.kind() == FenceKind::None {
            return Cover::Impossible;
        }
        match status {
            TransactionStatus::Idle if self.fence.is_up() => Cover::Session,
            TransactionStatus::Idle => Cover::None,
            TransactionStatus::InBlock | TransactionStatus::Failed => match self.fence.holds_open_block() {
                true if self.fence.is_up() => Cover::Session,
                true => Cover::Block,
                false => Cover::None,
            },
        }
    }
}
