//! Exceptions and denials: made, unmade and told while the proxy runs, and ended when their hour has come.

use super::{
    command::{ExceptCall, ExceptionsReply, RuleTold, UnexceptCall},
    error::ControlError,
    operator::Operator,
};
use crate::matching::{Rule, RuleFault, RuleKind};
use serde_json::json;
use std::sync::Arc;

impl Operator {
    /// Makes an exception or a denial. It ends with the freeze.
    ///
    /// # Errors
    /// It is not taken, or could not be kept; then there is none.
    pub async fn except(self: &Arc<Self>, call: ExceptCall) -> Result<RuleTold, ControlError> {
        let ExceptCall { mut rule, by } = call;
        let _one_at_a_time = self.verbs.lock().await;
        let mut state = (*self.switch.state()).clone();
        let others = [self.switch.configured().as_slice(), &state.rules].concat();
        if rule.name.is_empty() {
            rule.name = free_name(&others);
        }
        let now = self.now();
        let fault = |fault| ControlError::Rule { fault };
        rule.check(&others).map_err(fault)?;
        if let Some(until) = rule.until.filter(|until| *until <= now) {
            return Err(fault(RuleFault::Over { until }));
        }
        state.rules.push(rule.clone());
        self.keep(&state, "as it was")?;
        self.switch.list_rules(&state.rules, now);
        match rule.kind {
            RuleKind::Exempt => drop(self.switch.publish(state, self.switch.gate().phase())),
            // Who was excepted until now may have a transaction open that wrote.
            RuleKind::Deny => self.drain_again(state),
        }
        self.tell("exception_made", json!({ "rule": rule, "by": by }));
        Ok(told(&rule, false, (0, 0, 0)))
    }

    /// Unmakes one that an operator made.
    ///
    /// # Errors
    /// There is none, or the state could not be kept; then it holds no more all the same.
    pub async fn unexcept(self: &Arc<Self>, call: UnexceptCall) -> Result<ExceptionsReply, ControlError> {
        let _one_at_a_time = self.verbs.lock().await;
        let mut state = (*self.switch.state()).clone();
        let Some(at) = state.rules.iter().position(|rule| rule.name == call.name) else {
            return Err(ControlError::NoSuchRule { name: call.name });
        };
        let rule = state.rules.remove(at);
        self.switch.list_rules(&state.rules, self.now());
        self.drain_again(state.clone());
        self.tell("exception_unmade", json!({ "rule": rule, "by": call.by }));
        self.keep(&state, "shut to whom it was for")?;
        Ok(self.exceptions())
    }

    /// Ends what is over; once a second is enough.
    pub async fn end_exceptions(self: &Arc<Self>) {
        let now = self.now();
        if !self.switch.rules().is_outdated(now) {
            return;
        }
        let _one_at_a_time = self.verbs.lock().await;
        let mut state = (*self.switch.state()).clone();
        let (held, over): (Vec<Rule>, Vec<Rule>) =
            std::mem::take(&mut state.rules).into_iter().partition(|rule| rule.holds_at(now));
        state.rules = held;
        self.switch.list_rules(&state.rules, now);
        self.drain_again(state.clone());
        self.tell("exceptions_over", json!({ "rules": over }));
        if let Err(error) = self.keep(&state, "shut to whom they were for") {
            self.tell("state_not_kept", json!({ "problem": error.to_string() }));
        }
    }

    /// All that hold, with what has been made of them.
    pub fn exceptions(&self) -> ExceptionsReply {
        let rules = self.switch.rules();
        let listed = rules.listed().iter();
        let exceptions = listed.map(|l| told(&l.rule, l.is_configured, l.usage.read())).collect();
        ExceptionsReply { exceptions }
    }
}

fn told(rule: &Rule, is_configured: bool, (sessions, statements, writes): (u64, u64, u64)) -> RuleTold {
    let is_forgeable = rule.kind == RuleKind::Exempt && rule.who.is_forgeable();
    RuleTold { rule: rule.clone(), is_configured, is_forgeable, sessions, statements, writes }
}

/// The first of `e1`, `e2` … that nobody has.
fn free_name(others: &[Rule]) -> String {
    let mut number = 1_u32;
    loop {
        let name = format!("e{number}");
        if !others.iter().any(|rule| rule.name == name) {
            return name;
        }
        number = number.saturating_add(1);
    }
}
