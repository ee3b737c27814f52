//! Thawing step by step: each stage opens for some, is watched for its time, and where too much is refused or fails,
//! all are frozen again.

use super::{
    command::{FreezeCall, ReopenCall, ThawCall},
    error::ControlError,
    operator::{Operator, lock},
    told::{ReopenPhase, ReopenTold},
};
use crate::{causes::with_causes, config::Stage, freeze::Freeze};
use serde_json::json;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::sleep;

/// How often a stage is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Refusals and server errors so far. Taken before a stage is opened: what comes with its opening is its own.
#[derive(Clone, Copy)]
struct Counted {
    refused: u64,
    errors: u64,
}

/// What a reopening goes by to its end.
struct Plan {
    stages: Vec<Stage>,
    call: ReopenCall,
    /// The freeze as it was before the first stage: whom that held for is frozen again where a stage fails.
    frozen: Freeze,
}

/// Why a stage ended.
enum StageEnd {
    Passed,
    Failed(String),
    Overtaken,
}

impl Operator {
    /// Begins to reopen by the plan in the configuration; it goes on by itself.
    ///
    /// # Errors
    /// There is no plan, nothing is frozen, or the first stage could not be opened.
    pub async fn reopen(self: &Arc<Self>, call: ReopenCall) -> Result<ReopenTold, ControlError> {
        let stages = lock(&self.window.stages).clone();
        let Some(first) = stages.first() else { return Err(ControlError::NoStages) };
        let Some(frozen) = self.switch.state().freeze.clone() else { return Err(ControlError::NotFrozen) };
        let told = ReopenTold {
            phase: ReopenPhase::Running,
            stage: first.name.clone(),
            passed: 0,
            stages: stages.len(),
            problem: None,
        };
        {
            let mut reopening = lock(&self.window.reopening);
            if reopening.as_ref().is_some_and(|held| held.phase == ReopenPhase::Running) {
                return Err(ControlError::Reopening);
            }
            *reopening = Some(told.clone());
        }
        let before = self.counted();
        let verbs = match self.open_stage(first, &call, call.after).await {
            Ok(verbs) => verbs,
            Err(error) => {
                self.end_reopening(ReopenPhase::Failed, Some(with_causes(&error)));
                return Err(error);
            }
        };
        let (operator, plan) = (Arc::clone(self), Plan { stages, call, frozen });
        // It ends with its last stage, or when another verb comes between.
        drop(tokio::spawn(async move { operator.go_on(plan, (before, verbs)).await }));
        Ok(told)
    }

    /// How far it has come.
    pub fn reopening(&self) -> Option<ReopenTold> {
        lock(&self.window.reopening).clone()
    }

    /// `first` is what had been counted before the first stage, and the verbs when it was open.
    async fn go_on(self: Arc<Self>, plan: Plan, first: (Counted, u64)) {
        let Plan { stages, call, frozen } = plan;
        let (mut before, mut verbs) = first;
        for (at, stage) in stages.iter().enumerate() {
            if at > 0 {
                if let Some(told) = &mut *lock(&self.window.reopening) {
                    (told.stage, told.passed) = (stage.name.clone(), at);
                }
                before = self.counted();
                verbs = match self.open_stage(stage, &call, Some(verbs)).await {
                    Ok(verbs) => verbs,
                    Err(ControlError::Overtaken) => {
                        return self.end_reopening(ReopenPhase::Overtaken, None);
                    }
                    Err(error) => return self.fail(stage, frozen, with_causes(&error)).await,
                };
            }
            match self.watch_stage(stage, before, verbs).await {
                StageEnd::Passed => self.tell("stage_passed", json!({ "stage": stage.name })),
                StageEnd::Overtaken => return self.end_reopening(ReopenPhase::Overtaken, None),
                StageEnd::Failed(problem) => return self.fail(stage, frozen, problem).await,
            }
        }
        match self.thaw(thaw_call(&call, None, Some(verbs))).await {
            Ok(_) => {}
            Err(ControlError::Overtaken) => return self.end_reopening(ReopenPhase::Overtaken, None),
            Err(error) => return self.end_reopening(ReopenPhase::Failed, Some(with_causes(&error))),
        }
        if let Some(told) = &mut *lock(&self.window.reopening) {
            told.passed = told.stages;
        }
        self.end_reopening(ReopenPhase::Done, None);
    }

