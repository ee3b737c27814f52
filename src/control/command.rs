//! What can be asked of a running proxy, and what it answers: the words on the control socket.

use super::error::ControlError;
use crate::{
    freeze::Phase,
    matching::{Match, Rule},
    observe::Entry,
};
use clap::ValueEnum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `freeze`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeCall {
    /// Why.
    pub reason: String,
    /// Who asks.
    pub by: String,
    /// When it should be over.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// How to wait for the drain.
    #[serde(default)]
    pub drain: DrainOptions,
    /// Freeze although there is no fence: a pooler stands behind the proxy.
    #[serde(default)]
    pub allow_unfenced: bool,
    /// Do not freeze without a monitor that could tell whether the server is quiet.
    #[serde(default)]
    pub require_quiet: bool,
    /// Whom it shall reach; none: everybody.
    #[serde(default)]
    pub scope: Vec<Match>,
    /// Do not run the commands that must succeed before.
    #[serde(default)]
    pub skip_hooks: bool,
    /// Freeze only what is open: do not take over a freeze of somebody else.
    #[serde(default)]
    pub must_be_open: bool,
}

impl FreezeCall {
    /// One that the proxy makes by itself. Nobody could be asked: a gate that is shut without a fence is better than
    /// none, and no command keeps it from shutting.
    pub fn unasked(reason: String, by: &str) -> Self {
        Self {
            reason,
            by: by.to_owned(),
            until: None,
            drain: DrainOptions::default(),
            allow_unfenced: true,
            require_quiet: false,
            scope: Vec::new(),
            skip_hooks: true,
            must_be_open: false,
        }
    }
}

/// How a drain is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrainOptions {
    /// After this what has not ended is a straggler.
    pub timeout_ms: u64,
    /// What becomes of transactions that wrote.
    pub stragglers: Stragglers,
    /// What becomes of reads that began before the fence.
    pub running_reads: RunningReads,
    /// What becomes of the freeze.
    pub on_timeout: OnTimeout,
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self {
            timeout_ms: 30_000,
            stragglers: Stragglers::Keep,
            running_reads: RunningReads::Wait,
            on_timeout: OnTimeout::Stay,
        }
    }
}

impl DrainOptions {
    /// The drain time.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// What becomes of a transaction that wrote and has not ended in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Stragglers {
    /// It may go on; the state stays `draining` until it has ended.
    Keep,
    /// It is rolled back and its connection ended.
    Rollback,
}

/// What becomes of a read that began before the fence and has not ended in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RunningReads {
    /// It may go on; the state stays `draining` until it has ended.
    Wait,
    /// It is cancelled; its connection stays.
    Cancel,
}

/// What becomes of the freeze when the drain time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnTimeout {
    /// The gate stays shut.
    Stay,
    /// It is opened again.
    Thaw,
}

/// `thaw`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThawCall {
    /// Why, for the audit.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who asks.
    #[serde(default)]
    pub by: String,
    /// Thaw although the server is another one than it was at the freeze.
    #[serde(default)]
    pub accept_new_server: bool,
    /// Whom it is for; none: everybody.
    #[serde(default)]
    pub whom: Option<Match>,
    /// Thaw although no smoke test has passed; needs a reason.
    #[serde(default)]
    pub skip_smoke: bool,
    /// Only if no verb has come since the one that was answered with this count ([`VerbReply::verbs`]).
    #[serde(default)]
    pub after: Option<u64>,
}

/// `reopen`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReopenCall {
    /// Why, for the audit.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who asks.
    #[serde(default)]
    pub by: String,
    /// As for `thaw`.
    #[serde(default)]
    pub accept_new_server: bool,
    /// As for `thaw`.
    #[serde(default)]
    pub skip_smoke: bool,
    /// As for `thaw`: before the first stage.
    #[serde(default)]
    pub after: Option<u64>,
}

/// One thing that a freeze would meet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreflightFinding {
    /// `info`, `warn`, or `stop`: a window does not begin.
    pub weight: String,
    /// What it is about.
    pub topic: String,
    /// What it says.
    pub text: String,
}

/// What `preflight` answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreflightReply {
    /// Whether nothing says stop.
    pub may_begin: bool,
    /// All findings, the heaviest first.
    pub findings: Vec<PreflightFinding>,
}

/// `except add`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExceptCall {
    /// The exception or denial; without a name it is given one.
    pub rule: Rule,
    /// Who asks.
    pub by: String,
}

/// `except remove`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnexceptCall {
    /// The rule's name.
    pub name: String,
    /// Who asks.
    pub by: String,
}

/// What is told of one exception or denial.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RuleTold {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// Whether it comes from the configuration; else an operator made it, and it ends with the freeze.
    pub is_configured: bool,
    /// Whether anybody could make himself meant by the name that he gives.
    pub is_forgeable: bool,
    /// Sessions that it was for while frozen.
    pub sessions: u64,
    /// Statements that ran thanks to it.
    pub statements: u64,
    /// Those among them that a frozen gate would have refused.
    pub writes: u64,
}

/// What `exceptions` answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExceptionsReply {
    /// All that hold.
    pub exceptions: Vec<RuleTold>,
}

/// `verify`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyCall {
    /// For how long to watch.
    pub for_ms: u64,
}

/// The longest that one verification watches.
const WATCH_LIMIT: Duration = Duration::from_hours(1);

impl VerifyCall {
    /// One that watches for so long.
    ///
    /// # Errors
    /// That is longer than a verification watches.
    pub fn of(length: Duration) -> Result<Self, ControlError> {
        if length > WATCH_LIMIT {
            let problem = format!("expected {WATCH_LIMIT:?} at most, got {length:?}");
            return Err(ControlError::Option { option: "for", problem });
        }
        Ok(Self { for_ms: u64::try_from(length.as_millis()).unwrap_or(u64::MAX) })
    }
}

/// What `freeze` and `thaw` answer at once: the gate has moved, and the state is on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerbReply {
    /// Where the proxy stands now.
    pub state: Phase,
    /// Version of the state.
    pub epoch: u64,
    /// Whether the verb changed the state, or found it so.
    pub changed: bool,
    /// Whether the state is on a disk that survives a restart of the machine.
    pub state_durable: bool,
    /// How many verbs have changed, or asked anew for, the freeze since the process began, this one included: who gives it
    /// back as `after` does nothing to a freeze that somebody has asked for meanwhile.
    pub verbs: u64,
}

/// What `refused` answers.
#[derive(Debug, Clone, Serialize)]
pub struct RefusedReply {
    /// All that was refused since the start.
    pub total: u64,
    /// By kind, the most frequent first.
    pub refused: Vec<Entry>,
    /// Counted by kinds that had to make room.
    pub forgotten: u64,
}
