//! The verdict on a stretch of time: the looks at it put together, and what moved in between.

use super::{
    facts::Facts,
    findings::{Finding, Kind, Weight},
    interval::{Proof, Stretch, explain},
    judge::{Ours, judge},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Evidence about the server, beyond the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quiet {
    /// Nobody goes round the proxy, and nothing was written that is not explained.
    Verified,
    /// Somebody does, or something was.
    Violated,
    /// Nobody looked, or could.
    NotChecked,
}

impl Quiet {
    /// The word that people and metrics read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Violated => "violated",
            Self::NotChecked => "not_checked",
        }
    }
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Verified, Self::Violated, Self::NotChecked];
}

/// The server as the monitor saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSeen {
    /// `server_version`.
    pub version: String,
    /// `system_identifier`.
    pub identifier: Option<String>,
}

/// What a report on several servers says of one of them, its findings aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamChecked {
    /// Its name.
    pub name: String,
    /// The verdict on it.
    pub quiet: Quiet,
    /// Why nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What its transaction ids say; none where nothing is known.
    pub proof: Option<Proof>,
    /// How many were used.
    pub transaction_ids: u64,
    /// Where its log was written at the last look.
    pub wal: Option<String>,
    /// Who was asked.
    pub server: ServerSeen,
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The verdict.
    pub quiet: Quiet,
    /// When the last look was.
    pub checked_at: Timestamp,
    /// From the first look to the last, in milliseconds.
    pub interval_ms: u64,
    /// What the transaction ids say.
    pub proof: Proof,
    /// How many were used.
    pub transaction_ids: u64,
    /// Where the log was written at the first look.
    pub wal_from: String,
    /// Where it was at the last.
    pub wal_to: String,
    /// Who was asked.
    pub server: ServerSeen,
    /// Sessions of the maintenance listener, and those that were told of beforehand.
    pub expected: usize,
    /// The gravest first.
    pub findings: Vec<Finding>,
    /// Where there are several servers: what is said of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<UpstreamChecked>,
}

impl CheckReport {
    /// Puts the looks together; `None` without any.
    pub fn of(
        looks: &[Facts],
        ours: &Ours,
        stretch: &Stretch,
        (checked_at, interval_ms): (Timestamp, u64),
    ) -> Option<Self> {
        let (first, last) = (looks.first()?, looks.last()?);
        let mut findings: Vec<Finding> = Vec::new();
        let mut expected = 0;
        // The last look first: of what was there all the time, it knows most.
        for look in looks.iter().rev() {
            let judged = judge(look, ours);
            expected = judged.expected.max(expected);
            for finding in judged.findings {
                if !findings.iter().any(|known| known.is_same(&finding)) {
                    findings.push(finding);
                }
            }
        }
        let (proof, moved) = explain(looks, ours, stretch);
        findings.extend(moved);
        findings.sort_by_key(|finding| (finding.weight, finding.kind));
        Some(Self {
            quiet: verdict(&findings),
            checked_at,
            interval_ms,
            proof,
            transaction_ids: last.xmax.saturating_sub(first.xmax),
            wal_from: first.wal.clone(),
            wal_to: last.wal.clone(),
            server: ServerSeen { version: last.version.clone(), identifier: last.identifier.clone() },
            expected,
            findings,
            upstreams: Vec::new(),
        })
    }

    /// Sessions that go round the proxy.
    pub fn bypassers(&self) -> usize {
        self.findings.iter().filter(|finding| finding.kind == Kind::Bypasser).count()
    }

    /// What makes the server not quiet.
    pub fn violations(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.weight == Weight::Violation)
    }
}

fn verdict(findings: &[Finding]) -> Quiet {
    if findings.iter().any(|finding| finding.kind == Kind::WrongServer) {
        Quiet::NotChecked
    } else if findings.iter().any(|finding| finding.weight == Weight::Violation) {
        Quiet::Violated
    } else {
        Quiet::Verified
    }
}
