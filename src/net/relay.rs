//! One session's bytes, both ways, in one future. What is read lands in the thread's buffer, the session judges
//! its messages in place, and runs of messages that pass go out in one write. A slow reader fills its own
//! buffers only: nothing more is read for it.

use super::{
    error::NetError,
    leg::{Inbound, Outbound, Passing},
    servers::Server,
    stream::Stream,
    worker::{Lent, Tools, Worker},
};
use crate::{
    fleet::{Ruling, SessionRecord},
    freeze::Gate,
    observe::{Labels, Seen, What, Writer},
    session::{Event, Session, SessionSettings, Words},
    sql::StatementClass,
    wire::backend::{ErrorText, Severity, SqlState, error_response},
};
use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
    time::timeout,
};

/// Bytes that a session lies in while it waits: mimalloc has room for so many, and behind that for 768.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Relay>() <= 640);
/// For sending a client the reason of its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a relay came to its end.
#[derive(Debug)]
pub enum Ending {
    /// The server closed its side, and the client has been sent all of it.
    ServerClosed,
    /// The client is gone, or we ended it; the server's session has not ended yet.
    ServerLeft(Stream),
}

/// Who ended a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The server closed its side, and the client has been sent all of it.
    Server,
    /// The client closed its side, or we end it.
    Client,
}

/// The two connections of a session, with what has been read of each already.
#[derive(Debug)]
pub struct Ends {
    /// The client's, and what it sent behind its login.
    pub client: (Stream, Vec<u8>),
    /// The server's, and what it sent behind its first ReadyForQuery.
    pub server: (Stream, Vec<u8>),
}

/// See the module's text.
#[derive(Debug)]
pub struct Relay {
    pub(super) worker: Rc<Worker>,
    /// The server that it is on.
    pub(super) at: Arc<Server>,
    pub(super) record: Arc<SessionRecord>,
    pub(super) labels: Arc<Labels>,
    pub(super) session: Session,
    pub(super) client: Stream,
    pub(super) server: Stream,
    pub(super) from_client: Inbound,
    pub(super) from_server: Inbound,
    pub(super) to_client: Outbound,
    pub(super) to_server: Outbound,
    /// What the session wrote to the client while a message of the server was passing.
    pub(super) behind: Vec<u8>,
    /// As it was last looked at.
    pub(super) gate: Gate,
    /// What the session is shown of it, and what it has met.
    pub(super) shown: Gate,
    pub(super) met: Gate,
    pub(super) ruling: Ruling,
    pub(super) words: Rc<Words>,
    /// The client's next message waits for the server, or for the gate.
    pub(super) holds: bool,
    /// It may be shown to the session again.
    pub(super) retries: bool,
    pub(super) server_is_shut: bool,
    pub(super) was_cancelled: bool,
    pub(super) ends: bool,
    /// One answer has come, and there is more to ask.
    pub(super) asks_on: bool,
    /// Questions that the server has not answered, one after another.
    pub(super) unanswered: u8,
}

/// What one direction came to in one go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Idle,
    /// There may be more to be read.
    Moved,
    /// Nothing more is there yet.
    Emptied,
    Over(Gone),
}

impl Relay {
    /// A session that has logged in.
    pub fn new(
        (worker, at): (Rc<Worker>, Arc<Server>),
        record: Arc<SessionRecord>,
        settings: SessionSettings,
        ends: Ends,
    ) -> Self {
        let (gate, shown, _) = worker.shared.switch.ruling(&record.identity, &record.application());
        let mut session = Session::new(settings, shown);
        let words = worker.words(gate);
        let who = &record.identity;
        session.set_loopholes(&at.known.loopholes(&who.database));
        let labels = worker.shared.labels.labels(&who.database, &who.user, &record.application());
        let writer = Writer::new(who, &record.application());
        session.set_writer(worker.shared.writers.id(writer));
        let Ends { client: (client, from_client), server: (server, from_server) } = ends;
        let mut relay = Self {
            labels,
            record,
            session,
            client,
            server,
            retries: !from_client.is_empty(),
            from_client: Inbound::with(from_client),
            from_server: Inbound::with(from_server),
            to_client: Outbound::default(),
            to_server: Outbound::default(),
            behind: Vec::new(),
            gate,
            shown,
            met: shown,
            ruling: Ruling::Bound,
            words,
            holds: false,
            server_is_shut: false,
            was_cancelled: false,
            ends: false,
            asks_on: false,
            unanswered: 0,
            worker,
            at,
        };
        relay.look_anew();
        relay
    }

    /// Relays until one side has gone, or is to go; [`Relay::finish`] is for what comes then. Most sessions lie idle:
    /// while it waits this future is a few words, and what is needed at the end only is made at the end.
    pub fn run(&mut self) -> impl Future<Output = Result<Gone, NetError>> {
        let worker = Rc::clone(&self.worker);
        let mut is_new = true;
        poll_fn(move |cx| {
            let lent = &mut *worker.lend();
            if std::mem::take(&mut is_new) {
                self.record.register(cx.waker());
                self.begin(cx, &mut lent.tools)?;
            }
            let polled = self.poll(cx, lent);
            if lent.tools.output.tally.is_marked {
                self.count_spared(&lent.tools.output.tally);
                worker.counters.take(&mut lent.tools.output.tally);
            }
            self.publish();
            polled
        })
    }

    /// Says the last words to the client, who is told of an error.
    pub async fn finish(mut self: Box<Self>, over: Result<Gone, NetError>) -> (Result<(), NetError>, Ending) {
        let result = match over {
            Ok(Gone::Server) => {
                if self.session.is_terminating() {
                    self.record.set_client_gone();
                }
                return (Ok(()), Ending::ServerClosed);
            }
            Ok(Gone::Client) => Ok(()),
            Err(error) => {
                self.tell_fatal(error.sql_state(), &error.client_text());
                Err(error)
            }
        };
        let last_words = poll_fn(|cx| self.poll_last_words(cx));
        // A client that does not read its last words has heard nothing; it is closed all the same.
        drop(timeout(LAST_WORDS, last_words).await);
        (result, Ending::ServerLeft(self.server))
    }

