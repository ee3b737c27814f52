//! What can be typed. Flags beat the environment, which beats the file.

use crate::{
    control::{OnTimeout, RunningReads, Stragglers},
    freeze::Phase,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A PostgreSQL proxy that can be frozen: reads go on, every write is refused, and it can show who tried.
#[derive(Debug, Parser)]
#[command(name = "frostgate", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy.
    Serve(Box<ServeArgs>),
    /// Refuse every write from now on, and wait until nothing is left that could write.
    Freeze(FreezeArgs),
    /// Let writes through again.
    Thaw(ThawArgs),
    /// Tell where the proxy stands.
    Status(StatusArgs),
    /// Tell who tried to write what, since when, how often.
    Refused(RefusedArgs),
    /// Look whether the server itself is quiet, and who goes round the proxy.
    Verify(VerifyArgs),
    /// Say who may write while frozen, or who may not even read.
    #[command(subcommand)]
    Except(ExceptCommand),
    /// Tell who is excepted or denied, why, and what has been made of it.
    Exceptions(ExceptionsArgs),
    /// Tell who writes, since when, how often and what: before the first freeze, too.
    Writers(WritersArgs),
    /// Tell what a statement is, what a frozen proxy does with it, and why.
    Explain(ExplainArgs),
    /// Play the whole story on this machine, with a throw-away PostgreSQL.
    Demo {
        /// Leave the proxy and the server running, and tell how to play with them and how to stop them.
        #[arg(long)]
        keep: bool,
    },
    /// Look at a server as a login through the proxy would meet it, and tell what would not work and what to change.
    Doctor(DoctorArgs),
    /// Read a configuration file and tell everything that is wrong with it.
    CheckConfig {
        /// The file.
        file: PathBuf,
    },
}

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Configuration file (TOML).
    #[arg(long, env = "FROSTGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where clients connect: HOST:PORT or a socket's path. Default: 127.0.0.1:6440.
    #[arg(long, env = "FROSTGATE_LISTEN", value_delimiter = ',', value_name = "ADDR")]
    pub listen: Vec<String>,
    /// Where those connect who may write while frozen: a Unix socket (made with mode 0600) or HOST:PORT.
    #[arg(long, env = "FROSTGATE_MAINTENANCE_LISTEN", value_name = "ADDR")]
    pub maintenance_listen: Option<String>,
    /// The server: a libpq connection string or URL, without user, password and dbname.
    #[arg(long, env = "FROSTGATE_UPSTREAM", value_name = "CONNINFO")]
    pub upstream: Option<String>,
    /// Where the freeze is kept.
    #[arg(long, env = "FROSTGATE_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<String>,
    /// The socket that the other verbs speak to. Default: control.sock in the state directory.
    #[arg(long, env = "FROSTGATE_CONTROL", value_name = "SOCKET")]
    pub control: Option<String>,
    /// Metrics and health: HOST:PORT, or off. Default: 127.0.0.1:6441.
    #[arg(long, env = "FROSTGATE_HTTP", value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// Threads that relay. Default: one for each core.
    #[arg(long, env = "FROSTGATE_THREADS")]
    pub threads: Option<u64>,
    /// As whom to look at the server from outside: a libpq connection string or URL, best of a role with `pg_monitor`.
    #[arg(long, env = "FROSTGATE_MONITOR", value_name = "CONNINFO")]
    pub monitor: Option<String>,
    /// Who may go round the proxy: user=…, application=…, database=…, address=…, all of one flag together.
    #[arg(long, value_name = "WHO")]
    pub expect: Vec<String>,
    /// Start frozen, whatever the state on disk says.
    #[arg(long)]
    pub frozen: bool,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The server, as in --upstream; with the user, the database and the password that a client would bring.
    #[arg(value_name = "CONNINFO")]
    pub conninfo: String,
    /// The configuration that the proxy would have: its [tls] and [auth] are looked at.
    #[arg(long, env = "FROSTGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// The user's password, to try whether it opens the door.
    #[arg(long, env = "PGPASSWORD", hide_env_values = true)]
    pub password: Option<String>,
}

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
    pub whom: WhomArgs,
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

/// `exceptions`.
#[derive(Debug, Args)]
pub struct ExceptionsArgs {
    /// The proxy.
    #[command(flatten)]
    pub reach: Reach,
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

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The statement, or several; - reads them from standard input.
    #[arg(required_unless_present = "jsonl")]
    pub sql: Option<String>,
    /// Read {"id":…,"sql":…} a line from standard input, write id, class, verdict and why a line.
    #[arg(long)]
    pub jsonl: bool,
    /// Answer as JSON.
    #[arg(long)]
    pub json: bool,
}
