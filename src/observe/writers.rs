//! Who writes, since the start: the answer to `frostgate writers`, known long before the first freeze. Workers count
//! by number and rough shape (`session/writes.rs`) and deliver once a second; here the numbers become names and the
//! texts become shapes. All of it is bounded, and what finds no room stays counted.

use crate::{
    fleet::Entrance,
    session::{WriterId, Written},
    sql::{describe, fingerprint},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Writers that are told apart; all others are one, which is called `other`.
pub const WRITERS_LIMIT: usize = 16_384;
/// Shapes that are told of one writer; when there are more, the one that has been quiet longest makes room.
pub const WRITER_SHAPES_LIMIT: usize = 64;
/// Counts that wait to be booked. The workers deliver once a second.
const INBOX_LIMIT: usize = 65_536;
/// Quarters of an hour that a writer's history keeps: a week.
const QUARTERS_LIMIT: usize = 672;
const QUARTER: i64 = 900;

/// By what writers are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Writer {
    /// The name that the client gives itself.
    pub application: Arc<str>,
    /// The role.
    pub user: Arc<str>,
    /// The database.
    pub database: Arc<str>,
    /// The client's network: see [`client_network`].
    pub network: Arc<str>,
    /// Whether it came by the maintenance listener.
    pub is_maintenance: bool,
}

impl Writer {
    /// The writer that a session's client is.
    pub fn new(who: &crate::fleet::Identity, application: &str) -> Self {
        Self {
            application: application.into(),
            user: (&*who.user).into(),
            database: (&*who.database).into(),
            network: client_network(who.client.map(|address| address.ip())).into(),
            is_maintenance: who.entrance == Entrance::Maintenance,
        }
    }
}

