//! What belongs to a maintenance window: hooks, the smoke test, the stages of the reopening.

use super::{
    conninfo::Conninfo,
    error::Fault,
    raw::{OneOrMany, RawHooks, RawSmoke, RawStage},
};
use crate::matching::Match;
use std::time::Duration;

/// Commands of one occasion, and stages.
const LIST_LIMIT: usize = 32;
const HOUR_MS: u64 = 3_600_000;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowSettings {
    /// Commands that run around a freeze.
    pub hooks: Hooks,
    /// Who looks whether the application could work; none: nobody.
    pub smoke: Option<Smoke>,
    /// How a freeze is undone step by step.
    pub stages: Vec<Stage>,
}

/// Commands for `sh -c`, by their occasion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// Each must exit 0 before the gate shuts.
    pub before_freeze: Vec<String>,
    /// When the state is `frozen`.
    pub after_freeze: Vec<String>,
    /// When the gate is open.
    pub after_thaw: Vec<String>,
    /// For each of them.
    pub timeout: Duration,
}

/// A login, a read, and a write that is rolled back.
#[derive(Clone, PartialEq, Eq)]
pub struct Smoke {
    /// As whom, and where: best by the maintenance listener. Each of them makes the test; never empty.
    pub conninfos: Vec<Conninfo>,
    /// A query.
    pub read: String,
    /// A statement that writes.
    pub write: Option<String>,
    /// Whether a thaw waits for it.
    pub is_required: bool,
}

impl std::fmt::Debug for Smoke {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection strings show themselves without their passwords.
        f.debug_struct("Smoke").field("conninfos", &self.conninfos).finish_non_exhaustive()
    }
}

/// One step of a reopening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// For people.
    pub name: String,
    /// Who may write from then on; none: everybody.
    pub who: Option<Match>,
    /// For how long it is watched before the next.
    pub dwell: Duration,
    /// Refusals that are too many in that time.
    pub max_refused: Option<u64>,
    /// Errors that the server gives those who are open again that are too many.
    pub max_server_errors: Option<u64>,
}

impl WindowSettings {
    pub(super) fn check(
        hooks: RawHooks,
        smoke: RawSmoke,
        stages: Vec<RawStage>,
        mut fault: impl FnMut(Fault),
    ) -> Self {
        let hooks = Hooks::check(hooks, &mut fault);
        let smoke = Smoke::check(smoke, &mut fault);
        if stages.len() > LIST_LIMIT {
            fault(Fault::new(
                "reopen",
                format!("{} stages are given, the limit is {LIST_LIMIT}", stages.len()),
            ));
        }
        let stages = stages.into_iter().filter_map(|raw| Stage::check(raw, &mut fault)).collect();
        Self { hooks, smoke, stages }
    }
}

impl Hooks {
    fn check(raw: RawHooks, fault: &mut impl FnMut(Fault)) -> Self {
        let mut list = |key: &str, given: Option<OneOrMany>| {
            let commands = match given {
                None => Vec::new(),
                Some(OneOrMany::One(command)) => vec![command],
                Some(OneOrMany::Many(commands)) => commands,
            };
            if commands.len() > LIST_LIMIT || commands.iter().any(|command| command.trim().is_empty()) {
                fault(Fault::new(key, format!("expected up to {LIST_LIMIT} commands, none of them empty")));
            }
            commands
        };
        let before_freeze = list("hooks.before_freeze", raw.before_freeze);
        let after_freeze = list("hooks.after_freeze", raw.after_freeze);
        let after_thaw = list("hooks.after_thaw", raw.after_thaw);
        let timeout = time("hooks.timeout_ms", raw.timeout_ms, 60_000, fault);
        Self { before_freeze, after_freeze, after_thaw, timeout }
    }
}

impl Smoke {
    fn check(raw: RawSmoke, fault: &mut impl FnMut(Fault)) -> Option<Self> {
        let RawSmoke { conninfo, read, write, required } = raw;
        let texts = conninfo.map(OneOrMany::into_texts).unwrap_or_default();
        if texts.len() > LIST_LIMIT {
            fault(Fault::new("smoke.conninfo", format!("expected up to {LIST_LIMIT} connection strings")));
        }
        if texts.is_empty() {
            if read.is_some() || write.is_some() || required == Some(true) {
                fault(Fault::new("smoke.conninfo", "expected a connection string, with user and dbname"));
            }
            return None;
        }
        match texts.iter().map(|text| Conninfo::parse(text)).collect() {
            Ok(conninfos) => Some(Self {
                conninfos,
                read: read.unwrap_or_else(|| "SELECT 1".into()),
                write,
                is_required: required.unwrap_or(false),
            }),
            Err(problem) => {
                fault(Fault::new("smoke.conninfo", problem));
                None
            }
        }
    }
}

impl Stage {
    fn check(raw: RawStage, fault: &mut impl FnMut(Fault)) -> Option<Self> {
        let RawStage { name, user, database, application, network, dwell_ms, max_refused, max_server_errors } =
            raw;
        let who = Match { user, database, application, network };
        let who = Some(who).filter(|who| *who != Match::default());
        if let Some(Err(problem)) = who.as_ref().map(Match::check) {
            fault(Fault::new(format!("reopen.{name}"), problem.to_string()));
            return None;
        }
        let dwell = time(&format!("reopen.{name}.dwell_ms"), dwell_ms, 10_000, fault);
        Some(Self { name, who, dwell, max_refused, max_server_errors })
    }
}

fn time(key: &str, given: Option<u64>, default: u64, fault: &mut impl FnMut(Fault)) -> Duration {
    let value = given.unwrap_or(default);
    if !(1..=HOUR_MS).contains(&value) {
        fault(Fault::new(key, format!("expected 1 to {HOUR_MS}, got {value}")));
    }
    Duration::from_millis(value)
}
