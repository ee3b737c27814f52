//! Is the server quiet: the monitor's looks, held against what the proxy knows of its own sessions. Once when an
//! operator asks, and again and again while the gate is shut.

use super::{
    command::VerifyCall,
    error::ControlError,
    evidence::Look,
    operator::Operator,
    watched::{NO_MONITOR, Watched},
};
use crate::{
    causes::with_causes,
    check::{CheckReport, Checked, Facts, Kind, Ours, Stretch, WalRead},
    fleet::Processes,
    freeze::Phase,
    monitor::{MonitorError, Used},
};
use jiff::Timestamp;
use serde_json::json;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::sleep};

/// While it watches, the monitor looks again after this: who was there in between shall be seen.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// So many looks one verification takes at most, or some more.
const LOOKS_LIMIT: u32 = 100;
/// A login may be seen on the server a moment before the proxy knows its process id.
const GRACE: Duration = Duration::from_millis(200);
/// An orphan's process id belongs to somebody else by now if that session began after this process did. Clocks may
/// drift so much over one process's life.
const DRIFT: Duration = Duration::from_secs(2);

impl Operator {
    /// Watches the servers for so long, all at once, and says whether they were quiet.
    ///
    /// # Errors
    /// It is longer than a verification watches, or there is no monitor, or none could look.
    pub async fn verify(self: &Arc<Self>, length: Duration) -> Result<CheckReport, ControlError> {
        VerifyCall::of(length)?;
        let mut watching = JoinSet::new();
        for (at, watched) in self.watched.iter().enumerate() {
            let (operator, watched) = (Arc::clone(self), Arc::clone(watched));
            watching.spawn(async move { (at, operator.watch(&watched, length).await) });
        }
        let mut outcomes = HashMap::new();
        while let Some(done) = watching.join_next().await {
            outcomes.extend(done);
        }
        if let [_] = self.watched.as_slice() {
            let only =
                outcomes.remove(&0).unwrap_or_else(|| Err(ControlError::NoMonitor { which: String::new() }));
            return only.map(|report| CheckReport::clone(&report));
        }
        let mut error = ControlError::NoMonitor { which: String::new() };
        let mut checked = Vec::new();
        for (at, watched) in self.watched.iter().enumerate() {
            let outcome = match outcomes.remove(&at) {
                Some(Ok(report)) => Ok(CheckReport::clone(&report)),
                None | Some(Err(ControlError::NoMonitor { .. })) => Err(NO_MONITOR.into()),
                Some(Err(met)) => {
                    let told = with_causes(&met);
                    error = met;
                    Err(told)
                }
            };
            checked.push(Checked { upstream: watched.name().to_owned(), outcome });
        }
        CheckReport::of_all(checked).ok_or(error)
    }

    /// Watches one of them.
    async fn watch(&self, watched: &Watched, length: Duration) -> Result<Arc<CheckReport>, ControlError> {
        let name = watched.name();
        let mut processes = self.switch.roster().processes(name);
        let (ended, exempt) = (processes.ended, watched.server.known.exempt());
        let begun = self.now();
        let at_work = self.exempt_at_work();
        let pause = LOOK_AGAIN.max(length.checked_div(LOOKS_LIMIT).unwrap_or_default());
        let mut looks = vec![self.look(watched, &mut processes).await?];
        while let Some(rest) = self.left_of(length, begun) {
            sleep(rest.min(pause)).await;
            let look = self.look(watched, &mut processes).await?;
            looks.push(look);
        }
        let stretch = Stretch {
            exempt_statements: watched.server.known.exempt().saturating_sub(exempt).saturating_add(at_work),
            ended_sessions: processes.ended.saturating_sub(ended),
            wal: self.read_wal(watched, &looks).await,
        };
        let report = self.report(watched, &looks, processes, (&stretch, begun)).await;
        let report = report.ok_or_else(|| ControlError::NoMonitor { which: self.which(watched) })?;
        self.note_report(watched, &report);
        Ok(report)
    }

    /// Sessions that may write, in a transaction: a statement is counted when it begins, and its transaction id when it
    /// ends.
    fn exempt_at_work(&self) -> u64 {
        let census = self.census();
        let at_work = census.exempt_in_transaction.saturating_add(census.left_out_in_transaction);
        u64::try_from(at_work).unwrap_or(u64::MAX)
    }

    /// One of the repeated looks while the gate is shut: what moved since the one before.
    pub async fn look_again(&self, watched: &Watched) {
        if watched.monitor.is_none() {
            return;
        }
        let mut processes = self.switch.roster().processes(watched.name());
        let gate = self.switch.gate().pack();
        let exempt_statements = watched.server.known.exempt();
        let exempt_at_work = self.exempt_at_work();
        let facts = match self.look(watched, &mut processes).await {
            Ok(facts) => facts,
            Err(_told) => return,
        };
        if !self.switch.gate().is_shut() {
            return;
        }
        let now = Look { facts, processes, exempt_statements, exempt_at_work, at: self.now(), gate };
        let before = watched.evidence().last.take().filter(|before| before.gate == gate);
        let Some(before) = before else {
            watched.evidence().last = Some(now);
            return;
        };
        let looks = [before.facts, now.facts.clone()];
        let stretch = Stretch {
            exempt_statements: now
                .exempt_statements
                .saturating_sub(before.exempt_statements)
                .saturating_add(before.exempt_at_work),
            ended_sessions: now.processes.ended.saturating_sub(before.processes.ended),
            wal: self.read_wal(watched, &looks).await,
        };
        let mut processes = now.processes.clone();
        processes.ordinary.extend(&before.processes.ordinary);
        processes.exempt.extend(&before.processes.exempt);
        if let Some(report) = self.report(watched, &looks, processes, (&stretch, before.at)).await {
            self.note_report(watched, &report);
        }
        watched.evidence().last = Some(now);
    }

