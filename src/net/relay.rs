//! One session's bytes, both ways, in one future. What is read lands in the thread's buffer, the session judges
//! its messages in place, and runs of messages that pass go out in one write. A slow reader fills its own
//! buffers only: nothing more is read for it.

use super::{
    cancel,
    error::{NetError, Peer},
    leg::{Inbound, Outbound, Passing},
    stream::Stream,
    worker::{Lent, Tools, Worker},
};
use crate::{
    fleet::{Order, SessionRecord},
    freeze::{Gate, Report},
    observe::{Labels, Seen, What},
    session::{Event, Fate, Session, Turn, Words},
    sql::StatementClass,
    wire::{
        Cut, FrontendLimits, TransactionStatus,
        backend::{ErrorText, Severity, SqlState, error_response},
        frame::{cut_backend, cut_frontend},
    },
};
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};

/// While so much waits for the client, nothing more is read from it: its refusals too must be read by someone.
const CLIENT_BACKLOG: usize = 64 * 1024;
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
    worker: Rc<Worker>,
    record: Arc<SessionRecord>,
    labels: Arc<Labels>,
    session: Session,
    client: Stream,
    server: Stream,
    from_client: Inbound,
    from_server: Inbound,
    to_client: Outbound,
    to_server: Outbound,
    /// What the session wrote to the client while a message of the server was passing.
    behind: Vec<u8>,
    gate: Gate,
    words: Rc<Words>,
    /// The client's next message waits for the server, or for the gate.
    holds: bool,
    /// It may be shown to the session again.
    retries: bool,
    server_is_shut: bool,
    was_cancelled: bool,
    ends: bool,
    reported: Option<Report>,
}

/// What one direction came to in one go.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Idle,
    Moved,
    ServerClosed,
    ClientGone,
}

impl Relay {
    /// A session that has logged in.
    pub fn new(worker: Rc<Worker>, record: Arc<SessionRecord>, session: Session, ends: Ends) -> Self {
        let gate = worker.shared.switch.gate();
        let words = worker.words(gate);
        let who = &record.identity;
        let labels = worker.shared.labels.labels(&who.database, &who.user, &record.application());
        let Ends { client: (client, from_client), server: (server, from_server) } = ends;
        Self {
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
            words,
            holds: false,
            server_is_shut: false,
            was_cancelled: false,
            ends: false,
            reported: None,
            worker,
        }
    }

