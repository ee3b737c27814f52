//! The servers together: a freeze is of all of them, and is called quiet only when each one is.

use super::{
    evidence::Evidence,
    operator::Operator,
    status::CheckTold,
    watched::{NO_MONITOR, Replaced, UpstreamTold, Watched},
};
use crate::{
    check::{CheckReport, Checked, Quiet},
    config::MAIN,
    freeze::{Freeze, FreezeState},
    tls::TlsError,
};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::timeout};

/// So long a thaw waits for what monitors say of servers that are not known, all together.
const FIND_OUT_LIMIT: Duration = Duration::from_secs(2);

impl Operator {
    /// The servers, in the order of the configuration.
    pub fn watched(&self) -> &[Arc<Watched>] {
        &self.watched
    }

    /// The state with the identities that are known.
    pub(super) fn on_servers(&self, state: &FreezeState) -> FreezeState {
        let each = |state: FreezeState, watched: &Arc<Watched>| {
            state.on_server(watched.name_in_state(), watched.server.known.identity().as_deref())
        };
        self.watched.iter().fold(state.clone(), each)
    }

    /// Servers that are other ones than were frozen.
    pub(super) fn replaced(&self) -> Vec<Replaced> {
        let state = self.switch.state();
        let mut all: Vec<Replaced> =
            self.watched.iter().filter_map(|watched| watched.replaced(&state)).collect();
        // A server that has another name now is known by its identity.
        let is_there = |name: Option<&str>, frozen: &str| {
            let is = |watched: &Arc<Watched>| {
                watched.name_in_state() == name || watched.server.known.identity().as_deref() == Some(frozen)
            };
            self.watched.iter().any(is)
        };
        for (name, frozen) in state.freeze.iter().flat_map(Freeze::identities) {
            if !is_there(name, frozen) {
                let upstream = name.unwrap_or(MAIN).to_owned();
                all.push(Replaced { upstream, frozen: frozen.to_owned(), found: None });
            }
        }
        all
    }

    /// The first server that has a pooler in front of it.
    pub(super) fn pooler(&self) -> Option<&Watched> {
        self.watched.iter().map(AsRef::as_ref).find(|watched| watched.server.known.is_pooler() == Some(true))
    }

    /// The first server that nobody looks at.
    pub(super) fn unwatched(&self) -> Option<&Watched> {
        self.watched.iter().map(AsRef::as_ref).find(|watched| watched.monitor.is_none())
    }

    /// A server's name where there are several, behind a space.
    pub(super) fn which(&self, watched: &Watched) -> String {
        if self.watched.len() == 1 { String::new() } else { format!(" {}", watched.name()) }
    }

    /// Sessions that a process before this one left behind, those on servers that are configured no more among them.
    pub(super) fn orphans(&self) -> usize {
        self.servers.orphans().values().map(Vec::len).sum()
    }

    /// Before the gate opens it should be known in front of which servers: where nobody has asked, the monitor does.
    /// All are asked together, and none that is silent keeps the gate shut.
    pub(super) async fn find_out_servers(self: &Arc<Self>) {
        if self.switch.state().freeze.is_none() {
            return;
        }
        let mut looks = JoinSet::new();
        for watched in self.watched.iter().filter(|watched| watched.server.known.identity().is_none()) {
            let (operator, watched) = (Arc::clone(self), Arc::clone(watched));
            drop(looks.spawn(async move { operator.look_again(&watched).await }));
        }
        let all = async { while looks.join_next().await.is_some() {} };
        // Those that have not answered then are not known.
        drop(timeout(FIND_OUT_LIMIT, all).await);
    }

    /// The monitor, or somebody who is logged in, shall ask what has become of the sessions that a process before
    /// this one left.
    pub(super) async fn ask_for_orphans(&self) {
        for watched in self.watched.iter().filter(|watched| !watched.server.known.orphans().is_empty()) {
            if let Some(record) = self.switch.roster().anybody_on(watched.name()) {
                record.request_to_ask();
            } else {
                self.look_again(watched).await;
            }
        }
    }

    /// What was said of the servers' quiet before says nothing any more.
    pub(super) fn forget_evidence(&self) {
        for watched in &self.watched {
            watched.evidence().forget();
        }
    }

    /// What is known of the quiet of all servers together.
    pub(super) fn quiet(&self) -> Quiet {
        Quiet::of_all(self.watched.iter().map(|watched| watched.evidence().quiet()))
    }

    /// What the monitors found; none where there is no monitor.
    pub(super) fn check_told(&self) -> Option<CheckTold> {
        self.watched.iter().find(|watched| watched.monitor.is_some())?;
        let each = |of: fn(&Evidence) -> Option<String>| self.told_of_each(|watched| of(&watched.evidence()));
        let report = if let [only] = self.watched.as_slice() {
            only.evidence().report.as_deref().cloned()
        } else {
            let all: Vec<Checked> = self.watched.iter().map(|watched| watched.checked()).collect();
            CheckReport::of_all(all)
        };
        let mut problem = each(|evidence| evidence.problem.clone());
        if let (None, Some(unwatched)) = (&problem, self.unwatched()) {
            problem = Some(format!("{}: {NO_MONITOR}", unwatched.name()));
        }
        Some(CheckTold { wal: each(|evidence| evidence.wal.clone()), problem, report })
    }

    /// A text of each server that has one, with its name where there are several.
    pub(super) fn told_of_each(&self, of: impl Fn(&Watched) -> Option<String>) -> Option<String> {
        if let [only] = self.watched.as_slice() {
            return of(only);
        }
        let named = |watched: &Arc<Watched>| Some(format!("{}: {}", watched.name(), of(watched)?));
        let told: Vec<String> = self.watched.iter().filter_map(named).collect();
        Some(told.join("; ")).filter(|told| !told.is_empty())
    }

    /// Each server as the status tells it.
    pub(super) fn upstreams_told(&self) -> Vec<UpstreamTold> {
        let (state, sessions) = (self.switch.state(), self.switch.roster().all());
        let told = |watched: &Arc<Watched>| {
            let is_there = |upstream: &str| upstream == watched.name();
            let count = sessions.iter().filter(|record| is_there(&record.identity.upstream)).count();
            watched.told(&state, count)
        };
        self.watched.iter().map(told).collect()
    }

    /// Reads the files of the monitors' connection strings again: each server's name, and what came of it.
    pub fn reload_monitors(&self) -> Vec<(String, Result<(), TlsError>)> {
        let reload =
            |watched: &Arc<Watched>| Some((watched.name().to_owned(), watched.monitor.as_ref()?.reload()));
        self.watched.iter().filter_map(reload).collect()
    }
}
