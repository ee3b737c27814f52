//! What the monitor has found, as long as it says anything: until the gate moves, or a look fails.

use crate::{
    check::{CheckReport, Facts, Quiet},
    fleet::Processes,
};
use jiff::Timestamp;
use std::sync::Arc;

/// What is known of the server's quiet.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// What was said last.
    pub(super) report: Option<Arc<CheckReport>>,
    /// Why nothing can be said, if the last look failed.
    pub(super) problem: Option<String>,
    /// Where the log was written at the first look once it was frozen.
    pub(super) wal: Option<String>,
    /// The last look of those that are repeated, which the next one goes on from.
    pub(super) last: Option<Look>,
}

/// A look, and what the proxy knew of its own then.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) facts: Facts,
    pub(super) processes: Processes,
    pub(super) exempt_statements: u64,
    /// Exempt sessions that were in a transaction.
    pub(super) exempt_at_work: u64,
    pub(super) at: Timestamp,
    /// Behind which gate it was.
    pub(super) gate: u64,
}

impl Evidence {
    /// The gate has moved: what was said before says nothing any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What was found last, or why nothing is known.
    pub(super) fn outcome(&self) -> Result<CheckReport, String> {
        match (&self.problem, &self.report) {
            (Some(problem), _) => Err(problem.clone()),
            (None, Some(report)) => Ok(CheckReport::clone(report)),
            // Behind an open gate as behind a shut one: a verdict takes two looks since the gate has moved.
            (None, None) => Err("it has not been watched yet".into()),
        }
    }

    pub(super) fn quiet(&self) -> Quiet {
        match &self.report {
            Some(report) if self.problem.is_none() => report.quiet,
            Some(_) | None => Quiet::NotChecked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_watched_yet_is_said_to_be_so_whatever_the_state_is() {
        let mut evidence = Evidence::default();
        assert_eq!(evidence.outcome(), Err("it has not been watched yet".into()));
        evidence.problem = Some("can't log in".into());
        assert_eq!(evidence.outcome(), Err("can't log in".into()));
        assert_eq!(evidence.quiet(), Quiet::NotChecked);
        evidence.forget();
        assert_eq!(evidence.outcome(), Err("it has not been watched yet".into()));
    }
}
