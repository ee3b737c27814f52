//! The metrics as Prometheus reads them. Each is named and explained here and nowhere else; `docs/METRICS.md`
//! is held to this by a test.

use super::labels::{OTHER, Sample};
use crate::{check::Quiet, freeze::Phase, sql::StatementClass};
use prometheus::{Encoder as _, GaugeVec, IntCounterVec, Opts, Registry, TextEncoder, core::Collector};

/// All that is told at one moment.
#[derive(Debug)]
pub struct Facts {
    /// Where the proxy stands.
    pub phase: Phase,
    /// Version of the freeze state.
    pub epoch: u64,
    /// When the gate shut, in seconds since 1970.
    pub freeze_started: Option<f64>,
    /// When it should open again.
    pub freeze_until: Option<f64>,
    /// How long the last drain took.
    pub drain_duration: Option<f64>,
    /// Statements judged, by class.
    pub statements: Vec<(StatementClass, u64)>,
    /// Statements refused, by label.
    pub refused: Vec<Sample>,
    /// Statements that exempt sessions ran behind the shut gate.
    pub exempt: u64,
    /// Those that sessions ran thanks to an exception.
    pub excepted: u64,
    /// Exceptions and denials that were of use to somebody.
    pub exceptions_used: u64,
    /// Those that were not.
    pub exceptions_unused: u64,
    /// Stages of reopenings that failed.
    pub stages_failed: u64,
    /// Ordinary sessions.
    pub sessions_ordinary: u64,
    /// Sessions of the maintenance listener.
    pub sessions_maintenance: u64,
    /// Transactions that have written and not ended.
    pub writing: u64,
    /// Transactions that may have written.
    pub unproven: u64,
    /// Transactions that stay read-only though the gate is open.
    pub leftovers: u64,
    /// What had not ended when the drain time was over.
    pub stragglers: u64,
    /// Of each server, by its name, whether it could be reached when it was last tried; none: not yet.
    pub upstreams_up: Vec<(String, Option<bool>)>,
    /// Whether the state is on a disk that survives a restart of the machine.
    pub state_durable: bool,
    /// Events that those who watch had no room for.
    pub events_lost: u64,
    /// Logins that the server let in.
    pub logins: u64,
    /// Connections that came to nothing.
    pub failed_logins: u64,
    /// What is known of the server beyond the proxy.
    pub quiet: Quiet,
    /// Sessions that went round the proxy when the monitor last looked.
    pub bypassers: u64,
    /// Another server answers than the one that was frozen.
    pub server_changed: bool,
}

/// A metric: its name, its kind, what it tells.
type Named = (&'static str, &'static str);

const STATE: Named = ("frostgate_state", "1 for the state that holds: open, draining or frozen.");
const EPOCH: Named = ("frostgate_epoch", "Version of the freeze state; it only grows.");
const STARTED: Named = (
    "frostgate_freeze_started_timestamp_seconds",
    "When the gate shut, in seconds since 1970; absent while open.",
);
const UNTIL: Named = (
    "frostgate_freeze_until_timestamp_seconds",
    "When the freeze should be over; absent while open or where no time was given.",
);
const DRAIN: Named = (
    "frostgate_drain_duration_seconds",
    "How long the last drain took, from the gate's shutting to frozen; absent before the first.",
);
const STATEMENTS: Named = ("frostgate_statements_total", "Statements judged, by class.");
const REFUSED: Named = (
    "frostgate_statements_refused_total",
    "Statements refused, or rejected by the server for the fence. The hundred most frequent label sets are \
     shown, the others together as `other`.",
);
const EXEMPT: Named = (
    "frostgate_statements_exempt_total",
    "Statements that exempt sessions ran while the gate was shut, by what exempts them.",
);
const EXCEPTIONS: Named =
    ("frostgate_exceptions", "Exceptions and denials that hold, by whether they were of use to anybody yet.");
const STAGES_FAILED: Named =
    ("frostgate_reopen_stages_failed_total", "Stages of a reopening that failed: all were frozen again.");
const SESSIONS: Named = ("frostgate_sessions", "Sessions, by the listener where they entered.");
const WRITING: Named =
    ("frostgate_writing_transactions", "Open transactions, exempt ones left out, that have written.");
