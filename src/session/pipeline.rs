//! The replies that the server still owes, oldest first. One entry for each message that it will answer;
//! what comes back closes the head, or fails it. This is the model of `PostgresMain` that everything in
//! this folder stands on; `tests/properties.rs` holds it against a model server.

use super::{injection::Injection, transaction::Work};
use crate::sql::Effects;
use std::collections::VecDeque;

/// How many replies may be owed before the client is not read any further. The server writes out its
/// answers once 8 KiB of them have gathered, and the shortest takes five bytes; so this can't deadlock.
pub(super) const OWED_LIMIT: usize = 65_536;

/// What an owed reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Query,
    Parse,
    Bind,
    Describe,
    Execute,
    Close,
    FunctionCall,
    Sync,
    /// CopyDone or CopyFail, sent before the server was seen to copy. It is answered by nothing.
    CopyEnd,
    /// A refusal of ours that waits for the replies in front of it.
    Refusal,
}

impl Step {
    /// Whether ReadyForQuery ends it.
    fn is_ended_by_ready(self) -> bool {
        matches!(self, Self::Query | Self::FunctionCall | Self::Sync)
    }
}

/// Whose message it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The client's own.
    Client,
    /// Ours in the place of the client's: the server must fail it.
    Poison,
    /// Ours, of which the client shall see nothing.
    Injected(Injection),
}

/// One reply that the server owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) step: Step,
    pub(super) origin: Origin,
    /// What the message may do when the server runs it.
    pub(super) effects: Effects,
    /// How many entries of `Names`' book of changes are settled with it.
    pub(super) changes: u16,
}

impl Owed {
    /// What we said ourselves, if this answers it.
    pub(super) fn injection(self) -> Option<Injection> {
        match self.origin {
            Origin::Injected(what) => Some(what),
            Origin::Client | Origin::Poison => None,
        }
    }

    /// Whether its rows are the proxy's to read.
    pub(super) fn is_question(self) -> bool {
        self.injection().is_some_and(Injection::is_question)
    }

    /// Whether one of the session's refusals waits for it.
    pub(super) fn carries_refusal(self) -> bool {
        self.origin == Origin::Poison || self.step == Step::Refusal
    }

