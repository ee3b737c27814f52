//! One server as the operator sees it: what its sessions have learned of it, who looks at it from outside, and what
//! was found.

use super::evidence::Evidence;
use crate::{
    check::{Checked, Quiet},
    config::MAIN,
    freeze::FreezeState,
    monitor::Monitor,
    net::Server,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why nothing is said of a server that nobody looks at.
pub(super) const NO_MONITOR: &str = "it has no monitor";

/// See the module's text.
#[derive(Debug)]
pub struct Watched {
    /// The server.
    pub server: Arc<Server>,
    pub(super) monitor: Option<Arc<Monitor>>,
    evidence: Mutex<Evidence>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTold {
    /// Its name in the configuration; `main` for the one that `upstream` tells of.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// Whether it could be reached when it was last tried.
    pub is_up: Option<bool>,
    /// Its `system_identifier`, where it is known.
    pub server: Option<String>,
    /// Its major version, where it is known.
    pub server_version: Option<u32>,
    /// The `system_identifier` of the server that was frozen, if it is another one now.
    pub server_at_freeze: Option<String>,
    /// Sessions on it.
    pub sessions: usize,
    /// Sessions on it that a process before this one left behind.
    pub orphans: usize,
    /// `session`, or `none` behind a pooler.
    pub fence: String,
    /// Whether a monitor looks at it.
    pub is_monitored: bool,
    /// What is known of it beyond the proxy.
    pub quiet: Quiet,
}

/// Another server answers than the one that was frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Under which name.
    pub upstream: String,
    /// The `system_identifier` of the one that was frozen.
    pub frozen: String,
    /// That of the one that is there; none: no server is configured by that name any more, and none that is known to
    /// be there is the one that was frozen.
    pub found: Option<String>,
}

impl Watched {
    /// Nothing is known of it yet.
    pub fn new(server: Arc<Server>, monitor: Option<Monitor>) -> Self {
        Self { server, monitor: monitor.map(Arc::new), evidence: Mutex::default() }
    }

    /// What was found of it.
    pub(super) fn evidence(&self) -> MutexGuard<'_, Evidence> {
        // It is replaced whole: usable even if a holder panicked.
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn name(&self) -> &str {
        &self.server.name
    }

    /// The name that the freeze's state has it by: the main server's identity is kept without.
    pub(super) fn name_in_state(&self) -> Option<&str> {
        Some(self.name()).filter(|name| *name != MAIN)
    }

    /// Another one than was frozen, if it is.
    pub(super) fn replaced(&self, state: &FreezeState) -> Option<Replaced> {
        let freeze = state.freeze.as_ref()?;
        let frozen = match self.name_in_state() {
            None => freeze.server.clone()?,
            Some(name) => freeze.servers.get(name)?.clone(),
        };
        let found = self.server.known.identity()?;
        (frozen != found).then(|| Replaced { upstream: self.name().to_owned(), frozen, found: Some(found) })
    }

    /// What was found last, or why nothing is known.
    pub(super) fn checked(&self) -> Checked {
        let has_monitor = self.monitor.is_some();
        let outcome = if has_monitor { self.evidence().outcome() } else { Err(NO_MONITOR.into()) };
        Checked { upstream: self.name().to_owned(), outcome }
    }

    /// It as the status tells it, with so many sessions on it.
    pub(super) fn told(&self, state: &FreezeState, sessions: usize) -> UpstreamTold {
        let known = &self.server.known;
        UpstreamTold {
            name: self.name().to_owned(),
            place: self.server.upstream.name(),
            is_up: self.server.is_up(),
            server: known.identity(),
            server_version: known.version(),
            server_at_freeze: self.replaced(state).map(|replaced| replaced.frozen),
            sessions,
            orphans: known.orphans().len(),
            fence: if known.is_pooler() == Some(true) { "none".into() } else { "session".into() },
            is_monitored: self.monitor.is_some(),
            quiet: self.evidence().quiet(),
        }
    }
}
