//! What is known of the server behind the proxy: whether it is one server or a pooler, its version, its identity,
//! which databases have login triggers and loopholes, and which of its sessions a process before this one left behind. Sessions
//! ask, by a question that is put together here, and what they are answered is learned here.

use super::loopholes;
use crate::{
    freeze::{Epoch, Gate},
    sql::Loopholes,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

/// Databases that are remembered; what is beyond is asked anew each time.
const DATABASES_LIMIT: usize = 10_000;
/// While frozen a database is asked anew when so many seconds have passed and a session comes: what runs by the
/// maintenance listener may make loopholes and triggers.
const ASKED_ANEW: u64 = 10;
/// The version since which there are login triggers. Source: manual, "Event Triggers", PostgreSQL 17.
const LOGIN_TRIGGERS: u32 = 17;

/// See the module's text.
#[derive(Debug, Default)]
pub struct ServerKnowledge {
    version: AtomicU32,
    exempt: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whether the process that answers is the one that logged in.
    is_pooler: Option<bool>,
    identity: Option<String>,
    /// A session may ask for the identity, and shall.
    may_identify: bool,
    databases: HashMap<String, Database>,
    orphans: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Database {
    /// Behind which gate it was asked last.
    asked: Epoch,
    /// When, in seconds since 1970.
    asked_at: u64,
    /// The server went away since: whoever comes asks anew. Until then loopholes are kept, and a trigger may be there.
    is_forgotten: bool,
    has_login_triggers: bool,
    /// Somebody was told its loopholes, at any time.
    has_answered: bool,
    loopholes: Arc<Loopholes>,
}

/// What a session shall ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The SQL; every name in it is qualified.
    pub sql: String,
}

/// What came of an answer that the asking session must act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// Another process answers than the one that logged in: this session can have no fence.
    pub is_pooler: bool,
}

impl ServerKnowledge {
    /// What the server said of its version at a login: `15.18 (Debian …)`, `18beta1`.
    pub fn learn_version(&self, text: &str) {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        if let Ok(major) = digits.parse() {
            self.version.store(major, Ordering::Relaxed);
        }
    }

    /// The major version; none before the first login.
    pub fn version(&self) -> Option<u32> {
        Some(self.version.load(Ordering::Relaxed)).filter(|major| *major > 0)
    }

    /// So many statements ran there behind the shut gate, in sessions for whom it does not hold.
    pub fn note_exempt(&self, statements: u32) {
        self.exempt.fetch_add(statements.into(), Ordering::Relaxed);
    }

    /// How many have.
    pub fn exempt(&self) -> u64 {
        self.exempt.load(Ordering::Relaxed)
    }

    /// Whether a pooler stands behind the proxy; none before anybody asked.
    pub fn is_pooler(&self) -> Option<bool> {
        self.lock().is_pooler
    }

    /// `system_identifier`; none before anybody asked, or where the server would not tell.
    pub fn identity(&self) -> Option<String> {
        self.lock().identity.clone()
    }

    /// Whether a login to that database may run a trigger before the fence is up. Where nobody knows, it may.
    pub fn may_have_login_triggers(&self, database: &str) -> bool {
        if self.version().is_some_and(|major| major < LOGIN_TRIGGERS) {
            return false;
        }
        self.lock().databases.get(database).is_none_or(|known| known.has_login_triggers)
    }

    /// Server sessions that a process before this one left behind, and that may still be at something.
    pub fn orphans(&self) -> Vec<u32> {
        self.lock().orphans.clone()
    }

    /// A process before this one left these behind.
    pub fn set_orphans(&self, orphans: Vec<u32>) {
        self.lock().orphans = orphans;
    }

    /// The server could not be reached: what comes back may be another one.
    pub fn forget(&self) {
        let mut inner = self.lock();
        (inner.is_pooler, inner.identity, inner.may_identify) = (None, None, false);
        for known in inner.databases.values_mut() {
            (known.is_forgotten, known.has_login_triggers) = (true, true);
        }
    }

    /// The identity is not known, and whoever asked last may ask for it.
    pub fn wants_identity(&self) -> bool {
        self.lock().may_identify
    }

    /// The server's identity was learned by other means.
    pub fn learn_identity(&self, identity: String) {
        self.lock().identity = Some(identity);
    }

    /// Of the orphans only these have not ended yet.
    pub fn keep_orphans(&self, is_alive: impl Fn(u32) -> bool) {
        self.lock().orphans.retain(|pid| is_alive(*pid));
    }

