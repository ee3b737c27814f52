//! The verdict on several servers: each is judged by itself, as process ids and transaction ids are its own, and what
//! is said of all is the worst that is said of one.

use super::{
    findings::{Finding, Kind, Weight},
    report::{CheckReport, Quiet, UpstreamChecked},
};

/// What came of looking at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub upstream: String,
    /// What was found, or why nothing is known.
    pub outcome: Result<CheckReport, String>,
}

impl Quiet {
    /// What is said of all: violated where one is, and verified only where each one is.
    pub fn of_all(each: impl IntoIterator<Item = Self>) -> Self {
        let worst = each.into_iter().max_by_key(|quiet| match quiet {
            Self::Verified => 0_u8,
            Self::NotChecked => 1,
            Self::Violated => 2,
        });
        worst.unwrap_or(Self::NotChecked)
    }
}

impl CheckReport {
    /// One report on all; `None` where nothing is known of any.
    pub fn of_all(all: Vec<Checked>) -> Option<Self> {
        let reports = || all.iter().filter_map(|checked| checked.outcome.as_ref().ok());
        let mut merged = reports().next()?.clone();
        let each = |of: fn(&Self) -> &str| {
            let named = |checked: &Checked| {
                Some(format!("{} {}", checked.upstream, of(checked.outcome.as_ref().ok()?)))
            };
            all.iter().filter_map(named).collect::<Vec<_>>().join(", ")
        };
        merged.wal_from = each(|report| &report.wal_from);
        merged.wal_to = each(|report| &report.wal_to);
        merged.quiet = Quiet::of_all(all.iter().map(Checked::quiet));
        merged.checked_at = reports().map(|report| report.checked_at).min()?;
        merged.interval_ms = reports().map(|report| report.interval_ms).min()?;
        merged.proof = reports().map(|report| report.proof).max()?;
        merged.transaction_ids = reports().map(|report| report.transaction_ids).fold(0, u64::saturating_add);
        merged.expected = reports().map(|report| report.expected).fold(0, usize::saturating_add);
        merged.upstreams = all.iter().map(Checked::told).collect();
        merged.findings = all.into_iter().flat_map(Checked::findings).collect();
        merged.findings.sort_by_key(|finding| (finding.weight, finding.kind));
        Some(merged)
    }
}

impl Checked {
    fn quiet(&self) -> Quiet {
        self.outcome.as_ref().map_or(Quiet::NotChecked, |report| report.quiet)
    }

    fn told(&self) -> UpstreamChecked {
        let report = self.outcome.as_ref().ok();
        UpstreamChecked {
            name: self.upstream.clone(),
            quiet: self.quiet(),
            problem: self.outcome.as_ref().err().cloned(),
            proof: report.map(|report| report.proof),
            transaction_ids: report.map_or(0, |report| report.transaction_ids),
            wal: report.map(|report| report.wal_to.clone()),
            server: report.map(|report| report.server.clone()).unwrap_or_default(),
        }
    }

    /// Its findings, each with its server's name; one more where nothing is known.
    fn findings(self) -> Vec<Finding> {
        let Self { upstream, outcome } = self;
        match outcome {
            Ok(report) => report.findings.into_iter().map(|finding| finding.on(&upstream)).collect(),
            Err(problem) => {
                let what = format!("nobody can tell whether it is quiet: {problem}");
                vec![Finding::new(Kind::NotLookedAt, Weight::Warning, what).on(&upstream)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Proof, ServerSeen};
    use jiff::Timestamp;

    fn report(quiet: Quiet, proof: Proof, wal: &str) -> CheckReport {
        CheckReport {
            quiet,
            checked_at: Timestamp::UNIX_EPOCH,
            interval_ms: 1000,
            proof,
            transaction_ids: 2,
            wal_from: wal.into(),
            wal_to: wal.into(),
            server: ServerSeen::default(),
            expected: 1,
            findings: Vec::new(),
            upstreams: Vec::new(),
        }
    }

    fn of(upstream: &str, outcome: Result<CheckReport, String>) -> Checked {
        Checked { upstream: upstream.into(), outcome }
    }

    #[test]
    fn verified_is_said_only_where_each_server_is() {
        let good = || Ok(report(Quiet::Verified, Proof::Unchanged, "0/1"));
        let bad = || Ok(report(Quiet::Violated, Proof::Moved, "0/2"));
        let missing = || Err("it has no monitor".to_owned());
        for (one, other, expected) in [
            (good(), good(), Quiet::Verified),
            (good(), missing(), Quiet::NotChecked),
            (bad(), missing(), Quiet::Violated),
            (good(), bad(), Quiet::Violated),
        ] {
            let merged = CheckReport::of_all(vec![of("a", one.clone()), of("b", other.clone())]).unwrap();
            assert_eq!(merged.quiet, expected, "{one:?} {other:?}");
            let turned = CheckReport::of_all(vec![of("a", other), of("b", one)]).unwrap();
            assert_eq!(turned.quiet, expected);
        }
        assert_eq!(CheckReport::of_all(vec![of("a", missing()), of("b", missing())]), None);
        assert_eq!(Quiet::of_all([]), Quiet::NotChecked);
    }

    #[test]
    fn what_is_found_says_on_which_server_and_who_was_not_looked_at_is_named() {
        let mut violated = report(Quiet::Violated, Proof::Moved, "0/2");
        let finding = Finding::new(Kind::CronJob, Weight::Violation, "a job runs");
        violated.findings.push(finding.stopped_with("SELECT 1;"));
        let merged =
            CheckReport::of_all(vec![of("a", Err("it has no monitor".into())), of("b", Ok(violated))])
                .unwrap();
        let [found, missing] = merged.findings.as_slice() else { panic!("{:?}", merged.findings) };
        assert_eq!((found.what.as_str(), found.upstream.as_deref()), ("b: a job runs", Some("b")));
        assert_eq!(found.stop_with.as_deref(), Some("SELECT 1; -- on b"));
        assert_eq!(missing.what, "a: nobody can tell whether it is quiet: it has no monitor");
        assert_eq!((merged.wal_to.as_str(), merged.proof), ("b 0/2", Proof::Moved));
        assert_eq!(
            merged.upstreams.iter().map(|of| of.quiet).collect::<Vec<_>>(),
            [Quiet::NotChecked, Quiet::Violated]
        );
    }
}
