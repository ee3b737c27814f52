//! What a round trip costs in the core alone: judged, tracked, answered, without a socket. `AllocProfiler` shows that an
//! ordinary one allocates nothing.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "what is measured is made right here")]

use divan::{AllocProfiler, Bencher};
use frostgate::{
    freeze::{Epoch, Gate, Phase},
    session::{Fate, FenceKind, Output, Role, Session, SessionSettings, Turn, Words},
    sql::{Classifier, ClientEncoding},
    wire::{
        Cut, FrontendLimits,
        backend::SqlState,
        frame::{cut_backend, cut_frontend},
        frontend::Write,
        startup::Replication,
    },
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const LIMITS: FrontendLimits = FrontendLimits { max_statement: 16 << 20 };
const SELECT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 48213;";

struct World {
    session: Session,
    gate: Gate,
    words: Words,
    classifier: Classifier,
    out: Output,
}

impl World {
    fn new(phase: Phase, fenced_at_login: bool) -> Self {
        let gate = Gate::new(Epoch(1), phase);
        let settings = SessionSettings {
            role: Role::Ordinary,
            replication: Replication::None,
            fence: FenceKind::Session,
            encoding: ClientEncoding::Safe,
            default_read_only: Some(false),
            process_id: 7,
            fenced_at_login,
            advertise_read_only: false,
            is_strict: false,
        };
        let code = SqlState::READ_ONLY_SQL_TRANSACTION;
        Self {
            session: Session::new(settings, gate),
            gate,
            words: Words {
                code,
                detail: "frozen".into(),
                hint: String::new(),
                reason: "bench".into(),
                until: String::new(),
                is_declared: true,
            },
            classifier: Classifier::new(7),
            out: Output::default(),
        }
    }

    /// Shows the session all messages of both sides, in turn; how many were forwarded.
    fn trip(&mut self, asked: &[u8], answered: &[u8]) -> usize {
        let mut forwarded = 0;
        let mut rest = asked;
        while let Ok(cut @ Cut::Whole { bytes, .. }) = cut_frontend(rest, LIMITS) {
            let mut turn = Turn {
                gate: self.gate,
                words: &self.words,
                classifier: &mut self.classifier,
                out: &mut self.out,
            };
            let fate = self.session.on_frontend(&cut, &mut turn).expect("no error");
            forwarded += usize::from(fate == Fate::Forward);
            rest = &rest[bytes.len()..];
        }
        let mut rest = answered;
        while let Ok(cut @ Cut::Whole { bytes, .. }) = cut_backend(rest, || self.session.rows()) {
            let mut turn = Turn {
                gate: self.gate,
                words: &self.words,
                classifier: &mut self.classifier,
                out: &mut self.out,
            };
            forwarded += usize::from(self.session.on_backend(&cut, &mut turn) == Fate::Forward);
            rest = &rest[bytes.len()..];
        }
        self.session.advance(&mut self.out).expect("no error");
        self.out.to_client.clear();
        self.out.to_server.clear();
        self.out.events.clear();
        forwarded
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short body");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// A row of one column, its end, and ReadyForQuery.
fn row() -> Vec<u8> {
    let row = message(b'D', b"\0\x01\0\0\0\x015");
    [row, message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat()
}

#[divan::bench]
fn simple(bencher: Bencher<'_, '_>) {
    let (mut asked, mut world) = (Vec::new(), World::new(Phase::Open, false));
    Write(&mut asked).query(SELECT);
    let answered = [message(b'T', &[0; 30]), row()].concat();
    assert_eq!(world.trip(&asked, &answered), 5);
    bencher.bench_local(|| world.trip(divan::black_box(&asked), divan::black_box(&answered)));
}

fn prepared_in(bencher: Bencher<'_, '_>, phase: Phase) {
    let (mut asked, mut world) = (Vec::new(), World::new(phase, phase != Phase::Open));
    Write(&mut asked).parse("S_1", SELECT).sync();
    world.trip(&asked, &[message(b'1', b""), message(b'Z', b"I")].concat());
    asked.clear();
    Write(&mut asked).bind_text("", "S_1", &["48213"]).execute("").sync();
    let answered = [message(b'2', b""), row()].concat();
    assert_eq!(world.trip(&asked, &answered), 7);
    bencher.bench_local(|| world.trip(divan::black_box(&asked), divan::black_box(&answered)));
}

#[divan::bench]
fn prepared(bencher: Bencher<'_, '_>) {
    prepared_in(bencher, Phase::Open);
}

#[divan::bench]
fn prepared_while_frozen(bencher: Bencher<'_, '_>) {
    prepared_in(bencher, Phase::Frozen);
}

#[divan::bench]
fn refused(bencher: Bencher<'_, '_>) {
    let (mut asked, mut world) = (Vec::new(), World::new(Phase::Frozen, true));
    Write(&mut asked).query("INSERT INTO pgbench_history (tid) VALUES (1)");
    assert_eq!(world.trip(&asked, b""), 0, "the server hears nothing of it");
    bencher.bench_local(|| world.trip(divan::black_box(&asked), b""));
}
