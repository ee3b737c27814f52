//! `freeze` and `thaw`, of everybody or of some. One at a time; each may be said twice.

use super::{
    command::{DrainOptions, FreezeCall, OnTimeout, ThawCall, VerbReply},
    error::ControlError,
    operator::{Operator, lock},
    scope::check_scope,
    told::{HookTold, Occasion},
};
use crate::freeze::{Change, Epoch, FreezeRequest, FreezeState, Phase, SCOPE_LIMIT, check_words};
use serde_json::json;
use std::sync::{Arc, atomic::Ordering};

impl Operator {
    /// Shuts the gate. When this returns it is shut, and the state is on disk; the drain goes on by itself.
    ///
    /// # Errors
    /// The words or the scope are not taken, a guard refuses it, or a command that must succeed before has failed: then
    /// nothing has changed. The state could not be kept: then the gate is shut all the same.
    pub async fn freeze(self: &Arc<Self>, call: FreezeCall) -> Result<VerbReply, ControlError> {
        let words = |what, text: &str| check_words(text).map_err(|fault| ControlError::Words { what, fault });
        words("reason", &call.reason)?;
        words("by", &call.by)?;
        check_scope(&call.scope)?;
        self.guard_scope(&call.scope)?;
        if let (Some(pooler), false) = (self.pooler(), call.allow_unfenced) {
            return Err(ControlError::Unfenced { which: self.which(pooler) });
        }
        if let (Some(unwatched), true) = (self.unwatched(), call.require_quiet) {
            return Err(ControlError::NoMonitor { which: self.which(unwatched) });
        }
        self.check_open(&call)?;
        let hooks = self.before_freeze(&call).await?;
        let mut verbs = self.verbs.lock().await;
        self.check_open(&call)?;
        *verbs = verbs.saturating_add(1);
        let FreezeCall { reason, by, until, drain: options, scope, .. } = call;
        let before = self.switch.state();
        let request = FreezeRequest { reason: reason.clone(), by: by.clone(), until, scope };
        let (state, change) = before.freeze(request, self.now());
        let (state, epoch) = (self.on_servers(&state), state.epoch);
        let phase = if change == Change::Made { Phase::Draining } else { self.switch.gate().phase() };
        let told: Vec<String> =
            state.freeze.iter().flat_map(|freeze| &freeze.scope).map(ToString::to_string).collect();
        if change == Change::Widened {
            self.declared.store(0, Ordering::SeqCst);
        }
        self.switch.publish(state.clone(), phase);
        if change == Change::Made {
            self.begin_record(&state, hooks);
        } else {
            self.renew_record(&state);
        }
        self.tell(
            "freeze",
            json!({ "by": by, "reason": reason, "until": until, "epoch": epoch, "scope": told, "changed": change != Change::Already }),
        );
        if change == Change::Made {
            self.forget_evidence();
        }
        match change {
            Change::Made | Change::Widened => self.begin_drain(options, epoch),
            Change::Already | Change::Narrowed => lock(&self.drain).set(options),
        }
        self.keep(&state, "shut")?;
        self.save_record();
        Ok(self.reply(change, *verbs))
    }

