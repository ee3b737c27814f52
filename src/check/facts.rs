//! What one look at the server brings back: rows of its own views, as the monitor's query names them.

use serde::Deserialize;

/// See the module's text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Facts {
    /// The process id of the monitor's own session.
    pub monitor: u32,
    /// The role that it logged in as.
    pub role: String,
    /// `server_version`.
    pub version: String,
    /// `system_identifier`; none where the role may not ask.
    pub identifier: Option<String>,
    /// A standby: it has no transaction ids of its own.
    pub is_standby: bool,
    /// Whether the role sees state, address and kind of sessions that are not its own (`pg_read_all_stats`).
    pub sees_all: bool,
    /// `pg_snapshot_xmax(pg_current_snapshot())`: one beyond the latest transaction id that has ended.
    pub xmax: u64,
    /// Where the log is written, or on a standby replayed.
    pub wal: String,
    /// Whether autovacuum is on, wherever it may be at work.
    #[serde(default)]
    pub autovacuum: bool,
    /// How often autovacuum has vacuumed or analyzed in the monitor's database.
    pub autovacuum_runs: u64,
    /// Temporary relations in the monitor's database.
    pub temporary_relations: u64,
    /// `pg_stat_activity`; idle sessions that the proxy knows for its own are left out.
    pub backends: Vec<Backend>,
    /// `pg_prepared_xacts`.
    pub prepared: Vec<Prepared>,
    /// `pg_replication_slots`.
    pub slots: Vec<Slot>,
    /// `pg_subscription`.
    pub subscriptions: Vec<Subscription>,
    /// Strong locks on relations.
    pub locks: Vec<HeldLock>,
    /// Active jobs of `pg_cron`; none where they can't be read.
    pub cron_jobs: Option<Vec<CronJob>>,
    /// `cron.launch_active_jobs`, where it is known.
    pub cron_launches: Option<bool>,
}

/// A row of `pg_stat_activity`. Without `pg_read_all_stats` most of it is hidden.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Backend {
    /// Process id.
    pub pid: u32,
    /// The process that this one works for, of a parallel query.
    pub leader_pid: Option<u32>,
    /// `backend_type`.
    pub kind: Option<String>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// `application_name`.
    pub application: Option<String>,
    /// Address; none for a Unix socket, or hidden.
    pub address: Option<String>,
    /// `idle`, `active` …
    pub state: Option<String>,
    /// Whether it holds a transaction id.
    pub has_xid: bool,
    /// For how long its transaction has been open, in seconds.
    pub transaction_age_s: Option<u64>,
    /// For how long it has been there, in milliseconds.
    pub age_ms: Option<u64>,
    /// What autovacuum is at.
    pub task: Option<String>,
}

/// A row of `pg_prepared_xacts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Prepared {
    /// Its name.
    pub gid: String,
    /// Who prepared it.
    pub owner: String,
    /// Where it can be ended.
    pub database: String,
    /// For how long it has been there, in seconds.
    pub age_s: Option<u64>,
}

/// A row of `pg_replication_slots`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// `physical` or `logical`.
    pub kind: String,
    /// Whether somebody reads from it.
    pub is_active: bool,
}

/// A row of `pg_subscription`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// Its database.
    pub database: String,
    /// Whether it applies what the publisher sends.
    pub is_enabled: bool,
}

/// Strong locks of one process, of one mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct HeldLock {
    /// The process; none: a prepared transaction.
    pub pid: Option<u32>,
    /// The mode, as `pg_locks` spells it.
    pub mode: String,
    /// The database; none: a shared catalog.
    pub database: Option<String>,
    /// One of the relations, by name where the monitor is in its database.
    pub relation: String,
    /// How many relations.
    pub count: u64,
}

/// An active row of `cron.job`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CronJob {
    /// Its number.
    pub id: i64,
    /// When it runs.
    pub schedule: String,
    /// Where.
    pub database: String,
    /// As whom.
    pub user: String,
}

/// What a process of the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// Somebody's session.
    Client,
    /// Sends the log to a standby or a subscriber; one that is in a database also takes SQL.
    WalSender,
    /// Applies what another server's publication sends.
    Apply,
    /// Autovacuum at a table.
    Autovacuum,
    /// `pg_cron`: its launcher, or a job of its own.
    Cron,
    /// Works for another process.
    Parallel,
    /// The server's own, or an extension's that is known to write nothing.
    Harmless,
    /// An extension's, of which nothing is known.
    Extension,
}

/// Source: `GetBackendTypeDesc` in `miscinit.c` of 13 to 18; background workers tell their own `bgw_type`.
const HARMLESS: [&str; 18] = [
    "archiver",
    "autoprewarm leader",
    "autoprewarm worker",
    "autovacuum launcher",
    "background writer",
    "checkpointer",
    "io worker",
    "logger",
    "logical replication launcher",
    "pg_wait_sampling collector",
    "slotsync worker",
    "slot sync worker",
    "startup",
    "stats collector",
    "walreceiver",
    "walsummarizer",
    "walwriter",
    "wal writer",
];

impl Backend {
    pub(super) fn process(&self) -> Process {
        if self.leader_pid.is_some_and(|leader| leader != self.pid) && !self.is_apply() {
            return Process::Parallel;
        }
        match self.kind.as_deref() {
            Some("client backend" | "standalone backend") => Process::Client,
            Some("walsender") => Process::WalSender,
            Some("autovacuum worker") => Process::Autovacuum,
            Some("parallel worker") => Process::Parallel,
            Some(kind) if HARMLESS.contains(&kind) => Process::Harmless,
            Some(_) if self.is_apply() => Process::Apply,
            Some(kind) if kind.starts_with("pg_cron") => Process::Cron,
            Some(_) => Process::Extension,
            // Its kind is hidden: whoever has a role and a database may be somebody's session.
            None if self.user.is_some() && self.database.is_some() => Process::Client,
            None => Process::Harmless,
        }
    }

    /// Source: `logical replication worker` before 16; since then its three kinds.
    fn is_apply(&self) -> bool {
        matches!(
            self.kind.as_deref(),
            Some(
                "logical replication worker"
                    | "logical replication apply worker"
                    | "logical replication parallel apply worker"
                    | "logical replication parallel worker"
                    | "logical replication tablesync worker"
            )
        )
    }
}
