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
    wal::WalRead,
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
    if let Some(wal) = &stretch.wal {
        // The log has no process ids: as many as exempt sessions ran may have been theirs.
        if wal.writes > stretch.exempt_statements {
            return (Proof::Moved, moved(Weight::Violation, format!("{told}; {}", wal.told())));
        }
        if wal.is_harmless(used) && is_likely(wal, looks, stretch) {
            return (Proof::Explained, moved(Weight::Note, format!("{told}; {}", wal.told())));
        }
    }
    let read = stretch.wal.as_ref().map(|wal| format!("; {}", wal.told())).unwrap_or_default();
    let reasons = reasons(looks, stretch, used);
    if reasons.is_empty() || last.xmax < first.xmax {
        let what = format!("{told}, and nothing that is known explains it: something writes{read}");
        return (Proof::Moved, moved(Weight::Violation, what));
    }
    let mut what = format!("{told}; {}{read}", reasons.join("; "));
    if stretch.wal.is_none() {
        what.push_str(" (seen, not proven: pg_walinspect in the monitor's database would tell from the log)");
    }
    (Proof::Explained, moved(Weight::Note, what))
}

/// Whether there is somebody who would do what the log tells of: rows of unlogged tables, which leave no record, could
/// stand before an ANALYZE, and a definition that is dropped looks like a temporary table.
fn is_likely(wal: &WalRead, looks: &[Facts], stretch: &Stretch) -> bool {
    let ([first, ..], [.., last]) = (looks, looks) else { return false };
    let vacuums = last.autovacuum || autovacuum(looks).is_some();
    let has_dropped = last.temporary_relations < first.temporary_relations;
    (wal.upkeep == 0 || vacuums)
        && (wal.temporary == 0 || has_dropped || wal.temporary <= stretch.ended_sessions)
}

/// Autovacuum at work, if it was seen.
fn autovacuum(looks: &[Facts]) -> Option<String> {
    let ([first, ..], [.., last]) = (looks, looks) else { return None };
    let mut workers = looks.iter().flat_map(|look| &look.backends);
    if let Some(worker) = workers.find(|backend| backend.process() == Process::Autovacuum) {
        return Some(worker.task.clone().unwrap_or_else(|| "an autovacuum worker was seen".into()));
    }
    let runs = last.autovacuum_runs.saturating_sub(first.autovacuum_runs);
    (runs > 0).then(|| format!("autovacuum was at {runs} table(s)"))
}

/// What is known to take ids and was seen at it.
fn reasons(looks: &[Facts], stretch: &Stretch, used: u64) -> Vec<String> {
    let mut reasons = Vec::new();
    let ([first, ..], [.., last]) = (looks, looks) else { return reasons };
    reasons.extend(autovacuum(looks));
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
