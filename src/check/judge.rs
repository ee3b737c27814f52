//! What one look means: who goes round the proxy, what else in the server could write, and what a migration would
//! wait for.

use super::{
    expected::is_expected,
    facts::{Backend, Facts, Process},
    findings::{Finding, Kind, Weight, identifier, literal},
};
use crate::{config::Expectation, freeze::Phase};
use std::collections::BTreeSet;

/// A transaction that is older than this is told of: ALTER TABLE waits for it.
const LONG_TRANSACTION_S: u64 = 60;

/// What the proxy knows of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Where it stands.
    pub phase: Phase,
    /// The server's process ids of its ordinary sessions.
    pub ordinary: BTreeSet<u32>,
    /// Those of the maintenance listener.
    pub exempt: BTreeSet<u32>,
    /// Those that a process before this one left behind.
    pub orphans: BTreeSet<u32>,
    /// A pooler stands between it and the server.
    pub is_behind_pooler: bool,
    /// The server's identifier, as its sessions have learned it.
    pub identifier: Option<String>,
    /// Who may go round it.
    pub expected: Vec<Expectation>,
}

/// What one look found, and how many sessions it found that were expected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// The gravest first.
    pub findings: Vec<Finding>,
    /// Sessions of the maintenance listener, and those that were told of beforehand.
    pub expected: usize,
}

/// See the module's text.
pub fn judge(look: &Facts, ours: &Ours) -> Judged {
    let mut judged = Judged::default();
    judge_server(look, ours, &mut judged.findings);
    for backend in &look.backends {
        if backend.pid == look.monitor {
            continue;
        }
        if ours.exempt.contains(&backend.pid)
            || (!ours.ordinary.contains(&backend.pid) && is_expected(backend, &ours.expected))
        {
            judged.expected = judged.expected.saturating_add(1);
        } else {
            judged.findings.extend(judge_backend(backend, look, ours));
        }
    }
    judge_prepared(look, &mut judged.findings);
    judge_jobs(look, &mut judged.findings);
    judge_slots(look, &mut judged.findings);
    judge_locks(look, ours, &mut judged.findings);
    judged.findings.sort_by_key(|finding| (finding.weight, finding.kind));
    judged
}

/// Whether the monitor looks at the right server, and sees it.
fn judge_server(look: &Facts, ours: &Ours, findings: &mut Vec<Finding>) {
    if look.is_standby {
        let what = "the monitor is connected to a standby, which has no transaction ids of its own; connect it to \
                    the primary";
        findings.push(Finding::new(Kind::WrongServer, Weight::Violation, what));
    }
    if let (Some(seen), Some(own)) = (&look.identifier, &ours.identifier)
        && seen != own
    {
        let what = format!(
            "the monitor is connected to another server (system identifier {seen}) than the proxy's clients ({own})"
        );
        findings.push(Finding::new(Kind::WrongServer, Weight::Violation, what));
    }
    if !look.sees_all {
        let what = "the monitor's role sees neither state, address nor kind of sessions that are not its own; \
                    with pg_monitor it would";
        let grant = format!("GRANT pg_monitor TO {};", identifier(&look.role));
        findings.push(Finding::new(Kind::Rights, Weight::Warning, what).stopped_with(grant));
    }
    if ours.is_behind_pooler {
        let what =
            "a pooler stands between Frostgate and the server: its sessions can't be told from bypassers";
        findings.push(Finding::new(Kind::Pooler, Weight::Warning, what));
    }
}

fn judge_backend(backend: &Backend, look: &Facts, ours: &Ours) -> Option<Finding> {
    if ours.ordinary.contains(&backend.pid) {
        return judge_own(backend, ours.phase);
    }
    if ours.orphans.contains(&backend.pid) {
        let what = "a session that a frostgate process before this one left behind";
        return Some(Finding::new(Kind::Orphan, Weight::Violation, what).about(backend));
    }
    let bypasser = |what: &str| Some(Finding::new(Kind::Bypasser, Weight::Violation, what).about(backend));
    match backend.process() {
        Process::Client if backend.has_xid => {
            bypasser("a session that goes round the proxy, and has written")
        }
        Process::Client => bypasser("a session that goes round the proxy"),
        Process::WalSender if backend.has_xid => bypasser("a walsender that has written"),
        Process::WalSender => {
            let what = "sends the log to a standby or a subscriber: it reads";
            Some(Finding::new(Kind::WalSender, Weight::Note, what).about(backend))
        }
        Process::Apply if is_subscribed(backend, look) => None,
        Process::Apply => {
            let what = "applies what another server sends, and writes it";
            Some(Finding::new(Kind::Subscription, Weight::Violation, what).about(backend))
        }
        Process::Autovacuum => {
            let what = backend.task.as_deref().unwrap_or("autovacuum");
            let what = format!("{what}: it changes no data, but uses transaction ids and takes locks");
            Some(Finding::new(Kind::Autovacuum, Weight::Note, what).about(backend))
        }
        Process::Cron | Process::Extension | Process::Harmless if backend.has_xid => {
            let what = format!("{} has written", kind(backend));
            Some(Finding::new(Kind::BackgroundWorker, Weight::Violation, what).about(backend))
        }
        Process::Extension => {
            let what = format!("{}: nothing is known of it; it may write", kind(backend));
            Some(Finding::new(Kind::BackgroundWorker, Weight::Warning, what).about(backend))
        }
        // The jobs are told of, and the leader; the others are the server's own.
        Process::Cron | Process::Parallel | Process::Harmless => None,
    }
}

