//! The small copy of the freeze that a session reads for each message: one atomic word.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of the freeze state; it grows with each freeze and each thaw and never shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one. A number that would not fit the gate's word is never reached in practice:
    /// one freeze a microsecond would need fifty days.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1).min(Gate::EPOCH_MAX))
    }
}

/// Where the proxy stands. `open → draining → frozen → open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing is refused.
    Open,
    /// The gate is shut to new writes; what wrote before, or may be writing, has not ended.
    Draining,
    /// The promise holds: no write passes and nothing that could still write is running.
    Frozen,
}

impl Phase {
    /// The word that people and metrics read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Draining => "draining",
            Self::Frozen => "frozen",
        }
    }
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Open, Self::Draining, Self::Frozen];
}

/// What a session must know of the freeze for each message: version, phase and edition in one word, so that it is read,
/// kept and compared as one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Gate(u64);

impl Gate {
    const PHASE_BITS: u32 = 2;
    const PHASE_MASK: u64 = (1 << Self::PHASE_BITS) - 1;
    pub(super) const EDITION_BITS: u32 = 14;
    pub(super) const EDITION_MASK: u64 = (1 << Self::EDITION_BITS) - 1;
    /// As many as a session's report has room for, which holds more beside it than the gate.
    pub(super) const EPOCH_BITS: u32 = 42;
    /// The largest epoch that is told from the one before it.
    pub(super) const EPOCH_MAX: u64 = (1 << Self::EPOCH_BITS) - 1;

    /// A gate of that version, there where the proxy stands, in the first edition.
    pub fn new(epoch: Epoch, phase: Phase) -> Self {
        Self(epoch.0.min(Self::EPOCH_MAX) << (Self::PHASE_BITS + Self::EDITION_BITS)).at(phase)
    }

    /// The same, there where the proxy stands.
    #[must_use]
    pub fn at(self, phase: Phase) -> Self {
        let phase = match phase {
            Phase::Open => 0,
            Phase::Draining => 1,
            Phase::Frozen => 2,
        };
        Self(self.0 & !Self::PHASE_MASK | phase)
    }

    /// The next edition: the words or the scope of a freeze are others now, within its epoch.
    #[must_use]
    pub fn renewed(self) -> Self {
        let edition = u64::from(self.edition()).wrapping_add(1) & Self::EDITION_MASK;
        Self(self.0 & !(Self::EDITION_MASK << Self::PHASE_BITS) | edition << Self::PHASE_BITS)
    }

    /// Version of the state.
    #[inline]
    pub fn epoch(self) -> Epoch {
        Epoch(self.0 >> (Self::PHASE_BITS + Self::EDITION_BITS))
    }

    /// Where the proxy stands. The phase that is not in use reads as the strictest one.
    #[inline]
    pub fn phase(self) -> Phase {
        match self.0 & Self::PHASE_MASK {
            0 => Phase::Open,
            1 => Phase::Draining,
            _ => Phase::Frozen,
        }
    }

    /// Changes when the words or the scope of a freeze change within an epoch.
    #[inline]
    pub fn edition(self) -> u16 {
        u16::try_from((self.0 >> Self::PHASE_BITS) & Self::EDITION_MASK).unwrap_or(0)
    }

    /// Whether new writes are refused.
    #[inline]
    pub fn is_shut(self) -> bool {
        self.0 & Self::PHASE_MASK != 0
    }

    /// The gate as one word.
    pub fn pack(self) -> u64 {
        self.0
    }

    /// Reads the word back.
    #[inline]
    pub fn unpack(word: u64) -> Self {
        Self(word)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {} ({})", self.phase().as_str(), self.epoch().0, self.edition())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_gate_survives_its_word(epoch in 0..Gate::EPOCH_MAX, editions in 0..40_u16, phase in 0..3_usize) {
            let new = Gate::new(Epoch(epoch), Phase::ALL[phase]);
            let gate = (0..editions).fold(new, |gate, _| gate.renewed());
            prop_assert_eq!((gate.epoch(), gate.phase(), gate.edition()), (Epoch(epoch), Phase::ALL[phase], editions));
            prop_assert_eq!(Gate::unpack(gate.pack()), gate);
            prop_assert_eq!(gate.at(Phase::Open).at(gate.phase()), gate);
            prop_assert_eq!(gate.is_shut(), gate.phase() != Phase::Open);
        }
    }

    #[test]
    fn behind_the_last_edition_comes_the_first_and_nothing_else_changes() {
        let new = Gate::new(Epoch(7), Phase::Frozen);
        let last = (0..Gate::EDITION_MASK).fold(new, |gate, _| gate.renewed());
        assert_eq!((u64::from(last.edition()), last.renewed()), (Gate::EDITION_MASK, new));
        assert_eq!(Gate::new(Epoch(u64::MAX), Phase::Open).epoch(), Epoch(Gate::EPOCH_MAX));
    }
}
