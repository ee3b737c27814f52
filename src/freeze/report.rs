//! What a session may still do: the one byte that the drain waits for.

use super::gate::{Epoch, Gate};

/// Ordered by how bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Standing {
    /// Nothing that it has begun can write, and what it begins from now on meets the gate.
    #[default]
    Quiet,
    /// Nothing has been begun that could write, but the fence is not up yet.
    Settling,
    /// A transaction ran, or is running, something that may have written.
    Unproven,
    /// A transaction wrote.
    Writing,
}

impl Standing {
    /// The word that people and programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Settling => "settling",
            Self::Unproven => "unproven",
            Self::Writing => "writing",
        }
    }
}

/// A session's word to the drain: which epoch it has seen, and how it stands since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// The last gate that it acted on.
    pub epoch: Epoch,
    /// How it stands.
    pub standing: Standing,
    /// A transaction is open.
    pub in_transaction: bool,
    /// The open transaction is read-only because it began while frozen, and the gate is open again.
    pub is_leftover: bool,
    /// It has met the gate since all others were quiet; what passes only while draining passes no longer.
    pub saw_frozen: bool,
    /// The freeze does not hold for it, as of that edition of the gate.
    pub is_spared: bool,
    /// It does not by an exception, and not by its scope: the thaw waits for its transaction.
    pub is_excepted: bool,
    /// What the server is at is a question of the proxy's own: a cancel request is not meant for it.
    pub is_asking: bool,
    /// The edition of the gate that it acted on.
    pub edition: u16,
}

/// An epoch that was cut off would never be the gate's.
const _: () = assert!(Report::BITS + Gate::EPOCH_BITS == 64);

impl Report {
    /// What stands beside the epoch.
    const BITS: u32 = 8 + Gate::EDITION_BITS;

    /// As one word.
    pub fn pack(self) -> u64 {
        let standing = match self.standing {
            Standing::Quiet => 0,
            Standing::Settling => 1,
            Standing::Unproven => 2,
            Standing::Writing => 3,
        };
        (self.epoch.0 << Self::BITS)
            | ((u64::from(self.edition) & Gate::EDITION_MASK) << 8)
            | (u64::from(self.is_excepted) << 7)
            | (u64::from(self.is_asking) << 6)
            | (u64::from(self.is_spared) << 5)
            | (u64::from(self.saw_frozen) << 4)
            | (u64::from(self.is_leftover) << 3)
            | (u64::from(self.in_transaction) << 2)
            | standing
    }

    /// Reads the word back.
    pub fn unpack(word: u64) -> Self {
        let standing = match word & 3 {
            0 => Standing::Quiet,
            1 => Standing::Settling,
            2 => Standing::Unproven,
            _ => Standing::Writing,
        };
        Self {
            epoch: Epoch(word >> Self::BITS),
            standing,
            in_transaction: word & 4 != 0,
            is_leftover: word & 8 != 0,
            saw_frozen: word & 16 != 0,
            is_spared: word & 32 != 0,
            is_asking: word & 64 != 0,
            is_excepted: word & 128 != 0,
            edition: u16::try_from((word >> 8) & Gate::EDITION_MASK).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_its_word() {
        for standing in [Standing::Quiet, Standing::Settling, Standing::Unproven, Standing::Writing] {
            for [in_transaction, is_leftover, saw_frozen] in
                [[false, false, true], [true, false, false], [true; 3]]
            {
                let (epoch, edition, is_spared) = (Epoch(Gate::EPOCH_MAX), 0x3fff, is_leftover);
                let report = Report {
                    epoch,
                    standing,
                    in_transaction,
                    is_leftover,
                    saw_frozen,
                    is_spared,
                    is_excepted: in_transaction,
                    is_asking: saw_frozen,
                    edition,
                };
                assert_eq!(Report::unpack(report.pack()), report);
            }
        }
    }
}
