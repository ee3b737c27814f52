//! Is the server quiet: the monitor's looks, held against what the proxy knows of its own sessions. Once when an
//! operator asks, and again and again while the gate is shut.

use super::{
    error::ControlError,
    evidence::Look,
    operator::{Operator, lock},
};
use crate::{
    check::{CheckReport, Facts, Kind, Ours, Stretch, WalRead},
    fleet::Processes,
    freeze::Phase,
    monitor::{Monitor, MonitorError, Used},
    tls::TlsError,
};
use jiff::Timestamp;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// While it watches, the monitor looks again after this: who was there in between shall be seen.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// So many looks one verification takes at most, or some more.
const LOOKS_LIMIT: u32 = 100;
/// The longest that one verification watches.
pub(super) const WATCH_LIMIT: Duration = Duration::from_hours(1);
/// A login may be seen on the server a moment before the proxy knows its process id.
const GRACE: Duration = Duration::from_millis(200);
/// An orphan's process id belongs to somebody else by now if that session began after this process did. Clocks may
/// drift so much over one process's life.
const DRIFT: Duration = Duration::from_secs(2);

impl Operator {
    /// Watches the server for so long, and says whether it was quiet.
    ///
    /// # Errors
    /// There is no monitor, or it could not look.
    pub async fn verify(&self, length: Duration) -> Result<Arc<CheckReport>, ControlError> {
        let monitor = self.monitor()?;
        let mut processes = self.switch.roster().processes();
        let (ended, exempt) = (processes.ended, self.exempt_statements());
        let (begun, length) = (self.now(), length.min(WATCH_LIMIT));
        let pause = LOOK_AGAIN.max(length.checked_div(LOOKS_LIMIT).unwrap_or_default());
        let mut looks = vec![self.look(monitor, &mut processes).await?];
        while let Some(rest) = self.left_of(length, begun) {
            sleep(rest.min(pause)).await;
            let look = self.look(monitor, &mut processes).await?;
            looks.push(look);
        }
        let stretch = Stretch {
            exempt_statements: self.exempt_statements().saturating_sub(exempt),
            ended_sessions: processes.ended.saturating_sub(ended),
            wal: self.read_wal(monitor, &looks).await,
        };
        let report = self.report(&looks, processes, &stretch, begun).await.ok_or(ControlError::NoMonitor)?;
        self.note_report(&report);
        Ok(report)
    }

    /// One of the repeated looks while the gate is shut: what moved since the one before.
    pub async fn look_again(&self) {
        let Some(monitor) = &self.monitor else { return };
        let mut processes = self.switch.roster().processes();
        let gate = self.switch.gate().pack();
        let exempt_statements = self.exempt_statements();
        let facts = match self.look(monitor, &mut processes).await {
            Ok(facts) => facts,
            Err(_told) => return,
        };
        if !self.switch.gate().is_shut() {
            return;
        }
        let now = Look { facts, processes, exempt_statements, at: self.now(), gate };
        let before = lock(&self.evidence).last.take().filter(|before| before.gate == gate);
        let Some(before) = before else {
            lock(&self.evidence).last = Some(now);
            return;
        };
        let looks = [before.facts, now.facts.clone()];
        let stretch = Stretch {
            exempt_statements: now.exempt_statements.saturating_sub(before.exempt_statements),
            ended_sessions: now.processes.ended.saturating_sub(before.processes.ended),
            wal: self.read_wal(monitor, &looks).await,
        };
        let mut processes = now.processes.clone();
        processes.ordinary.extend(&before.processes.ordinary);
        processes.exempt.extend(&before.processes.exempt);
        if let Some(report) = self.report(&looks, processes, &stretch, before.at).await {
            self.note_report(&report);
        }
        lock(&self.evidence).last = Some(now);
    }

    /// Reads the files of the monitor's connection string again; none without a monitor.
    pub fn reload_monitor(&self) -> Option<Result<(), TlsError>> {
        self.monitor.as_ref().map(|monitor| monitor.reload())
    }

    /// The monitor, if there is one.
    pub(super) fn monitor(&self) -> Result<&Arc<Monitor>, ControlError> {
        self.monitor.as_ref().ok_or(ControlError::NoMonitor)
    }

    /// One look; what it learns beside of the server is noted.
    async fn look(&self, monitor: &Monitor, processes: &mut Processes) -> Result<Facts, ControlError> {
        let own: Vec<u32> = processes.ordinary.iter().copied().collect();
        let looked = monitor.look(&own).await;
        self.switch.roster().add_since(processes);
        match looked {
            Ok(facts) => {
                self.learn(&facts).await;
                Ok(facts)
            }
            Err(error) => {
                self.note_problem(&error);
                Err(ControlError::Monitor(error))
            }
        }
    }

