//! What can be typed. Flags beat the environment, which beats the file.

pub use super::{
    verb_args::{FreezeArgs, PhaseArg, PlainArgs, Reach, StatusArgs, ThawArgs, VerifyArgs},
    window_args::{
        ExceptAddArgs, ExceptCommand, ExceptRemoveArgs, RehearseArgs, ReopenArgs, ReportArgs, WindowArgs,
        WritersArgs,
    },
};
use clap::{Args, Parser, Subcommand};
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
    Refused(PlainArgs),
    /// Look whether the server itself is quiet, and who goes round the proxy.
    Verify(VerifyArgs),
    /// Run a whole maintenance window around a command: look, freeze, run it, try, thaw.
    Window(Box<WindowArgs>),
    /// Tell what a freeze would meet: open transactions, locks, slots, job queues.
    Preflight(PlainArgs),
    /// Tell what a freeze would refuse, without refusing anything.
    Rehearse(RehearseArgs),
    /// Log in as the smoke test's principal, read, and write what is rolled back.
    Smoke(PlainArgs),
    /// Thaw step by step, by the plan in the configuration.
    Reopen(ReopenArgs),
    /// List past windows.
    History(PlainArgs),
    /// Tell of a window: who, why, when, who was refused, what happened.
    Report(ReportArgs),
    /// Say who may write while frozen, or who may not even read.
    #[command(subcommand)]
    Except(ExceptCommand),
    /// Tell who is excepted or denied, why, and what has been made of it.
    Exceptions(PlainArgs),
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
    /// Write the man pages, one for each verb.
    Man {
        /// The folder to write them to, such as /usr/local/share/man/man1.
        folder: PathBuf,
    },
    /// Write a shell's completions to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `serve`.
#[derive(Debug, Clone, Args)]
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
    /// The configuration that the proxy would have: its `[tls]` and `[auth]` are looked at.
    #[arg(long, env = "FROSTGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// The user's password, to try whether it opens the door.
    #[arg(long, env = "PGPASSWORD", hide_env_values = true)]
    pub password: Option<String>,
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
