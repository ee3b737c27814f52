//! What a relay does of others' accord: it meets the gate when that has moved, and obeys what an operator, a drain or a
//! shutdown orders.

use super::{cancel, error::NetError, relay::Relay, worker::Tools};
use crate::{fleet::Order, session::Turn, wire::TransactionStatus};
use std::{sync::Arc, task::Context};

impl Relay {
    /// The gate may have moved, and an order may have come.
    pub(super) fn meet(&mut self, cx: &mut Context<'_>, tools: &mut Tools) -> Result<(), NetError> {
        self.look_at_gate();
        if self.met != self.shown {
            self.meet_gate(cx, tools)?;
        }
        if self.record.take_request_to_ask() {
            self.session.ask(&self.at.known.ask().sql, &mut tools.output)?;
            self.emit(cx, tools);
        }
        if self.is_wanted() { self.obey(cx, tools) } else { Ok(()) }
    }

    /// The session is shown another gate than the one before.
    fn meet_gate(&mut self, cx: &mut Context<'_>, tools: &mut Tools) -> Result<(), NetError> {
        let (before, shown) = (std::mem::replace(&mut self.met, self.shown), self.shown);
        let Tools { classifier, output } = tools;
        let mut turn = Turn { gate: shown, words: &self.words, classifier, out: output };
        self.session.on_gate(&mut turn)?;
        if shown.is_shut() && (shown.epoch() != before.epoch() || !before.is_shut()) {
            self.ask(tools)?;
        }
        self.emit(cx, tools);
        self.retries |= std::mem::take(&mut self.holds);
        Ok(())
    }

    /// Whether something is to be done with the session, at once or as soon as it is free.
    pub(super) fn is_wanted(&self) -> bool {
        self.record.order() != Order::None || self.is_denied()
    }

    fn obey(&mut self, cx: &mut Context<'_>, tools: &mut Tools) -> Result<(), NetError> {
        let is_free = self.session.is_settled() && self.session.status() == TransactionStatus::Idle;
        if is_free && self.is_denied() {
            self.end("terminating connection: this client runs nothing while Frostgate is frozen");
        }
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
                self.emit(cx, tools);
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

    /// Asks the server to cancel what runs, once.
    fn cancel(&mut self) {
        if let (false, Some(key)) = (self.was_cancelled, self.record.identity.cancel_key.clone()) {
            self.was_cancelled = true;
            let (at, place) = (Arc::clone(&self.at), self.record.identity.place.clone());
            // The task owns all it needs and ends within the connect time limit.
            drop(tokio::task::spawn_local(
                async move { drop(cancel::send(&at.upstream, &place, &key).await) },
            ));
        }
    }
}
