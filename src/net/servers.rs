//! The servers behind the proxy: each with the way to it and what is known of it, and which of them a client's
//! database is on. Process ids and keys are a server's own: whoever has one of them has its server's name too.

use super::upstream::Upstream;
use crate::{
    config::{Config, Route, Upstreams},
    fleet::{Orphans, ServerKnowledge},
    tls::TlsError,
};
use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// One server.
#[derive(Debug)]
pub struct Server {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its name and its place: what is kept on disk of its sessions goes by this, as another server may have its name
    /// when it is read.
    pub key: Box<str>,
    /// The way to it.
    pub upstream: Upstream,
    /// What is known of it.
    pub known: ServerKnowledge,
    /// 0: it has not been tried, 1: it could not be reached, 2: it could.
    reached: AtomicU8,
}

impl Server {
    /// It could be reached, or could not: then what comes back may be another one.
    pub fn note_up(&self, is_up: bool) {
        self.reached.store(if is_up { 2 } else { 1 }, Ordering::Relaxed);
        if !is_up {
            self.known.forget();
        }
    }

    /// Whether it could be reached when it was last tried.
    pub fn is_up(&self) -> Option<bool> {
        match self.reached.load(Ordering::Relaxed) {
            0 => None,
            reached => Some(reached == 2),
        }
    }
}

/// All of them.
#[derive(Debug)]
pub struct Servers {
    all: Vec<Arc<Server>>,
    upstreams: Upstreams,
    lost: Orphans,
}

impl Servers {
    /// Those of the configuration; none is connected yet. `orphans` are what a process before this one left behind.
    ///
    /// # Errors
    /// A file that a connection string names is no good.
    pub fn new(config: &Config, mut orphans: Orphans) -> Result<Self, TlsError> {
        let mut all = Vec::new();
        for settings in config.upstreams.all() {
            let limits = &config.limits;
            let upstream =
                Upstream::new(settings.conninfo.clone(), limits.connect_timeout, limits.keepalive)?;
            let known = ServerKnowledge::default();
            let key = format!("{} {}", settings.name, settings.conninfo.place());
            known.set_orphans(orphans.remove(&key).unwrap_or_default());
            let (name, key) = (settings.name.as_str().into(), key.into());
            all.push(Arc::new(Server { name, key, upstream, known, reached: AtomicU8::new(0) }));
        }
        Ok(Self { all, upstreams: config.upstreams.clone(), lost: orphans })
    }

    /// In the order of the configuration.
    pub fn all(&self) -> &[Arc<Server>] {
        &self.all
    }

    /// The one of that name.
    pub fn of(&self, name: &str) -> Option<&Arc<Server>> {
        self.all.iter().find(|server| &*server.name == name)
    }

    /// The server that a client's database is on, and what it is called there, if it is called otherwise.
    pub fn route(&self, database: &str) -> Option<(Arc<Server>, Option<&str>)> {
        let Route { upstream, dbname } = self.upstreams.route(database)?;
        Some((Arc::clone(self.of(upstream)?), dbname))
    }

    /// What clients call the database that a server calls so, if it is another name than that.
    pub fn client_name(&self, dbname: &str) -> Option<&str> {
        self.upstreams.client_name(dbname)
    }

    /// What a process before this one left behind on servers that are not configured any more, or not by that name in that
    /// place: nobody can tell whether it has ended.
    pub fn lost(&self) -> &Orphans {
        &self.lost
    }

    /// Everything that was left behind and has not been seen to end.
    pub fn orphans(&self) -> Orphans {
        let known = self.all.iter().map(|server| (server.key.to_string(), server.known.orphans()));
        known.filter(|(_, pids)| !pids.is_empty()).chain(self.lost.clone()).collect()
    }
}
