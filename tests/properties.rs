//! The laws of the house, held against a model server: whatever a client sends, whenever the gate moves, in
//! whatever pieces the answers come.
//!
//! 1. While the gate is shut nothing that can write is forwarded, but in a transaction that wrote before.
//! 2. The client gets exactly the messages that the server would have sent it, in order.
//! 3. A refusal's error is exactly where the server's own would be, and does to the transaction what that does.
//! 4. (Cutting the stream anywhere: `wire::frame`'s tests, and `tests/it`.)
//! 5. A session that calls itself quiet behind a shut gate can commit nothing any more.
#![cfg(test)]

mod model;

use frostgate::{
    freeze::{Epoch, Gate, Phase, Standing},
    session::{Event, Fate, FenceKind, Output, Role, Session, SessionSettings, Turn, Words},
    sql::{Classifier, ClientEncoding},
    wire::{
        Cut, FrontendLimits,
        backend::SqlState,
        frame::{cut_backend, cut_frontend},
        frontend::Write,
        startup::Replication,
    },
};
use model::{Reply, Sent, Server};
use proptest::prelude::*;
use std::collections::VecDeque;

const LIMITS: FrontendLimits = FrontendLimits { max_statement: 1 << 20 };

/// One thing that happens.
#[derive(Clone, Debug)]
enum Act {
    Query(Vec<&'static str>),
    Parse(&'static str, &'static str),
    Bind(&'static str, &'static str),
    Execute(&'static str),
    DescribeStatement(&'static str),
    CloseStatement(&'static str),
    Sync,
    Flush,
    CopyData,
    CopyDone,
    CopyFail,
    /// The server takes so many messages.
    Serve(usize),
    /// So many of its answers arrive.
    Deliver(usize),
    Freeze,
    Thaw,
    /// An exception is made for the session, within the freeze.
    Spare,
    /// It ends.
    Unspare,
}

/// A session between a client and a model server, with every message on its way in sight.
struct World {
    session: Session,
    gate: Gate,
    words: Words,
    classifier: Classifier,
    out: Output,
    /// What the client has sent and the session has not let through.
    held: VecDeque<(usize, Vec<u8>)>,
    to_server: VecDeque<(Vec<u8>, Sent)>,
    server: Server,
    /// The same client at a server without a proxy, told which messages were refused.
    direct: Vec<(Vec<u8>, Sent)>,
    client: Vec<Reply>,
    refused: usize,
    next_id: usize,
    /// The client itself has set the mode.
    client_set_mode: bool,
}

impl World {
    fn new() -> Self {
        let settings = SessionSettings {
            role: Role::Ordinary,
            replication: Replication::None,
            fence: FenceKind::Session,
            encoding: ClientEncoding::Safe,
            default_read_only: Some(false),
            process_id: 7,
            fenced_at_login: false,
            advertise_read_only: false,
            is_strict: false,
        };
        let gate = Gate::new(Epoch(0), Phase::Open);
        Self {
            session: Session::new(settings, gate),
            gate,
            words: Words {
                code: SqlState::READ_ONLY_SQL_TRANSACTION,
                detail: "frozen".into(),
                hint: String::new(),
                reason: "test".into(),
                until: String::new(),
                is_declared: true,
            },
            classifier: Classifier::new(7),
            out: Output::default(),
            held: VecDeque::new(),
            to_server: VecDeque::new(),
            server: Server::default(),
            direct: Vec::new(),
            client: Vec::new(),
            refused: 0,
            next_id: 0,
            client_set_mode: false,
        }
    }

    fn act(&mut self, act: &Act) {
        let mut bytes = Vec::new();
        let mut write = Write(&mut bytes);
        match act {
            Act::Query(statements) => {
                self.client_set_mode |= statements.iter().any(|s| s.starts_with("SET default"));
                write.query(&statements.join("; "));
            }
            Act::Parse(name, text) => {
                self.client_set_mode |= text.starts_with("SET default");
                write.parse(name, text);
            }
            Act::Bind(portal, name) => {
                write.bind(portal, name);
            }
            Act::Execute(portal) => {
                write.execute(portal);
            }
            Act::DescribeStatement(name) => {
                bytes.extend_from_slice(&[b'D', 0, 0, 0, u8::try_from(6 + name.len()).unwrap(), b'S']);
                bytes.extend_from_slice(name.as_bytes());
                bytes.push(0);
            }
            Act::CloseStatement(name) => {
                write.close_statement(name);
            }
            Act::Sync => {
                write.sync();
            }
            Act::Flush => bytes.extend_from_slice(b"H\0\0\0\x04"),
            Act::CopyData => bytes.extend_from_slice(b"d\0\0\0\x05x"),
            Act::CopyDone => bytes.extend_from_slice(b"c\0\0\0\x04"),
            Act::CopyFail => bytes.extend_from_slice(b"f\0\0\0\x05\0"),
            Act::Serve(count) => return self.serve(*count),
            Act::Deliver(count) => return self.deliver(*count),
            Act::Freeze => return self.turn_gate(Phase::Draining),
            Act::Thaw => return self.turn_gate(Phase::Open),
            Act::Spare => return self.turn_within_epoch(Phase::Open),
            Act::Unspare => return self.turn_within_epoch(Phase::Draining),
        }
        self.held.push_back((self.next_id, bytes));
        self.next_id += 1;
        self.pump();
    }

    fn turn_gate(&mut self, phase: Phase) {
        if self.gate.phase() != phase {
            self.show(Gate::new(self.gate.epoch().next(), phase));
        }
    }

    /// What a session is shown that is spared, or is spared no more.
    fn turn_within_epoch(&mut self, phase: Phase) {
        if self.gate.phase() != phase {
            self.show(self.gate.renewed().at(phase));
        }
    }

    fn show(&mut self, gate: Gate) {
        self.gate = gate;
        let mut turn = Turn {
            gate: self.gate,
            words: &self.words,
            classifier: &mut self.classifier,
            out: &mut self.out,
        };
        self.session.on_gate(&mut turn).unwrap();
        self.take_output(None);
        self.pump();
    }

    /// Shows the client's messages to the session until one waits.
    fn pump(&mut self) {
        while let Some((id, bytes)) = self.held.pop_front() {
            let cut = cut_frontend(&bytes, LIMITS).unwrap();
            let mut turn = Turn {
                gate: self.gate,
                words: &self.words,
                classifier: &mut self.classifier,
                out: &mut self.out,
            };
            let fate = self.session.on_frontend(&cut, &mut turn).unwrap();
            if fate == Fate::Hold {
                self.take_output(None);
                self.held.push_front((id, bytes));
                break;
            }
            let is_shown = self.shows();
            let poisoned = !self.out.to_server.is_empty() && !is_shown;
            let (refused, answered) =
                (fate == Fate::Drop && !is_shown, is_shown && self.out.to_server.is_empty());
            let behind_gate = self.gate.is_shut();
            let sent = Sent { id: Some(id), behind_gate, refused, poisoned, answered };
            self.take_output(Some(id));
            if fate == Fate::Forward {
                self.to_server.push_back((bytes.clone(), sent));
            }
            self.direct.push((bytes, sent));
            self.session.advance(&mut self.out).unwrap();
            self.take_output(None);
        }
        self.check_quiet();
    }

    /// Whether the message that was dropped is one that the proxy answers, or has answered: it is no refusal.
    fn shows(&self) -> bool {
        let in_its_place = b"SHOW server_version\0";
        self.out.to_client.first() == Some(&b'T')
            || self.out.to_server.ends_with(in_its_place)
            || self.out.to_server.ends_with(&[&in_its_place[..], b"\0\0"].concat())
    }

    /// What the session says to the server by itself is the proxy's; in a client's place, it is the client's.
    fn take_output(&mut self, id: Option<usize>) {
        let mut said = std::mem::take(&mut self.out.to_server);
        while !said.is_empty() {
            let Cut::Whole { bytes, .. } = cut_frontend(&said, LIMITS).unwrap() else {
                panic!("half a message")
            };
            let length = bytes.len();
            let sent = Sent {
                id,
                behind_gate: self.gate.is_shut(),
                refused: false,
                poisoned: false,
                answered: false,
            };
            self.to_server.push_back((said.drain(..length).collect(), sent));
        }
        let told = std::mem::take(&mut self.out.to_client);
        self.client.extend(replies(&told));
        for event in self.out.events.drain(..) {
            assert!(!matches!(event, Event::FenceLost | Event::FenceFailed { .. }), "{event:?}");
            self.refused += usize::from(matches!(event, Event::Refused(_)));
        }
    }

    fn serve(&mut self, count: usize) {
        for (bytes, sent) in self.to_server.drain(..count.min(self.to_server.len())) {
            self.server.handle(bytes[0], &bytes[5..], sent);
        }
        assert!(self.server.violations.is_empty(), "law 1: {:?}", self.server.violations);
    }

    fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            let Some(reply) = self.server.out.pop_front() else { break };
            let bytes = encode(&reply);
            let cut = cut_backend(&bytes, || self.session.rows()).unwrap();
            let mut turn = Turn {
                gate: self.gate,
                words: &self.words,
                classifier: &mut self.classifier,
                out: &mut self.out,
            };
            if self.session.on_backend(&cut, &mut turn) == Fate::Forward {
                self.client.push(reply);
            }
            self.take_output(None);
            self.session.advance(&mut self.out).unwrap();
            self.take_output(None);
            self.pump();
        }
    }

    /// Law 5: what is in flight of a quiet session comes to nothing.
    fn check_quiet(&mut self) {
        let report = self.session.report();
        if !self.gate.is_shut() || report.epoch != self.gate.epoch() || report.standing != Standing::Quiet {
            return;
        }
        let mut later = self.server.clone();
        for (bytes, sent) in &self.to_server {
            later.handle(bytes[0], &bytes[5..], *sent);
        }
        later.handle(
            b'S',
            &[],
            Sent { id: None, behind_gate: true, refused: false, poisoned: false, answered: false },
        );
        later.handle(
            b'Q',
            b"COMMIT\0",
            Sent { id: None, behind_gate: true, refused: false, poisoned: false, answered: false },
        );
        assert_eq!(later.committed, self.server.committed, "law 5: a quiet session committed");
    }

    /// Lets everything come to its end.
    fn settle(&mut self) {
        for end in [Act::CopyDone, Act::Sync] {
            self.act(&end);
            for _ in 0..50 {
                self.serve(1000);
                self.deliver(1000);
                self.pump();
            }
        }
        if self.server.is_dead {
            return;
        }
        assert!(self.held.is_empty(), "a message waits for ever: {:?}", self.held);
        assert!(self.to_server.is_empty());
    }

    fn check(mut self) {
        self.turn_gate(Phase::Open);
        self.settle();
        // The transaction that began behind the gate is over, or stays as it is; then nothing of the fence is left.
        self.act(&Act::Query(vec!["ROLLBACK"]));
        self.settle();
        let mut direct = Server::default();
        direct.rejects.clone_from(&self.server.rejected);
        for (bytes, sent) in &self.direct {
            direct.handle(bytes[0], &bytes[5..], *sent);
        }
        let seen =
            |replies: &[Reply]| replies.iter().filter(|r| r.tag != b'S').map(shape).collect::<Vec<_>>();
        let direct_replies: Vec<Reply> = direct.out.iter().cloned().collect();
        assert_eq!(seen(&self.client), seen(&direct_replies), "laws 2 and 3");
        assert_eq!(self.server.committed, direct.committed, "law 3: what is committed");
        if !self.client_set_mode && !self.server.is_dead {
            assert!(!self.client.iter().any(|r| r.tag == b'S'), "the fence shows: {:?}", self.client);
            assert!(!self.server.default_read_only, "the fence is still up");
        }
    }
}

/// A reply as the client tells it from others: an error by its code, ReadyForQuery by its status.
fn shape(reply: &Reply) -> String {
    let body = String::from_utf8_lossy(&reply.body).into_owned();
    match reply.tag {
        b'E' => body.split('\0').find_map(|f| f.strip_prefix('C')).unwrap_or_default().to_owned(),
        b'Z' => format!("Z{body}"),
        tag => char::from(tag).to_string(),
    }
}

fn encode(reply: &Reply) -> Vec<u8> {
    let length = u32::try_from(reply.body.len() + 4).unwrap().to_be_bytes();
    [&[reply.tag], &length[..], &reply.body].concat()
}

fn replies(mut bytes: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        let length = 1 + usize::try_from(u32::from_be_bytes(bytes[1..5].try_into().unwrap())).unwrap();
        replies.push(Reply { tag: bytes[0], body: bytes[5..length].to_vec() });
        bytes = &bytes[length..];
    }
    replies
}

fn statement() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("SELECT 1"),
        4 => Just("SELECT touch()"),
        5 => Just("INSERT INTO t VALUES (1)"),
        2 => Just("INSERT INTO t VALUES (2)"),
        1 => Just("SELECT 1/0"),
        3 => Just("BEGIN"),
        1 => Just("BEGIN READ ONLY"),
        3 => Just("COMMIT"),
        1 => Just("COMMIT AND CHAIN"),
        1 => Just("ROLLBACK AND CHAIN"),
        2 => Just("ROLLBACK"),
        2 => Just("SAVEPOINT a"),
        1 => Just("RELEASE a"),
        2 => Just("ROLLBACK TO a"),
        1 => Just("RESET ALL"),
        1 => Just("DISCARD ALL"),
        1 => Just("DEALLOCATE ALL"),
        1 => Just("PREPARE p AS INSERT INTO t VALUES (3)"),
        1 => Just("PREPARE p AS SELECT 1"),
        2 => Just("EXECUTE p"),
        3 => Just("SHOW frostgate.state"),
        1 => Just("COPY t FROM STDIN"),
        1 => Just("SET default_transaction_read_only = on"),
    ]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just(""), 1 => Just("p"), 1 => Just("s")]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => prop::collection::vec(statement(), 1..4).prop_map(Act::Query),
        4 => (name(), statement()).prop_map(|(n, s)| Act::Parse(n, s)),
        5 => (name(), name()).prop_map(|(p, n)| Act::Bind(p, n)),
        5 => name().prop_map(Act::Execute),
        1 => name().prop_map(Act::DescribeStatement),
        1 => name().prop_map(Act::CloseStatement),
        5 => Just(Act::Sync),
        1 => Just(Act::Flush),
        1 => Just(Act::CopyData),
        2 => Just(Act::CopyDone),
        1 => Just(Act::CopyFail),
        8 => (1_usize..6).prop_map(Act::Serve),
        8 => (1_usize..6).prop_map(Act::Deliver),
        3 => Just(Act::Freeze),
        2 => Just(Act::Thaw),
        2 => Just(Act::Spare),
        2 => Just(Act::Unspare),
    ]
}

/// Many cases where they are cheap; `FROSTGATE_PROPERTY_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("FROSTGATE_PROPERTY_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_laws_hold_whatever_a_client_sends_and_whenever_the_gate_moves(
        acts in prop::collection::vec(act(), 0..40)
    ) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
        }
        world.check();
    }
}

#[test]
fn a_gate_that_shuts_while_the_proxy_itself_is_speaking_hides_the_fence_all_the_same() {
    let mut world = World::new();
    world.session.ask("SELECT 1", &mut world.out).unwrap();
    world.take_output(None);
    world.turn_gate(Phase::Draining);
    for _ in 0..3 {
        world.serve(100);
        world.deliver(100);
    }
    assert_eq!(world.session.report().standing, Standing::Quiet);
    world.act(&Act::Query(vec!["SHOW transaction_read_only"]));
    world.serve(1);
    world.deliver(10);
    let row = world.client.iter().find(|reply| reply.tag == b'D').unwrap();
    assert_eq!(row.body, b"\0\x01\0\0\0\x03off");
}
