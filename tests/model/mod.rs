//! A PostgreSQL small enough to be obviously right: what `PostgresMain`, `xact.c` and `guc.c` do with messages,
//! transactions and the read-only mode, for a handful of statements. It knows nothing of a proxy, but for one
//! thing: each message carries whether it was sent behind a shut gate, and a write that begins there is noted.

use std::collections::{BTreeMap, VecDeque};

/// Who sent a message, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The number of the client's message; none for what the proxy says itself.
    pub(crate) id: Option<usize>,
    /// The gate was shut when it was sent.
    pub(crate) behind_gate: bool,
    /// It shall fail as a refusal does.
    pub(crate) refused: bool,
    /// It was refused by something that the server itself must reject.
    pub(crate) poisoned: bool,
    /// The proxy answered it by itself, as the server would have.
    pub(crate) answered: bool,
}

/// What the server answers, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Block {
    #[default]
    None,
    Open,
    Failed,
}

#[derive(Clone, Debug, Default)]
struct Transaction {
    writes: Vec<u32>,
    read_only: bool,
    /// It wrote by a message that was sent while the gate was open.
    licensed: bool,
    default_read_only_before: bool,
    savepoints: Vec<Savepoint>,
}

#[derive(Clone, Debug)]
struct Savepoint {
    writes: usize,
    read_only: bool,
    default_read_only: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    skips: bool,
    copies_in: Option<Copying>,
    block: Block,
    transaction: Option<Transaction>,
    statements: BTreeMap<String, String>,
    portals: BTreeMap<String, String>,
    pub(crate) default_read_only: bool,
    reported_read_only: bool,
    /// What has been committed, in order.
    pub(crate) committed: Vec<u32>,
    /// Writes that the server took although they began behind the gate.
    pub(crate) violations: Vec<String>,
    /// Which statement of which message was rejected in read-only mode.
    pub(crate) rejected: Vec<(usize, usize)>,
    /// What another server rejected: this one does so too.
    pub(crate) rejects: Vec<(usize, usize)>,
    pub(crate) out: VecDeque<Reply>,
    /// The connection was ended: a message came that has no place in a copy.
    pub(crate) is_dead: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Copying {
    Simple { rest: Vec<String>, index: usize, sent: Sent },
    Extended { index: usize, sent: Sent },
}

type Code = &'static str;
const READ_ONLY: Code = "25006";
const FAILED: Code = "25P02";

impl Server {
    pub(crate) fn handle(&mut self, tag: u8, body: &[u8], sent: Sent) {
        if self.is_dead {
            return;
        }
        if self.copies_in.is_some() {
            return self.while_copying(tag);
        }
        if self.skips && tag != b'S' {
            return;
        }
        match tag {
            b'Q' => self.query(text(body), sent),
            b'S' => {
                self.skips = false;
                if self.block == Block::None {
                    self.end(true);
                }
                self.ready();
            }
            b'P' | b'B' | b'D' | b'E' | b'C' => {
                if let Err(code) = self.extended(tag, body, sent) {
                    self.fail(code);
                    self.skips = true;
                }
            }
            _ => {}
        }
    }

    fn while_copying(&mut self, tag: u8) {
        let Some(copying) = self.copies_in.clone() else { return };
        let (Copying::Simple { index, sent, .. } | Copying::Extended { index, sent }) = copying;
        let done = match tag {
            b'd' | b'H' | b'S' => return,
            b'c' => self.write(900, sent, index),
            b'f' => Err("57014"),
            _ => {
                self.is_dead = true;
                self.end(false);
                return self.say(b'E', b"SFATAL\0VFATAL\0C08P01\0Mm\0\0");
            }
        };
        self.copies_in = None;
        match done {
            Ok(()) => self.say(b'C', b"COPY 1\0"),
            Err(code) => self.fail(code),
        }
        match copying {
            Copying::Extended { .. } => self.skips = done.is_err(),
            Copying::Simple { rest, index, sent } if done.is_ok() => self.run_simple(&rest, index + 1, sent),
            Copying::Simple { .. } => self.ready(),
        }
    }

    fn query(&mut self, text: &str, sent: Sent) {
        // What the server never sees destroys no unnamed statement.
        if (!sent.refused || sent.poisoned) && !sent.answered {
            self.statements.remove("");
        }
        let statements: Vec<String> =
            text.split(';').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
        if sent.refused {
            let code = if self.block == Block::Failed { FAILED } else { READ_ONLY };
            self.fail(code);
            return self.ready();
        }
        if statements.iter().any(|s| s.starts_with("frostgate_refused")) {
            self.fail("42601");
            return self.ready();
        }
        self.run_simple(&statements, 0, sent);
    }

    fn run_simple(&mut self, statements: &[String], first: usize, sent: Sent) {
        for (offset, statement) in statements.iter().enumerate() {
            let index = first + offset;
            if statement == "COPY t FROM STDIN" && self.block != Block::Failed {
                self.begin();
                self.say(b'G', &[0, 0, 0]);
                let rest = statements[offset + 1..].to_vec();
                self.copies_in = Some(Copying::Simple { rest, index, sent });
                return;
            }
            if let Err(code) = self.run(statement, sent, index, true) {
                self.fail(code);
                return self.ready();
            }
        }
        if self.block == Block::None {
            self.end(true);
        }
        self.ready();
    }

