//! Why a verb was not done.

use crate::{fleet::StoreError, freeze::WordsFault};
use std::io;

/// See the module's text. Its texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The operator's words are not taken.
    #[error("{what}: {fault}")]
    Words {
        /// Which words.
        what: &'static str,
        /// Why.
        fault: WordsFault,
    },
    /// A maintenance session has a transaction open.
    #[error(
        "{count} maintenance session(s) have a transaction open; commit or roll it back first (frostgate status \
         tells who)"
    )]
    ExemptTransactionOpen {
        /// How many.
        count: usize,
    },
    /// Nothing would reject what the classifier can't see.
    #[error(
        "a pooler stands between Frostgate and PostgreSQL: there is no fence, and writes hidden in functions would \
         pass; put Frostgate next to PostgreSQL, or freeze with --allow-unfenced"
    )]
    Unfenced,
    /// The state could not be kept.
    #[error("the gate is {gate}, but the state could not be kept")]
    NotKept {
        /// Where the gate stands now.
        gate: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A listener of ours failed.
    #[error("can't serve {what}")]
    Serve {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ControlError {
    /// The exit code that the command line ends with. Source: the contract's list of codes.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Words { .. } => 2,
            Self::ExemptTransactionOpen { .. } | Self::Unfenced => 4,
            Self::NotKept { .. } | Self::Serve { .. } => 1,
        }
    }
}
