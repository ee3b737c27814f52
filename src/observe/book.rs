//! Who tried to write what, since when, how often: the answer to `frostgate refused`, and what the audit damps
//! by. Bounded: when it is full, the entry that has been quiet longest makes room, and its count is kept in a sum.

use crate::sql::{describe, fingerprint};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// Entries that are kept.
pub(super) const BOOK_LIMIT: usize = 1_000;

/// By what refusals are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The role.
    pub user: Arc<str>,
    /// The database.
    pub database: Arc<str>,
    /// The name that the client gave itself then.
    pub application: Arc<str>,
    /// Where it came from; none for a Unix socket.
    pub client: Option<IpAddr>,
    /// The shape of the statement, or its command alone where the text is not known.
    pub fingerprint: u64,
}

/// What is told of one kind of refused statement.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The role.
    pub user: Arc<str>,
    /// The database.
    pub database: Arc<str>,
    /// The name that the client gave itself then.
    pub application: Arc<str>,
    /// Where it came from.
    pub client: String,
    /// The class; `rejected` if the server said no because of the fence.
    pub class: &'static str,
    /// The command word.
    pub command: Arc<str>,
    /// The tables that it would have written.
    pub tables: Vec<String>,
    /// Why it was refused.
    pub why: String,
    /// The shape, in hexadecimal.
    pub fingerprint: String,
    /// The shape as a text without literals; only by setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// When it was tried first.
    pub first: Timestamp,
    /// When it was tried last.
    pub last: Timestamp,
    /// How often.
    pub count: u64,
    /// How much of the count has been told in the audit.
    #[serde(skip)]
    pub(super) told: u64,
    #[serde(skip)]
    pub(super) told_at: Option<Timestamp>,
}

/// What was tried.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The class's word.
    pub class: &'static str,
    /// The command word.
    pub command: String,
    /// Why it was refused.
    pub why: String,
    /// The statement's text as far as it was kept; it is not kept here.
    pub text: Box<[u8]>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Book {
    entries: HashMap<Key, Entry>,
    /// Counts of entries that made room.
    forgotten: u64,
    keeps_statements: bool,
}

impl Book {
    /// An empty book; `keeps_statements` is the setting that shapes may be shown.
    pub fn new(keeps_statements: bool) -> Self {
        Self { keeps_statements, ..Self::default() }
    }

    /// The shape that a tried statement is told apart by.
    pub fn shape(tried: &Tried) -> u64 {
        if tried.text.is_empty() {
            fingerprint(tried.command.as_bytes()).hash
        } else {
            fingerprint(&tried.text).hash
        }
    }

    /// One more was tried. The text is described only the first time that its shape is seen from there.
    pub fn note(&mut self, key: Key, tried: &Tried, now: Timestamp) -> &mut Entry {
        if !self.entries.contains_key(&key) && self.entries.len() >= BOOK_LIMIT {
            self.make_room();
        }
        let keeps = self.keeps_statements;
        let entry = self.entries.entry(key).or_insert_with_key(|key| Entry {
            user: Arc::clone(&key.user),
            database: Arc::clone(&key.database),
            application: Arc::clone(&key.application),
            client: key.client.map_or_else(|| "local".to_owned(), |ip| ip.to_string()),
            class: tried.class,
            command: tried.command.as_str().into(),
            tables: if tried.text.is_empty() { Vec::new() } else { describe(&tried.text).tables },
            why: tried.why.clone(),
            fingerprint: format!("{:016x}", key.fingerprint),
            statement: (keeps && !tried.text.is_empty()).then(|| fingerprint(&tried.text).normalized),
            first: now,
            last: now,
            count: 0,
            told: 0,
            told_at: None,
        });
        entry.last = now;
        entry.count = entry.count.saturating_add(1);
        entry
    }

    /// All entries, the most frequent first.
    pub fn entries(&self) -> Vec<Entry> {
        let mut all: Vec<Entry> = self.entries.values().cloned().collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then(a.first.cmp(&b.first)));
        all
    }

    /// All entries, to be told of.
    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }

    /// How many were counted by entries that are gone.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many were counted, those by entries that are gone among them.
    pub fn total(&self) -> u64 {
        self.entries.values().fold(self.forgotten, |sum, entry| sum.saturating_add(entry.count))
    }

    fn make_room(&mut self) {
        let quietest = self.entries.iter().min_by_key(|(_, entry)| entry.last).map(|(key, _)| key.clone());
        if let Some(entry) = quietest.and_then(|key| self.entries.remove(&key)) {
            self.forgotten = self.forgotten.saturating_add(entry.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fingerprint: u64) -> Key {
        let (user, database, application) = ("ann".into(), "db".into(), "psql".into());
        Key { user, database, application, client: None, fingerprint }
    }

    fn tried() -> Tried {
        Tried { class: "write", command: "INSERT".into(), why: String::new(), text: Box::default() }
    }

    #[test]
    fn the_book_is_bounded_and_what_makes_room_stays_counted() {
        let mut book = Book::new(false);
        for n in 0..BOOK_LIMIT + 5 {
            let at = Timestamp::from_second(i64::try_from(n).unwrap()).unwrap();
            book.note(key(u64::try_from(n).unwrap()), &tried(), at);
        }
        assert_eq!((book.entries().len(), book.forgotten(), book.total()), (BOOK_LIMIT, 5, 1_005));
        assert!(!book.entries().iter().any(|e| e.fingerprint == format!("{:016x}", 0)));
    }

    #[test]
    fn first_last_and_count_tell_the_story() {
        let mut book = Book::new(false);
        for second in [10, 20, 30] {
            book.note(key(1), &tried(), Timestamp::from_second(second).unwrap());
        }
        let entry = &book.entries()[0];
        assert_eq!((entry.count, entry.first.as_second(), entry.last.as_second()), (3, 10, 30));
    }
}
