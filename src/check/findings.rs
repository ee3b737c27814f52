//! What was found: one thing each, how much it weighs, and the SQL that stops it.

use super::facts::Backend;
use serde::{Deserialize, Serialize};

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A session whose process id was not given to this proxy.
    Bypasser,
    /// A session that a process before this one left behind.
    Orphan,
    /// A session of this proxy, not exempt, that holds a transaction id.
    OwnWriter,
    /// A transaction that was prepared and has not ended.
    PreparedTransaction,
    /// A subscription that applies what another server sends.
    Subscription,
    /// A job of `pg_cron`.
    CronJob,
    /// A process of an extension.
    BackgroundWorker,
    /// Transaction ids were used.
    TransactionIds,
    /// A lock that a migration would wait for.
    Lock,
    /// A transaction that has been open for long.
    LongTransaction,
    /// A replication slot.
    Slot,
    /// Sends the log away.
    WalSender,
    /// Autovacuum is at work.
    Autovacuum,
    /// The monitor's role does not see all.
    Rights,
    /// The monitor looks at a standby, or at another server than the proxy.
    WrongServer,
    /// A pooler stands between proxy and server.
    Pooler,
    /// One of several servers that nobody has looked at.
    NotLookedAt,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The server is not quiet.
    Violation,
    /// Nothing was written, but somebody should know.
    Warning,
    /// For completeness.
    Note,
}

/// The session that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Process id.
    pub pid: u32,
    /// Role.
    pub user: Option<String>,
    /// The name that it gives itself.
    pub application: Option<String>,
    /// Address; none for a Unix socket, or hidden from the monitor.
    pub address: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// `idle`, `active` …; none where it is hidden from the monitor.
    pub state: Option<String>,
    /// Whether it holds a transaction id: it has written and not ended.
    pub has_transaction_id: bool,
    /// For how long its transaction has been open, in seconds.
    pub transaction_age_s: Option<u64>,
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// How much it weighs.
    pub weight: Weight,
    /// In a sentence.
    pub what: String,
    /// The SQL that stops it.
    pub stop_with: Option<String>,
    /// Whom it is about.
    pub who: Option<Who>,
    /// On which of several servers it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

impl Finding {
    pub(super) fn new(kind: Kind, weight: Weight, what: impl Into<String>) -> Self {
        Self { kind, weight, what: what.into(), stop_with: None, who: None, upstream: None }
    }

    pub(super) fn stopped_with(mut self, sql: impl Into<String>) -> Self {
        self.stop_with = Some(sql.into());
        self
    }

    /// About that session; what ends it is the SQL that stops it.
    pub(super) fn about(mut self, backend: &Backend) -> Self {
        self.stop_with = Some(format!("SELECT pg_terminate_backend({});", backend.pid));
        self.who = Some(backend.into());
        self
    }

    /// On that one of several servers: there is where it is to be stopped.
    pub(super) fn on(mut self, upstream: &str) -> Self {
        self.what = format!("{upstream}: {}", self.what);
        self.stop_with = self.stop_with.map(|sql| format!("{sql} -- on {upstream}"));
        self.upstream = Some(upstream.to_owned());
        self
    }

    /// Whether both are about the same thing; a later look may know more of it.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && match (&self.who, &other.who) {
                (Some(one), Some(other)) => one.pid == other.pid,
                (None, None) => self.what == other.what,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }
}

impl From<&Backend> for Who {
    fn from(backend: &Backend) -> Self {
        Self {
            pid: backend.pid,
            user: backend.user.clone(),
            application: backend.application.clone().filter(|name| !name.is_empty()),
            address: backend.address.clone(),
            database: backend.database.clone(),
            state: backend.state.clone(),
            has_transaction_id: backend.has_xid,
            transaction_age_s: backend.transaction_age_s,
        }
    }
}

/// A name as SQL takes it. Source: manual, "Identifiers and Key Words", quoted identifiers.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL takes it. Source: manual, "String Constants".
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
