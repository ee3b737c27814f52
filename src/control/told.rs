//! What hooks, smoke tests and reopenings came to, as it is told and written down.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// Before the gate shuts.
    BeforeFreeze,
    /// When the state is `frozen`.
    AfterFreeze,
    /// When the gate is open.
    AfterThaw,
}

impl Occasion {
    /// The key in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeFreeze => "before_freeze",
            Self::AfterFreeze => "after_freeze",
            Self::AfterThaw => "after_thaw",
        }
    }
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookTold {
    /// When it ran.
    pub occasion: Occasion,
    /// The command.
    pub command: String,
    /// When it began.
    pub at: Timestamp,
    /// For how long it ran.
    pub took_ms: u64,
    /// Its code; none if it did not end in time, or could not be started.
    pub exit: Option<i32>,
    /// The front of what it wrote.
    pub output: String,
}

impl HookTold {
    /// Whether it ended well.
    pub fn is_good(&self) -> bool {
        self.exit == Some(0)
    }
}

/// What a smoke test came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmokeTold {
    /// When it began.
    pub at: Timestamp,
    /// For how long it ran.
    pub took_ms: u64,
    /// What went wrong, with the step where it did; none: it passed.
    pub problem: Option<String>,
}

/// How far a reopening has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReopenTold {
    /// Where it is.
    pub phase: ReopenPhase,
    /// The stage that is watched, or was last.
    pub stage: String,
    /// How many stages have passed.
    pub passed: usize,
    /// How many there are.
    pub stages: usize,
    /// Why it came to an end before its last stage.
    pub problem: Option<String>,
}

/// See [`ReopenTold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReopenPhase {
    /// A stage is watched.
    Running,
    /// All are open.
    Done,
    /// A stage failed, and all are frozen again.
    Failed,
    /// Another verb came between.
    Overtaken,
}
