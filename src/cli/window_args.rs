//! What can be typed behind the verbs of a maintenance window.

use super::verb_args::{FreezeArgs, Reach};
use crate::control::WhomOptions;
use clap::{Args, Subcommand};

/// `except`.
#[derive(Debug, Subcommand)]
pub enum ExceptCommand {
    /// Let some write while frozen, until the thaw.
    Add(ExceptAddArgs),
    /// Let them write no more.
    Remove(ExceptRemoveArgs),
}

/// `except add`.
#[derive(Debug, Args)]
pub struct ExceptAddArgs {
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Whom it is for.
    #[command(flatten)]
    pub whom: WhomOptions,
    /// Deny them everything while frozen, reads too, in place of letting them write.
    #[arg(long)]
    pub deny: bool,
    /// By which it is spoken of. Default: e1, e2 …
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Whose it is.
    #[arg(long, value_name = "WHO")]
    pub owner: Option<String>,
    /// When it ends by itself: 45m, 02:30 or RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Who asks. Default: the user who runs this.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `except remove`.
#[derive(Debug, Args)]
pub struct ExceptRemoveArgs {
    /// Its name.
    pub name: String,
    /// Who asks. Default: the user who runs this.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `window`.
#[derive(Debug, Args)]
pub struct WindowArgs {
    /// How to freeze.
    #[command(flatten)]
    pub freeze: FreezeArgs,
    /// Begin although the look beforehand says stop.
    #[arg(long)]
    pub force: bool,
    /// Thaw by the stages of the configuration.
    #[arg(long)]
    pub reopen: bool,
    /// The command to run, and its arguments. It finds PGHOST, PGPORT and `DATABASE_URL` set.
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// `rehearse`.
#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// For how long.
    #[arg(long = "for", default_value = "10m", value_name = "TIME")]
    pub length: String,
    /// The hours of the planned window, to see who wrote then on the days before: 02:00-04:00.
    #[arg(long, value_name = "HOURS")]
    pub window: Option<String>,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `reopen`.
#[derive(Debug, Args)]
pub struct ReopenArgs {
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who asks. Default: the user who runs this.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// Thaw although the server is another one than it was at the freeze.
    #[arg(long)]
    pub accept_new_server: bool,
    /// Thaw although the configuration asks for a smoke test and none has passed.
    #[arg(long, requires = "reason")]
    pub skip_smoke: bool,
    /// Begin, and do not wait for the last stage.
    #[arg(long)]
    pub no_wait: bool,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The window's number, as `history` tells it. Default: the newest.
    pub number: Option<u64>,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}

/// `writers`.
#[derive(Debug, Args)]
pub struct WritersArgs {
    /// Only who has written since: 45m (ago), 02:30 or RFC 3339. Default: the proxy's start.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
}