    /// Relays to the end. If it is an error, the client has been told.
    pub async fn run(mut self) -> (Result<(), NetError>, Ending) {
        let result = poll_fn(|cx| {
            self.record.register(cx.waker());
            let worker = Rc::clone(&self.worker);
            let mut lent = worker.lend();
            let polled = self.poll(cx, &mut lent);
            if lent.tools.output.tally.is_marked {
                worker.counters.take(&mut lent.tools.output.tally);
            }
            self.publish();
            polled
        })
        .await;
        let result = match result {
            Ok(Step::ServerClosed) => return (Ok(()), Ending::ServerClosed),
            Ok(_) => Ok(()),
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

    fn poll(&mut self, cx: &mut Context<'_>, lent: &mut Lent) -> Poll<Result<Step, NetError>> {
        loop {
            self.meet(cx, &mut lent.tools)?;
            if self.ends {
                return Poll::Ready(Ok(Step::ClientGone));
            }
            let back = self.step_back(cx, lent)?;
            let forth = self.step_forth(cx, lent)?;
            for step in [&back, &forth] {
                match step {
                    Step::ServerClosed => return Poll::Ready(Ok(Step::ServerClosed)),
                    Step::ClientGone => return Poll::Ready(Ok(Step::ClientGone)),
                    Step::Idle | Step::Moved => {}
                }
            }
            if (back, forth) == (Step::Idle, Step::Idle) {
                return Poll::Pending;
            }
        }
    }

    /// From the server to the client.
    fn step_back(&mut self, cx: &mut Context<'_>, lent: &mut Lent) -> Result<Step, NetError> {
        if self.to_client.flush(cx, &mut self.client).is_err() {
            return Ok(Step::ClientGone);
        }
        if !self.to_client.is_empty() {
            return Ok(Step::Idle);
        }
        if self.from_server.is_ended {
            return Ok(Step::ServerClosed);
        }
        let read = match poll_read(cx, &mut self.server, &mut lent.buffer) {
            Poll::Pending => return Ok(Step::Idle),
            // A server that resets its connection has closed it.
            Poll::Ready(read) => read.unwrap_or(0),
        };
        if read == 0 {
            self.from_server.is_ended = true;
            return Ok(Step::Moved);
        }
        let chunk = lent.buffer.get(..read).unwrap_or_default();
        let sent = if self.from_server.has_carry() {
            let all = self.from_server.take_with(chunk);
            let (dealt_with, sent) = self.sift_back(cx, &all, &mut lent.tools)?;
            self.from_server.put_back(all, dealt_with);
            sent
        } else {
            let (dealt_with, sent) = self.sift_back(cx, chunk, &mut lent.tools)?;
            self.from_server.keep(chunk.get(dealt_with..).unwrap_or_default());
            sent
        };
        if sent.is_err() {
            return Ok(Step::ClientGone);
        }
        self.session.advance(&mut lent.tools.output)?;
        self.emit(cx, &mut lent.tools)?;
        self.retries |= std::mem::take(&mut self.holds);
        Ok(Step::Moved)
    }

    /// Shows the server's messages to the session, and sends what passes. Tells how many bytes were dealt with,
    /// and whether the client took what it was sent.
    fn sift_back(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        tools: &mut Tools,
    ) -> Result<(usize, io::Result<()>), NetError> {
        let (mut start, mut at) = (0_usize, 0_usize);
        while let Some(rest) = data.get(at..).filter(|rest| !rest.is_empty()) {
            if self.from_server.passing > 0 {
                let passed = self.from_server.pass(rest.len());
                at = at.saturating_add(passed);
                if self.from_server.passes == Passing::Nowhere {
                    start = at;
                }
                if self.from_server.passing == 0 && !self.behind.is_empty() {
                    self.to_client.push(data.get(start..at).unwrap_or_default());
                    self.to_client.push(&std::mem::take(&mut self.behind));
                    start = at;
                }
                continue;
            }
            let cut = cut_backend(rest, self.session.rows())
                .map_err(|source| NetError::Protocol { peer: Peer::Server, source })?;
            let (length, is_whole) = match &cut {
                Cut::More => break,
                Cut::Whole { bytes, .. } => (bytes.len(), true),
                Cut::Head { length, .. } => (*length, false),
            };
            let Tools { classifier, output } = tools;
            let mut turn = Turn { gate: self.gate, words: &self.words, classifier, out: output };
            let fate = self.session.on_backend(&cut, &mut turn);
            let passes = if fate == Fate::Forward { Passing::On } else { Passing::Nowhere };
            if !is_whole {
                (self.from_server.passing, self.from_server.passes) = (length, passes);
                self.behind.append(&mut output.to_client);
                if passes == Passing::Nowhere {
                    self.to_client.push(data.get(start..at).unwrap_or_default());
                    start = at;
                }
                continue;
            }
            let end = at.saturating_add(length);
            if passes == Passing::Nowhere || !output.to_client.is_empty() {
                let until = if passes == Passing::On { end } else { at };
                self.to_client.push(data.get(start..until).unwrap_or_default());
                self.to_client.push(&output.to_client);
                output.to_client.clear();
                start = end;
            }
            at = end;
        }
        let sent = self.to_client.send(cx, &mut self.client, data.get(start..at).unwrap_or_default());
        Ok((at, sent))
    }

    /// From the client to the server.
    fn step_forth(&mut self, cx: &mut Context<'_>, lent: &mut Lent) -> Result<Step, NetError> {
        let sent = self.to_server.flush(cx, &mut self.server);
        if sent.is_err() || !self.to_server.is_empty() || self.holds {
            // What the server has still to say of a failed write, or of what is held, comes by the other way.
            return Ok(Step::Idle);
        }
        if self.to_client.len() > CLIENT_BACKLOG {
            return Ok(Step::Idle);
        }
        if std::mem::take(&mut self.retries) {
            let all = self.from_client.take_with(&[]);
            let dealt_with = self.sift_forth(cx, &all, &mut lent.tools)?;
            self.from_client.put_back(all, dealt_with);
            return self.after_forth(cx, &mut lent.tools);
        }
        if self.from_client.is_ended {
            return Ok(self.shut_server(cx));
        }
        let read = match poll_read(cx, &mut self.client, &mut lent.buffer) {
            Poll::Pending => return Ok(Step::Idle),
            Poll::Ready(Err(_)) => return Ok(Step::ClientGone),
            Poll::Ready(Ok(read)) => read,
        };
        if read == 0 {
            self.from_client.is_ended = true;
            self.record.set_client_gone();
            return Ok(Step::Moved);
        }
        let chunk = lent.buffer.get(..read).unwrap_or_default();
        if self.from_client.has_carry() {
            let all = self.from_client.take_with(chunk);
            let dealt_with = self.sift_forth(cx, &all, &mut lent.tools)?;
            self.from_client.put_back(all, dealt_with);
        } else {
            let dealt_with = self.sift_forth(cx, chunk, &mut lent.tools)?;
            self.from_client.keep(chunk.get(dealt_with..).unwrap_or_default());
        }
        self.after_forth(cx, &mut lent.tools)
    }

    /// Shows the client's messages to the session, and sends what passes. Tells how many bytes were dealt with.
    fn sift_forth(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        tools: &mut Tools,
    ) -> Result<usize, NetError> {
        let (mut start, mut at) = (0_usize, 0_usize);
        let judged = self.judge_all(data, tools, &mut start, &mut at);
        // If the server does not take it, it has closed: what it said before comes by the other way. What came
        // in front of a breach of the protocol is sent all the same, as the server would have run it.
        drop(self.to_server.send(cx, &mut self.server, data.get(start..at).unwrap_or_default()));
        judged.map(|()| at)
    }

    /// Judges message by message; what stands in `start..at` passes and has not been sent yet.
    fn judge_all(
        &mut self,
        data: &[u8],
        tools: &mut Tools,
        start: &mut usize,
        at: &mut usize,
    ) -> Result<(), NetError> {
        let limits = FrontendLimits { max_statement: self.worker.shared.config.limits.max_statement };
        while let Some(rest) = data.get(*at..).filter(|rest| !rest.is_empty()) {
            if self.from_client.passing > 0 {
                *at = at.saturating_add(self.from_client.pass(rest.len()));
                if self.from_client.passes == Passing::Nowhere {
                    *start = *at;
                }
                continue;
            }
            let cut = cut_frontend(rest, limits)
                .map_err(|source| NetError::Protocol { peer: Peer::Client, source })?;
            let (length, is_whole) = match &cut {
                Cut::More => break,
                Cut::Whole { bytes, .. } => (bytes.len(), true),
                Cut::Head { length, .. } => (*length, false),
            };
            self.look_at_gate();
            let Tools { classifier, output } = tools;
            let mut turn = Turn { gate: self.gate, words: &self.words, classifier, out: output };
            let fate = self.session.on_frontend(&cut, &mut turn)?;
            self.to_client.push(&output.to_client);
            output.to_client.clear();
            if fate != Fate::Forward || !output.to_server.is_empty() {
                self.to_server.push(data.get(*start..*at).unwrap_or_default());
                self.to_server.push(&output.to_server);
                output.to_server.clear();
                *start = *at;
            }
            match fate {
                Fate::Hold => {
                    self.holds = true;
                    break;
                }
                Fate::Forward => self.from_client.passes = Passing::On,
                Fate::Drop => self.from_client.passes = Passing::Nowhere,
            }
            if !is_whole {
                self.from_client.passing = length;
                continue;
            }
            *at = at.saturating_add(length);
            if fate == Fate::Drop {
                *start = *at;
            }
        }
        Ok(())
    }

    fn after_forth(&mut self, cx: &mut Context<'_>, tools: &mut Tools) -> Result<Step, NetError> {
        self.session.advance(&mut tools.output)?;
        self.emit(cx, tools)?;
        let told = self.to_client.flush(cx, &mut self.client);
        Ok(if told.is_err() { Step::ClientGone } else { Step::Moved })
    }

    /// The client sends no more: neither do we. The server may still have something to say.
    fn shut_server(&mut self, cx: &mut Context<'_>) -> Step {
        if !self.server_is_shut {
            // A server that can't be told has gone already.
            self.server_is_shut = !matches!(Pin::new(&mut self.server).poll_shutdown(cx), Poll::Pending);
        }
        Step::Idle
    }

    fn look_at_gate(&mut self) {
        let gate = self.worker.shared.switch.gate();
        if gate != self.gate {
            self.gate = gate;
            self.words = self.worker.words(gate);
        }
    }

    /// The gate may have moved, and an order may have come.
    fn meet(&mut self, cx: &mut Context<'_>, tools: &mut Tools) -> Result<(), NetError> {
        let before = self.gate;
        self.look_at_gate();
        if self.gate != before {
            let Tools { classifier, output } = tools;
            let mut turn = Turn { gate: self.gate, words: &self.words, classifier, out: output };
            self.session.on_gate(&mut turn)?;
            self.emit(cx, tools)?;
            self.retries |= std::mem::take(&mut self.holds);
        }
        let is_free = self.session.is_settled() && self.session.status() == TransactionStatus::Idle;
        match self.record.order() {
            Order::None => {}
            Order::Leave if is_free => self.end("terminating connection because Frostgate is stopping"),
            Order::Leave => {}
            Order::CancelRead => {
                self.record.read_was_cancelled();
                self.cancel();
            }
            Order::RollBack if is_free || self.session.is_copying_in() => {
                self.end("terminating connection because its transaction held up Frostgate's freeze");
            }
            Order::RollBack => {
                self.session.roll_back(&mut tools.output)?;
                self.emit(cx, tools)?;
                if !self.session.is_settled() {
                    self.cancel();
                }
            }
            Order::Kill => {
                self.cancel();
                self.end("terminating connection by order of Frostgate's operator");
            }
        }
        Ok(())
    }

    /// Sends what the session wrote to the server, and tells those who watch.
    fn emit(&mut self, cx: &mut Context<'_>, tools: &mut Tools) -> Result<(), NetError> {
        let output = &mut tools.output;
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
                    self.labels = self.worker.shared.labels.labels(&who.database, &who.user, &application);
                    continue;
                }
                Event::RolledBack => continue,
                Event::FenceLost => What::FenceLost,
                Event::PoolerFound => What::PoolerFound,
                Event::FenceFailed { code } => What::FenceFailed { code: code.map(|c| c.to_string()) },
            };
            let (who, application) = (Arc::clone(&self.record), self.record.application());
            self.worker.shared.watch.tell(Seen { who, application, what });
        }
        Ok(())
    }

    /// Tells how the session stands, if that has changed.
    fn publish(&mut self) {
        let report = self.session.report();
        if self.reported == Some(report) {
            return;
        }
        self.reported = Some(report);
        self.record.publish(report, self.worker.coarse_now());
        if self.gate.is_shut() {
            self.record.set_last_command(self.session.last_command());
            self.worker.shared.switch.stir();
        }
    }

    /// Asks the server to cancel what runs, once.
    fn cancel(&mut self) {
        if let (false, Some(key)) = (self.was_cancelled, self.record.identity.cancel_key.clone()) {
            self.was_cancelled = true;
            let (upstream, place) =
                (Arc::clone(&self.worker.shared.upstream), self.record.identity.place.clone());
            // The task owns all it needs and ends within the connect time limit.
            drop(tokio::task::spawn_local(async move { drop(cancel::send(&upstream, &place, &key).await) }));
        }
    }

    fn end(&mut self, why: &str) {
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