    /// Looked at twice: what hooks do is spared where it is known to be for nothing, and what counts is the look under
    /// the lock.
    fn check_open(&self, call: &FreezeCall) -> Result<(), ControlError> {
        match &self.switch.state().freeze {
            Some(freeze) if call.must_be_open => Err(ControlError::NotOpen {
                by: freeze.by.clone(),
                reason: freeze.reason.clone(),
                since: freeze.since,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// What must succeed before the gate shuts; not asked of a second freeze.
    async fn before_freeze(&self, call: &FreezeCall) -> Result<Vec<HookTold>, ControlError> {
        if call.skip_hooks || self.switch.gate().is_shut() {
            return Ok(Vec::new());
        }
        let words = [("FROSTGATE_REASON", call.reason.clone()), ("FROSTGATE_BY", call.by.clone())];
        let told = self.run_hooks(Occasion::BeforeFreeze, &words, None).await;
        if let Some(failed) = told.iter().find(|hook| !hook.is_good()) {
            let ended = match failed.exit {
                Some(code) => format!("ended with {code}"),
                None => "did not end in time, or could not be run".into(),
            };
            let output = failed.output.trim();
            let output = if output.is_empty() { String::new() } else { format!(": {output}") };
            return Err(ControlError::Hook { command: failed.command.clone(), ended, output });
        }
        Ok(told)
    }

    /// Opens the gate, for everybody or for some. When this returns it is open, and the state is on disk. Where the call
    /// says after how many verbs, only if none has come since.
    ///
    /// # Errors
    /// Whom it is for is not taken, a guard refuses it (no smoke test, an exempt transaction, another server), another
    /// verb has come in between, or the state could not be kept: then the gate stays as it is.
    pub async fn thaw(self: &Arc<Self>, call: ThawCall) -> Result<VerbReply, ControlError> {
        check_scope(call.whom.as_slice())?;
        self.find_out_servers().await;
        let mut verbs = self.verbs.lock().await;
        if call.after.is_some_and(|after| after != *verbs) {
            return Err(ControlError::Overtaken);
        }
        let before = self.switch.state();
        let (state, change) = match &call.whom {
            None => before.thaw(),
            Some(whom) => before.thaw_some(whom),
        };
        if change == Change::Already {
            return Ok(self.reply(change, *verbs));
        }
        if self.lacks_smoke() && !(call.skip_smoke && call.reason.is_some()) {
            return Err(ControlError::SmokeNeeded);
        }
        let open = self.census().exempt_in_transaction;
        if open > 0 && change == Change::Made {
            return Err(ControlError::ExemptTransactionOpen { count: open });
        }
        let replaced = self.replaced();
        if !replaced.is_empty() && !call.accept_new_server {
            let is_one_of_many = self.watched.len() > 1;
            return Err(ControlError::NewServer { replaced, is_one_of_many });
        }
        if state.freeze.as_ref().is_some_and(|freeze| freeze.thawed.len() > SCOPE_LIMIT) {
            return Err(ControlError::ScopeTooLarge);
        }
        let whom = call.whom.as_ref().map(ToString::to_string);
        let facts = json!({ "by": call.by, "reason": call.reason, "epoch": state.epoch, "whom": whom,
            "skipped_smoke": self.lacks_smoke() });
        self.keep(&state, "shut")?;
        // The operator's rules end with the freeze: what was made of them is kept before.
        self.save_record();
        *verbs = verbs.saturating_add(1);
        self.open(state, change);
        self.tell(if change == Change::Made { "thaw" } else { "thaw_some" }, facts);
        if change == Change::Made {
            self.end_record(&call.by, call.reason.as_deref());
            self.spawn_hooks(Occasion::AfterThaw);
        } else {
            self.save_record();
        }
        Ok(self.reply(change, *verbs))
    }

    fn open(&self, state: FreezeState, change: Change) {
        if change == Change::Made {
            self.forget_evidence();
            *lock(&self.start_fault) = None;
            self.switch.list_rules(&state.rules, self.now());
            self.switch.publish(state, Phase::Open);
        } else {
            self.switch.publish(state, self.switch.gate().phase());
        }
    }

    /// The freeze reaches more than before, though no verb said so: they are drained for, and until then it is not
    /// called frozen. The gate itself stays as it is.
    pub(super) fn drain_again(self: &Arc<Self>, mut state: FreezeState) {
        let epoch: Epoch = state.epoch;
        let Some(freeze) = &mut state.freeze else {
            self.switch.renew();
            return;
        };
        // Something may write again: sessions that tell their clients the state go by this.
        freeze.frozen_at = None;
        self.declared.store(0, Ordering::SeqCst);
        self.switch.publish(state, self.switch.gate().phase());
        // What the first freeze said of its own time holds no more: nobody who relies on the freeze by now has asked for
        // it to end by itself.
        let options = DrainOptions { on_timeout: OnTimeout::Stay, ..lock(&self.drain).options };
        self.begin_drain(options, epoch);
    }
}