const UNPROVEN: Named = (
    "frostgate_unproven_transactions",
    "Open transactions that may have written: a query called who knows what.",
);
const LEFTOVERS: Named = (
    "frostgate_readonly_leftovers",
    "Transactions that began while frozen and stay read-only to their end though the gate is open.",
);
const STRAGGLERS: Named =
    ("frostgate_stragglers", "Sessions that had not ended when the drain time was over and have not since.");
const UPSTREAM: Named =
    ("frostgate_upstream_up", "1 if the server could be reached when it was last tried; absent before that.");
const DURABLE: Named = (
    "frostgate_state_durable",
    "1 if the state directory survives a restart of the machine, 0 if it is on a volatile file system.",
);
const LOST: Named =
    ("frostgate_events_lost_total", "Events for the audit that found no room; counters lose nothing.");
const LOGINS: Named = ("frostgate_logins_total", "Logins, by their outcome.");
const QUIET: Named = (
    "frostgate_quiet",
    "1 for what is known of the server beyond the proxy: verified, violated or not_checked.",
);
const BYPASSERS: Named = (
    "frostgate_bypassers",
    "Sessions that went round the proxy when the monitor last looked; frostgate_quiet tells whether it does.",
);
const CHANGED: Named =
    ("frostgate_server_changed", "1 if another server answers than the one that was frozen, 0 if not.");
const BUILD: Named = ("frostgate_build_info", "1, with the version as a label.");

/// Every metric's name and what it tells.
pub const ALL: [Named; 23] = [
    STATE,
    EPOCH,
    STARTED,
    UNTIL,
    DRAIN,
    STATEMENTS,
    REFUSED,
    EXEMPT,
    EXCEPTIONS,
    STAGES_FAILED,
    SESSIONS,
    WRITING,
    UNPROVEN,
    LEFTOVERS,
    STRAGGLERS,
    UPSTREAM,
    DURABLE,
    LOST,
    LOGINS,
    QUIET,
    BYPASSERS,
    CHANGED,
    BUILD,
];

/// The page.
///
/// # Errors
/// A metric could not be registered or encoded: a fault of this file.
pub fn render(facts: &Facts) -> Result<String, prometheus::Error> {
    let page = Page(Registry::new());
    let state = page.gauges(STATE, &["state"])?;
    for phase in Phase::ALL {
        state.with_label_values(&[phase.as_str()]).set(f64::from(u8::from(phase == facts.phase)));
    }
    page.gauge(EPOCH, Some(float(facts.epoch)))?;
    page.gauge(STARTED, facts.freeze_started)?;
    page.gauge(UNTIL, facts.freeze_until)?;
    page.gauge(DRAIN, facts.drain_duration)?;
    let statements = page.counters(STATEMENTS, &["class"])?;
    for (class, count) in &facts.statements {
        statements.with_label_values(&[class.as_str()]).inc_by(*count);
    }
    page.refused(&facts.refused)?;
    let exempt = page.counters(EXEMPT, &["by"])?;
    exempt.with_label_values(&["maintenance_listener"]).inc_by(facts.exempt);
    exempt.with_label_values(&["exception"]).inc_by(facts.excepted);
    let exceptions = page.gauges(EXCEPTIONS, &["use"])?;
    exceptions.with_label_values(&["used"]).set(float(facts.exceptions_used));
    exceptions.with_label_values(&["unused"]).set(float(facts.exceptions_unused));
    page.counters(STAGES_FAILED, &[])?.with_label_values::<&str>(&[]).inc_by(facts.stages_failed);
    let sessions = page.gauges(SESSIONS, &["entrance"])?;
    sessions.with_label_values(&["ordinary"]).set(float(facts.sessions_ordinary));
    sessions.with_label_values(&["maintenance"]).set(float(facts.sessions_maintenance));
    page.gauge(WRITING, Some(float(facts.writing)))?;
    page.gauge(UNPROVEN, Some(float(facts.unproven)))?;
    page.gauge(LEFTOVERS, Some(float(facts.leftovers)))?;
    page.gauge(STRAGGLERS, Some(float(facts.stragglers)))?;
    let upstreams = page.gauges(UPSTREAM, &["upstream"])?;
    for (name, is_up) in &facts.upstreams_up {
        if let Some(is_up) = is_up {
            upstreams.with_label_values(&[name]).set(f64::from(u8::from(*is_up)));
        }
    }
    page.gauge(DURABLE, Some(f64::from(u8::from(facts.state_durable))))?;
    page.counters(LOST, &[])?.with_label_values::<&str>(&[]).inc_by(facts.events_lost);
    let logins = page.counters(LOGINS, &["outcome"])?;
    logins.with_label_values(&["let_in"]).inc_by(facts.logins);
    logins.with_label_values(&["failed"]).inc_by(facts.failed_logins);
    let quiet = page.gauges(QUIET, &["verdict"])?;
    for verdict in Quiet::ALL {
        quiet.with_label_values(&[verdict.as_str()]).set(f64::from(u8::from(verdict == facts.quiet)));
    }
    page.gauge(BYPASSERS, Some(float(facts.bypassers)))?;
    page.gauge(CHANGED, Some(f64::from(u8::from(facts.server_changed))))?;
    page.gauges(BUILD, &["version"])?.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    page.text()
}

