//! The writers: each in its own style, each id written once, each success noted when the client was told of it.

use crate::support::{Wire, message, short};
use frostgate::wire::frontend::Write as Frontend;
use rand::{RngExt as _, rngs::StdRng};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How a writer writes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Autocommit,
    Extended,
    Prepared,
    Block,
    Savepoints,
    Pipeline,
    Batch,
    Copy,
    Function,
    TwoPhase,
    Deferred,
    Chain,
    Message,
}

pub(crate) const STYLES: [Style; 13] = [
    Style::Autocommit,
    Style::Extended,
    Style::Prepared,
    Style::Block,
    Style::Savepoints,
    Style::Pipeline,
    Style::Batch,
    Style::Copy,
    Style::Function,
    Style::TwoPhase,
    Style::Deferred,
    Style::Chain,
    Style::Message,
];

pub(crate) struct Writer<'a> {
    pub(crate) port: u16,
    pub(crate) database: &'a str,
    pub(crate) style: Style,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) ids: &'a AtomicU64,
    /// Ids that a client was told had been committed.
    pub(crate) told: &'a Mutex<Vec<u64>>,
    pub(crate) rng: StdRng,
}

impl Writer<'_> {
    /// Writes until told to stop; a connection that ends, by whoever's hand, is followed by another.
    pub(crate) fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let mut client = Wire::connect(self.port, self.database);
                let turns = self.rng.random_range(1..40);
                for _ in 0..turns {
                    if self.stop.load(Ordering::Relaxed) {
                        break;
                    }
                    self.turn(&mut client);
                    thread::sleep(Duration::from_micros(self.rng.random_range(0..3000)));
                }
            }));
            if ended.is_err() {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn note(&self, ids: &[u64]) {
        self.told.lock().unwrap().extend_from_slice(ids);
    }

    fn pause(&mut self) {
        if self.rng.random_bool(0.3) {
            thread::sleep(Duration::from_millis(self.rng.random_range(0..15)));
        }
    }

    fn turn(&mut self, client: &mut Wire) {
        let style = self.style;
        let insert = |id: u64| format!("INSERT INTO rows VALUES ({id}, '{style:?}')");
        match style {
            Style::Autocommit => {
                let id = self.id();
                if client.ask(&insert(id)) == "C I" {
                    self.note(&[id]);
                }
            }
            Style::Extended => {
                let id = self.id();
                if client.extended(&insert(id)) == "12C I" {
                    self.note(&[id]);
                }
            }
            Style::Prepared => self.prepared(client),
            Style::Block => self.block(client, &insert),
            Style::Savepoints => self.savepoints(client, &insert),
            Style::Pipeline => self.pipeline(client, &insert),
            Style::Batch => self.batch(client, &insert),
            Style::Copy => self.copy(client),
            Style::Function => {
                let id = self.id();
                if client.ask(&format!("SELECT put({id}, 'Function')")) == "TDC I" {
                    self.note(&[id]);
                }
            }
            Style::TwoPhase => self.two_phase(client, &insert),
            Style::Deferred => self.deferred(client),
            Style::Chain => self.chain(client, &insert),
            Style::Message => {
                let (one, two) = (self.id(), self.id());
                let text = format!("BEGIN; {}; COMMIT; BEGIN; {}; COMMIT", insert(one), insert(two));
                if client.ask(&text) == "CCCCCC I" {
                    self.note(&[one, two]);
                }
                client.ask("ROLLBACK");
            }
        }
    }

    /// Prepared once, bound after the gate has moved.
    fn prepared(&mut self, client: &mut Wire) {
        client.say(|out| {
            out.close_statement("w").parse("w", "SELECT put($1::text::bigint, 'Prepared')").sync();
        });
        client.until('Z');
        for _ in 0..5 {
            let id = self.id();
            let value = id.to_string();
            let mut body = b"\0w\0\0\0\0\x01".to_vec();
            body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
            body.extend_from_slice(value.as_bytes());
            body.extend_from_slice(&[0, 0]);
            client.send(&message(b'B', &body));
            client.say(|out| {
                out.execute("").sync();
            });
            if short(&client.until('Z')) == "2DC I" {
                self.note(&[id]);
            }
            self.pause();
        }
    }

    fn block(&mut self, client: &mut Wire, insert: &dyn Fn(u64) -> String) {
        client.ask("BEGIN");
        let mut ids = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let id = self.id();
            if client.ask(&insert(id)) == "C T" {
                ids.push(id);
            }
            self.pause();
        }
        let ended = client.query("COMMIT");
        if ended[0].told() == "COMMIT" {
            self.note(&ids);
        }
    }

    fn savepoints(&mut self, client: &mut Wire, insert: &dyn Fn(u64) -> String) {
        client.ask("BEGIN");
        let (kept, lost) = (self.id(), self.id());
        let wrote = client.ask(&insert(kept)) == "C T";
        client.ask("SAVEPOINT a");
        client.ask(&insert(lost));
        client.ask("SELECT 1/0");
        self.pause();
        client.ask("ROLLBACK TO a");
        self.pause();
        let ended = client.query("COMMIT");
        if wrote && ended[0].told() == "COMMIT" {
            self.note(&[kept]);
        }
    }

    /// Several Queries in flight at once.
    fn pipeline(&mut self, client: &mut Wire, insert: &dyn Fn(u64) -> String) {
        let ids: Vec<u64> = (0..6).map(|_| self.id()).collect();
        client.say(|out| {
            for id in &ids {
                out.query(&insert(*id));
            }
        });
        for id in ids {
            if short(&client.until('Z')) == "C I" {
                self.note(&[id]);
            }
        }
    }

    /// One Sync for several, and some time in the middle.
    fn batch(&mut self, client: &mut Wire, insert: &dyn Fn(u64) -> String) {
        let ids: Vec<u64> = (0..4).map(|_| self.id()).collect();
        let step = |out: &mut Frontend<'_>, id: u64| {
            out.parse("", &insert(id)).bind("", "").execute("");
        };
        client.say(|out| {
            step(out, ids[0]);
            step(out, ids[1]);
        });
        self.pause();
        client.say(|out| {
            step(out, ids[2]);
            step(out, ids[3]);
            out.sync();
        });
        if short(&client.until('Z')) == "12C12C12C12C I" {
            self.note(&ids);
        }
    }

    fn copy(&mut self, client: &mut Wire) {
        let id = self.id();
        client.say(|out| {
            out.query("COPY rows FROM STDIN");
        });
        let first = client.next().expect("an answer");
        if first.tag == 'E' {
            client.until('Z');
            return;
        }
        self.pause();
        client.send(&message(b'd', format!("{id}\tCopy\n").as_bytes()));
        self.pause();
        client.send(b"c\0\0\0\x04");
        if short(&client.until('Z')) == "C I" {
            self.note(&[id]);
        }
    }

    fn two_phase(&mut self, client: &mut Wire, insert: &dyn Fn(u64) -> String) {
        let id = self.id();
        client.ask("BEGIN");
        client.ask(&insert(id));
        let prepared = client.query(&format!("PREPARE TRANSACTION 'p{id}'"));
        if prepared[0].told() != "PREPARE TRANSACTION" {
            client.ask("ROLLBACK");
            return;
        }
        self.pause();
        // What has been prepared must be ended by somebody, sooner or later.
        for _ in 0..1000 {
            match client.ask(&format!("COMMIT PREPARED 'p{id}'")).as_str() {
                "C I" => return self.note(&[id]),
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn deferred(&mut self, client: &mut Wire) {
        let id = self.id();
        client.ask("BEGIN");
        let wrote = client.ask(&format!("INSERT INTO later VALUES ({id})")) == "C T";
        self.pause();
        let ended = client.query("COMMIT");
        if wrote && ended[0].told() == "COMMIT" {
            self.note(&[id]);
        }
    }

    fn chain(&mut self, client: &mut Wire, insert: &dyn Fn(u64) -> String) {
        client.ask("BEGIN");
        for _ in 0..3 {
            let id = self.id();
            let wrote = client.ask(&insert(id)) == "C T";
            self.pause();
            let ended = client.query("COMMIT AND CHAIN");
            if wrote && ended[0].told() == "COMMIT" {
                self.note(&[id]);
            }
        }
        client.ask("ROLLBACK");
    }
}