    pub(super) fn client(step: Step, effects: Effects) -> Self {
        Self { step, origin: Origin::Client, effects, changes: 0 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Pipeline {
    /// The oldest, apart from the others: each message of the server is held against it. None: nothing is owed.
    head: Option<Owed>,
    behind: VecDeque<Owed>,
    /// Entries that ReadyForQuery ends.
    readies: u32,
    writes: u32,
    maybes: u32,
    /// Entries that may change the client's encoding.
    encodings: u32,
}

impl Pipeline {
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    pub(super) fn is_full(&self) -> bool {
        self.behind.len().saturating_add(1) >= OWED_LIMIT
    }

    /// How many ReadyForQuery are owed.
    pub(super) fn readies(&self) -> u32 {
        self.readies
    }

    pub(super) fn head(&self) -> Option<&Owed> {
        self.head.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Owed> {
        self.head.iter().chain(&self.behind)
    }

    /// The worst that anything in flight may do.
    pub(super) fn work(&self) -> Work {
        match (self.writes, self.maybes) {
            (0, 0) => Work::None,
            (0, _) => Work::Maybe,
            _ => Work::Wrote,
        }
    }

    /// Whether anything in flight may change the client's encoding.
    pub(super) fn touches_encoding(&self) -> bool {
        self.encodings > 0
    }

    pub(super) fn push(&mut self, owed: Owed) {
        self.count(&owed, u32::saturating_add);
        if self.head.is_none() {
            self.head = Some(owed);
        } else {
            self.behind.push_back(owed);
        }
    }

    /// The head, if it is such a message: it has got its last reply.
    #[inline]
    pub(super) fn close(&mut self, ended: Step) -> Option<Owed> {
        self.head().filter(|head| head.step == ended)?;
        let closed = self.pop();
        self.drop_copy_ends();
        closed
    }

    /// Takes the head off if it is a refusal of ours: all in front of it has been answered.
    pub(super) fn take_due_refusal(&mut self) -> Option<Owed> {
        self.head().filter(|head| head.step == Step::Refusal)?;
        let due = self.pop();
        self.drop_copy_ends();
        due
    }

    /// The head that an error belongs to.
    pub(super) fn head_to_fail(&self) -> Option<Owed> {
        self.head().copied()
    }

    /// The head was poison and has been answered: from here on it is like any other.
    pub(super) fn disarm_head(&mut self) {
        if let Some(head) = &mut self.head {
            head.origin = Origin::Client;
        }
    }

    /// The head failed. A Query, a FunctionCall and a Sync stay, as their ReadyForQuery is still to come;
    /// after any other message the server skips everything up to the next Sync (`ignore_till_sync`). Calls
    /// `skipped` for each entry that will never be answered, the failed one first, and tells where it ends.
    pub(super) fn fail(&mut self, mut skipped: impl FnMut(Owed)) -> SkipTo {
        if self.head().is_none_or(|head| head.step.is_ended_by_ready()) {
            return SkipTo::Nothing;
        }
        while let Some(next) = self.head().copied() {
            if next.step == Step::Sync {
                return SkipTo::SyncInFlight;
            }
            self.pop();
            self.drop_copy_ends();
            skipped(next);
        }
        SkipTo::SyncToCome
    }

    /// ReadyForQuery: takes off the next entry of those up to the one that it ends; that one is told apart.
    pub(super) fn pop_to_ready(&mut self) -> Option<(Owed, bool)> {
        let owed = self.pop()?;
        self.drop_copy_ends();
        Some((owed, owed.step.is_ended_by_ready()))
    }

    /// The server copies in for the head: it ignores the Syncs that are on their way up to CopyDone or
    /// CopyFail (`CopyGetData`, `copyfromparse.c`). Tells whether that end is still to be sent.
    pub(super) fn copies_in(&mut self) -> CopyIn {
        // The server calls any other message here a breach of the protocol.
        let belongs = |next: &mut Owed| matches!(next.step, Step::Sync | Step::CopyEnd);
        while let Some(next) = self.behind.pop_front_if(belongs) {
            self.count(&next, u32::saturating_sub);
            if next.step == Step::CopyEnd {
                return CopyIn::EndInFlight;
            }
        }
        CopyIn::EndToCome
    }

    fn pop(&mut self) -> Option<Owed> {
        let owed = std::mem::replace(&mut self.head, self.behind.pop_front())?;
        self.count(&owed, u32::saturating_sub);
        Some(owed)
    }

    /// Nothing answers a CopyDone or CopyFail: at the head it is done with.
    fn drop_copy_ends(&mut self) {
        while self.head().is_some_and(|head| head.step == Step::CopyEnd) {
            self.pop();
        }
    }

    fn count(&mut self, owed: &Owed, change: impl Fn(u32, u32) -> u32) {
        if owed.step.is_ended_by_ready() {
            self.readies = change(self.readies, 1);
        }
        if owed.effects.contains(Effects::TOUCHES_ENCODING) {
            self.encodings = change(self.encodings, 1);
        }
        match Work::of(owed.effects) {
            Work::None => {}
            Work::Maybe => self.maybes = change(self.maybes, 1),
            Work::Wrote => self.writes = change(self.writes, 1),
        }
    }
}

/// Where the server skips to after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SkipTo {
    /// It does not skip.
    Nothing,
    /// To a Sync that is on its way.
    SyncInFlight,
    /// To a Sync that the client has not sent.
    SyncToCome,
}

/// Whether the end of a copy has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyIn {
    EndInFlight,
    EndToCome,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(step: Step) -> Owed {
        Owed::client(step, Effects::default())
    }

    #[test]
    fn so_many_replies_may_be_owed_and_no_more_until_one_has_come() {
        let mut pipeline = Pipeline::default();
        for count in 0..OWED_LIMIT {
            assert!(!pipeline.is_full(), "at {count}");
            pipeline.push(owed(Step::Sync));
        }
        assert!(pipeline.is_full());
        assert_eq!(usize::try_from(pipeline.readies()), Ok(OWED_LIMIT));
        assert_eq!(pipeline.pop_to_ready(), Some((owed(Step::Sync), true)));
        assert!(!pipeline.is_full());
        while pipeline.pop_to_ready().is_some() {}
        assert!(pipeline.is_empty() && pipeline.readies() == 0 && pipeline.iter().next().is_none());
    }

    #[test]
    fn replies_are_owed_in_the_order_of_their_messages() {
        let mut pipeline = Pipeline::default();
        let steps = [Step::Parse, Step::Bind, Step::Describe, Step::Execute, Step::CopyEnd, Step::Sync];
        for step in steps {
            pipeline.push(owed(step));
        }
        assert!(pipeline.iter().map(|owed| owed.step).eq(steps));
        assert_eq!(pipeline.close(Step::Bind), None, "Parse comes first");
        for step in [Step::Parse, Step::Bind, Step::Describe, Step::Execute] {
            assert_eq!(pipeline.close(step).map(|closed| closed.step), Some(step));
        }
        assert_eq!(pipeline.head().map(|head| head.step), Some(Step::Sync), "nothing answers a CopyDone");
    }

    #[test]
    fn a_copy_swallows_the_syncs_in_front_of_its_end_and_nothing_behind_it() {
        let mut pipeline = Pipeline::default();
        assert_eq!(pipeline.copies_in(), CopyIn::EndToCome);
        for step in [Step::Execute, Step::Sync, Step::Sync] {
            pipeline.push(owed(step));
        }
        assert_eq!(pipeline.copies_in(), CopyIn::EndToCome);
        assert_eq!((pipeline.iter().count(), pipeline.readies()), (1, 0));
        for step in [Step::Sync, Step::CopyEnd, Step::Sync] {
            pipeline.push(owed(step));
        }
        assert_eq!(pipeline.copies_in(), CopyIn::EndInFlight);
        assert!(pipeline.iter().map(|owed| owed.step).eq([Step::Execute, Step::Sync]));
    }
}