    fn extended(&mut self, tag: u8, body: &[u8], sent: Sent) -> Result<(), Code> {
        let (kind, names) = if tag == b'D' || tag == b'C' { (body[0], &body[1..]) } else { (0, body) };
        let mut words = names.split(|b| *b == 0).map(|w| std::str::from_utf8(w).unwrap().to_owned());
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if sent.refused {
            return Err(if self.block == Block::Failed { FAILED } else { READ_ONLY });
        }
        self.begin();
        match tag {
            b'P' => {
                if first.is_empty() {
                    self.statements.remove("");
                }
                if second.starts_with("frostgate_refused") {
                    return Err("42601");
                }
                self.check_block(&second)?;
                if !first.is_empty() && self.statements.contains_key(&first) {
                    return Err("42P05");
                }
                self.statements.insert(first, second);
                self.say(b'1', &[]);
            }
            b'B' => {
                let statement = self.statements.get(&second).cloned().ok_or("26000")?;
                self.check_block(&statement)?;
                if !first.is_empty() && self.portals.contains_key(&first) {
                    return Err("42P03");
                }
                self.portals.insert(first, statement);
                self.say(b'2', &[]);
            }
            b'D' => {
                let (book, code) =
                    if kind == b'S' { (&self.statements, "26000") } else { (&self.portals, "34000") };
                let statement = book.get(&first).cloned().ok_or(code)?;
                if kind == b'S' {
                    self.say(b't', &[0, 0]);
                }
                let shows = statement.starts_with("SELECT") || statement.starts_with("SHOW");
                if shows && self.block == Block::Failed {
                    return Err(FAILED);
                }
                self.say(if shows { b'T' } else { b'n' }, if shows { &[0, 0] } else { &[] });
            }
            b'C' => {
                let book = if kind == b'S' { &mut self.statements } else { &mut self.portals };
                book.remove(&first);
                self.say(b'3', &[]);
            }
            _ => {
                let statement = self.portals.get(&first).cloned().ok_or("34000")?;
                if statement == "COPY t FROM STDIN" && self.block != Block::Failed {
                    self.say(b'G', &[0, 0, 0]);
                    self.copies_in = Some(Copying::Extended { index: 0, sent });
                    return Ok(());
                }
                self.run(&statement, sent, 0, false)?;
            }
        }
        Ok(())
    }

    /// A failed block takes nothing but its end.
    fn check_block(&self, statement: &str) -> Result<(), Code> {
        let ends = ["ROLLBACK", "COMMIT"].iter().any(|word| statement.starts_with(word));
        if self.block == Block::Failed && !ends { Err(FAILED) } else { Ok(()) }
    }

    fn run(&mut self, statement: &str, sent: Sent, index: usize, simple: bool) -> Result<(), Code> {
        self.check_block(statement)?;
        if let Some(name) = statement.strip_prefix("EXECUTE ") {
            let prepared = self.statements.get(name).cloned().ok_or("26000")?;
            if prepared.starts_with("EXECUTE") {
                return Err("54001");
            }
            return self.run(&prepared, sent, index, simple);
        }
        self.begin();
        match statement {
            "SELECT 1" => self.row(simple, Some("1")),
            // What the proxy tells of itself, and what the server runs in its place.
            "SHOW frostgate.state" | "SHOW server_version" => self.row(simple, Some("18.0")),
            "SHOW transaction_read_only" => {
                let shown = if self.current().read_only { "on" } else { "off" };
                self.row(simple, Some(shown));
            }
            "SELECT 1/0" => return Err("22012"),
            "SELECT pg_catalog.pg_current_xact_id_if_assigned()" => {
                let wrote = self.transaction.as_ref().is_some_and(|t| !t.writes.is_empty());
                self.row(simple, wrote.then_some("7"));
            }
            "SELECT touch()" => {
                self.write(500, sent, index)?;
                self.row(simple, Some("1"));
            }
            _ if statement.starts_with("SELECT CASE") => {
                self.row(simple, Some(if self.default_read_only { "on" } else { "unset" }));
            }
            _ if statement.starts_with("INSERT") => {
                let number =
                    statement.rsplit(' ').next().and_then(|n| n.trim_matches(['(', ')']).parse().ok());
                self.write(number.unwrap_or(1), sent, index)?;
            }
            _ => self.control(statement)?,
        }
        let tag = statement.split(' ').next().unwrap_or_default();
        self.say(b'C', format!("{tag}\0").as_bytes());
        Ok(())
    }

