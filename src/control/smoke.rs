//! Could the application work? A named principal logs in, or one for each database that matters, reads, and writes what
//! it rolls back, in the real schema.

use super::{
    error::ControlError,
    operator::{Operator, lock},
    told::SmokeTold,
};
use crate::{
    causes::with_causes,
    monitor::{MonitorError, Principal},
};
use serde_json::json;

impl Operator {
    /// Runs the smoke test.
    ///
    /// # Errors
    /// None is configured.
    pub async fn smoke(&self) -> Result<SmokeTold, ControlError> {
        let Some(smoke) = &self.window.settings.smoke else { return Err(ControlError::NoSmoke) };
        let at = self.now();
        let steps = [("read", Some(smoke.read.as_str())), ("write", smoke.write.as_deref())];
        let mut problems = Vec::new();
        for principal in &self.window.principals {
            if let Err((step, error)) = run(principal, &steps).await {
                let who =
                    if self.window.principals.len() > 1 { format!("{principal}: ") } else { String::new() };
                problems.push(format!("{who}{step}: {}", with_causes(&error)));
            }
        }
        let problem = Some(problems.join("; ")).filter(|problem| !problem.is_empty());
        let took = self.now().duration_since(at).unsigned_abs().as_millis();
        let told = SmokeTold { at, took_ms: u64::try_from(took).unwrap_or(u64::MAX), problem };
        self.tell("smoke", json!({ "problem": told.problem, "took_ms": told.took_ms }));
        let epoch = self.switch.state().epoch;
        *lock(&self.window.smoked) = told.problem.is_none().then_some(epoch);
        self.window.change(|record| record.note_smoke(told.clone()));
        self.save_record();
        Ok(told)
    }

    /// Whether a thaw has to wait for a smoke test that has not passed in this freeze.
    pub(super) fn lacks_smoke(&self) -> bool {
        let is_required = self.window.settings.smoke.as_ref().is_some_and(|smoke| smoke.is_required);
        is_required && *lock(&self.window.smoked) != Some(self.switch.state().epoch)
    }
}

async fn run(
    principal: &Principal,
    steps: &[(&'static str, Option<&str>)],
) -> Result<(), (&'static str, MonitorError)> {
    let sitting = principal.sit().await.map_err(|error| ("login", error))?;
    for (step, sql) in steps {
        let Some(sql) = sql else { continue };
        let at = |error| (*step, error);
        sitting.ask("BEGIN").await.map_err(at)?;
        let tried = sitting.ask(sql).await;
        // Also when it failed: an open transaction of the maintenance listener would keep the gate from opening.
        sitting.ask("ROLLBACK").await.map_err(at)?;
        tried.map_err(at)?;
    }
    Ok(())
}
