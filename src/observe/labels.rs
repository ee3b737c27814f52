//! Counters with labels that clients choose: exact in sum, bounded in number. The most frequent label sets are
//! shown by name, all others together as `other`; what has once been counted there stays there, so that no
//! counter ever goes down.

use crate::sql::StatementClass;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Label sets shown by name.
const SHOWN_LIMIT: usize = 100;
/// Label sets counted apart, so that the frequent among them can come to be shown.
const KNOWN_LIMIT: usize = 10_000;
/// What all others are called.
pub(super) const OTHER: &str = "other";

/// One set of labels and its counters by class.
#[derive(Debug)]
pub struct Labels {
    /// The database.
    pub database: Arc<str>,
    /// The role.
    pub user: Arc<str>,
    /// The name that the client gives itself.
    pub application: Arc<str>,
    counts: [AtomicU64; 8],
}

impl Labels {
    fn new(database: &str, user: &str, application: &str) -> Self {
        Self {
            database: database.into(),
            user: user.into(),
            application: application.into(),
            counts: Default::default(),
        }
    }

    /// Counts one of that class.
    pub fn count(&self, class: StatementClass) {
        if let Some((counter, _)) = self.counts.iter().zip(StatementClass::ALL).find(|(_, c)| *c == class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self) -> [u64; 8] {
        std::array::from_fn(|at| self.counts.get(at).map_or(0, |n| n.load(Ordering::Relaxed)))
    }
}

/// One counter as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The class.
    pub class: StatementClass,
    /// The database, or `other`.
    pub database: Arc<str>,
    /// The role, or `other`.
    pub user: Arc<str>,
    /// The application, or `other`.
    pub application: Arc<str>,
    /// The count.
    pub count: u64,
}

/// All label sets.
#[derive(Debug)]
pub struct LabelBook {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    known: HashMap<[Arc<str>; 3], Entry>,
    other: Arc<Labels>,
    /// What was counted by sets while they were not shown.
    hidden: [u64; 8],
}

#[derive(Debug)]
struct Entry {
    labels: Arc<Labels>,
    is_shown: bool,
    /// Counted while it was not shown: that stays with `other`.
    hidden: [u64; 8],
}

impl Default for LabelBook {
    fn default() -> Self {
        let other = Arc::new(Labels::new(OTHER, OTHER, OTHER));
        Self { inner: Mutex::new(Inner { known: HashMap::new(), other, hidden: [0; 8] }) }
    }
}

impl LabelBook {
    /// The counters of that set; those of `other` if there are too many already.
    pub fn labels(&self, database: &str, user: &str, application: &str) -> Arc<Labels> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let key: [Arc<str>; 3] = [database.into(), user.into(), application.into()];
        if let Some(entry) = inner.known.get(&key) {
            return Arc::clone(&entry.labels);
        }
        if inner.known.len() >= KNOWN_LIMIT {
            return Arc::clone(&inner.other);
        }
        let labels = Arc::new(Labels::new(database, user, application));
        let entry = Entry { labels: Arc::clone(&labels), is_shown: false, hidden: [0; 8] };
        inner.known.insert(key, entry);
        labels
    }

    /// All counters that are not 0, as of now, and how many of them there are in all.
    pub fn samples(&self) -> Vec<Sample> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.promote();
        let mut samples = Vec::new();
        for entry in inner.known.values().filter(|entry| entry.is_shown) {
            let counts = entry.labels.read();
            let shown = counts.iter().zip(entry.hidden).map(|(n, hidden)| n.saturating_sub(hidden));
            push(&mut samples, &entry.labels, shown);
        }
        let (other, hidden) = (Arc::clone(&inner.other), inner.hidden);
        push(&mut samples, &other, other.read().iter().zip(hidden).map(|(n, h)| n.saturating_add(h)));
        samples
    }

    /// All that was ever counted.
    pub fn total(&self) -> u64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let known = inner.known.values().map(|entry| &entry.labels);
        known.chain([&inner.other]).flat_map(|labels| labels.read()).sum()
    }
}

impl Inner {
    /// What was counted by hidden sets since the last time goes to `other`; then the most frequent of them take
    /// the places that are free.
    fn promote(&mut self) {
        let mut shown = 0_usize;
        let mut candidates = Vec::new();
        for (key, entry) in &mut self.known {
            if entry.is_shown {
                shown = shown.saturating_add(1);
                continue;
            }
            let counts = entry.labels.read();
            let total: u64 = counts.iter().sum();
            if total > 0 {
                candidates.push((total, key.clone()));
            }
        }
        candidates.sort_by(|a, b| b.cmp(a));
        let free = SHOWN_LIMIT.saturating_sub(shown);
        for (_, key) in candidates.iter().take(free) {
            if let Some(entry) = self.known.get_mut(key) {
                entry.is_shown = true;
            }
        }
        for entry in self.known.values_mut().filter(|entry| !entry.is_shown) {
            let counts = entry.labels.read();
            for ((total, hidden), now) in self.hidden.iter_mut().zip(&mut entry.hidden).zip(counts) {
                *total = total.saturating_add(now.saturating_sub(*hidden));
                *hidden = now;
            }
        }
    }
}

fn push(samples: &mut Vec<Sample>, labels: &Labels, counts: impl Iterator<Item = u64>) {
    for (class, count) in StatementClass::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
        samples.push(Sample {
            class,
            database: Arc::clone(&labels.database),
            user: Arc::clone(&labels.user),
            application: Arc::clone(&labels.application),
            count,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_label_sets_are_shown_and_the_rest_are_other_and_nothing_is_lost() {
        let book = LabelBook::default();
        for n in 0..SHOWN_LIMIT + 50 {
            let labels = book.labels("db", "ann", &format!("app{n}"));
            for _ in 0..=n {
                labels.count(StatementClass::Write);
            }
        }
        let samples = book.samples();
        assert_eq!(samples.len(), SHOWN_LIMIT + 1);
        assert_eq!(samples.iter().map(|s| s.count).sum::<u64>(), book.total());
        assert!(samples.iter().any(|s| &*s.application == "app149"), "the most frequent is shown");
        assert!(!samples.iter().any(|s| &*s.application == "app0"), "the rarest is not");
    }

    #[test]
    fn label_sets_that_are_counted_apart_are_bounded() {
        let book = LabelBook::default();
        for n in 0..KNOWN_LIMIT + 10 {
            book.labels("db", "ann", &n.to_string()).count(StatementClass::Ddl);
        }
        let last = book.labels("db", "ann", "one more");
        assert_eq!(&*last.application, OTHER);
        assert_eq!(book.samples().iter().map(|s| s.count).sum::<u64>(), 10_010);
    }
}
