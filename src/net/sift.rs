//! A relay's two directions: what is read is shown to the session message by message, in place, and runs of what
//! passes go out in one write.

use super::{
    error::{NetError, Peer},
    leg::Passing,
    relay::{Gone, Relay, Step},
    stream::Read,
    worker::{Lent, Tools},
};
use crate::{
    session::{Fate, Turn},
    wire::{
        Cut, FrontendLimits,
        frame::{cut_backend, cut_frontend},
    },
};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::AsyncWrite as _;

/// While so much waits for the client, nothing more is read from it: its refusals too must be read by someone.
const CLIENT_BACKLOG: usize = 64 * 1024;

impl Relay {
    /// From the server to the client.
    pub(super) fn step_back(&mut self, cx: &mut Context<'_>, lent: &mut Lent) -> Result<Step, NetError> {
        if self.to_client.flush(cx, &mut self.client).is_err() {
            return Ok(Step::Over(Gone::Client));
        }
        if !self.to_client.is_empty() {
            return Ok(Step::Idle);
        }
        if self.from_server.is_ended {
            return Ok(Step::Over(Gone::Server));
        }
        // A server that resets its connection has closed it.
        let read = self.from_server.read(cx, &mut self.server, &mut lent.buffer).unwrap_or(Read::Ended);
        let (read, step) = match read {
            Read::Nothing => return Ok(Step::Idle),
            Read::Ended => {
                self.from_server.is_ended = true;
                return Ok(Step::Moved);
            }
            Read::Part(read) => (read, Step::Moved),
            Read::All(read) => (read, Step::Emptied),
        };
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
            return Ok(Step::Over(Gone::Client));
        }
        self.session.advance(&mut lent.tools.output)?;
        self.emit(cx, &mut lent.tools);
        self.retries |= std::mem::take(&mut self.holds);
        Ok(step)
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
        let Tools { classifier, output } = tools;
        let mut turn = Turn { gate: self.shown, words: &self.words, classifier, out: output };
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
            let cut = cut_backend(rest, || self.session.rows())
                .map_err(|source| NetError::Protocol { peer: Peer::Server, source })?;
            let (length, is_whole) = match &cut {
                Cut::More => break,
                Cut::Whole { bytes, .. } => (bytes.len(), true),
                Cut::Head { length, .. } => (*length, false),
            };
            let fate = self.session.on_backend(&cut, &mut turn);
            let passes = if fate == Fate::Forward { Passing::On } else { Passing::Nowhere };
            if !is_whole {
                (self.from_server.passing, self.from_server.passes) = (length, passes);
                self.behind.append(&mut turn.out.to_client);
                if passes == Passing::Nowhere {
                    self.to_client.push(data.get(start..at).unwrap_or_default());
                    start = at;
                }
                continue;
            }
            let end = at.saturating_add(length);
            if passes == Passing::Nowhere || !turn.out.to_client.is_empty() {
                let until = if passes == Passing::On { end } else { at };
                self.to_client.push(data.get(start..until).unwrap_or_default());
                self.to_client.push(&turn.out.to_client);
                turn.out.to_client.clear();
                start = end;
            }
            at = end;
        }
        // What a client has been told, the operator's verbs know: a thaw behind an exempt BEGIN finds it.
        self.publish();
        let sent = self.to_client.send(cx, &mut self.client, data.get(start..at).unwrap_or_default());
        Ok((at, sent))
    }

    /// From the client to the server.
    pub(super) fn step_forth(&mut self, cx: &mut Context<'_>, lent: &mut Lent) -> Result<Step, NetError> {
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
            return self.after_forth(cx, &mut lent.tools, Step::Moved);
        }
        if self.from_client.is_ended {
            return Ok(self.shut_server(cx));
        }
        let (read, step) = match self.from_client.read(cx, &mut self.client, &mut lent.buffer) {
            Err(_) => return Ok(Step::Over(Gone::Client)),
            Ok(Read::Nothing) => return Ok(Step::Idle),
            Ok(Read::Ended) => {
                self.from_client.is_ended = true;
                self.record.set_client_gone();
                return Ok(Step::Moved);
            }
            Ok(Read::Part(read)) => (read, Step::Moved),
            Ok(Read::All(read)) => (read, Step::Emptied),
        };
        let chunk = lent.buffer.get(..read).unwrap_or_default();
        if self.from_client.has_carry() {
            let all = self.from_client.take_with(chunk);
            let dealt_with = self.sift_forth(cx, &all, &mut lent.tools)?;
            self.from_client.put_back(all, dealt_with);
        } else {
            let dealt_with = self.sift_forth(cx, chunk, &mut lent.tools)?;
            self.from_client.keep(chunk.get(dealt_with..).unwrap_or_default());
        }
        self.after_forth(cx, &mut lent.tools, step)
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
            let mut turn = Turn { gate: self.shown, words: &self.words, classifier, out: output };
            let fate = self.session.on_frontend(&cut, &mut turn)?;
            if !output.to_client.is_empty() {
                self.to_client.push(&output.to_client);
                output.to_client.clear();
            }
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

    fn after_forth(&mut self, cx: &mut Context<'_>, tools: &mut Tools, step: Step) -> Result<Step, NetError> {
        self.session.advance(&mut tools.output)?;
        self.emit(cx, tools);
        let told = self.to_client.flush(cx, &mut self.client);
        Ok(if told.is_err() { Step::Over(Gone::Client) } else { step })
    }

    /// The client sends no more: neither do we. The server may still have something to say.
    fn shut_server(&mut self, cx: &mut Context<'_>) -> Step {
        if !self.server_is_shut {
            // A server that can't be told has gone already.
            self.server_is_shut = !matches!(Pin::new(&mut self.server).poll_shutdown(cx), Poll::Pending);
        }
        Step::Idle
    }
}
