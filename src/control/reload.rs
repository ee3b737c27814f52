//! Reading certificates, keys, secrets and the configuration again. What is no good stays as it was, and is told.

use super::operator::Operator;
use crate::{
    causes::with_causes,
    config::MAIN,
    net::{Server, Shared},
};
use serde_json::json;
use std::sync::Arc;

/// What became of one kind of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Which.
    pub what: String,
    /// Why what was there before stays; none: it was read.
    pub problem: Option<String>,
}

impl Reloaded {
    /// As a reading of them ended.
    pub fn of<E: std::error::Error>(what: impl Into<String>, read: Result<(), E>) -> Self {
        Self { what: what.into(), problem: read.err().map(|error| with_causes(&error)) }
    }
}

impl Operator {
    /// Reads all that the listeners, the logins and the monitor have read from files, and what of the configuration can
    /// change; `more` has been read already.
    pub async fn reload(self: &Arc<Self>, shared: &Shared, more: Option<Reloaded>) -> Vec<Reloaded> {
        // The main server's files go by the names that they had before there could be others.
        let named = |what: &str, upstream: &str| {
            if upstream == MAIN { what.to_owned() } else { format!("{what} {upstream}") }
        };
        let upstream =
            |server: &Arc<Server>| Reloaded::of(named("upstream", &server.name), server.upstream.reload());
        let mut reloaded: Vec<Reloaded> = shared.servers.all().iter().map(upstream).collect();
        reloaded.push(Reloaded::of("auth", shared.keeper.reload()));
        for (name, read) in self.reload_monitors() {
            reloaded.push(Reloaded::of(named("monitor", &name), read));
        }
        reloaded.extend(shared.doorway.as_ref().map(|doorway| Reloaded::of("tls", doorway.reload())));
        reloaded.extend(more);
        reloaded.push(Reloaded::of("configuration", self.reconfigure(&shared.config).await));
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