struct Page(Registry);

impl Page {
    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauges(&self, (name, help): Named, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        self.add(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn counters(&self, (name, help): Named, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A gauge that is absent while it means nothing.
    fn gauge(&self, named: Named, value: Option<f64>) -> Result<(), prometheus::Error> {
        if let Some(value) = value {
            self.gauges(named, &[])?.with_label_values::<&str>(&[]).set(value);
        }
        Ok(())
    }

    /// Every class is there from the start, so that the first refusal is an increase from 0.
    fn refused(&self, samples: &[Sample]) -> Result<(), prometheus::Error> {
        let refused = self.counters(REFUSED, &["class", "database", "user", "application"])?;
        for class in StatementClass::ALL {
            refused.with_label_values(&[class.as_str(), OTHER, OTHER, OTHER]).inc_by(0);
        }
        for Sample { class, database, user, application, count } in samples {
            refused.with_label_values(&[class.as_str(), database, user, application]).inc_by(*count);
        }
        Ok(())
    }

    fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Prometheus counts in floats; above 2^53 it is inexact, as everything there is.
fn float(number: u64) -> f64 {
    let (high, low) = (number >> 32, number & 0xffff_ffff);
    let half = |part: u64| f64::from(u32::try_from(part).unwrap_or(u32::MAX));
    half(high).mul_add(4_294_967_296.0, half(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Facts {
        Facts {
            phase: Phase::Open,
            epoch: 3,
            freeze_started: None,
            freeze_until: None,
            drain_duration: None,
            statements: StatementClass::ALL.map(|class| (class, 0)).to_vec(),
            refused: Vec::new(),
            exempt: 0,
            excepted: 0,
            exceptions_used: 0,
            exceptions_unused: 0,
            stages_failed: 0,
            sessions_ordinary: 2,
            sessions_maintenance: 0,
            writing: 0,
            unproven: 0,
            leftovers: 0,
            stragglers: 0,
            upstreams_up: vec![("main".into(), Some(true))],
            state_durable: true,
            events_lost: 0,
            logins: 0,
            failed_logins: 0,
            quiet: Quiet::NotChecked,
            bypassers: 0,
            server_changed: false,
        }
    }

    #[test]
    fn counters_start_at_zero_and_timestamps_are_absent_while_they_mean_nothing() {
        let page = render(&open()).unwrap();
        assert!(page.contains("frostgate_state{state=\"open\"} 1"), "{page}");
        assert!(page.contains("frostgate_state{state=\"frozen\"} 0"), "{page}");
        let zero = "frostgate_statements_refused_total{application=\"other\",class=\"write\",database=\"other\",\
                    user=\"other\"} 0";
        assert!(page.contains(zero), "{page}");
        assert!(!page.contains("frostgate_freeze_started_timestamp_seconds"), "{page}");
    }

    #[test]
    fn every_metric_is_in_the_list_and_every_one_of_the_list_can_be_told() {
        let facts = Facts {
            phase: Phase::Frozen,
            freeze_started: Some(1.0),
            freeze_until: Some(2.0),
            drain_duration: Some(0.5),
            ..open()
        };
        let page = render(&facts).unwrap();
        let told: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("# HELP ")).collect();
        assert_eq!(told.len(), ALL.len());
        for (name, help) in ALL {
            assert!(told.contains(&format!("{name} {help}").as_str()), "{name}");
        }
    }
}
