//! How a freeze that somebody waits for comes to its end, and in which words it is told: on the command line and at the
//! console alike.

use super::{
    command::{DrainOptions, OnTimeout, RunningReads, Stragglers, VerbReply},
    status::{HoldsUp, Status},
};
use crate::{
    check::{CheckReport, Quiet},
    config::MAIN,
    freeze::Phase,
};
use jiff::Timestamp;
use std::time::Duration;

/// When stragglers are rolled back or reads cancelled, so many more looks are taken before it is given up.
const PATIENCE: usize = 30;

/// For how long the server is watched behind a freeze before it is said to be quiet.
pub const WATCH_AFTER_FREEZE: Duration = Duration::from_secs(1);

/// How it came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezeEnd {
    /// Nothing is left that could write.
    Frozen,
    /// The drain time is over, and the gate stays shut.
    NotInTime,
    /// The drain time is over, and the gate was opened again.
    Thawed,
    /// Another freeze or thaw has come.
    Overtaken,
}

/// The waiting for one freeze. It looks at one status after another; between two looks about a second may pass.
#[derive(Debug)]
pub struct FreezeWait {
    epoch: u64,
    drain: DrainOptions,
    patience: usize,
}

impl FreezeWait {
    /// For the freeze that was answered so.
    pub fn new(reply: &VerbReply, drain: DrainOptions) -> Self {
        Self { epoch: reply.epoch, drain, patience: PATIENCE }
    }

    /// Whether it has come to its end.
    fn look(&mut self, status: &Status) -> Option<FreezeEnd> {
        let acts =
            self.drain.stragglers == Stragglers::Rollback || self.drain.running_reads == RunningReads::Cancel;
        if status.epoch != self.epoch {
            let thawed = self.drain.on_timeout == OnTimeout::Thaw && status.state == Phase::Open;
            return Some(if thawed { FreezeEnd::Thawed } else { FreezeEnd::Overtaken });
        }
        match status.state {
            Phase::Frozen => Some(FreezeEnd::Frozen),
            Phase::Open => Some(FreezeEnd::Overtaken),
            Phase::Draining if status.drain_timed_out && (!acts || self.patience == 0) => {
                Some(FreezeEnd::NotInTime)
            }
            Phase::Draining if status.drain_timed_out => {
                self.patience = self.patience.saturating_sub(1);
                None
            }
            Phase::Draining => None,
        }
    }

    /// Looks until it has come to its end. `next` is the status, once it is of another revision than the one that was seen
    /// or about a second has passed; `tell` hears of those in between.
    ///
    /// # Errors
    /// The status can't be had.
    pub async fn until_ended<E, Next: Future<Output = Result<Status, E>>>(
        &mut self,
        next: impl Fn(Option<u64>) -> Next,
        mut tell: impl FnMut(&Status),
    ) -> Result<(FreezeEnd, Status), E> {
        let mut seen = None;
        loop {
            let status = next(seen).await?;
            if let Some(end) = self.look(&status) {
                return Ok((end, status));
            }
            // The first look is a moment after the gate has shut: most drains are over by the next.
            if seen.is_some() {
                tell(&status);
            }
            seen = Some(status.revision);
        }
    }

    /// How it came to its end, in some words.
    pub fn told(&self, end: FreezeEnd, status: &Status) -> String {
        match end {
            FreezeEnd::Frozen => {
                let at = status.frozen_at.map_or_else(String::new, |at| format!(" since {}", instant(at)));
                format!("frozen (epoch {}){at}", self.epoch)
            }
            FreezeEnd::NotInTime => format!(
                "NOT frozen: the drain time is over, and {} session(s) have not ended; the gate stays shut",
                status.stragglers
            ),
            FreezeEnd::Thawed => "NOT frozen: the drain time is over, and the gate was opened again".into(),
            FreezeEnd::Overtaken => format!(
                "overtaken: the proxy is {} (epoch {}) by another hand",
                status.state.as_str(),
                status.epoch
            ),
        }
    }
}

/// How far a drain has come, in one line.
pub fn progress(status: &Status) -> String {
    let Status { writing_transactions, unproven, settling, .. } = status;
    format!("draining: {writing_transactions} writing, {unproven} unproven, {settling} settling")
}

/// One session that a drain or a thaw waits for, in one line.
pub fn holding_up(who: &HoldsUp) -> String {
    let whom = if who.is_drained_for() { "" } else { " (the thaw waits for it)" };
    let age = who.age_s.map_or_else(String::new, |age| format!(", open for {age} s"));
    let gone = if who.client_is_gone { ", its client has gone" } else { "" };
    let end = who.end_with.as_deref().map_or_else(String::new, |sql| format!("; end it with: {sql}"));
    let HoldsUp { standing, user, database, application, client, last_command, .. } = who;
    let place = match who.upstream.as_str() {
        "" | MAIN => String::new(),
        upstream => format!(" on {upstream}"),
    };
    format!(
        "{standing}{whom}: user {user}, database {database}{place}, application {application:?}, from {client}{age}, last {last_command}{gone}{end}"
    )
}

/// What `freeze` came to for whom does not wait, in one line.
pub fn shut(reply: &VerbReply) -> String {
    match reply.state {
        Phase::Frozen => format!("frozen (epoch {})", reply.epoch),
        // The answer is made before another verb can come: it is not open.
        Phase::Open | Phase::Draining => format!("the gate is shut (epoch {}); draining", reply.epoch),
    }
}

/// What `thaw` came to, in one line.
pub fn thawed(reply: &VerbReply) -> String {
    let told = match (reply.state, reply.changed) {
        (Phase::Open, true) => "open: writes pass again",
        (Phase::Open, false) => "open already",
        (Phase::Draining | Phase::Frozen, true) => "open for whom it was said; the rest stays frozen",
        (Phase::Draining | Phase::Frozen, false) => "open for whom it was said already",
    };
    format!("{told} (epoch {})", reply.epoch)
}

/// The verdict over the server in one line.
pub fn headline(report: &CheckReport) -> String {
    let at = instant(report.checked_at);
    match report.quiet {
        Quiet::Verified => format!("quiet: verified at {at}; nobody goes round the proxy"),
        Quiet::Violated => {
            format!("NOT quiet: {} thing(s) write or may write at {at}", report.violations().count())
        }
        Quiet::NotChecked => format!("quiet: not checked at {at}"),
    }
}

/// An instant as people read it: to the second.
pub fn instant(at: Timestamp) -> String {
    format!("{at:.0}")
}