/// The network that a client counts to: 24 bits of an IPv4 address, 64 of an IPv6 address, `local` for a socket.
pub fn client_network(client: Option<IpAddr>) -> String {
    match client.map(|ip| ip.to_canonical()) {
        None => "local".into(),
        Some(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Some(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// One shape of a writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterShape {
    /// The shape, in hexadecimal; none where only the command is known.
    pub fingerprint: Option<String>,
    /// The class.
    pub class: String,
    /// The command word.
    pub command: String,
    /// The tables that it writes.
    pub tables: Vec<String>,
    /// The shape as a text without literals; only by setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// When it was first seen.
    pub first: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
    /// How often.
    pub count: u64,
}

/// One writer as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterEntry {
    /// The name that the client gives itself.
    pub application: String,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// The client's network.
    pub network: String,
    /// Whether it came by the maintenance listener.
    pub is_maintenance: bool,
    /// The first write, to the second.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// How many; with `since`, to the quarter of an hour.
    pub count: u64,
    /// In how many minutes: from the first, or from `since`, until now.
    pub minutes: u64,
    /// How often by command.
    pub commands: BTreeMap<String, u64>,
    /// All tables of its shapes.
    pub tables: Vec<String>,
    /// Its shapes, the most frequent first.
    pub shapes: Vec<WriterShape>,
    /// Counts of shapes that had to make room.
    pub forgotten: u64,
    /// Counts by the quarter of an hour that they fell into, the oldest first.
    pub quarters: Vec<(Timestamp, u64)>,
}

/// The answer to `writers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WritersReply {
    /// Since when writes have been counted.
    pub started: Timestamp,
    /// As of when.
    pub now: Timestamp,
    /// The most frequent first.
    pub writers: Vec<WriterEntry>,
    /// Writes that found no room anywhere.
    pub lost: u64,
}

/// See the module's text.
#[derive(Debug)]
pub struct Writers {
    registry: Mutex<Registry>,
    inbox: Mutex<Inbox>,
    book: Mutex<HashMap<WriterId, Account>>,
    started: Timestamp,
    keeps_statements: bool,
}

#[derive(Debug, Default)]
struct Registry {
    ids: HashMap<Writer, WriterId>,
    names: Vec<Writer>,
}

#[derive(Debug, Default)]
struct Inbox {
    waiting: Vec<Written>,
    lost: u64,
}

#[derive(Debug)]
struct Account {
    first: Timestamp,
    last: Timestamp,
    count: u64,
    commands: BTreeMap<&'static str, u64>,
    shapes: HashMap<(u64, &'static str), WriterShape>,
    forgotten: u64,
    quarters: VecDeque<(i64, u64)>,
}

impl Writers {
    /// Counts from then on; `keeps_statements` is the setting that shapes may be shown.
    pub fn new(started: Timestamp, keeps_statements: bool) -> Self {
        Self {
            registry: Mutex::default(),
            inbox: Mutex::default(),
            book: Mutex::default(),
            started,
            keeps_statements,
        }
    }

    /// The number that this writer's sessions count under. 0 is `other`.
    pub fn id(&self, writer: Writer) -> WriterId {
        let mut registry = lock(&self.registry);
        if let Some(id) = registry.ids.get(&writer) {
            return *id;
        }
        let next = u32::try_from(registry.names.len().saturating_add(1)).unwrap_or(0);
        if registry.names.len() >= WRITERS_LIMIT || next == 0 {
            return 0;
        }
        registry.names.push(writer.clone());
        registry.ids.insert(writer, next);
        next
    }

    /// A worker delivers what its sessions have counted, and how much found no room there.
    pub fn deliver(&self, mut counted: Vec<Written>, lost: u64) {
        let mut inbox = lock(&self.inbox);
        let room = INBOX_LIMIT.saturating_sub(inbox.waiting.len());
        let dropped: u64 = counted.iter().skip(room).map(|written| u64::from(written.count)).sum();
        counted.truncate(room);
        inbox.waiting.append(&mut counted);
        inbox.lost = inbox.lost.saturating_add(lost).saturating_add(dropped);
    }

    /// Books what has been delivered. Shapes are told here, away from the relays.
    pub fn settle(&self, now: Timestamp) {
        let waiting = std::mem::take(&mut lock(&self.inbox).waiting);
        if waiting.is_empty() {
            return;
        }
        let mut book = lock(&self.book);
        for written in waiting {
            book.entry(written.writer).or_insert_with(|| Account::new(now)).add(&written, now, self);
        }
    }

    /// What is known, of all that wrote since then.
    pub fn told(&self, since: Option<Timestamp>, now: Timestamp) -> WritersReply {
        self.settle(now);
        let (registry, book) = (lock(&self.registry), lock(&self.book));
        let wrote = |account: &&Account| since.is_none_or(|since| account.last >= since);
        let mut writers: Vec<WriterEntry> = book
            .iter()
            .filter(|(_, account)| wrote(account))
            .map(|(id, account)| {
                let at = usize::try_from(*id).ok().and_then(|id| id.checked_sub(1));
                account.told(at.and_then(|at| registry.names.get(at)), since, now)
            })
            .collect();
        writers.sort_by(|a, b| b.count.cmp(&a.count).then(a.first.cmp(&b.first)));
        WritersReply { started: self.started, now, writers, lost: lock(&self.inbox).lost }
    }
}

impl Account {
    fn new(now: Timestamp) -> Self {
        Self {
            first: now,
            last: now,
            count: 0,
            commands: BTreeMap::new(),
            shapes: HashMap::new(),
            forgotten: 0,
            quarters: VecDeque::new(),
        }
    }

    fn add(&mut self, written: &Written, now: Timestamp, book: &Writers) {
        let more = u64::from(written.count);
        self.last = now;
        self.count = self.count.saturating_add(more);
        let command = self.commands.entry(written.command).or_default();
        *command = command.saturating_add(more);
        let quarter = now.as_second().div_euclid(QUARTER);
        match self.quarters.back_mut() {
            Some((last, count)) if *last == quarter => *count = count.saturating_add(more),
            Some(_) | None => self.quarters.push_back((quarter, more)),
        }
        if self.quarters.len() > QUARTERS_LIMIT {
            self.quarters.pop_front();
        }
        let shape = (!written.text.is_empty()).then(|| fingerprint(&written.text));
        let key = (shape.as_ref().map_or(0, |shape| shape.hash), written.command);
        if !self.shapes.contains_key(&key) && self.shapes.len() >= WRITER_SHAPES_LIMIT {
            self.make_room();
        }
        let entry = self.shapes.entry(key).or_insert_with(|| WriterShape {
            fingerprint: shape.as_ref().map(|shape| format!("{:016x}", shape.hash)),
            class: written.class.into(),
            command: written.command.into(),
            tables: if shape.is_some() { describe(&written.text).tables } else { Vec::new() },
            statement: shape.map(|shape| shape.normalized).filter(|_| book.keeps_statements),
            first: now,
            last: now,
            count: 0,
        });
        entry.last = now;
        entry.count = entry.count.saturating_add(more);
    }

    fn make_room(&mut self) {
        let quietest = self.shapes.iter().min_by_key(|(_, shape)| shape.last).map(|(key, _)| *key);
        if let Some(shape) = quietest.and_then(|key| self.shapes.remove(&key)) {
            self.forgotten = self.forgotten.saturating_add(shape.count);
        }
    }

    fn told(&self, name: Option<&Writer>, since: Option<Timestamp>, now: Timestamp) -> WriterEntry {
        let from = since.map(|since| since.as_second().div_euclid(QUARTER));
        let is_in = |quarter: i64| from.is_none_or(|from| quarter >= from);
        let quarters: Vec<(Timestamp, u64)> = self
            .quarters
            .iter()
            .filter(|(quarter, _)| is_in(*quarter))
            .filter_map(|(quarter, n)| {
                Some((Timestamp::from_second(quarter.checked_mul(QUARTER)?).ok()?, *n))
            })
            .collect();
        let count = if since.is_some() { quarters.iter().map(|(_, n)| *n).sum() } else { self.count };
        let wrote = |shape: &&WriterShape| since.is_none_or(|since| shape.last >= since);
        let mut shapes: Vec<WriterShape> = self.shapes.values().filter(wrote).cloned().collect();
        shapes.sort_by(|a, b| b.count.cmp(&a.count).then(a.first.cmp(&b.first)));
        let mut tables: Vec<String> = shapes.iter().flat_map(|shape| shape.tables.clone()).collect();
        tables.sort_unstable();
        tables.dedup();
        let begun = since.map_or(self.first, |since| since.max(self.first));
        let seconds = now.as_second().saturating_sub(begun.as_second());
        let text = |pick: fn(&Writer) -> &Arc<str>| {
            name.map_or_else(|| super::labels::OTHER.to_owned(), |name| pick(name).to_string())
        };
        WriterEntry {
            application: text(|name| &name.application),
            user: text(|name| &name.user),
            database: text(|name| &name.database),
            network: text(|name| &name.network),
            is_maintenance: name.is_some_and(|name| name.is_maintenance),
            first: self.first,
            last: self.last,
            count,
            minutes: u64::try_from(seconds).unwrap_or(0).div_euclid(60).saturating_add(1),
            commands: self.commands.iter().map(|(command, n)| ((*command).to_owned(), *n)).collect(),
            tables,
            shapes,
            forgotten: self.forgotten,
            quarters,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A map or a list is whole even if a holder panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(application: &str) -> Writer {
        let text: Arc<str> = "x".into();
        let (user, database) = (Arc::clone(&text), Arc::clone(&text));
        Writer { application: application.into(), user, database, network: text, is_maintenance: false }
    }

    fn wrote(writer: WriterId, text: &str, count: u32) -> Written {
        Written { writer, class: "write", command: "DELETE", text: text.as_bytes().into(), count }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn counts_become_writers_with_shapes_tables_and_hours() {
        let book = Writers::new(at(0), true);
        let id = book.id(writer("cron"));
        assert_eq!(book.id(writer("cron")), id);
        book.deliver(vec![wrote(id, "DELETE FROM jobs WHERE id = 1", 3)], 0);
        book.settle(at(1_000));
        book.deliver(vec![wrote(id, "delete from jobs where id = 77", 2)], 1);
        let told = book.told(None, at(10_000));
        let entry = &told.writers[0];
        assert_eq!((entry.application.as_str(), entry.count, told.lost), ("cron", 5, 1));
        assert_eq!((entry.first, entry.last), (at(1_000), at(10_000)));
        assert_eq!((entry.shapes.len(), entry.tables.as_slice()), (1, &["jobs".to_owned()][..]));
        assert_eq!(entry.shapes[0].statement.as_deref(), Some("delete from jobs where id = ?"));
        assert_eq!(entry.quarters, [(at(900), 3), (at(9_900), 2)]);
        assert_eq!(book.told(Some(at(9_950)), at(10_000)).writers[0].count, 2);
        assert!(book.told(Some(at(10_001)), at(10_002)).writers.is_empty());
    }

    #[test]
    fn writers_shapes_quarters_and_the_inbox_are_bounded_and_nothing_is_uncounted() {
        let book = Writers::new(at(0), false);
        for n in 0..WRITERS_LIMIT {
            assert_ne!(book.id(writer(&n.to_string())), 0);
        }
        assert_eq!(book.id(writer("one more")), 0);
        for n in 0..WRITER_SHAPES_LIMIT + 9 {
            book.deliver(vec![wrote(0, &format!("DELETE FROM t{n}"), 1)], 0);
            book.settle(at(900 * i64::try_from(n).unwrap()));
        }
        let other = &book.told(None, at(90_000)).writers[0];
        assert_eq!((other.application.as_str(), other.shapes.len()), ("other", WRITER_SHAPES_LIMIT));
        assert_eq!((other.count, other.forgotten), (u64::try_from(WRITER_SHAPES_LIMIT + 9).unwrap(), 9));
        for n in 0..QUARTERS_LIMIT + 3 {
            book.deliver(vec![wrote(1, "DELETE FROM t", 1)], 0);
            book.settle(at(900 * i64::try_from(n).unwrap()));
        }
        let one = book.told(None, at(0)).writers.into_iter().find(|w| w.application == "0").unwrap();
        assert_eq!(one.quarters.len(), QUARTERS_LIMIT);
        book.deliver(vec![wrote(1, "DELETE FROM t", 1); INBOX_LIMIT + 5], 0);
        assert_eq!(book.told(None, at(0)).lost, 5);
    }

    #[test]
    fn clients_are_gathered_by_their_network() {
        let told = |text: &str| client_network(Some(text.parse().unwrap()));
        assert_eq!(told("10.1.2.3"), "10.1.2.0/24");
        assert_eq!(told("::ffff:10.1.2.3"), "10.1.2.0/24");
        assert_eq!(told("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
        assert_eq!(client_network(None), "local");
    }
}