    /// The server that it is on, and its place in the roster.
    pub fn whose(&self) -> (Arc<Server>, Arc<SessionRecord>) {
        (Arc::clone(&self.at), Arc::clone(&self.record))
    }

    /// The first words of the session are ours, if there is anything to ask or a fence to put up.
    fn begin(&mut self, cx: &mut Context<'_>, tools: &mut Tools) -> Result<(), NetError> {
        self.ask(tools)?;
        self.session.advance(&mut tools.output)?;
        self.emit(cx, tools);
        Ok(())
    }

    /// One turn: each side is read once, and then others on this thread have theirs.
    fn poll(&mut self, cx: &mut Context<'_>, lent: &mut Lent) -> Poll<Result<Gone, NetError>> {
        self.meet(cx, &mut lent.tools)?;
        if self.ends {
            return Poll::Ready(Ok(Gone::Client));
        }
        let back = self.step_back(cx, lent)?;
        let forth = self.step_forth(cx, lent)?;
        match (back, forth) {
            (Step::Over(Gone::Server), _) | (_, Step::Over(Gone::Server)) => {
                return Poll::Ready(Ok(Gone::Server));
            }
            (Step::Over(gone), _) | (_, Step::Over(gone)) => return Poll::Ready(Ok(gone)),
            (Step::Idle, Step::Idle) => return Poll::Pending,
            (Step::Moved, _) | (_, Step::Moved) => {}
            // What has just ended may be what an order waits for.
            (Step::Idle | Step::Emptied, Step::Idle | Step::Emptied) if self.is_wanted() => {}
            (Step::Idle | Step::Emptied, Step::Idle | Step::Emptied) => return Poll::Pending,
        }
        // Polled once, it has the session polled again behind the others.
        if pin!(yield_now()).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Sends what the session wrote to the server, and tells those who watch.
    pub(super) fn emit(&mut self, cx: &mut Context<'_>, tools: &mut Tools) {
        let output = &mut tools.output;
        if output.is_empty() {
            return;
        }
        if !output.to_client.is_empty() {
            self.to_client.push(&output.to_client);
            output.to_client.clear();
        }
        if !output.to_server.is_empty() {
            // A server that does not take it has closed: that is seen where it is read from.
            drop(self.to_server.send(cx, &mut self.server, &output.to_server));
            output.to_server.clear();
        }
        for event in output.events.drain(..) {
            let what = match event {
                Event::Refused(refusal) => {
                    self.labels.count(refusal.classification.class);
                    What::Refused(refusal)
                }
                Event::Rejected { command } => {
                    self.labels.count(StatementClass::Write);
                    What::Rejected { command }
                }
                Event::ApplicationName(name) => {
                    self.record.set_application(&String::from_utf8_lossy(&name));
                    let who = &self.record.identity;
                    let application = self.record.application();
                    let shared = &self.worker.shared;
                    self.labels = shared.labels.labels(&who.database, &who.user, &application);
                    self.session.set_writer(shared.writers.id(Writer::new(who, &application)));
                    self.look_anew();
                    continue;
                }
                Event::RolledBack => continue,
                Event::FenceLost => What::FenceLost,
                Event::Answered(answer) if self.learn(&answer) => What::PoolerFound,
                Event::Answered(_) => continue,
                Event::Unanswered if self.miss() => What::LoopholesUnknown,
                Event::Unanswered => continue,
                Event::FenceFailed { code } => What::FenceFailed { code: code.map(|c| c.to_string()) },
            };
            let (who, application) = (Arc::clone(&self.record), self.record.application());
            self.worker.shared.watch.tell(Seen { who, application, what });
        }
        self.ask_on(cx, output);
    }

    /// Tells how the session stands, if that has changed.
    pub(super) fn publish(&mut self) {
        let report = self.session.report();
        if !self.record.publish(report, self.worker.coarse_now()) {
            return;
        }
        if self.gate.is_shut() {
            self.record.set_last_command(self.session.last_command());
            self.worker.shared.switch.stir();
        }
    }

    pub(super) fn end(&mut self, why: &str) {
        self.tell_fatal(SqlState::ADMIN_SHUTDOWN, why);
        self.ends = true;
    }

    /// The last message to the client; in the middle of another one it would be read as a part of that.
    fn tell_fatal(&mut self, code: SqlState, message: &str) {
        if self.from_server.passing > 0 && self.from_server.passes == Passing::On {
            return;
        }
        let mut text = Vec::new();
        let error = ErrorText { severity: Severity::Fatal, code, message, detail: "", hint: "" };
        error_response(&mut text, &error);
        self.to_client.push(&text);
    }

    /// Sends what the client is still to read, and lets it be read: a socket that is closed on bytes which
    /// nobody has read may take its last message back.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to_client.flush(cx, &mut self.client)?;
        if !self.to_client.is_empty() || Pin::new(&mut self.client).poll_shutdown(cx)?.is_pending() {
            return Poll::Pending;
        }
        let worker = Rc::clone(&self.worker);
        let mut lent = worker.lend();
        loop {
            match poll_read(cx, &mut self.client, &mut lent.buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
            }
        }
    }
}

fn poll_read(cx: &mut Context<'_>, from: &mut Stream, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut into = ReadBuf::new(buffer);
    match Pin::new(from).poll_read(cx, &mut into) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(read) => Poll::Ready(read.map(|()| into.filled().len())),
    }
}
