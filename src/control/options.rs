//! What can be said behind the verbs that change the state, each option once: the command line has them as flags, the
//! console as words.

use super::{
    command::{DrainOptions, FreezeCall, OnTimeout, RunningReads, Stragglers, ThawCall},
    error::ControlError,
    when::until,
};
use crate::{
    config::parse_duration,
    matching::{Match, Network},
};
use clap::Args;
use jiff::Zoned;

/// Whom a verb is for. A name may end with *.
#[derive(Debug, Clone, Default, Args)]
pub struct WhomOptions {
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

impl WhomOptions {
    /// Whom it is; none: everybody.
    ///
    /// # Errors
    /// The network can't be read.
    pub fn whom(self) -> Result<Option<Match>, ControlError> {
        let Self { user, database, application, network } = self;
        let network = network.as_deref().map(Network::parse).transpose().map_err(wrong("network"))?;
        let said = Match { user, database, application, network };
        Ok(Some(said).filter(|said| *said != Match::default()))
    }
}

/// `freeze`.
#[derive(Debug, Clone, Args)]
pub struct FreezeOptions {
    /// Why: every refused client reads it.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// When it should be over: 45m, 02:30 or RFC 3339. It never thaws by itself; it alerts.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// After this, what has not ended is a straggler.
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub drain_timeout: String,
    /// What becomes of transactions that wrote and have not ended in time.
    #[arg(long, value_enum, default_value = "keep")]
    pub stragglers: Stragglers,
    /// What becomes of reads that began before the fence and have not ended in time.
    #[arg(long, value_enum, default_value = "wait")]
    pub running_reads: RunningReads,
    /// What becomes of the freeze when the drain is not over in time.
    #[arg(long, value_enum, default_value = "stay")]
    pub on_timeout: OnTimeout,
    /// Freeze although a pooler behind the proxy leaves no room for the fence.
    #[arg(long)]
    pub allow_unfenced: bool,
    /// Fail if the server is not quiet once it is frozen, and at once if no monitor could tell.
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
    pub whom: WhomOptions,
}

impl FreezeOptions {
    /// What is asked of the proxy.
    ///
    /// # Errors
    /// A value can't be read.
    pub fn call(self, by: String, now: &Zoned) -> Result<FreezeCall, ControlError> {
        let timeout = parse_duration(&self.drain_timeout).map_err(wrong("drain-timeout"))?;
        let end = self.until.as_deref().map(|text| until(text, now)).transpose();
        Ok(FreezeCall {
            reason: self.reason,
            by,
            until: end.map_err(wrong("until"))?,
            drain: DrainOptions {
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                stragglers: self.stragglers,
                running_reads: self.running_reads,
                on_timeout: self.on_timeout,
            },
            allow_unfenced: self.allow_unfenced,
            require_quiet: self.require_quiet,
            scope: self.whom.whom()?.into_iter().collect(),
            skip_hooks: self.skip_hooks,
            must_be_open: false,
        })
    }
}

/// `thaw`.
#[derive(Debug, Clone, Args)]
pub struct ThawOptions {
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Thaw although the server is another one than it was at the freeze.
    #[arg(long)]
    pub accept_new_server: bool,
    /// Thaw although the configuration asks for a smoke test and none has passed.
    #[arg(long, requires = "reason")]
    pub skip_smoke: bool,
    /// Whom it is for. Default: everybody.
    #[command(flatten)]
    pub whom: WhomOptions,
}

impl ThawOptions {
    /// What is asked of the proxy.
    ///
    /// # Errors
    /// A value can't be read.
    pub fn call(self, by: String) -> Result<ThawCall, ControlError> {
        let Self { reason, accept_new_server, skip_smoke, whom } = self;
        Ok(ThawCall { reason, by, accept_new_server, whom: whom.whom()?, skip_smoke, after: None })
    }
}

fn wrong(option: &'static str) -> impl FnOnce(String) -> ControlError {
    move |problem| ControlError::Option { option, problem }
}