    /// What the log says of the ids that were used between those looks. Behind an open gate, or while something drains,
    /// nobody asks what they were used for.
    async fn read_wal(&self, monitor: &Monitor, looks: &[Facts]) -> Option<WalRead> {
        let (first, last) = (looks.first()?, looks.last()?);
        let count = last.xmax.checked_sub(first.xmax).filter(|count| *count > 0)?;
        if self.phase() != Phase::Frozen {
            return None;
        }
        let used = Used { first: first.xmax, count, from: &first.wal };
        match monitor.read_wal(used).await {
            Ok(read) => read,
            Err(error) => {
                self.note_problem(&error);
                None
            }
        }
    }

    async fn learn(&self, facts: &Facts) {
        lock(&self.evidence).problem = None;
        self.server.learn_version(&facts.version);
        if let Some(identity) = &facts.identifier {
            // Sessions know the server that they are on; where they don't, the monitor's is taken for it.
            if self.server.identity().is_none() {
                self.server.learn_identity(identity.clone());
            }
            self.note_frozen_server().await;
        }
        let up_for = self.now().duration_since(self.started).unsigned_abs();
        let roster = self.switch.roster();
        self.server.keep_orphans(|pid| {
            let orphan = facts.backends.iter().find(|backend| backend.pid == pid);
            // Where its age is hidden, it may be the orphan.
            let is_old = orphan.is_some_and(|backend| {
                backend.age_ms.is_none_or(|age| Duration::from_millis(age).saturating_add(DRIFT) >= up_for)
            });
            is_old && !roster.has_process(pid)
        });
        if self.phase() == Phase::Frozen {
            lock(&self.evidence).wal.get_or_insert_with(|| facts.wal.clone());
        }
        self.switch.stir();
    }

    async fn report(
        &self,
        looks: &[Facts],
        mut processes: Processes,
        stretch: &Stretch,
        begun: Timestamp,
    ) -> Option<Arc<CheckReport>> {
        let now = self.now();
        let length = now.duration_since(begun).unsigned_abs().as_millis();
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let report = CheckReport::of(looks, &self.ours(&processes), stretch, (now, length))?;
        if report.bypassers() == 0 {
            return Some(Arc::new(report));
        }
        sleep(GRACE).await;
        self.switch.roster().add_since(&mut processes);
        CheckReport::of(looks, &self.ours(&processes), stretch, (now, length)).map(Arc::new)
    }

    fn ours(&self, processes: &Processes) -> Ours {
        Ours {
            phase: self.phase(),
            ordinary: processes.ordinary.clone(),
            exempt: processes.exempt.clone(),
            orphans: self.server.orphans().into_iter().collect(),
            is_behind_pooler: self.server.is_pooler() == Some(true),
            identifier: self.server.identity(),
            expected: self.expect.clone(),
        }
    }

    fn note_report(&self, report: &Arc<CheckReport>) {
        let mut evidence = lock(&self.evidence);
        let is_news = evidence.report.as_ref().is_none_or(|before| differ(before, report));
        evidence.report = Some(Arc::clone(report));
        drop(evidence);
        if is_news {
            let violations: Vec<_> = report.violations().collect();
            let facts = json!({ "quiet": report.quiet, "proof": report.proof, "wal": report.wal_to,
                "transaction_ids": report.transaction_ids, "violations": violations });
            self.tell("quiet", facts);
        }
    }

    fn note_problem(&self, error: &MonitorError) {
        let text = super::error::with_sources(error);
        let mut evidence = lock(&self.evidence);
        evidence.last = None;
        let is_news = evidence.problem.as_ref() != Some(&text);
        evidence.problem = Some(text.clone());
        drop(evidence);
        if is_news {
            self.tell("monitor_failed", json!({ "problem": text }));
        }
    }

    /// What is left of that time; none if it is over.
    fn left_of(&self, length: Duration, begun: Timestamp) -> Option<Duration> {
        let passed = self.now().duration_since(begun).unsigned_abs();
        length.checked_sub(passed).filter(|rest| !rest.is_zero())
    }
}

/// Whether the audit should hear of it: another verdict, or somebody else.
fn differ(before: &CheckReport, after: &CheckReport) -> bool {
    let told = |report: &CheckReport| {
        let of = |finding: &crate::check::Finding| (finding.kind, finding.who.as_ref().map(|who| who.pid));
        let kinds: Vec<(Kind, Option<u32>)> = report.violations().map(of).collect();
        kinds
    };
    before.quiet != after.quiet || told(before) != told(after)
}
