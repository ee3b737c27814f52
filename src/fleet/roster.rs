//! The sessions that there are. The lock is taken when a session comes, goes or is looked at, and never for a message.

use super::{
    census::Census,
    entrance::Entrance,
    identity::Identity,
    processes::{Processes, Recent},
    session_record::SessionRecord,
};
use crate::{freeze::Gate, wire::startup::CancelKey};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// All sessions that have logged in.
#[derive(Debug, Default)]
pub struct Roster {
    sessions: Mutex<HashMap<u64, Arc<SessionRecord>>>,
    /// By server: process ids are unique on one only. As many as are configured.
    recent: Mutex<HashMap<Arc<str>, Recent>>,
    next_id: AtomicU64,
    /// Logins that the server is at, begun while the gate was open, in which a trigger may write.
    logins: AtomicUsize,
}

/// Counted as long as it lives.
#[derive(Debug)]
pub struct LoginUnderWay<'a>(&'a Roster);

impl Drop for LoginUnderWay<'_> {
    fn drop(&mut self) {
        self.0.logins.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Roster {
    /// The server is at a login in which a trigger may write.
    pub fn begin_login(&self) -> LoginUnderWay<'_> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        LoginUnderWay(self)
    }

    /// A number for a new connection.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// A session has logged in. From now on a drain waits for its word.
    pub fn enter(&self, identity: Identity, application: &str) -> Arc<SessionRecord> {
        let id = identity.id;
        let record = Arc::new(SessionRecord::new(identity, application));
        lock(&self.sessions).insert(id, Arc::clone(&record));
        if let Some(key) = &record.identity.cancel_key {
            let who = &record.identity;
            let mut recent = lock(&self.recent);
            recent.entry(Arc::clone(&who.upstream)).or_default().enter(key.process_id, who.entrance);
        }
        record
    }

    /// A session is known to have ended on the server's side too.
    pub fn leave(&self, id: u64) {
        let left = lock(&self.sessions).remove(&id);
        if let Some(record) = left {
            let who = &record.identity;
            lock(&self.recent).entry(Arc::clone(&who.upstream)).or_default().leave(who.entrance);
        }
    }

    /// That server's processes of all sessions, as of now.
    pub fn processes(&self, upstream: &str) -> Processes {
        let mut processes = Processes::default();
        // In this order, and the other one in `enter`, nobody is missed.
        if let Some(recent) = lock(&self.recent).get(upstream) {
            recent.note(&mut processes);
        }
        for record in lock(&self.sessions).values().filter(|record| &*record.identity.upstream == upstream) {
            if let Some(key) = &record.identity.cancel_key {
                // For whom the freeze does not hold may write, wherever it came in.
                let entrance =
                    if record.report().is_spared { Entrance::Maintenance } else { record.identity.entrance };
                processes.add(key.process_id, entrance);
            }
        }
        processes
    }

    /// Adds those that came to that server since.
    pub fn add_since(&self, upstream: &str, processes: &mut Processes) {
        if let Some(recent) = lock(&self.recent).get(upstream) {
            recent.add_since(processes);
        }
    }

    /// Somebody on that server.
    pub fn anybody_on(&self, upstream: &str) -> Option<Arc<SessionRecord>> {
        lock(&self.sessions).values().find(|record| &*record.identity.upstream == upstream).cloned()
    }

    /// Everybody, as of now.
    pub fn all(&self) -> Vec<Arc<SessionRecord>> {
        lock(&self.sessions).values().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The session that a cancel request means, if its key is right. Two servers may have given out the same key: then
    /// nobody can tell whose it is, and it means neither.
    pub fn by_cancel_key(&self, key: &CancelKey) -> Option<Arc<SessionRecord>> {
        let sessions = lock(&self.sessions);
        let mut found = sessions.values().filter(|record| record.identity.cancel_key.as_ref() == Some(key));
        let only = found.next().cloned();
        only.filter(|_| found.next().is_none())
    }

    /// Whether one of our sessions has that process of that server.
    pub fn has_process(&self, upstream: &str, pid: u32) -> bool {
        let has = |who: &Identity| {
            &*who.upstream == upstream && who.cancel_key.as_ref().is_some_and(|key| key.process_id == pid)
        };
        lock(&self.sessions).values().any(|record| has(&record.identity))
    }

    /// Wakes everybody.
    pub fn wake_all(&self) {
        for record in lock(&self.sessions).values() {
            record.wake();
        }
    }

    /// How everybody stands with regard to that gate.
    pub fn census(&self, gate: Gate) -> Census {
        let mut census = Census { logins: self.logins.load(Ordering::SeqCst), ..Census::default() };
        for record in lock(&self.sessions).values() {
            census.count(record, gate);
        }
        census
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is a map: it is whole even if a holder panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(process_id: u32, secret: u8) -> CancelKey {
        CancelKey { process_id, secret: [secret; 4].into() }
    }

    #[test]
    fn the_same_process_id_on_two_servers_is_two_processes() {
        let roster = Roster::default();
        drop(roster.enter(Identity::on("a", 1, key(70, 1)), ""));
        drop(roster.enter(Identity::on("b", 2, key(71, 2)), ""));
        assert!(roster.has_process("a", 70) && !roster.has_process("b", 70));
        let mut on_b = roster.processes("b");
        assert_eq!(on_b.ordinary, [71].into());
        drop(roster.enter(Identity::on("a", 3, key(72, 1)), ""));
        roster.leave(1);
        roster.add_since("b", &mut on_b);
        assert_eq!((on_b.ordinary, on_b.ended), ([71].into(), 0), "72 came to a, and one of a ended");
        assert_eq!(roster.anybody_on("b").map(|record| record.identity.id), Some(2));
        assert!(roster.anybody_on("c").is_none());
    }

    #[test]
    fn a_cancel_key_means_the_session_that_has_all_of_it_and_none_where_two_have() {
        let roster = Roster::default();
        drop(roster.enter(Identity::on("a", 1, key(70, 1)), ""));
        drop(roster.enter(Identity::on("b", 2, key(70, 2)), ""));
        let meant = |key: &CancelKey| roster.by_cancel_key(key).map(|record| record.identity.id);
        assert_eq!((meant(&key(70, 1)), meant(&key(70, 2)), meant(&key(70, 3))), (Some(1), Some(2), None));
        drop(roster.enter(Identity::on("c", 3, key(70, 2)), ""));
        assert_eq!(meant(&key(70, 2)), None, "it may be either's");
    }
}