    /// What a session of that database should ask now, if anything. The first that is told shall do it: the
    /// others of the same database, behind the same gate, are told nothing.
    pub fn question(&self, database: &str, gate: Gate, now: u64) -> Option<Question> {
        let mut inner = self.lock();
        let known = inner.databases.get(database).cloned();
        let is_new = known.as_ref().is_none_or(|known| {
            let is_old = gate.is_shut() && now.saturating_sub(known.asked_at) >= ASKED_ANEW;
            known.asked < gate.epoch() || is_old || known.is_forgotten
        });
        if !is_new && inner.orphans.is_empty() && inner.is_pooler.is_some() {
            return None;
        }
        if known.is_some() || inner.databases.len() < DATABASES_LIMIT {
            // Until it is answered, a trigger may be there.
            let has_login_triggers = known.as_ref().is_none_or(|known| known.has_login_triggers);
            let has_answered = known.as_ref().is_some_and(|known| known.has_answered);
            let loopholes = known.map_or_else(Arc::default, |known| known.loopholes);
            inner.databases.insert(
                database.into(),
                Database {
                    asked: gate.epoch(),
                    asked_at: now,
                    is_forgotten: false,
                    has_answered,
                    has_login_triggers,
                    loopholes,
                },
            );
        }
        drop(inner);
        Some(self.ask_all())
    }

    /// The question, whoever asks it: process id; whether the database has login triggers; whether the role may ask
    /// for the identity, which is then asked apart, as an error would leave everything unanswered; which orphans live.
    pub fn ask(&self) -> Question {
        if std::mem::take(&mut self.lock().may_identify) {
            let sql = "SELECT pg_catalog.concat_ws(' ', 'identity', (SELECT c.system_identifier \
                       FROM pg_catalog.pg_control_system() c))";
            return Question { sql: sql.into() };
        }
        self.ask_all()
    }

    fn ask_all(&self) -> Question {
        let triggers = if self.version().is_some_and(|major| major >= LOGIN_TRIGGERS) {
            "(SELECT d.dathasloginevt FROM pg_catalog.pg_database d \
             WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())"
        } else {
            "false"
        };
        let orphans: Vec<String> = self.orphans().iter().map(ToString::to_string).collect();
        let sql = format!(
            "SELECT pg_catalog.concat_ws(' ', pg_catalog.pg_backend_pid(), {triggers}, \
             pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'), \
             (SELECT pg_catalog.string_agg(a.pid::pg_catalog.text, ' ') FROM pg_catalog.pg_stat_activity a \
             WHERE a.pid OPERATOR(pg_catalog.=) ANY ('{{{}}}'::pg_catalog.int4[])))",
            orphans.join(",")
        );
        Question { sql }
    }

    /// What the session with that process id was answered. `alive` tells of a process id whether it is one of
    /// this process's own sessions: an orphan's number may have been given anew.
    pub fn learn(
        &self,
        database: &str,
        process_id: u32,
        answer: &str,
        is_own: impl Fn(u32) -> bool,
    ) -> Option<Learned> {
        let mut words = answer.split(' ');
        let first = words.next()?;
        if first == "identity" {
            self.lock().identity = words.next().map(str::to_owned);
            return Some(Learned { is_pooler: false });
        }
        let answering: u32 = first.parse().ok()?;
        let has_login_triggers = matches!(words.next()?, "t" | "true");
        let may_identify = matches!(words.next()?, "t" | "true");
        let living: Vec<u32> =
            words.filter_map(|word| word.parse().ok()).filter(|pid| !is_own(*pid)).collect();
        let is_pooler = answering != process_id;
        let mut inner = self.lock();
        inner.is_pooler = Some(is_pooler);
        inner.may_identify = may_identify && inner.identity.is_none() && !is_pooler;
        inner.orphans.retain(|pid| living.contains(pid));
        if let Some(known) = inner.databases.get_mut(database) {
            known.has_login_triggers = has_login_triggers;
        }
        Some(Learned { is_pooler })
    }

    /// What a session of that database asks when it was answered the other question.
    pub fn ask_loopholes(&self) -> Question {
        Question { sql: loopholes::question() }
    }

    /// Whether it was an answer about loopholes, and other ones than were known: then sessions must take note.
    /// `None`: it was the answer to another question.
    pub fn learn_loopholes(&self, database: &str, answer: &[u8]) -> Option<bool> {
        let found = loopholes::read(answer)?;
        let mut inner = self.lock();
        let Some(known) = inner.databases.get_mut(database) else { return Some(false) };
        known.has_answered = true;
        let differs = *known.loopholes != found;
        if differs {
            known.loopholes = Arc::new(found);
        }
        Some(differs)
    }

    /// They could not be asked for. What was known is kept; else any function may be one, until somebody is answered.
    /// Tells whether sessions must take note.
    pub fn miss_loopholes(&self, database: &str) -> bool {
        let mut inner = self.lock();
        let Some(known) = inner.databases.get_mut(database) else { return false };
        known.is_forgotten = true;
        let is_new = !known.has_answered && *known.loopholes != Loopholes::unknown();
        if is_new {
            known.loopholes = Arc::new(Loopholes::unknown());
        }
        is_new
    }