    /// One look; what it learns beside of the server is noted.
    async fn look(&self, watched: &Watched, processes: &mut Processes) -> Result<Facts, ControlError> {
        let Some(monitor) = &watched.monitor else {
            return Err(ControlError::NoMonitor { which: self.which(watched) });
        };
        let own: Vec<u32> = processes.ordinary.iter().copied().collect();
        let looked = monitor.look(&own).await;
        self.switch.roster().add_since(watched.name(), processes);
        match looked {
            Ok(facts) => {
                self.learn(watched, &facts).await;
                Ok(facts)
            }
            Err(error) => {
                self.note_problem(watched, &error);
                Err(ControlError::Monitor(error))
            }
        }
    }

    /// What the log says of the ids that were used between those looks. Behind an open gate, or while something drains,
    /// nobody asks what they were used for.
    async fn read_wal(&self, watched: &Watched, looks: &[Facts]) -> Option<WalRead> {
        let monitor = watched.monitor.as_ref()?;
        let (first, last) = (looks.first()?, looks.last()?);
        let count = last.xmax.checked_sub(first.xmax).filter(|count| *count > 0)?;
        if self.phase() != Phase::Frozen {
            return None;
        }
        let used = Used { first: first.xmax, count, from: &first.wal, to: &last.wal };
        match monitor.read_wal(used).await {
            Ok(read) => read,
            Err(error) => {
                self.note_problem(watched, &error);
                None
            }
        }
    }

    async fn learn(&self, watched: &Watched, facts: &Facts) {
        watched.evidence().problem = None;
        let known = &watched.server.known;
        known.learn_version(&facts.version);
        if let Some(identity) = &facts.identifier {
            // Sessions know the server that they are on; where they don't, the monitor's is taken for it.
            if known.identity().is_none() {
                known.learn_identity(identity.clone());
            }
            self.note_frozen_server().await;
        }
        let up_for = self.now().duration_since(self.started).unsigned_abs();
        let roster = self.switch.roster();
        known.keep_orphans(|pid| {
            let orphan = facts.backends.iter().find(|backend| backend.pid == pid);
            // Where its age is hidden, it may be the orphan.
            let is_old = orphan.is_some_and(|backend| {
                backend.age_ms.is_none_or(|age| Duration::from_millis(age).saturating_add(DRIFT) >= up_for)
            });
            is_old && !roster.has_process(watched.name(), pid)
        });
        if self.phase() == Phase::Frozen {
            watched.evidence().wal.get_or_insert_with(|| facts.wal.clone());
        }
        self.switch.stir();
    }

    async fn report(
        &self,
        watched: &Watched,
        looks: &[Facts],
        mut processes: Processes,
        (stretch, begun): (&Stretch, Timestamp),
    ) -> Option<Arc<CheckReport>> {
        let now = self.now();
        let length = now.duration_since(begun).unsigned_abs().as_millis();
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let report = CheckReport::of(looks, &self.ours(watched, &processes), stretch, (now, length))?;
        if report.bypassers() == 0 {
            return Some(Arc::new(report));
        }
        sleep(GRACE).await;
        self.switch.roster().add_since(watched.name(), &mut processes);
        CheckReport::of(looks, &self.ours(watched, &processes), stretch, (now, length)).map(Arc::new)
    }

    fn ours(&self, watched: &Watched, processes: &Processes) -> Ours {
        let known = &watched.server.known;
        Ours {
            phase: self.phase(),
            ordinary: processes.ordinary.clone(),
            exempt: processes.exempt.clone(),
            orphans: known.orphans().into_iter().collect(),
            is_behind_pooler: known.is_pooler() == Some(true),
            identifier: known.identity(),
            expected: self.expect.clone(),
        }
    }

    fn note_report(&self, watched: &Watched, report: &Arc<CheckReport>) {
        let mut evidence = watched.evidence();
        let is_news = evidence.report.as_ref().is_none_or(|before| differ(before, report));
        evidence.report = Some(Arc::clone(report));
        drop(evidence);
        if is_news {
            let violations: Vec<_> = report.violations().collect();
            let facts = json!({ "upstream": watched.name(), "quiet": report.quiet, "proof": report.proof,
                "wal": report.wal_to, "transaction_ids": report.transaction_ids, "violations": violations });
            self.tell("quiet", facts);
        }
    }

    fn note_problem(&self, watched: &Watched, error: &MonitorError) {
        let text = with_causes(error);
        let mut evidence = watched.evidence();
        evidence.last = None;
        let is_news = evidence.problem.as_ref() != Some(&text);
        evidence.problem = Some(text.clone());
        drop(evidence);
        if is_news {
            self.tell("monitor_failed", json!({ "upstream": watched.name(), "problem": text }));
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
