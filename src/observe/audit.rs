//! The audit: JSON, a line each. What an operator did is told at once; what clients were refused is damped: one
//! line for a shape, an application and a user in an interval, with the count since the last one.

use super::book::{Book, Entry, Key, Tried};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// One line.
#[derive(Debug, Serialize)]
pub struct Line<'a, T: Serialize> {
    /// When it was written.
    pub time: Timestamp,
    /// What it is about: `freeze`, `thaw`, `frozen`, `refused`, `maintenance_login` …
    pub event: &'a str,
    /// The rest.
    #[serde(flatten)]
    pub facts: T,
}

/// A line as text, without its end.
pub fn line<T: Serialize>(time: Timestamp, event: &str, facts: T) -> String {
    serde_json::to_string(&Line { time, event, facts })
        .unwrap_or_else(|error| format!("{{\"event\":\"audit_failed\",\"problem\":\"{error}\"}}"))
}

/// What a damped line tells beside the entry.
#[derive(Debug, Serialize)]
struct Damped<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    /// Since the last line.
    since_last_line: u64,
}

/// Refused statements, as they come and as they are told.
#[derive(Debug)]
pub struct Audit {
    book: Book,
    interval: Duration,
}

impl Audit {
    /// An audit that tells of each kind of refused statement once in that interval.
    pub fn new(interval: Duration, keeps_statements: bool) -> Self {
        Self { book: Book::new(keeps_statements), interval }
    }

    /// What has been refused so far.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// One more was refused: the line that is to be written now, if any.
    pub fn note(&mut self, key: Key, tried: &Tried, now: Timestamp) -> Option<String> {
        let interval = self.interval;
        let entry = self.book.note(key, tried, now);
        is_due(entry, interval, now).then(|| tell(entry, now))
    }

    /// Lines for what was counted and not told, whose interval is over.
    pub fn due(&mut self, now: Timestamp) -> Vec<String> {
        let interval = self.interval;
        let due = self.book.entries_mut().filter(|entry| is_due(entry, interval, now));
        due.map(|entry| tell(entry, now)).collect()
    }
}

fn is_due(entry: &Entry, interval: Duration, now: Timestamp) -> bool {
    let waits = |told_at: Timestamp| now.duration_since(told_at).unsigned_abs() < interval;
    entry.count > entry.told && !entry.told_at.is_some_and(waits)
}

fn tell(entry: &mut Entry, now: Timestamp) -> String {
    let since_last_line = entry.count.saturating_sub(entry.told);
    (entry.told, entry.told_at) = (entry.count, Some(now));
    line(now, "refused", Damped { entry, since_last_line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_one_kind_is_one_line_an_interval_and_every_one_is_counted() {
        let mut audit = Audit::new(Duration::from_mins(1), false);
        let key = Key {
            user: "ann".into(),
            database: "db".into(),
            application: "worker".into(),
            client: None,
            fingerprint: 7,
        };
        let tried = Tried { class: "write", command: "INSERT".into(), why: "x".into(), text: Box::default() };
        let at = |second| Timestamp::from_second(second).unwrap();
        let lines: Vec<String> = (0..59).filter_map(|s| audit.note(key.clone(), &tried, at(s))).collect();
        assert_eq!(lines.len(), 1);
        assert!(audit.due(at(59)).is_empty());
        let later = audit.due(at(60));
        assert_eq!(later.len(), 1);
        assert!(
            later[0].contains("\"count\":59") && later[0].contains("\"since_last_line\":58"),
            "{later:?}"
        );
        assert!(audit.due(at(1000)).is_empty(), "nothing new is not told again");
    }
}