    /// Opens it unless another verb has come since so many were counted; how many it is now.
    async fn open_stage(
        self: &Arc<Self>,
        stage: &Stage,
        call: &ReopenCall,
        after: Option<u64>,
    ) -> Result<u64, ControlError> {
        let reply = self.thaw(thaw_call(call, Some(stage), after)).await?;
        self.tell("stage_opened", json!({ "stage": stage.name, "by": call.by }));
        Ok(reply.verbs)
    }

    /// Watches for the stage's time. What others do in between ends it.
    async fn watch_stage(&self, stage: &Stage, before: Counted, verbs: u64) -> StageEnd {
        let begun = self.now();
        loop {
            // Neither the epoch nor the scope would tell: a freeze of everybody may leave both as they were.
            if *self.verbs.lock().await != verbs {
                return StageEnd::Overtaken;
            }
            let too_many = |what: &str, count: u64, limit: Option<u64>| {
                let limit = limit.filter(|limit| count > *limit)?;
                Some(format!("{count} {what}, the limit is {limit}"))
            };
            let counted = self.counted();
            let refusals = counted.refused.saturating_sub(before.refused);
            let failures = counted.errors.saturating_sub(before.errors);
            let problem = too_many("refusals", refusals, stage.max_refused)
                .or_else(|| too_many("server errors", failures, stage.max_server_errors));
            if let Some(problem) = problem {
                return StageEnd::Failed(problem);
            }
            if self.now().duration_since(begun).unsigned_abs() >= stage.dwell {
                return StageEnd::Passed;
            }
            sleep(LOOK).await;
        }
    }

    /// Statements refused, and errors that the server gave to sessions which are open again, or never were frozen.
    fn counted(&self) -> Counted {
        let errors = self.counters.iter().map(|counters| counters.spared_errors()).sum();
        Counted { refused: self.labels.total(), errors }
    }

    async fn fail(self: &Arc<Self>, stage: &Stage, frozen: Freeze, problem: String) {
        self.window.stages_failed.fetch_add(1, Ordering::Relaxed);
        self.tell("stage_failed", json!({ "stage": stage.name, "problem": problem }));
        let Freeze { reason, until, scope, .. } = frozen;
        let again = |scope| FreezeCall { until, scope, ..FreezeCall::unasked(reason.clone(), "frostgate") };
        let mut problem = format!("stage {}: {problem}", stage.name);
        let mut note = |error: ControlError| problem = format!("{problem}; {}", with_causes(&error));
        match self.freeze(again(scope)).await {
            Ok(_) => {}
            // The gate is shut to them all the same.
            Err(error @ ControlError::NotKept { .. }) => note(error),
            // A guard kept those from being frozen who had been: then everybody is, rather than nobody.
            Err(error) => {
                note(error);
                if let Err(error) = self.freeze(again(Vec::new())).await {
                    note(error);
                }
            }
        }
        self.end_reopening(ReopenPhase::Failed, Some(problem));
    }

    fn end_reopening(&self, phase: ReopenPhase, problem: Option<String>) {
        // First, while it runs: then it is of the window, though its last stage was the thaw.
        self.tell("reopen", json!({ "outcome": phase }));
        if let Some(told) = &mut *lock(&self.window.reopening) {
            (told.phase, told.problem) = (phase, problem);
        }
        self.save_record();
    }
}

fn thaw_call(call: &ReopenCall, stage: Option<&Stage>, after: Option<u64>) -> ThawCall {
    ThawCall {
        reason: call.reason.clone(),
        by: call.by.clone(),
        accept_new_server: call.accept_new_server,
        whom: stage.and_then(|stage| stage.who.clone()),
        skip_smoke: call.skip_smoke,
        after,
    }
}
