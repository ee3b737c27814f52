//! What can be typed behind the verbs that freeze, thaw and tell.

use crate::{
    control::{OnTimeout, RunningReads, Stragglers},
    freeze::Phase,
};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// How a running proxy is reached.
#[derive(Debug, Clone, Args)]
pub struct Reach {
    /// The proxy's control socket. Default: control.sock in the default state directory.
    #[arg(long, env = "FROSTGATE_CONTROL", value_name = "SOCKET")]
    pub control: Option<PathBuf>,
    /// Answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Whom a verb is for. A name may end with *.
#[derive(Debug, Clone, Default, Args)]
pub struct WhomArgs {
    /// Only clients that log in as this role.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only clients of this database.
    #[arg(long, value_name = "NAME")]
    pub database: Option<String>,
    /// Only clients that give themselves this name, which anybody can.
    #[arg(long, value_name = "NAME")]
    pub application: Option<String>,
    /// Only clients from there: 10.0.0.0/8, 10.1.2.3, or local for Unix sockets.
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
}

/// `freeze`.
#[derive(Debug, Args)]
pub struct FreezeArgs {
    /// Why: every refused client reads it.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who freezes. Default: the user who runs this.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// When it should be over: 45m, 02:30 or RFC 3339. It never thaws by itself; it alerts.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// After this, what has not ended is a straggler.
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub drain_timeout: String,
    /// What becomes of transactions that wrote and have not ended in time.
    #[arg(long, value_enum, default_value = "keep")]
    pub stragglers: StragglersArg,
    /// What becomes of reads that began before the fence and have not ended in time.
    #[arg(long, value_enum, default_value = "wait")]
    pub running_reads: RunningReadsArg,
    /// What becomes of the freeze when the drain is not over in time.
    #[arg(long, value_enum, default_value = "stay")]
    pub on_timeout: OnTimeoutArg,
    /// Freeze although a pooler behind the proxy leaves no room for the fence.
    #[arg(long)]
    pub allow_unfenced: bool,
    /// End with 7 if the server is not quiet once it is frozen, and with 4 at once if no monitor could tell.
    #[arg(long, conflicts_with = "no_wait")]
    pub require_quiet: bool,
    /// Do not run the commands that must succeed before.
    #[arg(long)]
    pub skip_hooks: bool,
    /// Shut the gate, and do not wait for the drain.
    #[arg(long)]
    pub no_wait: bool,
    /// Whom it shall reach. Default: everybody.
    #[command(flatten)]
    pub whom: WhomArgs,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `--stragglers`.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "the contract's words")]
pub enum StragglersArg {
    Keep,
    Rollback,
}

impl From<StragglersArg> for Stragglers {
    fn from(arg: StragglersArg) -> Self {
        match arg {
            StragglersArg::Keep => Self::Keep,
            StragglersArg::Rollback => Self::Rollback,
        }
    }
}

/// `--running-reads`.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "the contract's words")]
pub enum RunningReadsArg {
    Wait,
    Cancel,
}

impl From<RunningReadsArg> for RunningReads {
    fn from(arg: RunningReadsArg) -> Self {
        match arg {
            RunningReadsArg::Wait => Self::Wait,
            RunningReadsArg::Cancel => Self::Cancel,
        }
    }
}

/// `--on-timeout`.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "the contract's words")]
pub enum OnTimeoutArg {
    Stay,
    Thaw,
}

impl From<OnTimeoutArg> for OnTimeout {
    fn from(arg: OnTimeoutArg) -> Self {
        match arg {
            OnTimeoutArg::Stay => Self::Stay,
            OnTimeoutArg::Thaw => Self::Thaw,
        }
    }
}

/// `thaw`.
#[derive(Debug, Args)]
pub struct ThawArgs {
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Thaw although the server is another one than it was at the freeze.
    #[arg(long)]
    pub accept_new_server: bool,
    /// Who thaws. Default: the user who runs this.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// Whom it is for. Default: everybody.
    #[command(flatten)]
    pub whom: WhomArgs,
    /// Thaw although the configuration asks for a smoke test and none has passed.
    #[arg(long, requires = "reason")]
    pub skip_smoke: bool,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// For how long to watch.
    #[arg(long = "for", default_value = "10s", value_name = "TIME")]
    pub length: String,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Go on telling.
    #[arg(long)]
    pub watch: bool,
    /// Say nothing; exit 0 if this is the state, else 1.
    #[arg(long, value_enum, value_name = "STATE")]
    pub is: Option<PhaseArg>,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `--is`.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "the contract's words")]
pub enum PhaseArg {
    Open,
    Draining,
    Frozen,
}

impl From<PhaseArg> for Phase {
    fn from(arg: PhaseArg) -> Self {
        match arg {
            PhaseArg::Open => Self::Open,
            PhaseArg::Draining => Self::Draining,
            PhaseArg::Frozen => Self::Frozen,
        }
    }
}

/// `refused`.
#[derive(Debug, Args)]
pub struct RefusedArgs {
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}