/// Behind a shut gate an ordinary session holds a transaction id for having written before, or for something that
/// read-only mode lets pass. Source: `ExecCheckXactReadOnly` in `execMain.c`: writes to temporary tables.
fn judge_own(backend: &Backend, phase: Phase) -> Option<Finding> {
    if backend.has_xid {
        let what = match phase {
            Phase::Open => "a client of the proxy has written; the gate is open",
            Phase::Draining => "a client of the proxy wrote before the gate shut, and has not ended",
            Phase::Frozen => {
                "a client of the proxy holds a transaction id though its session is read-only: a temporary \
                 table, or a C function"
            }
        };
        return Some(Finding::new(Kind::OwnWriter, Weight::Violation, what).about(backend));
    }
    let age = backend.transaction_age_s.filter(|age| *age >= LONG_TRANSACTION_S)?;
    let what =
        format!("a client of the proxy has had a transaction open for {age} s: ALTER TABLE would wait");
    Some(Finding::new(Kind::LongTransaction, Weight::Note, what).about(backend))
}

fn kind(backend: &Backend) -> String {
    let kind = backend.kind.as_deref().unwrap_or("a process whose kind is hidden from the monitor");
    format!("background worker {kind:?}")
}

fn is_subscribed(backend: &Backend, look: &Facts) -> bool {
    let within = |database: &str| backend.database.as_deref().is_none_or(|of_backend| of_backend == database);
    look.subscriptions.iter().any(|subscription| subscription.is_enabled && within(&subscription.database))
}

fn judge_prepared(look: &Facts, findings: &mut Vec<Finding>) {
    for prepared in &look.prepared {
        let gid = literal(&prepared.gid);
        let what = format!(
            "the transaction {gid} was prepared by {} in {} and has not ended: it holds its locks, and may still \
             be committed",
            prepared.owner, prepared.database
        );
        let sql =
            format!("ROLLBACK PREPARED {gid}; -- in database {}; or COMMIT PREPARED", prepared.database);
        let finding = Finding::new(Kind::PreparedTransaction, Weight::Violation, what);
        findings.push(finding.stopped_with(sql));
    }
}

/// What the database does by itself.
fn judge_jobs(look: &Facts, findings: &mut Vec<Finding>) {
    for subscription in look.subscriptions.iter().filter(|subscription| subscription.is_enabled) {
        let (name, database) = (&subscription.name, &subscription.database);
        let what = format!("the subscription {name} in {database} applies what another server sends");
        let sql = format!("ALTER SUBSCRIPTION {} DISABLE; -- in database {database}", identifier(name));
        findings.push(Finding::new(Kind::Subscription, Weight::Violation, what).stopped_with(sql));
    }
    if look.cron_launches == Some(false) {
        return;
    }
    // The setting came with pg_cron 1.5; where it is known, it is on.
    let stop_all = match look.cron_launches {
        Some(_) => "ALTER SYSTEM SET cron.launch_active_jobs = off; SELECT pg_reload_conf();",
        None => "UPDATE cron.job SET active = false; -- as a superuser, in the database that pg_cron is in",
    };
    let runs = look.backends.iter().any(|backend| backend.process() == Process::Cron);
    match &look.cron_jobs {
        Some(jobs) => {
            for job in jobs {
                let what = format!(
                    "pg_cron runs job {} as {} in {}, at {:?}",
                    job.id, job.user, job.database, job.schedule
                );
                let sql = format!("SELECT cron.alter_job(job_id := {}, active := false);", job.id);
                findings.push(Finding::new(Kind::CronJob, Weight::Violation, what).stopped_with(sql));
            }
        }
        None if runs => {
            let what = "pg_cron runs, and the monitor can't read its jobs: connect it to cron.database_name, with \
                        the right to read cron.job";
            findings.push(Finding::new(Kind::CronJob, Weight::Violation, what).stopped_with(stop_all));
        }
        None => {}
    }
}

fn judge_slots(look: &Facts, findings: &mut Vec<Finding>) {
    for slot in &look.slots {
        let state = if slot.is_active { "is read from" } else { "is not read from, and holds back the log" };
        let what = format!("the {} replication slot {} {state}", slot.kind, slot.name);
        let finding = Finding::new(Kind::Slot, Weight::Note, what);
        let drop = format!("SELECT pg_drop_replication_slot({});", literal(&slot.name));
        findings.push(if slot.is_active { finding } else { finding.stopped_with(drop) });
    }
}

fn judge_locks(look: &Facts, ours: &Ours, findings: &mut Vec<Finding>) {
    for lock in &look.locks {
        // Prepared transactions are told of already, and autovacuum gives way to whoever waits.
        let Some(pid) = lock.pid else { continue };
        let holder = look.backends.iter().find(|backend| backend.pid == pid);
        let gives_way = holder.is_some_and(|holder| holder.process() == Process::Autovacuum);
        if pid == look.monitor || ours.exempt.contains(&pid) || gives_way {
            continue;
        }
        let others = match lock.count.saturating_sub(1) {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let place = lock.database.as_deref().map_or_else(String::new, |database| format!(" in {database}"));
        let what = format!(
            "process {pid} holds {} on {}{others}{place}: a migration would wait for it",
            lock.mode, lock.relation
        );
        let finding = Finding::new(Kind::Lock, Weight::Warning, what);
        findings.push(match holder {
            Some(holder) => finding.about(holder),
            None => finding.stopped_with(format!("SELECT pg_terminate_backend({pid});")),
        });
    }
}