    /// The loopholes of a database, as far as they are known.
    pub fn loopholes(&self, database: &str) -> Arc<Loopholes> {
        self.lock().databases.get(database).map_or_else(Arc::default, |known| Arc::clone(&known.loopholes))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change above leaves it whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freeze::Phase;

    fn gate(epoch: u64) -> Gate {
        Gate::new(Epoch(epoch), Phase::Open)
    }

    #[test]
    fn the_identity_is_asked_for_by_one_that_may_and_again_when_the_server_was_away() {
        let server = ServerKnowledge::default();
        server.learn("a", 7, "7 f t", |_| false);
        assert!(server.wants_identity());
        assert!(server.ask().sql.contains("pg_control_system() c"));
        assert!(!server.ask().sql.contains("pg_control_system() c"), "it is asked once");
        server.learn("a", 7, "identity 7123", |_| false);
        assert_eq!(server.identity().as_deref(), Some("7123"));
        server.learn("a", 7, "7 f t", |_| false);
        assert!(!server.wants_identity(), "it is known");
        server.forget();
        assert_eq!(server.identity(), None);
        server.learn("a", 7, "7 f t", |_| false);
        assert!(server.wants_identity());
    }

    #[test]
    fn one_session_asks_for_each_database_and_gate() {
        let server = ServerKnowledge::default();
        server.learn_version("18.4");
        assert!(server.may_have_login_triggers("a"), "nobody knows");
        assert!(server.question("a", gate(0), 0).unwrap().sql.contains("dathasloginevt"));
        assert_eq!(server.learn("a", 7, "7 f f", |_| false), Some(Learned { is_pooler: false }));
        assert!(!server.may_have_login_triggers("a"));
        assert_eq!(server.question("a", gate(0), 0), None);
        assert!(server.question("b", gate(0), 0).is_some());
        assert!(server.question("a", gate(1), 0).is_some(), "a trigger may have been made since");
        assert_eq!(server.question("a", gate(1), 0), None);
    }

    #[test]
    fn loopholes_are_told_when_they_are_others_than_before() {
        let server = ServerKnowledge::default();
        server.question("a", gate(0), 0);
        assert_eq!(server.learn_loopholes("a", b"7 f"), None);
        assert_eq!(server.learn_loopholes("a", b"loopholes"), Some(false));
        assert_eq!(server.learn_loopholes("a", b"loopholes\nwf_reset"), Some(true));
        server.question("a", gate(1), 0);
        assert!(!server.loopholes("a").is_empty(), "until it was asked anew");
        assert_eq!(server.learn_loopholes("a", b"loopholes\nwf_reset"), Some(false));
        assert!(server.loopholes("b").is_empty());
        server.forget();
        assert!(!server.loopholes("a").is_empty(), "a server that went away may come back as it was");
        assert!(server.question("a", gate(1), 0).is_some());
    }

    #[test]
    fn behind_a_shut_gate_a_database_is_asked_anew_after_a_while() {
        let server = ServerKnowledge::default();
        let shut = gate(1).at(Phase::Frozen);
        assert!(server.question("a", shut, 100).is_some());
        server.learn("a", 7, "7 f f", |_| false);
        assert_eq!(server.question("a", shut, 109), None);
        assert!(server.question("a", shut, 110).is_some());
        assert_eq!(server.question("a", gate(1), 1000), None, "not while open");
    }

    #[test]
    fn another_process_that_answers_is_a_pooler() {
        let server = ServerKnowledge::default();
        assert_eq!(server.learn("a", 7, "8 f t", |_| false), Some(Learned { is_pooler: true }));
        assert_eq!(server.is_pooler(), Some(true));
        assert_eq!(server.learn("a", 7, "nonsense", |_| false), None);
    }

    #[test]
    fn orphans_are_asked_for_until_none_is_left() {
        let server = ServerKnowledge::default();
        server.learn_version("15.18 (Debian 15.18-0+deb12u1)");
        server.set_orphans(vec![11, 12, 13]);
        assert!(server.question("a", gate(0), 0).unwrap().sql.contains("'{11,12,13}'"));
        server.learn("a", 7, "7 false false 11 13", |pid| pid == 13);
        assert_eq!(server.orphans(), [11], "13 is a session of our own by now");
        assert!(server.question("a", gate(0), 0).is_some());
        server.learn("a", 7, "7 false false", |_| false);
        assert_eq!(server.question("a", gate(0), 0), None);
        assert!(!server.may_have_login_triggers("anything"), "there are none before 17");
    }
}
