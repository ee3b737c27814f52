//! What moved between two looks. `pg_snapshot_xmax` stays what it is while nothing takes a transaction id: through
//! SELECT, hint bits, pruning, checkpoints, refused writes. When it moves, the reason is looked for among what is
//! known to take ids without changing data, before anybody is alarmed.
//!
//! What takes none is not seen here: values of a sequence that it had logged ahead, messages outside of a
//! transaction, replication slots, C functions that write pages in place.

use super::{
    facts::{Facts, Process},
    findings::{Finding, Kind, Weight},
    judge::Ours,
    wal::{Read, WalRead},
};
use crate::freeze::Phase;
use serde::{Deserialize, Serialize};

/// What the transaction ids say of a stretch of time; the least that is proven comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// None was used: nothing was written that takes one.
    Unchanged,
    /// Some were, and it is known for what; nothing else was seen.
    Explained,
    /// There was only one look.
    OneLook,
    /// Some were, and nobody knows for what.
    Moved,
}

/// What is known, beyond the looks, of the time between the first and the last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretch {
    /// Statements that exempt sessions ran behind the shut gate.
    pub exempt_statements: u64,
    /// Ordinary sessions that ended.
    pub ended_sessions: u64,
    /// What the write-ahead log says; none where it could not be read, or nothing moved.
    pub wal: Option<WalRead>,
}

pub(super) fn explain(looks: &[Facts], ours: &Ours, stretch: &Stretch) -> (Proof, Option<Finding>) {
    let ([first, ..], [.., last]) = (looks, looks) else { return (Proof::OneLook, None) };
    if looks.len() == 1 {
        return (Proof::OneLook, None);
    }
    if first.xmax == last.xmax {
        return (Proof::Unchanged, None);
    }
    let used = last.xmax.saturating_sub(first.xmax);
    let told = format!("{used} transaction id(s) were used between {} and {}", first.wal, last.wal);
    let moved = |weight, what| Some(Finding::new(Kind::TransactionIds, weight, what));
    match ours.phase {
        Phase::Open => {
            let what = format!("{told}: the gate is open, and clients of the proxy may write");
            return (Proof::Moved, moved(Weight::Violation, what));
        }
        Phase::Draining => {
            let what = format!("{told}: what wrote before the gate shut has not ended yet");
            return (Proof::Moved, moved(Weight::Violation, what));
        }
        Phase::Frozen => {}
    }
    match stretch.wal.as_ref().map_or(Read::Unknown, |wal| wal.judge(used)) {
        Read::Harmless(by) => return (Proof::Explained, moved(Weight::Note, format!("{told}; {by}"))),
        Read::Written(by) if stretch.exempt_statements == 0 => {
            return (Proof::Moved, moved(Weight::Violation, format!("{told}; {by}")));
        }
        // The log has no process ids: what exempt sessions wrote can't be told from what others did.
        Read::Written(_) | Read::Unknown => {}
    }
    let reasons = reasons(looks, stretch, used);
    if reasons.is_empty() || last.xmax < first.xmax {
        let what = format!("{told}, and nothing that is known explains it: something writes");
        return (Proof::Moved, moved(Weight::Violation, what));
    }
    let mut what = format!("{told}; {}", reasons.join("; "));
    if stretch.wal.is_none() {
        what.push_str(" (seen, not proven: pg_walinspect in the monitor's database would tell from the log)");
    }
    (Proof::Explained, moved(Weight::Note, what))
}

/// What is known to take ids and was seen at it.
fn reasons(looks: &[Facts], stretch: &Stretch, used: u64) -> Vec<String> {
    let mut reasons = Vec::new();
    let ([first, ..], [.., last]) = (looks, looks) else { return reasons };
    let at_work = looks.iter().flat_map(|look| &look.backends).find(|b| b.process() == Process::Autovacuum);
    if let Some(worker) = at_work {
        reasons.push(worker.task.clone().unwrap_or_else(|| "an autovacuum worker was seen".into()));
    } else if last.autovacuum_runs > first.autovacuum_runs {
        let runs = last.autovacuum_runs.saturating_sub(first.autovacuum_runs);
        reasons.push(format!("autovacuum was at {runs} table(s)"));
    }
    if stretch.exempt_statements > 0 {
        reasons.push(format!(
            "sessions of the maintenance listener ran {} statement(s), which are expected",
            stretch.exempt_statements
        ));
    }
    // A session that drops its temporary tables as it ends takes one id.
    if last.temporary_relations < first.temporary_relations {
        reasons.push("temporary tables were dropped".into());
    } else if (1..=stretch.ended_sessions).contains(&used) {
        reasons.push(format!(
            "{} session(s) of the proxy ended, which drops their temporary tables",
            stretch.ended_sessions
        ));
    }
    reasons
}
