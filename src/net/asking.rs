//! What a relay asks of its server on the product's own account, in between what the client says: a session of each
//! database does so for all of them, when it is the first one and when the gate shuts.

use super::{error::NetError, relay::Relay, worker::Tools};
use crate::session::Output;
use std::task::Context;

/// So often a question is asked once more that the server did not answer.
const ASKED_AGAIN: u8 = 2;

impl Relay {
    /// If anything is to be asked of the server, and nobody has been told to yet, this session asks it.
    pub(super) fn ask(&mut self, tools: &mut Tools) -> Result<(), NetError> {
        let database = &self.record.identity.database;
        if let Some(question) = self.at.known.question(database, self.gate, self.worker.coarse_now()) {
            self.session.ask(&question.sql, &mut tools.output)?;
        }
        Ok(())
    }

    /// What the server answered; tells whether it turned out to be a pooler.
    pub(super) fn learn(&mut self, answer: &[u8]) -> bool {
        self.unanswered = 0;
        let who = &self.record.identity;
        if let Some(are_others) = self.at.known.learn_loopholes(&who.database, answer) {
            if are_others {
                self.worker.shared.switch.renew();
            }
            // One question at a time: this was the last of the others.
            if self.at.known.wants_identity() {
                self.record.request_to_ask();
            }
            return false;
        }
        let process_id = who.cancel_key.as_ref().map_or(0, |key| key.process_id);
        let roster = self.worker.shared.switch.roster();
        let text = String::from_utf8_lossy(answer);
        let learned = self
            .at
            .known
            .learn(&who.database, process_id, &text, |pid| roster.has_process(&who.upstream, pid));
        // Behind the identity nothing more is to be asked.
        self.asks_on = !answer.starts_with(b"identity");
        self.worker.shared.switch.stir();
        let is_pooler = learned.is_some_and(|learned| learned.is_pooler);
        if is_pooler {
            self.session.give_up_fence();
        }
        is_pooler
    }

    /// The server did not answer: the client had it cancelled, or lets no statement run for long. Tells whether
    /// nobody knows the database's loopholes now.
    pub(super) fn miss(&mut self) -> bool {
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered <= ASKED_AGAIN {
            // Whichever it was: the loopholes are what must be known.
            self.asks_on = true;
            return false;
        }
        self.unanswered = 0;
        let is_new = self.at.known.miss_loopholes(&self.record.identity.database);
        if is_new {
            self.worker.shared.switch.renew();
        }
        is_new
    }

    /// Asks what is still to be asked after an answer.
    pub(super) fn ask_on(&mut self, cx: &mut Context<'_>, output: &mut Output) {
        if !std::mem::take(&mut self.asks_on) {
            return;
        }
        let question = self.at.known.ask_loopholes();
        if self.session.ask(&question.sql, output).is_err() {
            self.end("terminating connection because it could not be made read-only");
        }
        // A server that does not take it has closed: that is seen where it is read from.
        drop(self.to_server.send(cx, &mut self.server, &output.to_server));
        output.to_server.clear();
    }
}
