//! Reading certificates, keys and secrets again. What is no good stays as it was, and is told.

use super::{error::with_sources, operator::Operator};
use crate::net::Shared;
use serde_json::json;

/// What became of one kind of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Which.
    pub what: &'static str,
    /// Why what was there before stays; none: it was read.
    pub problem: Option<String>,
}

impl Reloaded {
    /// As a reading of them ended.
    pub fn of<E: std::error::Error>(what: &'static str, read: Result<(), E>) -> Self {
        Self { what, problem: read.err().map(|error| with_sources(&error)) }
    }
}

impl Operator {
    /// Reads all that the listeners, the logins and the monitor have read from files; `more` has been read already.
    pub fn reload(&self, shared: &Shared, more: Option<Reloaded>) -> Vec<Reloaded> {
        let mut reloaded = vec![
            Reloaded::of("upstream", shared.upstream.reload()),
            Reloaded::of("auth", shared.keeper.reload()),
        ];
        reloaded.extend(self.reload_monitor().map(|read| Reloaded::of("monitor", read)));
        reloaded.extend(shared.doorway.as_ref().map(|doorway| Reloaded::of("tls", doorway.reload())));
        reloaded.extend(more);
        for Reloaded { what, problem } in &reloaded {
            match problem {
                None => tracing::info!(what, "reloaded"),
                Some(problem) => {
                    tracing::error!(what, problem, "not reloaded: what was there before stays");
                }
            }
            self.tell("reloaded", json!({ "what": what, "problem": problem }));
        }
        reloaded
    }
}
