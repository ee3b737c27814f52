//! Any messages of a client, any answers of a server, the gate moving at any time: the session never panics, what it
//! writes is whole messages, and behind a gate that was shut before it came nothing goes on that the classifier refuses.
//!
//! The first byte chooses the session. Then, again and again: a byte that says who speaks, the message's tag, the
//! length of its body, the body.
#![cfg_attr(fuzzing, no_main)]

use frostgate::{
    freeze::{Epoch, Gate, Phase},
    session::{Fate, FenceKind, Output, Role, Session, SessionSettings, Turn, Words},
    sql::{Classifier, ClientEncoding, ReplicationKind, Verdict, classify, classify_replication},
    wire::{
        Cut, FrontendLimits,
        backend::SqlState,
        frame::{cut_backend, cut_frontend},
        startup::Replication,
    },
};

const LIMITS: FrontendLimits = FrontendLimits { max_statement: 256 };
/// More messages of one client than this are let go unheard.
const MESSAGES: usize = 400;

struct World {
    session: Session,
    gate: Gate,
    words: Words,
    classifier: Classifier,
    out: Output,
    /// The gate was shut before the session came, and never opened.
    always_shut: bool,
    is_walsender: bool,
    is_dead: bool,
}

impl World {
    fn new(choice: u8) -> Self {
        let phase = if choice & 1 == 0 { Phase::Open } else { Phase::Frozen };
        let gate = Gate::new(Epoch(1), phase);
        let settings = SessionSettings {
            role: Role::Ordinary,
            replication: if choice & 2 == 0 { Replication::None } else { Replication::Database },
            fence: if choice & 4 == 0 { FenceKind::Session } else { FenceKind::None },
            encoding: ClientEncoding::Safe,
            default_read_only: [None, Some(false), Some(true), Some(false)][usize::from(choice >> 3 & 3)],
            process_id: 7,
            fenced_at_login: choice & 32 != 0,
            advertise_read_only: choice & 64 != 0,
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
                reason: "fuzz".into(),
                until: String::new(),
                is_declared: true,
            },
            classifier: Classifier::new(7),
            out: Output::default(),
            always_shut: gate.is_shut(),
            is_walsender: settings.replication != Replication::None,
            is_dead: false,
        }
    }

    fn act(&mut self, speaker: u8, tag: u8, body: &[u8]) {
        match speaker % 8 {
            0..4 => self.client_says(&message(tag, body)),
            4..7 => self.server_says(&message(tag, body)),
            _ => self.turn_gate(tag),
        }
        if !self.is_dead {
            self.is_dead = self.session.advance(&mut self.out).is_err();
        }
        self.check_output();
        // What it tells of itself can always be asked.
        let report = self.session.report();
        assert_eq!(frostgate::freeze::Report::unpack(report.pack()), report);
    }

    fn client_says(&mut self, message: &[u8]) {
        let Ok(cut) = cut_frontend(message, LIMITS) else { return };
        let mut turn = Turn {
            gate: self.gate,
            words: &self.words,
            classifier: &mut self.classifier,
            out: &mut self.out,
        };
        let Ok(fate) = self.session.on_frontend(&cut, &mut turn) else {
            self.is_dead = true;
            return;
        };
        let text = match (&cut, message) {
            (Cut::Whole { .. }, [b'Q', _, _, _, _, text @ .., 0]) => text,
            _ => return,
        };
        // Beyond ASCII it depends on the encoding, which the server may have changed.
        if fate == Fate::Forward && self.always_shut && text.is_ascii() && !text.contains(&0) {
            let found = if self.is_walsender {
                classify_replication(text, ClientEncoding::Safe, ReplicationKind::Database)
            } else {
                classify(text, ClientEncoding::Safe)
            };
            assert_ne!(found.verdict, Verdict::Refuse, "forwarded: {}", String::from_utf8_lossy(text));
        }
    }

    fn server_says(&mut self, message: &[u8]) {
        let Ok(cut) = cut_backend(message, || self.session.rows()) else { return };
        let mut turn = Turn {
            gate: self.gate,
            words: &self.words,
            classifier: &mut self.classifier,
            out: &mut self.out,
        };
        self.session.on_backend(&cut, &mut turn);
    }

    fn turn_gate(&mut self, to: u8) {
        let phase = Phase::ALL[usize::from(to) % 3];
        let turns = (phase == Phase::Open) != (self.gate.phase() == Phase::Open);
        let epoch = if turns { self.gate.epoch().next() } else { self.gate.epoch() };
        self.always_shut &= phase != Phase::Open;
        self.gate = Gate::new(epoch, phase);
        let mut turn = Turn {
            gate: self.gate,
            words: &self.words,
            classifier: &mut self.classifier,
            out: &mut self.out,
        };
        self.is_dead |= self.session.on_gate(&mut turn).is_err();
    }

    /// What the session writes by itself is whole messages.
    fn check_output(&mut self) {
        let limits = FrontendLimits { max_statement: 1 << 20 };
        let mut rest = &self.out.to_server[..];
        while !rest.is_empty() {
            let Ok(Cut::Whole { bytes, .. }) = cut_frontend(rest, limits) else {
                panic!("half a message: {rest:?}")
            };
            rest = &rest[bytes.len()..];
        }
        let mut rest = &self.out.to_client[..];
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[1..5].try_into().expect("four bytes"));
            rest = &rest[1 + usize::try_from(length).expect("a small number")..];
        }
        self.out = Output::default();
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short body");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn run(input: &[u8]) {
    let Some((choice, mut rest)) = input.split_first() else { return };
    let mut world = World::new(*choice);
    for _ in 0..MESSAGES {
        let [speaker, tag, length, tail @ ..] = rest else { return };
        let (body, after) = tail.split_at(usize::from(*length).min(tail.len()));
        world.act(*speaker, *tag, body);
        if world.is_dead {
            return;
        }
        rest = after;
    }
}

frostgate_fuzz::target!(run);