    fn control(&mut self, statement: &str) -> Result<(), Code> {
        match statement {
            "BEGIN" | "BEGIN READ ONLY" => {
                self.block = Block::Open;
                if statement == "BEGIN READ ONLY" {
                    self.current().read_only = true;
                }
            }
            "COMMIT" | "ROLLBACK" | "COMMIT AND CHAIN" | "ROLLBACK AND CHAIN" => {
                let read_only = self.current().read_only;
                if statement.ends_with("CHAIN") && self.block == Block::None {
                    return Err("25P01");
                }
                let commits = statement.starts_with("COMMIT") && self.block != Block::Failed;
                self.block = Block::None;
                self.end(commits);
                if statement.ends_with("CHAIN") {
                    self.block = Block::Open;
                    self.begin();
                    self.current().read_only = read_only;
                }
            }
            "SAVEPOINT a" if self.block == Block::None => return Err("25P01"),
            "SAVEPOINT a" => {
                let default_read_only = self.default_read_only;
                let transaction = self.current();
                let (writes, read_only) = (transaction.writes.len(), transaction.read_only);
                transaction.savepoints.push(Savepoint { writes, read_only, default_read_only });
            }
            "RELEASE a" => {
                let savepoint = self.current().savepoints.pop().ok_or("3B001")?;
                self.current().read_only = savepoint.read_only;
            }
            "ROLLBACK TO a" => {
                let savepoint = self.current().savepoints.last().cloned().ok_or("3B001")?;
                self.default_read_only = savepoint.default_read_only;
                let transaction = self.current();
                transaction.writes.truncate(savepoint.writes);
                transaction.read_only = savepoint.read_only;
                self.block = Block::Open;
            }
            "SET TRANSACTION READ ONLY" => self.current().read_only = true,
            "SET SESSION default_transaction_read_only = on" | "SET default_transaction_read_only = on" => {
                self.default_read_only = true;
            }
            "SET SESSION default_transaction_read_only = off"
            | "RESET default_transaction_read_only"
            | "RESET ALL" => self.default_read_only = false,
            "DISCARD ALL" => {
                if self.block != Block::None {
                    return Err("25001");
                }
                self.default_read_only = false;
                self.statements.clear();
                self.portals.clear();
            }
            "DEALLOCATE ALL" => self.statements.retain(|name, _| name.is_empty()),
            _ => {
                let (name, prepared) =
                    statement.strip_prefix("PREPARE ").and_then(|s| s.split_once(" AS ")).ok_or("42601")?;
                if self.statements.contains_key(name) {
                    return Err("42P05");
                }
                self.statements.insert(name.into(), prepared.into());
            }
        }
        Ok(())
    }

    fn write(&mut self, number: u32, sent: Sent, index: usize) -> Result<(), Code> {
        self.begin();
        let at = sent.id.map(|id| (id, index));
        if at.is_some_and(|at| self.rejects.contains(&at)) || self.current().read_only {
            self.rejected.extend(at);
            return Err(READ_ONLY);
        }
        let transaction = self.current();
        transaction.licensed |= !sent.behind_gate;
        if !transaction.licensed {
            self.violations.push(format!("write {number} of message {:?} began behind the gate", sent.id));
        }
        self.current().writes.push(number);
        Ok(())
    }

    fn begin(&mut self) {
        if self.transaction.is_none() {
            let read_only = self.default_read_only;
            let transaction =
                Transaction { read_only, default_read_only_before: read_only, ..Transaction::default() };
            self.transaction = Some(transaction);
        }
    }

    fn current(&mut self) -> &mut Transaction {
        self.begin();
        self.transaction.as_mut().unwrap()
    }

    fn end(&mut self, commit: bool) {
        if let Some(transaction) = self.transaction.take() {
            if commit {
                self.committed.extend(transaction.writes);
            } else {
                self.default_read_only = transaction.default_read_only_before;
            }
        }
        self.portals.clear();
    }

    fn fail(&mut self, code: Code) {
        self.say(b'E', format!("SERROR\0VERROR\0C{code}\0Mm\0\0").as_bytes());
        match self.block {
            Block::None => self.end(false),
            Block::Open | Block::Failed => self.block = Block::Failed,
        }
    }

    fn row(&mut self, simple: bool, value: Option<&str>) {
        if simple {
            self.say(b'T', &[0, 0]);
        }
        let mut body = vec![0, 1];
        match value {
            Some(value) => {
                body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend_from_slice(value.as_bytes());
            }
            None => body.extend_from_slice(&[0xff; 4]),
        }
        self.say(b'D', &body);
    }

    fn ready(&mut self) {
        if self.reported_read_only != self.default_read_only {
            self.reported_read_only = self.default_read_only;
            let value: &[u8] = if self.default_read_only { b"on" } else { b"off" };
            let body = [b"default_transaction_read_only\0", value, b"\0"].concat();
            self.say(b'S', &body);
        }
        let status = match self.block {
            Block::None => b'I',
            Block::Open => b'T',
            Block::Failed => b'E',
        };
        self.say(b'Z', &[status]);
    }

    fn say(&mut self, tag: u8, body: &[u8]) {
        self.out.push_back(Reply { tag, body: body.to_vec() });
    }
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body.strip_suffix(&[0]).unwrap_or(body)).unwrap()
}
