//! What can be typed behind the verbs that freeze, thaw and tell.

use crate::{
    control::{FreezeOptions, ThawOptions},
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

/// `freeze`.
#[derive(Debug, Args)]
pub struct FreezeArgs {
    /// How.
    #[command(flatten)]
    pub options: FreezeOptions,
    /// Who freezes. Default: the user who runs this.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `thaw`.
#[derive(Debug, Args)]
pub struct ThawArgs {
    /// How.
    #[command(flatten)]
    pub options: ThawOptions,
    /// Who thaws. Default: the user who runs this.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// For how long to watch, an hour at most.
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

/// A verb that needs nothing but the proxy.
#[derive(Debug, Args)]
pub struct PlainArgs {
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}
