//! What is told of the proxy: one look at the switch, the roster, the counters and what the monitor found.

use super::{
    command::RefusedReply,
    operator::{Operator, lock},
    status::{HoldsUp, Status},
    watched::UpstreamTold,
};
use crate::{
    check::CheckReport,
    freeze::Phase,
    observe::metrics::{self, Facts},
    sql::StatementClass,
};
use jiff::Timestamp;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::timeout;

/// Holding-up sessions that one status tells.
const TOLD_LIMIT: usize = 100;

impl Operator {
    /// What is told of the proxy.
    pub fn status(&self) -> Status {
        let (state, census, gate) = (self.switch.state(), self.census(), self.switch.gate());
        let freeze = state.freeze.as_ref();
        let now = self.now();
        let all = self.switch.roster().all();
        let mut holding_up: Vec<HoldsUp> =
            all.iter().filter_map(|record| HoldsUp::of(record, gate, now)).collect();
        holding_up.sort_by_key(|who| (std::cmp::Reverse(who.age_s), who.session));
        holding_up.truncate(TOLD_LIMIT);
        let (quiet, check) = (self.quiet(), self.check_told());
        let upstreams = self.upstreams_told();
        let timed_out = lock(&self.drain).is_over() && self.phase() == Phase::Draining;
        let open = census.writing.saturating_add(census.unproven).saturating_add(census.settling);
        Status {
            state: self.phase(),
            epoch: state.epoch.0,
            revision: gate.pack(),
            reason: freeze.map(|f| f.reason.clone()),
            by: freeze.map(|f| f.by.clone()),
            since: freeze.map(|f| f.since),
            until: freeze.and_then(|f| f.until),
            frozen_at: freeze.and_then(|f| f.frozen_at).filter(|_| self.phase() == Phase::Frozen),
            start_fault: lock(&self.start_fault).clone(),
            sessions: census.sessions,
            settling: census.settling,
            writing_transactions: census.writing,
            unproven: census.unproven,
            stragglers: if timed_out { open } else { 0 },
            readonly_leftovers: census.leftovers,
            exempt_sessions: census.exempt,
            spared_sessions: census.spared,
            scope: freeze.map(|f| f.scope.clone()).unwrap_or_default(),
            thawed: freeze.map(|f| f.thawed.clone()).unwrap_or_default(),
            refused_total: self.labels.total(),
            orphans: census.orphans,
            fence: if self.pooler().is_some() { "none".into() } else { "session".into() },
            quiet,
            check,
            server: upstreams.first().and_then(|main| main.server.clone()),
            server_version: upstreams.first().and_then(|main| main.server_version),
            server_at_freeze: self.replaced().into_iter().next().map(|replaced| replaced.frozen),
            state_durable: self.state_durable,
            upstream: self.told_of_each(|watched| Some(watched.server.upstream.name())).unwrap_or_default(),
            upstream_up: all_up(&upstreams),
            upstreams,
            drain_timed_out: timed_out,
            holding_up,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// The same, when it is of another revision than the one that was seen, or when the time is over.
    pub async fn status_after(&self, seen: Option<u64>, limit: Duration) -> Status {
        if let Some(seen) = seen {
            let waiting = async {
                loop {
                    let stirred = self.switch.stirred();
                    if self.switch.gate().pack() != seen {
                        return;
                    }
                    stirred.await;
                }
            };
            // Whether something changed or the time is over, what is told is how things stand.
            drop(timeout(limit, waiting).await);
        }
        self.status()
    }

    /// Who tried to write what.
    pub fn refused(&self) -> RefusedReply {
        let audit = self.audit();
        RefusedReply {
            total: self.labels.total(),
            refused: audit.book().entries(),
            forgotten: audit.book().forgotten(),
        }
    }

    /// The page that Prometheus reads.
    ///
    /// # Errors
    /// A metric could not be told: a fault of the program.
    pub fn metrics(&self) -> Result<String, String> {
        let (status, census) = (self.status(), self.census());
        let health = *lock(&self.health);
        let report = status.check.as_ref().and_then(|check| check.report.as_ref());
        let bypassers = report.map_or(0, CheckReport::bypassers);
        let mut statements: Vec<_> = StatementClass::ALL.map(|class| (class, 0_u64)).to_vec();
        for counters in &self.counters {
            for (sum, (_, count)) in statements.iter_mut().zip(counters.statements()) {
                sum.1 = sum.1.saturating_add(count);
            }
        }
        let seconds = |at: Timestamp| at.as_duration().as_secs_f64();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let exceptions = self.exceptions().exceptions;
        let used = count(exceptions.iter().filter(|told| told.sessions > 0).count());
        let facts = Facts {
            phase: status.state,
            epoch: status.epoch,
            freeze_started: status.since.map(seconds),
            freeze_until: status.until.map(seconds),
            drain_duration: health.drain_duration.map(|d| d.as_secs_f64()),
            statements,
            refused: self.labels.samples(),
            exempt: self.counters.iter().map(|counters| counters.exempt()).sum(),
            excepted: self.counters.iter().map(|counters| counters.excepted()).sum(),
            exceptions_used: used,
            exceptions_unused: count(exceptions.len()).saturating_sub(used),
            stages_failed: self.window.stages_failed.load(Ordering::Relaxed),
            sessions_ordinary: count(census.sessions.saturating_sub(census.maintenance)),
            sessions_maintenance: count(census.maintenance),
            writing: count(census.writing),
            unproven: count(census.unproven),
            leftovers: count(census.leftovers),
            stragglers: count(status.stragglers),
            upstreams_up: status.upstreams.iter().map(|told| (told.name.clone(), told.is_up)).collect(),
            state_durable: self.state_durable,
            events_lost: self.watch.lost(),
            logins: health.logins,
            failed_logins: health.failed_logins,
            quiet: status.quiet,
            bypassers: count(bypassers),
            server_changed: status.server_at_freeze.is_some(),
        };
        metrics::render(&facts).map_err(|error| error.to_string())
    }
}

/// Whether all could be reached; none: one of them has not been tried, and none of the others failed.
fn all_up(upstreams: &[UpstreamTold]) -> Option<bool> {
    let mut tried = upstreams.iter().map(|told| told.is_up);
    if tried.clone().any(|is_up| is_up == Some(false)) {
        Some(false)
    } else {
        tried.all(|is_up| is_up.is_some()).then_some(true)
    }
}
