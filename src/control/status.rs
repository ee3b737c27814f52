//! What is told of the proxy: to people, to programs, to Prometheus. One look at the switch and the roster.

use super::{sessions::SessionTold, watched::UpstreamTold};
use crate::{
    check::{CheckReport, Quiet},
    config::MAIN,
    fleet::{SessionRecord, Wait},
    freeze::{Gate, Phase},
    matching::Match,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer to `status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Where the proxy stands.
    pub state: Phase,
    /// Version of the state.
    pub epoch: u64,
    /// Changes with everything that a waiting operator would want to see.
    pub revision: u64,
    /// The operator's words; none while open.
    pub reason: Option<String>,
    /// Who froze it.
    pub by: Option<String>,
    /// Since when the gate is shut.
    pub since: Option<Timestamp>,
    /// When it should open.
    pub until: Option<Timestamp>,
    /// Since when nothing is left that could write.
    pub frozen_at: Option<Timestamp>,
    /// Why the proxy started frozen, if it was not an operator who wanted that.
    pub start_fault: Option<String>,
    /// All sessions.
    pub sessions: usize,
    /// Sessions that have not met the gate yet, or whose fence is on its way.
    pub settling: usize,
    /// Transactions that wrote before the gate shut, or write while it is open.
    pub writing_transactions: usize,
    /// Transactions that may have written.
    pub unproven: usize,
    /// What had not ended when the drain time was over, and has not since.
    pub stragglers: usize,
    /// Transactions that stay read-only to their end though the gate is open.
    pub readonly_leftovers: usize,
    /// Sessions of the maintenance listener, and those for whom an exception was made while the gate is shut.
    pub exempt_sessions: usize,
    /// Sessions whom the scope of the freeze leaves out.
    #[serde(default)]
    pub spared_sessions: usize,
    /// Whom the freeze reaches; none: everybody.
    #[serde(default)]
    pub scope: Vec<Match>,
    /// Who has been thawed already.
    #[serde(default)]
    pub thawed: Vec<Match>,
    /// Statements refused since the start.
    pub refused_total: u64,
    /// Server sessions that a process before this one left behind, and that may still be at something.
    pub orphans: usize,
    /// `session`, `transaction` or `none`.
    pub fence: String,
    /// What is known of the server beyond the proxy.
    pub quiet: Quiet,
    /// What the monitor found; none without one.
    pub check: Option<CheckTold>,
    /// The server's `system_identifier`, where it is known.
    pub server: Option<String>,
    /// Its major version, where it is known.
    pub server_version: Option<u32>,
    /// The `system_identifier` of the server that was frozen, if it is another one now.
    pub server_at_freeze: Option<String>,
    /// Whether the state survives a restart of the machine.
    pub state_durable: bool,
    /// Where the server is; where there are several, all of them.
    pub upstream: String,
    /// Whether it could be reached when it was last tried; of several, whether all could.
    pub upstream_up: Option<bool>,
    /// The servers, in the order of the configuration.
    #[serde(default)]
    pub upstreams: Vec<UpstreamTold>,
    /// Whether the drain time is over.
    pub drain_timed_out: bool,
    /// Who holds the drain or the thaw up; while open, who has written and not ended.
    pub holding_up: Vec<HoldsUp>,
    /// The proxy's version.
    pub version: String,
}

/// What the monitor found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckTold {
    /// Where the log was written when the monitor first looked at the frozen server.
    pub wal: Option<String>,
    /// Why the last look failed.
    pub problem: Option<String>,
    /// What the last one said that did not.
    pub report: Option<CheckReport>,
}

/// A session that something waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldsUp {
    /// The proxy's number for it.
    pub session: u64,
    /// The name of the server that it is on.
    #[serde(default)]
    pub upstream: String,
    /// The server's process id.
    pub pid: Option<u32>,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// The name that the client gives itself.
    pub application: String,
    /// Where it comes from.
    pub client: String,
    /// `writing`, `unproven` or `settling`; `exempt` if the thaw alone waits for it.
    pub standing: String,
    /// For how long its transaction has been open, in seconds.
    pub age_s: Option<u64>,
    /// The command word of its last statement.
    pub last_command: String,
    /// Whether its client has gone, and only the server is still at it.
    pub client_is_gone: bool,
    /// The SQL that ends it, for the server.
    pub end_with: Option<String>,
}

impl HoldsUp {
    /// What is told of a session, if something waits for it at that gate. That is looked at first: of thousands hardly
    /// one is told.
    pub(super) fn of(record: &SessionRecord, gate: Gate, now: Timestamp) -> Option<Self> {
        let wait = record.waited_for(gate)?;
        let SessionTold { session, pid, user, database, upstream, application, client, age_s, .. } =
            SessionTold::of(record, now);
        Some(Self {
            session,
            pid,
            user,
            database,
            application,
            client,
            standing: wait.as_str().into(),
            age_s,
            last_command: record.last_command().into(),
            client_is_gone: record.is_client_gone(),
            end_with: pid.map(|pid| end_with(pid, &upstream)),
            upstream,
        })
    }

    /// Whether the drain waits for it, and not the thaw alone.
    pub fn is_drained_for(&self) -> bool {
        self.standing != Wait::Thaw.as_str()
    }
}

/// On which server it must be said, as another one may have a process of that number too.
fn end_with(pid: u32, upstream: &str) -> String {
    let place = if upstream == MAIN { String::new() } else { format!(" -- on {upstream}") };
    format!("SELECT pg_terminate_backend({pid});{place}")
}
