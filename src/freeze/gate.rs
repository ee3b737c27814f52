//! The small copy of the freeze that a session reads for each message: one atomic word.

use serde::{Deserialize, Serialize};

/// The version of the freeze state; it grows with each freeze and each thaw and never shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one. A number that would not fit the gate's word is never reached in practice:
    /// one freeze a nanosecond would need three days.
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

/// What a session must know of the freeze for each message: small, `Copy`, one atomic word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Version of the state.
    pub epoch: Epoch,
    /// Where the proxy stands.
    pub phase: Phase,
    /// Changes when the words or the scope of a freeze change within an epoch.
    pub edition: u16,
}

impl Gate {
    const PHASE_BITS: u32 = 2;
    pub(super) const EDITION_BITS: u32 = 14;
    pub(super) const EDITION_MASK: u64 = (1 << Self::EDITION_BITS) - 1;
    /// The largest epoch that the word can hold.
    const EPOCH_MAX: u64 = (1 << (64 - Self::PHASE_BITS - Self::EDITION_BITS)) - 1;

    /// Whether new writes are refused.
    pub fn is_shut(self) -> bool {
        self.phase != Phase::Open
    }

    /// The gate as one word.
    pub fn pack(self) -> u64 {
        let phase = match self.phase {
            Phase::Open => 0,
            Phase::Draining => 1,
            Phase::Frozen => 2,
        };
        let edition = u64::from(self.edition) & Self::EDITION_MASK;
        (self.epoch.0.min(Self::EPOCH_MAX) << (Self::PHASE_BITS + Self::EDITION_BITS))
            | (edition << Self::PHASE_BITS)
            | phase
    }

    /// Reads the word back. The phase that is not in use reads as the strictest one.
    pub fn unpack(word: u64) -> Self {
        let phase = match word & 3 {
            0 => Phase::Open,
            1 => Phase::Draining,
            _ => Phase::Frozen,
        };
        let edition = (word >> Self::PHASE_BITS) & Self::EDITION_MASK;
        Self {
            epoch: Epoch(word >> (Self::PHASE_BITS + Self::EDITION_BITS)),
            phase,
            edition: u16::try_from(edition).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_gate_survives_its_word(epoch in 0..Gate::EPOCH_MAX, edition in 0..(1_u16 << 14), phase in 0..3_usize) {
            let gate = Gate { epoch: Epoch(epoch), phase: Phase::ALL[phase], edition };
            prop_assert_eq!(Gate::unpack(gate.pack()), gate);
        }
    }
}
