//! What of the configuration can change while the proxy runs: who is excepted, who is denied, and the stages of a
//! reopening. All of it or nothing.

use super::{
    error::ControlError,
    operator::{Operator, lock},
};
use crate::{
    config::Config,
    matching::{Rule, RuleFault, RuleKind},
};
use serde_json::json;
use std::sync::Arc;

impl Operator {
    /// Reads the configuration again and takes over what can change. Whoever may write no more is drained for, as when
    /// an exception is removed; a reopening that is under way ends by the stages that it began with. What else differs
    /// from what `running` says is told: it needs a restart.
    ///
    /// # Errors
    /// Something in it is wrong, or a rule has the name of one that an operator made; then nothing has changed.
    pub async fn reconfigure(self: &Arc<Self>, running: &Config) -> Result<(), ControlError> {
        let config = (self.reread)().map_err(|problem| ControlError::Configuration { problem })?;
        self.take_over(&config).await?;
        let others = running.differs_for_good(&config);
        if !others.is_empty() {
            tracing::warn!(keys = others.join(", "), "what these say is taken at the next start");
            self.tell("restart_needed", json!({ "keys": others }));
        }
        Ok(())
    }

    /// The configuration that holds: that of the start, with what has been taken over since.
    pub fn holding(&self, running: &Config) -> Config {
        let mut config = running.clone();
        config.rules.clone_from(&self.switch.configured());
        config.window.stages.clone_from(&lock(&self.window.stages));
        config
    }

    async fn take_over(self: &Arc<Self>, config: &Config) -> Result<(), ControlError> {
        let _one_at_a_time = self.verbs.lock().await;
        let state = (*self.switch.state()).clone();
        let by_operator = |rule: &&Rule| state.rules.iter().any(|other| other.name == rule.name);
        if let Some(doubled) = config.rules.iter().find(by_operator) {
            return Err(ControlError::Rule { fault: RuleFault::Doubled { name: doubled.name.clone() } });
        }
        let before = self.switch.configured();
        let stages_before = std::mem::replace(&mut *lock(&self.window.stages), config.window.stages.clone());
        let without = |rules: &[Rule], others: &[Rule]| -> Vec<Rule> {
            rules.iter().filter(|rule| !others.contains(rule)).cloned().collect()
        };
        let (gone, new) = (without(&before, &config.rules), without(&config.rules, &before));
        if gone.is_empty() && new.is_empty() {
            if stages_before == config.window.stages {
                return Ok(());
            }
        } else {
            self.switch.configure(config.rules.clone());
            self.switch.list_rules(&state.rules, self.now());
            // Where nobody is bound who was not before, there is nothing to wait for.
            let was_exempt = gone.iter().any(|rule| rule.kind == RuleKind::Exempt);
            if was_exempt || new.iter().any(|rule| rule.kind == RuleKind::Deny) {
                self.drain_again(state);
            } else {
                self.switch.publish(state, self.switch.gate().phase());
            }
        }
        let stages: Vec<&str> = config.window.stages.iter().map(|stage| stage.name.as_str()).collect();
        self.tell("reconfigured", json!({ "new_rules": new, "gone_rules": gone, "stages": stages }));
        Ok(())
    }
}
